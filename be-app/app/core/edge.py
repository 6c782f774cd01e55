"""The outermost layers of a request's way: correlation id, headers, one log line; then the public cache."""

import logging
import os
import re
import time
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import context, grammar, metrics
from app.core.errors import AddressTooLong, HeadersTooLarge, Problem
from app.core.lazy import lazy_import
from app.core.logging import sampled

# Valkey's client is imported by the first request that may be cached.
cache: Any = lazy_import("app.core.cache")

logger = logging.getLogger("app.access")

# What every answer carries, unless its route says otherwise: nothing is stored by browsers or proxies (ASVS 14.3.2).
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
_CODING: Final = re.compile(
    r"(?:^|,)[ \t]*([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=([01](?:\.[0-9]{0,3})?)[ \t]*)?(?=,|$)"
)
_MOST_HEADERS, _HEADER_BYTES, _ADDRESS_BYTES = 200, 64 * 1024, 10_240
"""What is read of a request before its route: some of it in Python, field by field. API Gateway's own quota for the
request line and all header fields is 10,240 bytes; the Web Adapter adds two fields."""

_COMPOSED: Final = "familycorp.composed"
_ROUTE: Final = "familycorp.route"


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return None


def _oversized(scope: Scope) -> type[Problem] | None:
    """Return the problem of a request whose head is too large to be read."""
    headers = scope["headers"]
    if len(headers) > _MOST_HEADERS or sum(map(len, chain.from_iterable(headers))) > _HEADER_BYTES:
        return HeadersTooLarge
    if len(scope["path"]) + len(scope["query_string"]) > _ADDRESS_BYTES:
        return AddressTooLong
    return None


class RequestContext:
    """Gives every request its correlation id, every answer its headers, and the log one line for both."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        scope[context.ARRIVED_AT] = int(time.time() * 1000)
        method = scope["method"]
        refused = _oversized(scope)
        if refused:
            scope = {**scope, "headers": []}
        request_id = context.accept_request_id(_header(scope, b"x-request-id"))
        token = context.bind(request_id)
        head = method == "HEAD"
        if head:  # Answered as the GET it stands for, without the content (RFC 9110 §9.3.2).
            scope = {**scope, "method": "GET"}
        status = size = 0

        async def send_dressed(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message["headers"])
                present = {name for name, _ in headers}
                headers += [header for header in _HEADERS if header[0] not in present]
                headers.append((b"x-request-id", request_id.encode()))
                headers += scope.get(context.RATE_HEADERS, ())
                message["headers"] = headers
            else:
                if head:
                    message = {**message, "body": b""}
                size += len(message.get("body", b""))
            await send(message)

        with sampled(), metrics.measured() as fields:
            try:
                app = refused().response() if refused else self._app
                await app(scope, receive, send_dressed)
            finally:
                fields["method"], fields["status"], fields["bytes"] = method, status, size
                fields["route"] = scope.get(_ROUTE) or getattr(scope.get("route"), "path", "-")
                fields["latency"] = round((time.perf_counter() - started) * 1000, 2)
                if logger.isEnabledFor(logging.INFO):
                    _write_line(fields, scope)
                context.unbind(token)


def _write_line(fields: metrics.Fields, scope: Scope) -> None:
    """Log a request's one line, which is its metrics, too."""
    status = fields["status"]
    fields["errors"] = int(status >= 500 or not status)
    if name := _COUNTED.get(status):
        fields[name] = 1
    if (traced := _header(scope, b"traceparent")) and _TRACE.fullmatch(traced):
        fields["trace_id"] = traced[3:35]
    if traced := _header(scope, b"x-amzn-trace-id") or os.environ.get("_X_AMZN_TRACE_ID"):
        fields["xray_trace_id"] = traced.removeprefix("Root=")[:35]
    # `logger.info` would look for its caller, at a tenth of a cached answer's whole cost.
    line = {"name": logger.name, "levelno": logging.INFO, "levelname": "INFO", "msg": "request"}
    logger.handle(logging.makeLogRecord(line | metrics.embedded(fields)))


class UnhandledErrors:
    """Sees to it that an exception which nobody expected becomes a generic 500; its details go to the log alone.

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
                raise  # The server cuts the connection, so that half an answer can't pass for a whole one.


class PublicResponse(Response):
    """An answer that any visitor may get, and therefore the cache may keep. Nothing else is ever kept."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Leave the answer to `PublicCache`, which stores and sends it."""
        assert self.media_type  # noqa: S101 - every caller names one
        scope[_COMPOSED].append(
            cache.Entry.of(bytes(self.body), content_type=self.media_type, route=scope["route"].path)
        )


class PublicCache:
    """Answers public GETs from the cache, and keeps those answers that are a `PublicResponse`."""

    def __init__(self, app: ASGIApp, *, prefixes: Sequence[str]) -> None:
        self._app = app
        self._prefixes = tuple(prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            or not scope["path"].startswith(self._prefixes)
        ):
            await self._app(scope, receive, send)
            return
        # The order of parameters means nothing; one entry serves all orders.
        query = b"&".join(sorted(scope["query_string"].split(b"&")))
        key = scope["path"].encode() + b"?" + query
        found = await cache.lookup(key)
        entry = found.entry
        metrics.add("cache_miss" if entry is None else "cache_hit")
        if entry is None:
            composed: list[Any] = []
            scope[_COMPOSED] = composed
            await self._app(scope, receive, send)
            if not composed:
                return
            entry = composed[0]
            await cache.store(key, entry, found.epoch)
        scope[_ROUTE] = entry.route.decode()
        await _send_entry(entry, scope, send)


async def _send_entry(entry: Any, scope: Scope, send: Send) -> None:
    headers = [
        (b"etag", entry.etag),
        (b"cache-control", b"public, no-cache"),
        (b"vary", b"Origin, Accept-Encoding"),
    ]
    if_none_match = _header(scope, b"if-none-match")
    if if_none_match and grammar.matches(if_none_match, entry.etag.decode()):
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    if _takes_gzip(_header(scope, b"accept-encoding") or ""):
        body = entry.gzipped
        headers.append((b"content-encoding", b"gzip"))
    else:
        body = entry.body()
    headers += [(b"content-type", entry.content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@lru_cache(64)
def _takes_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding (RFC 9110 §12.5.3) allows gzip and doesn't like it less than identity."""
    weights = {}
    for coding, weight in _CODING.findall(grammar.lower(accepted)):
        weights[coding] = float(weight or 1)
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)
