"""TOTP (RFC 6238). Secrets are encrypted by KMS for their member alone."""

import base64
import hmac
import secrets
from io import BytesIO
from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from app.auth import store
from app.auth.errors import KeyUnavailable, SecondFactorRejected
from app.auth.factors import CEREMONY_AGE_S, attempts
from app.auth.factors.enrolment import add
from app.auth.factors.stored import Factors, load
from app.core.aws import clients
from app.core.clock import now, timestamp
from app.core.settings import settings

STEP_S = 30


async def begin(member: str, ceremony: str) -> bytes:
    """Make a new secret, not yet a factor: it becomes one when `confirm` gets a code of it."""
    secret = secrets.token_bytes(20)
    values: dict[str, str | int] = {
        "secret": await _encrypt(member, secret),
        "expiresAt": store.seconds() + 2 * CEREMONY_AGE_S,
    }
    await store.put((f"ceremony#{ceremony}", "totp"), values)
    return secret


def provisioning(secret: bytes, account: str) -> dict[str, str]:
    """Return a secret in the forms that authenticators take: Base32, `otpauth://`, and that as a QR code in SVG."""
    import segno  # noqa: PLC0415 - proofs, which are usual, need no QR code

    text = base64.b32encode(secret).decode()
    label = quote(f"FamilyCorp:{account}")
    uri = f"otpauth://totp/{label}?secret={text}&issuer=FamilyCorp&algorithm=SHA1&digits=6&period={STEP_S}"
    drawn = BytesIO()
    segno.make(uri).save(drawn, kind="svg", scale=4, xmldecl=False, nl=False)
    return {"secret": text, "otpauth_uri": uri, "qr_svg": drawn.getvalue().decode()}


async def confirm(member: str, ceremony: str, code: str, *, first: bool) -> list[str] | None:
    """Make the secret that was begun a factor, replacing an earlier one; return the first recovery codes."""
    await attempts.count(member)
    key = (f"ceremony#{ceremony}", "totp")
    begun, factors = await store.get(key), await load(member)
    if begun is None:
        raise SecondFactorRejected
    step = _matching_step(await _decrypt(member, begun["secret"]), code, 0)
    added = factors._replace(totp=begun["secret"], totp_at=timestamp(now()), totp_step=step)
    codes = await add(member, factors, added, first=first)
    await store.remove(key)
    await attempts.forget(member)
    return codes


async def used(member: str, factors: Factors, code: str) -> Factors:
    """Return the factors with a code's step used up; raise `SecondFactorRejected` for a wrong code."""
    if not factors.totp:
        raise SecondFactorRejected
    secret = await _decrypt(member, factors.totp)
    return factors._replace(totp_step=_matching_step(secret, code, factors.totp_step))


def _matching_step(secret: bytes, code: str, after: int) -> int:
    """Return the step of a code: this one, the one before or the next (RFC 6238 §5.2), if later than `after`."""
    made, current = TOTP(secret, 6, SHA1(), STEP_S), store.seconds() // STEP_S  # noqa: S303 - RFC 6238's default
    for step in (current - 1, current, current + 1):
        if step > after and hmac.compare_digest(made.generate(step * STEP_S), code.encode()):
            return step
    raise SecondFactorRejected


async def _kms(operation: str, member: str, **parameters: Any) -> dict[str, Any]:
    try:
        return await clients.call(
            "kms",
            operation,
            KeyId=settings().factors_key,
            EncryptionContext={"member": member},
            **parameters,
        )
    except (BotoCoreError, ClientError) as error:
        raise KeyUnavailable from error


async def _encrypt(member: str, secret: bytes) -> str:
    answer = await _kms("encrypt", member, Plaintext=secret)
    return base64.b64encode(answer["CiphertextBlob"]).decode()


async def _decrypt(member: str, encrypted: str) -> bytes:
    answer = await _kms("decrypt", member, CiphertextBlob=base64.b64decode(encrypted))
    return bytes(answer["Plaintext"])
