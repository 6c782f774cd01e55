"""Authentication of a request: from its cookies to the subject of its one session."""

from functools import partial
from typing import TYPE_CHECKING

from fastapi import Request

from app.auth import credentials, csrf
from app.auth.subject import Subject
from app.core.http.problems import Unauthenticated
from app.core.lazy import lazy_import

if TYPE_CHECKING:
    from app.auth import access
    from app.core.rate_limits import gcra
else:
    access = lazy_import("app.auth.access")
    gcra = lazy_import("app.core.rate_limits.gcra")

READ, CHANGE = 1, 5
"""Cost of a request in its caller's quota: a search and a change use several stores."""

_COUNTED = "familycorp.stranger"


async def current_subject(request: Request) -> Subject:
    """Return the caller.

    Raises `Unauthenticated` without a live session, `SessionMismatch` for cookies of several, `CsrfRejected` for
    a foreign page, `TooManyRequests` for a client that keeps sending tokens that are no good.
    """
    token = credentials.of(request).access
    if token is None:  # A stranger's request needn't load what verifies tokens.
        raise Unauthenticated
    csrf.check(request)
    return await access.subject_of(token, partial(count_stranger, request))


async def caller(request: Request) -> Subject:
    """Return the caller that `app.state.identify` finds: `current_subject`, which tests replace."""
    subject: Subject = await request.app.state.identify(request)
    return subject


async def count_stranger(request: Request) -> None:
    """Count an anonymous request by its client's address, once; raise `TooManyRequests` beyond the limit."""
    if _COUNTED in request.scope:
        return
    request.scope[_COUNTED] = True
    if request.scope["route"].in_vpc:
        await gcra.of_visitor(request.scope, READ if request.method == "GET" else CHANGE)
    else:
        await gcra.of_stranger(request.scope, READ)
