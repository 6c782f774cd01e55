"""The session of a request: its cookies name one session, or the request is refused.

A step-up proves a factor of the member in the access token, and elevates the session of the refresh token. Without
this check a member's own code would elevate a session that was stolen from somebody else.
"""

import logging
from base64 import urlsafe_b64decode
from typing import Any, NamedTuple

import orjson
from starlette.requests import HTTPConnection

from app.auth import cookies
from app.auth.errors import SessionExpired, SessionMismatch
from app.core.messages import marked

logger = logging.getLogger(__name__)


class Credentials(NamedTuple):
    """The session cookies of a request, which are consistent; none of them is verified yet."""

    access: str | None
    session: str | None
    refresh: str | None

    @property
    def renewal(self) -> str:
        """The refresh token; raises `SessionExpired` without one, or without the session that binds it."""
        if self.refresh is None or self.session is None:
            raise SessionExpired
        return self.refresh


def of(request: HTTPConnection) -> Credentials:
    """Return a request's credentials; raise `SessionMismatch` where any two of them name different sessions.

    Every cookie counts, an expired access token and the second of one name too: a request that isn't about one
    session is about none.
    """
    members, sessions = set[Any](), set(cookies.values(request, cookies.SESSION))
    named = [_of_access(token) for token in cookies.values(request, cookies.ACCESS)]
    named += [_of_refresh(token) for token in cookies.values(request, cookies.REFRESH)]
    for member, session in filter(None, named):
        members.add(member)
        sessions.add(session)
    if len(members) > 1 or len(sessions) > 1:
        logger.warning("session_mismatch_refused", extra={"sessions": len(sessions), "members": len(members)})
        raise SessionMismatch(
            marked("The cookies of this request belong to different sessions. Log in again.")
        )
    return Credentials(
        *(cookies.read(request, n) for n in (cookies.ACCESS, cookies.SESSION, cookies.REFRESH))
    )


def _of_access(token: str) -> tuple[str, str] | None:
    """Return member and session that a JWT claims to be of, unverified: a false claim can only be refused."""
    try:
        payload = token.split(".")[1]
        claims = orjson.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        member, session = claims["sub"], claims["sid"]
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    # Ours are text. Anything else is a stranger's, and may be nested too deeply to be shown or compared.
    return (member, session) if isinstance(member, str) and isinstance(session, str) else None


def _of_refresh(token: str) -> tuple[str, str] | None:
    parts = token.split(".")
    return (parts[0], parts[1]) if len(parts) == 3 else None
