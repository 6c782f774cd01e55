"""Where a request came from, as the gateway saw it: never what a client says of itself (ASVS 4.1.3)."""

import os
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import orjson

_ADAPTER = b"x-amzn-request-context"


def address(scope: MutableMapping[str, Any]) -> str:
    """Return the client's IP address of an ASGI connection.

    Mangum brings the gateway's event along. The Lambda Web Adapter puts the event's request context into a header,
    overwriting what a client sent under that name; anywhere but in Lambda nobody overwrites it, so it means
    nothing there. Without a gateway the connection's peer is the client.
    """
    context = scope.get("aws.event", {}).get("requestContext")
    if context is None and "AWS_LAMBDA_RUNTIME_API" in os.environ:
        context = next((_parsed(value) for name, value in scope["headers"] if name == _ADAPTER), None)
    with suppress(KeyError, TypeError):
        return str(context["http"]["sourceIp"])
    return str((scope.get("client") or ("unknown",))[0])


def _parsed(header: bytes) -> Any:
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(header)
    return None
