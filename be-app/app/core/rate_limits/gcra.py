"""Rate limits of the API: by member for staff, by client address for visitors.

The generic cell rate algorithm (ITU-T I.371): a caller has a theoretical arrival time that each request moves on by
its cost, and that may be ahead of the present by one window. It is one number in Valkey, read and moved by one script
on Valkey's clock, so that it is exact however many processes count. Without Valkey each process counts for itself:
callers may get more, never nothing.

Hits of the public cache aren't counted: counting would cost more than answering.
"""

import hashlib
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from app.core.http.client_address import address
from app.core.http.problems import TooManyRequests
from app.core.lazy import lazy_import
from app.core.observability import metrics
from app.core.observability.context import RATE_HEADERS
from app.core.process import process
from app.core.settings import settings

if TYPE_CHECKING:
    from app.core.read_path import cache
else:
    cache = lazy_import("app.core.read_path.cache")

_CALLERS: Final = 10_000

_GCRA = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local window, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local ahead = tat - now + cost
if ahead > window then return {0, tat - now} end
redis.call('SET', KEYS[1], string.format('%d', tat + cost), 'PX', math.ceil(ahead / 1000))
return {1, ahead}
"""


@process.keeps
def _own() -> dict[str, float]:
    """Return this process's own counts, for when Valkey is away."""
    return {}


class Rate(NamedTuple):
    """A caller's quota: units of work within a number of seconds."""

    name: str
    most: int
    seconds: int = 60
    shared: bool = True
    """Whether all processes count together; else each counts for itself, without a store."""


_STRANGERS: Final = Rate("strangers", 60, shared=False)


class Answer(NamedTuple):
    """Whether a request may go on, and how far ahead of the present its caller is now, in seconds."""

    allowed: bool
    ahead: float


async def of_visitor(scope: Any, cost: int) -> None:
    """Count a visitor's request, as `count` does."""
    await count(scope, Rate("visitors", settings().rate_visitors), address(scope), cost)


async def of_stranger(scope: Any, cost: int) -> None:
    """Count an anonymous request, as `count` does, where Valkey can't be reached."""
    await count(scope, _STRANGERS, address(scope), cost)


async def of_member(scope: Any, member: str, cost: int) -> None:
    """Count a member's request, as `count` does."""
    await count(scope, Rate("staff", settings().rate_staff), member, cost)


async def count(scope: Any, rate: Rate, caller: str, cost: int) -> None:
    """Count a request; raise `TooManyRequests` when the caller's quota is exceeded.

    Its response gets `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10): units left, and in
    how many seconds all are back.
    """
    # An address is personal data; a counter only has to distinguish callers.
    key = f"rate:{rate.name}:{hashlib.blake2b(caller.encode(), digest_size=12).hexdigest()}"
    answer = await _ask(key, rate, cost)
    unit = rate.seconds / rate.most
    left = max(0, int((rate.seconds - answer.ahead) / unit + 1e-6))
    scope[RATE_HEADERS] = [
        (b"ratelimit-policy", f'"{rate.name}";q={rate.most};w={rate.seconds}'.encode()),
        (b"ratelimit", f'"{rate.name}";r={left};t={_whole(answer.ahead)}'.encode()),
    ]
    if not answer.allowed:
        metrics.note("rate", rate.name)
        wait = _whole(answer.ahead + cost * unit - rate.seconds)
        raise TooManyRequests(max(1, wait))


def _whole(seconds: float) -> int:
    """Return the whole seconds after which that many have passed."""
    return -int(-seconds // 1)


async def _ask(key: str, rate: Rate, cost: int) -> Answer:
    if not rate.shared:
        return _ask_here(key, rate, cost)
    window, moved = rate.seconds * 1_000_000, cost * rate.seconds * 1_000_000 // rate.most
    answer = await cache.script(_GCRA, key, window, moved)
    if answer is None:
        metrics.add("rates_without_valkey")
        return _ask_here(key, rate, cost)
    return Answer(bool(answer[0]), answer[1] / 1_000_000)


def _ask_here(key: str, rate: Rate, cost: int) -> Answer:
    now, own = time.monotonic(), _own()
    tat = max(own.get(key, now), now)
    ahead = tat - now + cost * rate.seconds / rate.most
    if ahead > rate.seconds:
        return Answer(False, tat - now)
    if len(own) >= _CALLERS:
        # The oldest entry goes, so that a flood of new callers resets no recent one.
        del own[next(iter(own))]
    own.pop(key, None)
    own[key] = now + ahead
    return Answer(True, ahead)
