"""A credential that a browser sends is decoded or refused within the time of any other, with any CBOR.

What a mutation reaches is never a passkey: its client data answers no challenge of ours.
"""

from app.auth.errors import SecondFactorRejected
from app.auth.factors import passkeys
from app.auth.schemas import LONGEST_CREDENTIAL
from support.authenticator import encoded

WITHIN_S = 0.2
LONGEST = LONGEST_CREDENTIAL * 3 // 4
"""Bytes that Base64 makes the longest credential of."""
WORDS = (b"authData", b"attStmt", b"fmt", b"none", b"\x9b", b"\xbb", b"\x9f", b"\xff", b"\xc2\x49")
_CLIENT_DATA = encoded(
    b'{"type":"webauthn.create","challenge":"AA","origin":"https://www.familycorp.example"}'
)


def seeds() -> list[bytes]:
    most = LONGEST - 100
    return [
        b"\xa3cfmtdnonegattStmt\xa0hauthDataX\x25" + bytes(32) + b"\x45" + bytes(4),
        b"\x9a" + most.to_bytes(4, "big") + b"\x01" * most,
        b"\x81" * most,
        b"\xba" + (most // 2).to_bytes(4, "big") + b"\x01\x02" * (most // 2),
        b"\x7a" + most.to_bytes(4, "big") + b"x" * most,
    ]


def check(data: bytes) -> None:
    response = {"clientDataJSON": _CLIENT_DATA, "attestationObject": encoded(data)}
    credential = {"id": "AA", "rawId": "AA", "type": "public-key", "response": response}
    state = {"challenge": encoded(bytes(32)), "user_verification": "required"}
    try:
        passkeys.registered(state, credential)
    except SecondFactorRejected:
        return
    raise AssertionError("it is taken for a passkey")
