"""Steps before and after the handlers that several routes of an account share."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fastapi import Depends, Request

from app.auth import credentials
from app.auth.errors import SessionMismatch
from app.authz.guard import authorise
from app.authz.routing import Actor
from app.core.lazy import lazy_import

if TYPE_CHECKING:
    from app.auth import access, sessions
else:
    access = lazy_import("app.auth.access")
    sessions = lazy_import("app.auth.sessions")


def device(request: Request) -> str:
    """Return what the browser says of itself."""
    agent = request.headers.get("user-agent", "")
    return "".join(c for c in agent if c.isascii() and c.isprintable())


async def end_replaced_session(request: Request) -> None:
    """End the session that the browser had before a login; cookies of several end none, and hinder no login."""
    with suppress(SessionMismatch):
        replaced = credentials.of(request)
        await sessions.end_by_tokens(replaced.refresh, replaced.access)


async def _own_sessions(actor: Actor) -> None:
    authorise(actor, "session:end-own", {"type": "session", "owner": actor.id})


async def _sessions_change() -> AsyncIterator[None]:
    yield
    access.forget()


OWN_SESSIONS: Any = Depends(_own_sessions)
"""Has the policy decide whether the caller may end their own sessions."""

SESSIONS_CHANGE: Any = Depends(_sessions_change, scope="function")
"""Clears this process's cache of sessions after a handler that changed some, before its response is sent."""
