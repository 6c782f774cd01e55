"""Access tokens: JWTs signed with ES256 (RFC 7519, RFC 9068's `at+jwt`), verified with public keys alone.

The private key is a JWK in Secrets Manager that only the function behind `/v1/auth` may read. Before it signs with a
key it publishes the public half in the sessions table under its `kid`, where the function inside the VPC finds it.
So a new key logs nobody out: tokens of the old one are verified until they end, and its public half stays for a day
after it was last published.
"""

import logging
import re
import time
from functools import partial
from typing import Any, NamedTuple

import jwt
import orjson
from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError
from jwt.algorithms import ECAlgorithm
from jwt.exceptions import InvalidKeyError

from app.auth import store
from app.auth.errors import KeyUnavailable
from app.core.aws import clients
from app.core.clock import new_id
from app.core.process import process
from app.core.settings import settings

ACCESS_AGE_S = 15 * 60
AUDIENCE = "familycorp-api"
_ALGORITHM, _TYPE = "ES256", "at+jwt"
_LONGEST = 2048  # Ours have some 600 characters.
_KEY_KEPT_S = 300
_PUBLISHED_FOR_S = 24 * 3600
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7638; nothing else needs to be looked up.
# What a JWK that can't be read raises.
_MALFORMED = (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError)
_PUBLIC = ("kty", "crv", "x", "y", "kid", "alg", "use")

logger = logging.getLogger(__name__)


class _SigningKey(NamedTuple):
    kid: str
    private: Any
    read_at: float


class Claims(NamedTuple):
    """Claims of an access token: its session and its expiry (epoch seconds)."""

    member: str
    session: str
    expires_at: int


class _Keys:
    """The keys that this process has read."""

    def __init__(self) -> None:
        self.signing: _SigningKey | None = None
        self.public: dict[str, tuple[float, Any]] = {}


_keys = process.keeps(_Keys)


async def _signing_key() -> _SigningKey:
    keys = _keys()
    if keys.signing is None or time.monotonic() - keys.signing.read_at > _KEY_KEPT_S:
        try:
            found = await clients.call(
                "secretsmanager", "get_secret_value", SecretId=settings().signing_key_secret
            )
            jwk = orjson.loads(found["SecretString"])
            private = await to_thread.run_sync(partial(ECAlgorithm.from_jwk, jwk))
            if "d" not in jwk:
                raise InvalidKeyError("the signing key has no private half")
            kid = jwk["kid"]
        except (BotoCoreError, ClientError, *_MALFORMED) as error:
            if keys.signing is not None:
                logger.warning("signing_key_refresh_failed", exc_info=True)
                return keys.signing
            raise KeyUnavailable from error
        public = orjson.dumps({name: jwk[name] for name in _PUBLIC if name in jwk}).decode()
        await store.put(("keys", kid), {"jwk": public, "expiresAt": store.seconds() + _PUBLISHED_FOR_S})
        keys.signing = _SigningKey(kid, private, time.monotonic())
    return keys.signing


async def sign(member: str, session: str) -> str:
    """Make the access token of a session; raises `KeyUnavailable` without the key."""
    key, at = await _signing_key(), store.seconds()
    claims = {
        "iss": settings().api_url,
        "aud": AUDIENCE,
        "sub": member,
        "sid": session,
        "jti": str(new_id()),
        "iat": at,
        "nbf": at,
        "exp": at + ACCESS_AGE_S,
    }
    return jwt.encode(claims, key.private, algorithm=_ALGORITHM, headers={"kid": key.kid, "typ": _TYPE})


async def _public_key(kid: str) -> Any:
    public = _keys().public
    kept = public.get(kid)
    if kept and kept[0] > time.monotonic():
        return kept[1]
    found = await store.get(("keys", kid))
    if found is None:
        public.pop(kid, None)
        return None
    try:
        key = ECAlgorithm.from_jwk(found["jwk"])
    except _MALFORMED as error:
        logger.warning("public_key_malformed", extra={"kid": kid, "reason": str(error)})
        return None
    public[kid] = (time.monotonic() + _KEY_KEPT_S, key)
    return key


def _kid(token: str) -> str | None:
    """Return the id of the key that a token says it is signed with; None for a token that isn't of our kind."""
    if len(token) > _LONGEST:
        return None
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        return None
    kid = header.get("kid")
    ours = header.get("alg") == _ALGORITHM and header.get("typ") == _TYPE
    return kid if ours and isinstance(kid, str) and _THUMBPRINT.fullmatch(kid) else None


def has_key_of(token: str) -> bool:
    """Return whether a token is signed, as it says, with a key that this process has found before."""
    return _kid(token) in _keys().public


async def verify(token: str) -> Claims | None:
    """Return what a token says; None for one that isn't ours, is over, or isn't valid yet."""
    kid = _kid(token)
    if kid is None:
        return None
    try:
        key = await _public_key(kid)
        if key is None:
            return None
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=AUDIENCE,
            issuer=settings().api_url,
            options={"require": ["exp", "iat", "nbf", "iss", "aud", "sub", "sid"]},
        )
    except (jwt.PyJWTError, RecursionError):  # PyJWT calls a key of another curve no invalid token.
        return None
    return Claims(claims["sub"], claims["sid"], claims["exp"])
