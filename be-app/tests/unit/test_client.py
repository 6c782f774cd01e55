"""Where a request came from: the gateway knows, clients only claim."""

import json
from typing import Any

import pytest

from app.core.http.client_address import address, arrived_at
from app.core.observability.context import ARRIVED_AT

CLAIMED = [
    (b"x-forwarded-for", b"203.0.113.1"),
    (b"forwarded", b"for=203.0.113.1"),
    (b"x-real-ip", b"203.0.113.1"),
]


def context(ip: Any) -> bytes:
    return json.dumps({"http": {"sourceIp": ip}}).encode()


def scope(*headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"headers": [*CLAIMED, *headers], "client": ("192.0.2.9", 4711), **more}


@pytest.mark.security(39)
def test_without_a_gateway_the_peer_is_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)
    assert address(scope()) == "192.0.2.9"
    # Nobody overwrites the adapter's header there, so anybody may have sent it.
    assert address(scope((b"x-amzn-request-context", context("203.0.113.1")))) == "192.0.2.9"
    assert address({"headers": [], "client": None}) == "unknown"


@pytest.mark.security(39)
def test_behind_mangum_the_event_has_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    event = {"requestContext": {"http": {"sourceIp": "198.51.100.7"}}}
    spoofed = (b"x-amzn-request-context", context("203.0.113.1"))
    assert address(scope(spoofed, **{"aws.event": event})) == "198.51.100.7"


@pytest.mark.security(39)
@pytest.mark.parametrize("told", [b"", b"{", b"null", b"[]", b'{"http": 7}', b'{"http": {}}', b"\xff"])
def test_behind_the_web_adapter_its_header_has_the_address(
    monkeypatch: pytest.MonkeyPatch, told: bytes
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    name = b"x-amzn-request-context"
    assert address(scope((name, context("198.51.100.7")))) == "198.51.100.7"
    assert address(scope((name, told))) == "192.0.2.9"


@pytest.mark.security(12)
def test_a_request_arrived_when_the_gateway_got_it(monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = (b"x-amzn-request-context", b'{"timeEpoch": 1}')
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)
    assert arrived_at(scope(claimed, **{ARRIVED_AT: 2})) == 2  # Without a gateway anybody may have sent it.
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    assert arrived_at(scope(claimed, **{ARRIVED_AT: 2})) == 1
    event = {"requestContext": {"timeEpoch": 3}}
    assert arrived_at(scope(claimed, **{ARRIVED_AT: 2, "aws.event": event})) == 3
    for bad in (b"{}", b'{"timeEpoch": "soon"}', b'{"timeEpoch": null}', b"[]"):
        assert arrived_at(scope((claimed[0], bad), **{ARRIVED_AT: 2})) == 2
