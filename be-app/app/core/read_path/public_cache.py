"""The public cache: what visitors are served from before a request enters the framework."""

import asyncio
import logging
import re
import time
import unicodedata
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import grammar
from app.core.http.problems import Problem
from app.core.lazy import lazy_import
from app.core.observability import context, metrics

if TYPE_CHECKING:
    from app.core.read_path import cache

    _Render = Callable[[Send], Coroutine[None, None, cache.Entry | None]]
else:
    # Valkey's client is imported by the first request that may be cached.
    cache = lazy_import("app.core.read_path.cache")

logger = logging.getLogger("app.access")

PATIENCE_S = 0.75
"""Seconds after which a visitor gets a stale response, if there is one; the fresh one goes on being rendered."""

_TRACKING: Final = re.compile(rb"utm_|(?:fbclid|gclid|msclkid)(?:=|$)")
"""Query parameters that messengers, mail and advertising add to links. They mean nothing here."""

_RENDERED: Final = "familycorp.public_response"
"""Type of the message by which a `PublicResponse` hands its entry to the cache; no server ever gets it."""

_PAUSE_S: Final = 1.0
_MOST_LATE: Final = 16


class PublicResponse(Response):
    """A response that any visitor may get, and therefore the cache may store. It stores nothing else."""

    location = ""

    @classmethod
    def moved(cls, location: str) -> Self:
        """Return the permanent redirect (308) to a path of this API."""
        redirect = cls(media_type="text/plain")
        redirect.location = location
        return redirect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Hand the response to `PublicCache`, which stores and sends it."""
        assert self.media_type  # noqa: S101 - every caller names one
        entry = cache.Entry.of(
            bytes(self.body),
            content_type=self.media_type,
            route=scope["route"].path,
            location=self.location,
        )
        await send({"type": _RENDERED, "entry": entry})


class _Asked(NamedTuple):
    """A request for something that the cache may keep."""

    key: bytes
    scope: Scope
    receive: Receive
    send: Send


class _Refresh:
    """An attempt to render a stale response again, whose result is held back until it is chosen."""

    def __init__(self, key: bytes, render: "_Render") -> None:
        self.entry: cache.Entry | None = None
        self.status = 500
        self._messages: list[Message] = []
        self.task = asyncio.create_task(self._run(key, render))

    async def _run(self, key: bytes, render: "_Render") -> None:
        try:
            self.entry = await render(self._hold)
        except Exception:
            logger.exception("unhandled_error")
            self.status = 500
        if self.entry is not None:
            self.status = 200
        elif self.status < 500 and self.status != 429:
            await cache.forget(key)

    async def _hold(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self._messages.append(message)

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it ends, or for so long; return whether it has ended."""
        await asyncio.wait({self.task}, timeout=timeout_s)
        return self.task.done()

    async def send(self, asked: _Asked) -> None:
        """Send what came of it."""
        if self.entry is not None:
            await _send_entry(self.entry, asked.scope, asked.send)
        elif self._messages:
            for message in self._messages:
                await asked.send(message)
        else:
            await Problem().response()(asked.scope, asked.receive, asked.send)


