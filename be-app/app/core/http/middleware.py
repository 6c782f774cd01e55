"""The outermost middleware: correlation id, response headers, one log line, and a generic 500."""

import logging
import os
import re
import time
from itertools import chain
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.grammar import Headers, field
from app.core.http.problems import HeadersTooLarge, Problem, UriTooLong
from app.core.observability import context, metrics
from app.core.observability.logging import sampled

logger = logging.getLogger("app.access")

# Of every response, unless its route says otherwise: browsers and proxies store nothing (ASVS 14.3.2).
_HEADERS: Final = (
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"vary", b"Origin"),
    (b"cache-control", b"no-store"),
)
_COUNTED: Final = {403: "denied", 429: "rate_limited"}
_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context §3.2
_MOST_HEADERS, _HEADER_BYTES, _ADDRESS_BYTES = 200, 64 * 1024, 10_240
"""Limits of a request's head, which Python reads field by field before the route. API Gateway's own quota for the
request line and all header fields is 10,240 bytes; the Web Adapter adds two fields."""


class RequestContext:
    """Gives every request its correlation id, and the log one line about it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        scope[context.ARRIVED_AT] = int(time.time() * 1000)
        refused = _oversized(scope)
        inner = _inner(scope, refused)
        request_id = context.accept_request_id(field(inner["headers"], b"x-request-id"))
        token = context.bind(request_id, () if refused is HeadersTooLarge else scope["headers"])
        response = _Response(inner, send, request_id, without_body=scope["method"] == "HEAD")
        with sampled(), metrics.measured() as fields:
            try:
                app = refused().response() if refused else self._app
                await app(inner, receive, response.send)
            finally:
                fields["method"], fields["status"], fields["bytes"] = (
                    scope["method"],
                    response.status,
                    response.size,
                )
                fields["route"] = inner.get(context.ROUTE) or getattr(inner.get("route"), "path", "-")
                fields["latency"] = round((time.perf_counter() - started) * 1000, 2)
                if logger.isEnabledFor(logging.INFO):
                    _write_line(fields, inner["headers"])
                context.unbind(token)


def _oversized(scope: Scope) -> type[Problem] | None:
    """Return the problem of a request whose head is too large to be read."""
    headers = scope["headers"]
    if len(headers) > _MOST_HEADERS or sum(map(len, chain.from_iterable(headers))) > _HEADER_BYTES:
        return HeadersTooLarge
    if len(scope["path"]) + len(scope["query_string"]) > _ADDRESS_BYTES:
        return UriTooLong
    return None


def _inner(scope: Scope, refused: type[Problem] | None) -> Scope:
    """Return a request as the application gets it: a HEAD as the GET it stands for (RFC 9110 §9.3.2)."""
    if refused:
        scope = {**scope, "headers": []}
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


class _Response:
    """A response on its way: adds the headers of every response, and counts bytes.

    Args:
        scope: of the request, as the application gets it.
        send: the server's.
        request_id: the correlation id.
        without_body: whether the response is to a HEAD.
    """

    __slots__ = ("_request_id", "_scope", "_send", "_without_body", "size", "status")

    def __init__(self, scope: Scope, send: Send, request_id: str, *, without_body: bool) -> None:
        self._scope, self._send, self._request_id = scope, send, request_id
        self._without_body = without_body
        self.status = self.size = 0

    async def send(self, message: Message) -> None:
        """Send a message of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._with_common(message["headers"])
        else:
            if self._without_body:
                message = {**message, "body": b""}
            self.size += len(message.get("body", b""))
        await self._send(message)

    def _with_common(self, own: Headers) -> Headers:
        present = {name for name, _ in own}
        return [
            *own,
            *(header for header in _HEADERS if header[0] not in present),
            (b"x-request-id", self._request_id.encode()),
            *self._scope.get(context.RATE_HEADERS, ()),
        ]


def _write_line(fields: metrics.Fields, headers: Headers) -> None:
    """Log a request's one line, which is its metrics, too."""
    status = fields["status"]
    fields["errors"] = int(status >= 500 or not status)
    if name := _COUNTED.get(status):
        fields[name] = 1
    if (traced := field(headers, b"traceparent")) and _TRACE.fullmatch(traced):
        fields["trace_id"] = traced[3:35]
    if traced := field(headers, b"x-amzn-trace-id") or os.environ.get("_X_AMZN_TRACE_ID"):
        fields["xray_trace_id"] = traced.removeprefix("Root=")[:35]
    # `logger.info` would search the stack for its caller: a tenth of the whole cost of a cache hit.
    line = {"name": logger.name, "levelno": logging.INFO, "levelname": "INFO", "msg": "request"}
    logger.handle(logging.makeLogRecord(line | metrics.embedded(fields)))


class UnhandledErrors:
    """Turns an unexpected exception into a generic 500; its details go to the log alone.

    The framework answers for what its routes raise, and raises again; what is outside of it is answered here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        began = complete = False

        async def note(message: Message) -> None:
            nonlocal began, complete
            began = True
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception:
            logger.exception("unhandled_error")
            if not began:
                await Problem().response()(scope, receive, send)
            elif not complete:
                raise  # The server cuts the connection, so that half a response can't pass for a whole one.
