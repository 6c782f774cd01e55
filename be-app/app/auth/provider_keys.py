"""The OpenID provider's public keys: which of them may verify a token, and when the set is read again.

A member of the set that can't verify tokens is ignored (RFC 7517 §5), so it never keeps the others from doing so.
Anybody may send a token with an unknown key ID. So only the provider's publication decides what is in the set, and
tokens have it fetched again only once in a while.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ALGORITHMS: Mapping[str, str] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC"}
"""Algorithms of signatures, and the type of their keys: asymmetric algorithms alone (RFC 8725 §3.1)."""

KEPT_S = 3600
_RSA_BITS = range(2048, 16384 + 1)
"""At least what RFC 7518 §3.3 demands, at most what OpenSSL computes with."""

logger = logging.getLogger(__name__)


class KeyNotFound(Exception):
    """No key of the set fits a token; the message says why."""


class Key(NamedTuple):
    """A public key that may verify tokens."""

    kid: str | None
    algorithms: frozenset[str]
    public: Any


class Keys(NamedTuple):
    """The usable keys of the set, as they were read at a moment of the monotonic clock."""

    read_at: float
    usable: tuple[Key, ...]

    def fitting(self, header: Mapping[str, Any]) -> list[Key]:
        """Return the keys that may have signed a token with this header; raise `KeyNotFound` for none.

        A token without `kid` needs a set in which one key fits (OpenID Connect Core §10.1).
        """
        named = [key for key in self.usable if "kid" not in header or key.kid == header["kid"]]
        if not named:
            raise KeyNotFound("the token is signed with an unknown key")
        fitting = [key for key in named if header["alg"] in key.algorithms]
        if not fitting:
            raise KeyNotFound("the token's algorithm is not its key's")
        if "kid" not in header and len(fitting) > 1:
            raise KeyNotFound("the token names no key, and several fit")
        return fitting


def key_of(jwk: Any) -> Key | None:
    """Return a member of a key set as a key that verifies tokens; None for one that can't or mustn't."""
    if not isinstance(jwk, dict):
        return None
    kid, alg, operations = jwk.get("kid"), jwk.get("alg"), jwk.get("key_ops")
    kind = jwk.get("kty")
    algorithms = frozenset(
        name for name, needed in ALGORITHMS.items() if kind == needed and alg in (None, name)
    )
    # Anybody can sign with a private key that is published; `oct` keys have no algorithm here.
    is_for_us = jwk.get("use") in (None, "sig") and "d" not in jwk and (kid is None or isinstance(kid, str))
    verifies = operations is None or (isinstance(operations, list) and "verify" in operations)
    if not (algorithms and is_for_us and verifies):
        return None
    try:
        public: Any = (RSAAlgorithm if kind == "RSA" else ECAlgorithm).from_jwk(jwk)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, UnsupportedAlgorithm) as error:
        logger.warning("provider_key_malformed", extra={"kid": kid, "reason": str(error)})
        return None
    strong = public.key_size in _RSA_BITS if kind == "RSA" else jwk["crv"] == "P-256"
    return Key(kid, algorithms, public) if strong else None


class KeySet:
    """The provider's keys, as this process last read them.

    Args:
        read: returns the members of the published set, and may block.
    """

    def __init__(self, read: Callable[[], Iterable[Any]]) -> None:
        self._read = read
        self._changing = threading.Lock()
        self._held: Keys | None = None
        self._reading: Future[Keys] | None = None
        self._asked_at: dict[float, float] = {}

    def get(self, every_s: float, *, instead_of: Keys | None = None) -> Keys | None:
        """Return the keys, read within the last hour; or, with `instead_of`, a set that was read after that one.

        Callers with the same `every_s` have the set read once in so many seconds, together; in between they get
        None where only reading it would help. Requests during the fetch wait for its outcome.
        Raises what `read` raises.
        """
        with self._changing:
            at, held, reading = time.monotonic(), self._held, self._reading
            if held is not None and held is not instead_of and at - held.read_at < KEPT_S:
                return held
            mine = reading is None
            if reading is None:
                if at - self._asked_at.get(every_s, -math.inf) < every_s:
                    return None
                self._asked_at[every_s] = at
                reading = self._reading = Future()
        if mine:
            self._finish(reading)
        return reading.result()

    def _finish(self, reading: "Future[Keys]") -> None:
        try:
            at = time.monotonic()
            found = Keys(at, tuple(key for jwk in self._read() if (key := key_of(jwk))))
        except BaseException as error:  # noqa: BLE001 - those who wait must get it, and the next reads again
            with self._changing:
                self._reading = None
            reading.set_exception(error)
        else:
            with self._changing:
                self._held, self._reading = found, None
            reading.set_result(found)
