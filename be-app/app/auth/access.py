"""From an access token to its subject: a signature, then the session as DynamoDB has it.

The token alone would be good for 15 minutes; what makes revocation, roles and disabled members count at once is that
the session is looked up. A process remembers the answer for one second, so that is how long an ended session may
live on, and how often a busy one costs a round trip.
"""

import time

from app.auth import sessions, tokens
from app.auth.subject import Subject
from app.core.errors import Unauthenticated

KEPT_S = 1.0
_MOST = 256

_known: dict[str, tuple[float, int, Subject]] = {}


async def subject_of(token: str) -> Subject:
    """Return whom an access token stands for; raise `Unauthenticated` without a live session."""
    known = _known.get(token)
    if known and known[0] > time.monotonic() and known[1] > time.time():
        return known[2]
    asked_at = time.monotonic()
    claims = await tokens.verify(token)
    state = claims and await sessions.state(claims.member, claims.session)
    if claims is None or state is None:
        _known.pop(token, None)
        raise Unauthenticated
    subject = Subject(state.member, state.role, state.second_factor_at, state)
    if len(_known) >= _MOST:
        _known.clear()
    # Counted from before the question: the answer may have been on its way for a while.
    _known[token] = (asked_at + KEPT_S, claims.expires_at, subject)
    return subject


def forget() -> None:
    """Forget what this process remembers, after it changed sessions or members itself."""
    _known.clear()
