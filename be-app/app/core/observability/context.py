"""The current request: its correlation id, which every log line carries, and its header fields."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token

from app.core.clock import new_id

RATE_HEADERS = "familycorp.rate"
"""Where a request's scope keeps the headers of its caller's remaining quota."""

ARRIVED_AT = "familycorp.arrived"
"""Where a request's scope keeps when this process received it, in epoch milliseconds."""

ROUTE = "familycorp.route"
"""Where a request's scope keeps the route of a response from the public cache, which the router never saw."""

_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")

Headers = Sequence[tuple[bytes, bytes]]
_Current = tuple[str, Headers]

_current: ContextVar[_Current] = ContextVar("current_request", default=("", ()))

unbind = _current.reset


def bind(request_id: str, headers: Headers = ()) -> Token[_Current]:
    """Make a request or job the current one; `unbind` ends it."""
    return _current.set((request_id, headers))


def request_id() -> str:
    """Return the correlation id of the current request or job; empty outside of any."""
    return _current.get()[0]


def header(name: bytes) -> str:
    """Return a header field of the current request, its lines joined (RFC 9110 §5.3); empty without one."""
    return ", ".join(value.decode("latin-1") for key, value in _current.get()[1] if key == name)


@contextmanager
def correlated() -> Iterator[None]:
    """Give the block a new correlation id, unless it runs under one already."""
    token = bind(request_id() or str(new_id()))
    try:
        yield
    finally:
        unbind(token)


def accept_request_id(offered: str | None) -> str:
    """Return the caller's id when it is well-formed (8 to 64 of `A-Z a-z 0-9 . _ -`), else a new one."""
    return offered if offered and _WELL_FORMED.fullmatch(offered) else str(new_id())
