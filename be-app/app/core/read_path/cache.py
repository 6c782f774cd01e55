"""Ready-made public responses in Valkey, and for a moment in the process: compressed bytes with an ETag.

All of them are fields of one hash, so that one command ends every list, feed and page, and a read costs one round
trip. The hash carries an epoch, renewed by each change: an entry is fresh while its own epoch is the hash's and its
age is below `cache_ttl_s`. A response that was rendered before a change can't be stored after it. Without Valkey
everything is slower and nothing breaks: every failure here is a miss.

An entry that isn't fresh any more is stale: for `cache_stale_s` it may be served where a fresh response can't be had
(stale-if-error, RFC 5861 §4). A change ends entries in one of two ways, which CDNs call soft purge and purge:

- `expire` makes all entries stale. For changes that only add something: older answers are incomplete, not wrong.
- `invalidate` removes all entries. For changes that replace or withdraw something: no older answer may come back.

How late another process may notice a change: `LOCAL_TTL_S` in the usual case, `cache_ttl_s` in the worst one: where
the change could not reach Valkey, or where the process can't reach Valkey and DynamoDB is away, too.
"""

import asyncio
import hashlib
import logging
import time
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

import redis.asyncio as redis
from circuitbreaker import CircuitBreaker
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from app.core.lazy import lazy_import
from app.core.observability import metrics
from app.core.process import process
from app.core.settings import settings

if TYPE_CHECKING:
    from app.core.aws import iam
else:
    iam = lazy_import("app.core.aws.iam")

LOCAL_TTL_S = 1.0
"""Seconds for which a process answers from its own copy without reading Valkey."""

HOLD_S = 1.0
"""Seconds after a change in which no entry is stored as fresh, and after an invalidation none at all: DynamoDB's
indexes follow its tables with a delay."""

_SKEW_S = 1.0
"""Seconds by which clocks of processes and of Valkey may differ; an entry from further ahead is not used."""

_AGAIN_S = 0.2
"""Seconds for which a visitor who waited already waits for Valkey."""

_LOCAL_ENTRIES = 256
_ENTRIES = 4096
"""Entries of the hash. Then it starts over: stale entries live for long, and queries can be made up."""
_LONGEST_KEY = 1024  # Longer ones, which no front end of ours requests, are rendered each time.
_HASH = "public"
_FORM = b"gzip3 "
"""Prefix of a field's name: releases that keep answers in another form share the hash, hence invalidations,
but never read each other's."""

_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 6
_EPOCH = b"epoch"
_EXPIRED, _INVALIDATED = "epoch", "invalidated"

_FILL = """
local function number(name) return tonumber(redis.call('HGET', KEYS[1], name) or 0) end
local epoch = redis.call('HGET', KEYS[1], 'epoch') or ''
if epoch ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now, hold, tag = time[1] + time[2] / 1e6, tonumber(ARGV[2]), epoch
if now - number('invalidated') < hold then return 0 end
if now - number('epoch') < hold then tag = 'stale' end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6]) then
  local invalidated = redis.call('HGET', KEYS[1], 'invalidated')
  redis.call('UNLINK', KEYS[1])
  if epoch ~= '' then redis.call('HSET', KEYS[1], 'epoch', epoch) end
  if invalidated then redis.call('HSET', KEYS[1], 'invalidated', invalidated) end
end
redis.call('HSET', KEYS[1], ARGV[3], string.format('%.3f', now) .. '\\n' .. tag .. '\\n' .. ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
"""
_CHANGE = """
local now = redis.call('TIME')
local epoch = now[1] .. '.' .. string.format('%06d', now[2])
if ARGV[2] == 'invalidated' then redis.call('UNLINK', KEYS[1]) end
redis.call('HSET', KEYS[1], 'epoch', epoch, ARGV[2], epoch)
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
"""
_FORGET = "return redis.call('HDEL', KEYS[1], ARGV[1])"

