"""From an access token to its subject: a signature, then the session as DynamoDB has it.

The token alone would be good for 15 minutes; what makes revocation, roles and disabled members count at once is that
the session is looked up. A process remembers the response for one second, so that is how long an ended session may
live on, and how often a busy one costs a round trip.
"""

import time
from collections.abc import Awaitable, Callable

from app.auth import sessions, tokens
from app.auth.subject import Subject
from app.core.http.problems import Unauthenticated
from app.core.process import process

KEPT_S = 1.0
_ENDED_KEPT_S = 60.0
_MOST = 256


class _Sessions:
    """Sessions in this process's cache."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[float, int, Subject]] = {}
        self.ended: dict[tuple[str, str], float] = {}
        """Sessions that are over, and until when this process needn't look: an ended session never comes back."""


_remembered = process.keeps(_Sessions)


async def subject_of(token: str, count_stranger: Callable[[], Awaitable[None]]) -> Subject:
    """Return whom an access token stands for; raise `Unauthenticated` without a live session.

    `count_stranger` counts a token that is no good against its client. It runs before the read that only a token
    of an unknown key costs; of an ended session only the first token costs one.
    """
    known = _remembered().known
    kept = known.get(token)
    if kept and kept[0] > time.monotonic() and kept[1] > time.time():
        return kept[2]
    asked_at = time.monotonic()
    if not tokens.has_key_of(token):
        await count_stranger()
    claims = await tokens.verify(token)
    state = claims and await _state(claims)
    if claims is None or state is None:
        known.pop(token, None)
        await count_stranger()
        raise Unauthenticated
    subject = Subject(state.member, state.role, state.second_factor_at, state)
    if len(known) >= _MOST:
        known.clear()
    # Counted from before the question: the answer may have been on its way for a while.
    known[token] = (asked_at + KEPT_S, claims.expires_at, subject)
    return subject


async def _state(claims: tokens.Claims) -> sessions.State | None:
    key, ended = (claims.member, claims.session), _remembered().ended
    if ended.get(key, 0) > time.monotonic():
        return None
    state = await sessions.state(*key)
    if state is None:
        if len(ended) >= _MOST:
            ended.clear()
        ended[key] = time.monotonic() + _ENDED_KEPT_S
    return state


def forget() -> None:
    """Forget what this process remembers, after it changed sessions or members itself."""
    _remembered().known.clear()
