"""An access token is understood or refused, and only the one that was signed is understood, with any content.

An input of a JSON array is header and claims, which are signed with the right key: a refusal must not need a wrong
signature to be one.
"""

import base64
import json
from typing import Any
from unittest import mock

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from app.auth import store, tokens
from app.core.settings import settings

WITHIN_S = 0.5
WORDS = (
    *(
        b'"alg"',
        b'"typ"',
        b'"kid"',
        b'"crit"',
        b'"b64"',
        b'"zip"',
        b'"jwk"',
        b'"jku"',
        b"none",
        b"HS256",
        b"at+jwt",
        b"ES256",
    ),
    *(
        b'"exp"',
        b'"nbf"',
        b'"iat"',
        b'"aud"',
        b'"iss"',
        b'"sub"',
        b'"sid"',
        b"Infinity",
        b"NaN",
        b"1e999",
        b"null",
        b"-1",
    ),
    *(b"[[[[[[[[", b'{"a":', b"\\ud800", b".", b"..", b"=", b"e30", b"[1,2]"),
)
_KEY = ec.derive_private_key(2**200 + 1, ec.SECP256R1())
_KID = "k" * 43
_JWK = ECAlgorithm.to_jwk(_KEY.public_key())
_HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": _KID}
_CLAIMS = {
    "iss": settings().api_url,
    "aud": tokens.AUDIENCE,
    "sub": "somebody",
    "sid": "a-session",
    "iat": 1_700_000_000,
    "nbf": 1_700_000_000,
    "exp": 2**33,
}


async def _keys(key: tuple[str, str]) -> dict[str, Any] | None:
    return {"jwk": _JWK} if key == ("keys", _KID) else None


def _signed(header: bytes, claims: bytes) -> str:
    parts = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims))
    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(parts, _KEY)
    return (parts + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


_TOKEN = _signed(json.dumps(_HEADER).encode(), json.dumps(_CLAIMS).encode())


def seeds() -> list[bytes]:
    hs256 = jwt.encode(_CLAIMS, "k" * 32, "HS256", headers={"kid": _KID, "typ": "at+jwt"})
    return [_TOKEN.encode(), hs256.encode(), b"a.b.c", json.dumps([_HEADER, _CLAIMS]).encode()]


def check(data: bytes) -> None:
    token = data.decode("latin-1")
    if data[:1] == b"[":
        try:
            header, claims = json.loads(data)
        except (ValueError, TypeError, RecursionError):
            return
        token = _signed(json.dumps(header).encode(), json.dumps(claims).encode())
        said = _verify(token)
        if said is not None:
            assert header["alg"] == "ES256"
            assert (said.member, said.session) == (claims["sub"], claims["sid"])
    elif (said := _verify(token)) is not None:
        assert said == ("somebody", "a-session", 2**33)
        assert token.rpartition(".")[0] == _TOKEN.rpartition(".")[0]


def _verify(token: str) -> tokens.Claims | None:
    with mock.patch.object(store, "get", _keys):
        asked = tokens.verify(token)
        try:
            asked.send(None)
        except StopIteration as done:
            claims: tokens.Claims | None = done.value
            return claims
    raise AssertionError("it waits for something")