logger = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A ready-made response."""

    etag: bytes
    content_type: bytes
    route: bytes
    location: bytes
    """Where the resource is now, for a response that redirects; else empty."""
    gzipped: bytes
    made: float
    """When it was stored, in seconds since the epoch; clocks may differ."""

    @classmethod
    def of(cls, body: bytes, *, content_type: str, route: str, location: str = "") -> Self:
        """Make the entry of a body, compressed here, once for all who read it.

        The ETag is weak because it stands for the body in either coding (RFC 9110 §8.8.1).
        """
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        gzipped = zlib.compress(body, _LEVEL, _GZIP)
        etag = f'W/"{digest}"'
        return cls(
            etag.encode(), content_type.encode(), route.encode(), location.encode(), gzipped, time.time()
        )

    def body(self) -> bytes:
        """Return the body as it was, for the few who don't take it compressed."""
        return zlib.decompress(self.gzipped, _GZIP)

    def pack(self) -> bytes:
        """Return the stored form, but for the time and the epoch, which Valkey adds."""
        return b"\n".join(self[:-1])


def _unpack(packed: bytes) -> tuple[Entry, bytes]:
    """Read the stored form back: the entry, and the epoch in which it is fresh."""
    made, epoch, etag, content_type, route, location, gzipped = packed.split(b"\n", 6)
    return Entry(etag, content_type, route, location, gzipped, float(made)), epoch


class Lookup(NamedTuple):
    """Result of a read; on a miss, the epoch to pass when storing."""

    entry: Entry | None
    """A fresh response."""
    epoch: bytes | None
    stale: Entry | None = None
    """A response that may be served where no fresh one can be had."""


class _Copy(NamedTuple):
    """An entry in this process: until when (monotonic) it is fresh, and when Valkey last had it (wall clock)."""

    entry: Entry
    fresh_until: float
    confirmed: float


class _Local:
    """This process's copy of a part of the cache, beside Valkey."""

    def __init__(self) -> None:
        self.copies: dict[bytes, _Copy] = {}
        self.changes = 0
        self.pending = ""
        """A change that Valkey did not get; this process makes it up before it reads there again."""
        self.breaker = CircuitBreaker(
            failure_threshold=1, recovery_timeout=1, expected_exception=(RedisError, OSError), name="valkey"
        )
        """After a failure Valkey isn't used for a second, so that not every request waits for the same outage."""


_local = process.keeps(_Local)


async def _close(opened: Any) -> None:
    _local().copies.clear()
    await opened.aclose()


class _Connection(redis.Connection):
    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)
        except (AttributeError, RuntimeError, TypeError) as error:
            # So say asyncio's loop (CPython issue 136234) and uvloop where a connection without TLS was reset.
            raise redis.ConnectionError("The connection was reset") from error


@process.connects(_close)
def client() -> Any:
    """Return the process's client, made on first use. It doesn't connect."""
    url, login = _login(settings().cache_url or "")
    return redis.Redis.from_url(
        url,
        credential_provider=login,
        connection_class=_Connection,  # One with TLS, as `rediss:` asks for, takes its place.
        socket_timeout=0.25,
        socket_connect_timeout=0.25,
        # A connection that died while the process was frozen is replaced at once; more patience is the breaker's.
        retry=Retry(NoBackoff(), 1),
    )


class _IamLogin(CredentialProvider):
    """Shows ElastiCache a new token with each new connection."""

    def __init__(self, user: str, *, serverless: bool) -> None:
        self._user, self._serverless = user, serverless

    def get_credentials(self) -> tuple[str, str]:
        """Return user and token."""
        return self._user, iam.cache_token(settings().cache_name, self._user, serverless=self._serverless)


def _login(url: str) -> tuple[str, CredentialProvider | None]:
    """Split the user from a URL who has no password in it, because IAM gives one in AWS."""
    parts = urlsplit(url)
    if not (settings().in_aws and parts.username and parts.password is None):
        return url, None
    host = parts.netloc.rpartition("@")[2]
    login = _IamLogin(parts.username, serverless=".serverless." in host)
    return urlunsplit(parts._replace(netloc=host)), login


def _usable() -> bool:
    return settings().cache_url is not None and not _local().breaker.opened


def _tell(error: Exception) -> None:
    metrics.add("cache_errors")
    if isinstance(error, AuthenticationError | NoPermissionError):
        metrics.add("access_denied")
    logger.warning("cache_unavailable", extra={"reason": type(error).__name__})


