"""Ready-made public answers in Valkey, and for a moment in the process: compressed bytes with an ETag.

All of them are fields of one hash, so that a publication forgets every list, feed and page with one command and
a read costs one round trip. The hash carries an epoch, renewed by each invalidation: an answer that was composed
before a publication can't be stored after it. Losing Valkey slows, never breaks: every failure here is a miss.

Staleness: an answer may be served for `cache_ttl_s` in the worst case (an invalidation that Valkey did not get),
and for `LOCAL_TTL_S` in the usual one (another process published).
"""

import hashlib
import logging
import time
import zlib
from functools import cache
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

import redis.asyncio as redis
from circuitbreaker import CircuitBreaker
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from app.core import metrics
from app.core.lazy import lazy_import
from app.core.settings import settings

iam = lazy_import("app.core.iam")

LOCAL_TTL_S = 1.0
"""Seconds for which a process answers from its own copy without asking Valkey."""

HOLD_S = 1.0
"""Seconds after an invalidation in which nothing is stored: DynamoDB's indexes follow its tables with a delay."""

_LOCAL_ENTRIES = 256
_LONGEST_KEY = 1024  # Longer ones, which no front end of ours makes, are composed each time.
_HASH = "public"
_FORM = b"gzip "
"""What a field's name begins with: releases that keep answers in another form share the hash, hence invalidations,
but never read each other's."""

_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 6
_EPOCH = b"epoch"

_FILL = """
if (redis.call('HGET', KEYS[1], 'epoch') or '') ~= ARGV[1] then return 0 end
local now = redis.call('TIME')
if ARGV[1] ~= '' and now[1] + now[2] / 1e6 - tonumber(ARGV[1]) < tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5], 'NX')
return 1
"""
_INVALIDATE = """
local now = redis.call('TIME')
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', now[1] .. '.' .. string.format('%06d', now[2]))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
"""

logger = logging.getLogger(__name__)

_local: dict[bytes, tuple[float, "Entry"]] = {}
_forgotten = 0

_breaker = CircuitBreaker(
    failure_threshold=1, recovery_timeout=1, expected_exception=(RedisError, OSError), name="valkey"
)
"""After a failure Valkey isn't asked for a second, so that no request waits for what another found away."""


class Entry(NamedTuple):
    """A ready-made answer."""

    etag: bytes
    content_type: bytes
    route: bytes
    gzipped: bytes

    @classmethod
    def of(cls, body: bytes, *, content_type: str, route: str) -> Self:
        """Make the entry of a body, compressed here, once for all who read it.

        The ETag is weak because it stands for the body in either coding (RFC 9110 §8.8.1).
        """
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        gzipped = zlib.compress(body, _LEVEL, _GZIP)
        return cls(f'W/"{digest}"'.encode(), content_type.encode(), route.encode(), gzipped)

    def body(self) -> bytes:
        """Return the body as it was, for the few who don't take it compressed."""
        return zlib.decompress(self.gzipped, _GZIP)

    def pack(self) -> bytes:
        """Return the stored form."""
        return b"\n".join(self)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read the stored form back."""
        return cls(*packed.split(b"\n", 3))


class Lookup(NamedTuple):
    """What a read found; on a miss, the epoch to give back when storing."""

    entry: Entry | None
    epoch: bytes | None


class _Connection(redis.Connection):
    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)
        except (AttributeError, RuntimeError, TypeError) as error:
            # So say asyncio's loop (CPython issue 136234) and uvloop where a connection without TLS was reset.
            raise redis.ConnectionError("The connection was reset") from error


@cache
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
    return settings().cache_url is not None and not _breaker.opened


def _tell(error: Exception) -> None:
    metrics.add("cache_errors")
    if isinstance(error, AuthenticationError | NoPermissionError):
        metrics.add("access_denied")
    logger.warning("cache_unavailable", extra={"reason": type(error).__name__})


async def lookup(key: bytes) -> Lookup:
    """Look an answer up: in this process, then in Valkey with one command."""
    if len(key) > _LONGEST_KEY:
        return Lookup(None, None)
    kept = _local.get(key)
    if kept and kept[0] > time.monotonic():
        return Lookup(kept[1], None)
    if not _usable():
        return Lookup(None, None)
    before = _forgotten
    try:
        with _breaker, metrics.timed("cache"):
            packed, epoch = await client().hmget(_HASH, _FORM + key, _EPOCH)
    except (RedisError, OSError) as error:
        _tell(error)
        return Lookup(None, None)
    if packed is None:
        return Lookup(None, epoch or b"")
    entry = Entry.unpack(packed)
    if before == _forgotten:
        _keep(key, entry)
    return Lookup(entry, None)


async def store(key: bytes, entry: Entry, epoch: bytes | None) -> None:
    """Store an answer that was composed after a `lookup` gave `epoch`, unless something was published since."""
    if epoch is not None:
        await script(_FILL, _HASH, epoch, HOLD_S, _FORM + key, entry.pack(), settings().cache_ttl_s)


async def script(text: str, key: str, *arguments: Any) -> Any:
    """Run a script on one key, all or nothing; None without Valkey."""
    if not _usable():
        return None
    try:
        with _breaker, metrics.timed("cache"):
            return await client().eval(text, 1, key, *arguments)
    except (RedisError, OSError) as error:
        _tell(error)
        return None


async def invalidate() -> None:
    """Forget every answer."""
    global _forgotten  # noqa: PLW0603 - a process's count
    try:
        if settings().cache_url is not None:
            with _breaker:
                await client().eval(_INVALIDATE, 1, _HASH, settings().cache_ttl_s)
    except (RedisError, OSError) as error:
        _tell(error)
    finally:  # Not before: what another request has just read in Valkey would be kept after that.
        _local.clear()
        _forgotten += 1


def _keep(key: bytes, entry: Entry) -> None:
    if len(_local) >= _LOCAL_ENTRIES:
        _local.clear()
    _local[key] = (time.monotonic() + LOCAL_TTL_S, entry)


async def ping() -> None:
    """Ask Valkey for a sign of life; raise what its client raises."""
    await client().ping()


async def close() -> None:
    """Close the connections; the next use makes new ones."""
    _local.clear()
    if client.cache_info().currsize:
        await client().aclose()
        client.cache_clear()