class PublicCache:
    """Answers public GETs from the cache, and keeps those responses that are a `PublicResponse`.

    Where a fresh response can't be had (5xx, an exception, none in `PATIENCE_S`), a stale one is served if there is
    one. A render that takes longer finishes in the background, and its response is stored.
    """

    def __init__(self, app: ASGIApp, *, prefixes: Sequence[str]) -> None:
        self._app = app
        self._prefixes = tuple(prefixes)
        self._late: set[asyncio.Task[None]] = set()
        self._paused: dict[bytes, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            or not scope["path"].startswith(self._prefixes)
        ):
            await self._app(scope, receive, send)
            return
        until = time.monotonic() + PATIENCE_S
        _normalise(scope)
        # The order of parameters means nothing; one entry serves all orders.
        query = b"&".join(sorted(scope["query_string"].split(b"&")))
        key = scope["path"].encode() + b"?" + query
        found = await cache.lookup(key)
        if found.entry is not None:
            metrics.add("cache_hit")
            await _send_entry(found.entry, scope, send, cached=True)
            return
        metrics.add("cache_miss")
        asked = _Asked(key, scope, receive, send)
        if found.stale is not None:
            await self._refresh(asked, found, found.stale.route, until)
            return
        entry = await self._render(asked, found.epoch, send)
        if entry is not None:
            await _send_entry(entry, scope, send)

    async def _render(self, asked: _Asked, epoch: bytes | None, send: Send) -> "cache.Entry | None":
        """Have the application respond, and store a `PublicResponse`; return None where it sent another response."""
        entry: cache.Entry | None = None

        async def receive_entry(message: Message) -> None:
            nonlocal entry
            if message["type"] == _RENDERED:
                entry = message["entry"]
            else:
                await send(message)

        await self._app(asked.scope, asked.receive, receive_entry)
        if entry is not None:
            await cache.store(asked.key, entry, epoch)
        return entry

    async def _refresh(self, asked: _Asked, found: "cache.Lookup", route: bytes, until: float) -> None:
        """Serve a fresh response in place of a stale one, or the stale one."""
        refresh, reason = None, "slow"
        if self._may_try(route):
            refresh = _Refresh(asked.key, lambda hold: self._render(asked, found.epoch, hold))
            if await refresh.wait(max(0, until - time.monotonic())):
                self._paused.pop(route, None)
                if refresh.status < 500:
                    await refresh.send(asked)
                    return
                reason = str(refresh.status)
            else:
                self._paused[route] = time.monotonic() + _PAUSE_S
                self._late.add(refresh.task)
                refresh.task.add_done_callback(self._late.discard)
        again = await cache.last_good(asked.key, found)
        entry = again.entry or again.stale
        if entry is not None:
            if again.entry is None:
                metrics.add("cache_stale")
                metrics.note("stale_reason", reason)
            await _send_entry(entry, asked.scope, asked.send, cached=True)
            return
        if refresh is None:
            refresh = _Refresh(asked.key, lambda hold: self._render(asked, again.epoch, hold))
        await refresh.wait()
        await refresh.send(asked)

    def _may_try(self, route: bytes) -> bool:
        """Return whether a stale response is worth the wait for a fresh one.

        After one of a route was late, only one request a second tries, and the others are served at once. What is
        late keeps a thread or two of the forty in which AWS is called, so nobody tries while much is.
        """
        if len(self._late) >= _MOST_LATE:
            return False
        now, until = time.monotonic(), self._paused.get(route)
        if until is None:
            return True
        if now < until:
            return False
        self._paused[route] = now + _PAUSE_S
        return True


def _normalise(scope: Scope) -> None:
    """Give an address the form that its spellings have in common: letters composed (NFC), nothing of a campaign.

    Slugs are in NFC; macOS decomposes the letters of Hangul.
    """
    if not scope["path"].isascii():
        scope["path"] = unicodedata.normalize("NFC", scope["path"])
    if query := scope["query_string"]:
        scope["query_string"] = b"&".join(p for p in query.split(b"&") if not _TRACKING.match(p))


async def _send_entry(entry: "cache.Entry", scope: Scope, send: Send, *, cached: bool = False) -> None:
    """Send an entry; one that comes from the cache has an `Age` (RFC 9111 §5.1)."""
    scope[context.ROUTE] = entry.route.decode()
    # Also a redirect is asked for again, since its target may become the address once more (RFC 9110 §15.4.9 lets
    # browsers keep it for good otherwise).
    headers = [(b"cache-control", b"public, no-cache")]
    if cached:
        age = time.time() - entry.made
        headers.append((b"age", b"%d" % age if age > 0 else b"0"))
    if entry.location:
        headers += [(b"location", entry.location), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 308, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    headers += [(b"etag", entry.etag), (b"vary", b"Origin, Accept-Encoding")]
    if_none_match = grammar.field(scope["headers"], b"if-none-match")
    if if_none_match and grammar.matches(if_none_match, entry.etag.decode()):
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    if grammar.takes_gzip(grammar.field(scope["headers"], b"accept-encoding") or ""):
        body = entry.gzipped
        headers.append((b"content-encoding", b"gzip"))
    else:
        body = entry.body()
    headers += [(b"content-type", entry.content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