async def lookup(key: bytes) -> Lookup:
    """Look a response up: in this process, then in Valkey with one command."""
    if len(key) > _LONGEST_KEY:
        return Lookup(None, None)
    local = _local()
    kept = local.copies.get(key)
    if kept and kept.fresh_until > time.monotonic():
        return Lookup(kept.entry, None)
    if not _usable() or (local.pending and not await _change(local.pending)):
        return Lookup(None, None, _unconfirmed(key))
    before = local.changes
    try:
        with local.breaker, metrics.timed("cache"):
            packed, epoch = await client().hmget(_HASH, _FORM + key, _EPOCH)
    except (RedisError, OSError) as error:
        _tell(error)
        return Lookup(None, None, _unconfirmed(key))
    epoch = epoch or b""
    if packed is None:
        local.copies.pop(key, None)
        return Lookup(None, epoch)
    entry, fresh_in = _unpack(packed)
    now = time.time()
    age = now - entry.made
    fresh = fresh_in == epoch and -_SKEW_S <= age < settings().cache_ttl_s
    if before == local.changes:
        _keep(key, entry, now, fresh=fresh)
    return Lookup(entry, None) if fresh else Lookup(None, epoch, entry if _may_be_stale(age) else None)


async def last_good(key: bytes, found: Lookup) -> Lookup:
    """Look a stale response up again that `found` had, because it may have been invalidated meanwhile."""
    if found.epoch is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN_S):
                return await lookup(key)
    return Lookup(None, None, _unconfirmed(key))


def _may_be_stale(age: float) -> bool:
    longest = settings().cache_stale_s
    return longest > 0 and -_SKEW_S <= age < settings().cache_ttl_s + longest


def _unconfirmed(key: bytes) -> Entry | None:
    """Return this process's copy where Valkey can't be reached.

    The process doesn't know then what was invalidated, so the copy is used for no longer than an entry of which an
    invalidation could not reach Valkey.
    """
    kept = _local().copies.get(key)
    now = time.time()
    if kept is None or not 0 <= now - kept.confirmed < settings().cache_ttl_s:
        return None
    return kept.entry if _may_be_stale(now - kept.entry.made) else None


async def store(key: bytes, entry: Entry, epoch: bytes | None) -> None:
    """Store a response that was rendered after a `lookup` returned `epoch`, unless something has changed since.

    Soon after a change that only added something, the entry is stored as stale.
    """
    if epoch is None:
        return
    before, lifetime = _local().changes, settings().cache_ttl_s + settings().cache_stale_s
    stored = await script(_FILL, _HASH, epoch, HOLD_S, _FORM + key, entry.pack(), lifetime, _ENTRIES)
    # The copy is for outages; the next read uses Valkey, so that a change in another process shows at once.
    if stored and before == _local().changes:
        _keep(key, entry, time.time(), fresh=False)


async def forget(key: bytes) -> None:
    """Remove one response, of which a fresh one says that it isn't there any more."""
    _local().copies.pop(key, None)
    await script(_FORGET, _HASH, _FORM + key)


async def script(text: str, key: str, *arguments: Any) -> Any:
    """Run a script on one key, all or nothing; None without Valkey."""
    if not _usable():
        return None
    try:
        with _local().breaker, metrics.timed("cache"):
            return await client().eval(text, 1, key, *arguments)
    except (RedisError, OSError) as error:
        _tell(error)
        return None


async def expire() -> None:
    """Make every response stale, after a change that only added something."""
    await _change(_EXPIRED)


async def invalidate() -> bool:
    """Remove every response, fresh or stale. Return whether Valkey has done so, too."""
    return await _change(_INVALIDATED)


async def _change(kind: str) -> bool:
    local, delivered = _local(), False
    try:
        if settings().cache_url is not None:
            with local.breaker:
                lifetime = settings().cache_ttl_s + settings().cache_stale_s
                await client().eval(_CHANGE, 1, _HASH, lifetime, kind)
        delivered = True
    except (RedisError, OSError) as error:
        _tell(error)
    finally:  # Not before: what another request has just read in Valkey would be kept after that.
        if local.pending != _INVALIDATED or kind == _INVALIDATED:
            local.pending = "" if delivered else kind
        local.changes += 1
        if kind == _INVALIDATED:
            local.copies.clear()
        for key, kept in local.copies.items():
            local.copies[key] = kept._replace(fresh_until=0)
    return delivered


def _keep(key: bytes, entry: Entry, confirmed: float, *, fresh: bool) -> None:
    copies = _local().copies
    copies.pop(key, None)
    if len(copies) >= _LOCAL_ENTRIES:
        del copies[next(iter(copies))]  # The one that was kept the longest ago.
    copies[key] = _Copy(entry, time.monotonic() + LOCAL_TTL_S if fresh else 0.0, confirmed)


async def ping() -> None:
    """Ask Valkey for a sign of life; raise what its client raises."""
    await client().ping()
