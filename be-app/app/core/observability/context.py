"""What belongs to the request in hand and must reach every log line: its correlation id."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from app.core.clock import new_id

RATE_HEADERS = "familycorp.rate"
"""Where a request's scope keeps the headers that say what its caller may still ask for."""

ARRIVED_AT = "familycorp.arrived"
"""Where a request's scope keeps when this process received it, in epoch milliseconds."""

_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")

_request_id: ContextVar[str] = ContextVar("request_id", default="")

bind = _request_id.set
unbind = _request_id.reset


def request_id() -> str:
    """Return the correlation id of the request or job in hand; empty outside of any."""
    return _request_id.get()


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
