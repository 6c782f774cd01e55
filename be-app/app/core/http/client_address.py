"""Where a request came from, as the gateway saw it: never what a client says of itself (ASVS 4.1.3)."""

import os
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import orjson

from app.core.observability import context

_ADAPTER = b"x-amzn-request-context"


def address(scope: MutableMapping[str, Any]) -> str:
    """Return the client's IP address of an ASGI connection.

    Mangum brings the gateway's event along. The Lambda Web Adapter puts the event's request context into a header,
    overwriting what a client sent under that name; anywhere but in Lambda nobody overwrites it, so it means
    nothing there. Without a gateway the connection's peer is the client.
    """
    gateway = _gateway(scope)
    with suppress(KeyError, TypeError):
        return str(gateway["http"]["sourceIp"])
    return str((scope.get("client") or ("unknown",))[0])


def arrived_at(scope: MutableMapping[str, Any]) -> int:
    """Return when a request reached the gateway, or this process without one, in epoch milliseconds.

    What depends on the order in which requests were sent compares this: a busy process may serve them much later.
    """
    gateway = _gateway(scope)
    with suppress(KeyError, TypeError, ValueError):
        return int(gateway["timeEpoch"])
    return int(scope[context.ARRIVED_AT])


def _gateway(scope: MutableMapping[str, Any]) -> Any:
    """Return the request context of the gateway's event; None without a gateway."""
    found = scope.get("aws.event", {}).get("requestContext")
    if found is None and "AWS_LAMBDA_RUNTIME_API" in os.environ:
        found = next((_parsed(value) for name, value in scope["headers"] if name == _ADAPTER), None)
    return found


def _parsed(header: bytes) -> Any:
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(header)
    return None
