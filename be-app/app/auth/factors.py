"""Our own second factors: TOTP (RFC 6238), passkeys (WebAuthn level 3) and recovery codes.

All of a member's factors are one item with a version: every change is a conditional write, so a code or an
assertion counts once however many requests bring it. Guesses are counted before they are looked at, per member and
across sessions. TOTP secrets are encrypted by KMS for this member alone; recovery codes have 120 random bits and are
kept as hashes (ASVS 6.5.2 asks for a password hash below 112 bits).
"""

import base64
import hmac
import logging
import secrets
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from app.auth import store
from app.auth.errors import FactorExists, KeyUnavailable, LastFactor, SecondFactorRejected
from app.auth.sessions import owner
from app.core.aws import clients, dynamodb
from app.core.clock import new_id, now, timestamp
from app.core.http.problems import NotFound, PreconditionFailed, TooManyRequests
from app.core.observability import metrics
from app.core.settings import settings

CEREMONY_AGE_S = 300
"""Seconds between what we ask for (a new secret, a challenge) and its proof."""

STEP_S = 30
MOST_ATTEMPTS, LOCKED_S = 5, 900
"""After so many wrong proofs in a row, the right one isn't accepted for so long either."""

MOST_PASSKEYS = 10
_RECOVERY_CODES = 10

logger = logging.getLogger(__name__)


class Factors(NamedTuple):
    """A member's second factors, as they are stored."""

    version: int = 0
    totp: str = ""
    """TOTP secret, encrypted, in base64; empty for none."""
    totp_at: str = ""
    totp_step: int = 0
    """The last time step whose code was accepted: it and all before are used up."""
    passkeys: tuple[dict[str, Any], ...] = ()
    recovery: tuple[str, ...] = ()

    @property
    def enrolled(self) -> bool:
        """Whether there is a factor that proves anything; recovery codes alone are none."""
        return bool(self.totp or self.passkeys)

    @property
    def methods(self) -> list[str]:
        """How the second factor can be proven."""
        held = {"totp": self.totp, "passkey": self.passkeys, "recovery": self.enrolled and self.recovery}
        return [method for method, there in held.items() if there]

    @classmethod
    def of(cls, item: Mapping[str, Any] | None) -> Self:
        """Read the stored form."""
        if item is None:
            return cls()
        return cls(
            item["version"],
            item["totp"],
            item["totpAt"],
            item["totpStep"],
            tuple(orjson.loads(item["passkeys"])),
            tuple(orjson.loads(item["recovery"])),
        )


def _key(member: str) -> store.Key:
    return owner(member), "factors"


async def load(member: str) -> Factors:
    """Return a member's factors."""
    return Factors.of(await store.get(_key(member)))


async def _save(member: str, factors: Factors) -> None:
    """Write factors over the version they were read from; raise `PreconditionFailed` if another was faster."""
    values: dict[str, str | int] = {
        "version": factors.version + 1,
        "totp": factors.totp,
        "totpAt": factors.totp_at,
        "totpStep": factors.totp_step,
        "passkeys": orjson.dumps(factors.passkeys).decode(),
        "recovery": orjson.dumps(factors.recovery).decode(),
    }
    try:
        await store.put(_key(member), values, if_version=factors.version)
    except dynamodb.ConditionFailed:
        raise PreconditionFailed from None


# -- proving --------------------------------------------------------------------------------------------------


async def prove(
    member: str, ceremony: str, method: str, code: str, credential: Mapping[str, Any] | None
) -> None:
    """Check a proof; raise `SecondFactorRejected`, or `TooManyRequests` while the member is locked.

    `ceremony` names the holder (a session or a pending login) whose passkey challenge this answers.
    """
    await _count_attempt(member)
    factors = await load(member)
    try:
        if method == "totp":
            factors = await _used_totp(member, factors, code)
        elif method == "recovery":
            factors = _used_recovery(factors, code)
        else:
            factors = await _used_passkey(member, factors, ceremony, credential or {})
        await _save(member, factors)
    except (SecondFactorRejected, PreconditionFailed):
        metrics.add("second_factor_failed")
        logger.warning("second_factor_failed", extra={"member": member, "method": method})
        raise SecondFactorRejected from None
    await store.remove(_attempts_key(member))
    if method == "recovery":
        logger.warning("recovery_code_used", extra={"member": member, "left": len(factors.recovery)})


def _attempts_key(member: str) -> store.Key:
    return owner(member), "attempts"


async def _count_attempt(member: str) -> None:
    """Count a guess before it is looked at, so that many at once can't slip through together."""
    for _ in range(2):
        try:
            await dynamodb.call(
                "update_item",
                TableName=settings().sessions_table,
                Key=store.encoded(_attempts_key(member)),
                UpdateExpression="ADD used :one SET expiresAt = :end",
                ConditionExpression="attribute_not_exists(used) OR used < :most",
                ExpressionAttributeValues=dynamodb.encode(
                    {":one": 1, ":most": MOST_ATTEMPTS, ":end": store.seconds() + LOCKED_S}
                ),
            )
        except dynamodb.ConditionFailed:
            found = await store.get(_attempts_key(member))
            if found is not None:
                wait = found["expiresAt"] - store.seconds()
                raise TooManyRequests(headers={"Retry-After": str(max(1, wait))}) from None
            await _forget_attempts(member)  # Past its end, and not yet removed.
        else:
            return
    raise TooManyRequests(headers={"Retry-After": "1"})


async def _forget_attempts(member: str) -> None:
    """Remove the count of a lock that is over; one that was begun anew meanwhile stays."""
    try:
        await dynamodb.call(
            "delete_item",
            TableName=settings().sessions_table,
            Key=store.encoded(_attempts_key(member)),
            ConditionExpression="expiresAt <= :now",
            ExpressionAttributeValues=dynamodb.encode({":now": store.seconds()}),
        )
    except dynamodb.ConditionFailed:
        return


def _matching_step(secret: bytes, code: str, after: int) -> int:
    """Return the step of a code: this one, the one before or the next (RFC 6238 §5.2), if later than `after`."""
    # Imported here because only TOTP needs it, and passkeys are the usual way.
    from cryptography.hazmat.primitives.hashes import SHA1  # noqa: PLC0415
    from cryptography.hazmat.primitives.twofactor.totp import TOTP  # noqa: PLC0415

    made, current = TOTP(secret, 6, SHA1(), STEP_S), store.seconds() // STEP_S  # noqa: S303 - RFC 6238's default
    for step in (current - 1, current, current + 1):
        if step > after and hmac.compare_digest(made.generate(step * STEP_S), code.encode()):
            return step
    raise SecondFactorRejected


async def _used_totp(member: str, factors: Factors, code: str) -> Factors:
    if not factors.totp:
        raise SecondFactorRejected
    secret = await _decrypt(member, factors.totp)
    return factors._replace(totp_step=_matching_step(secret, code, factors.totp_step))


def _used_recovery(factors: Factors, code: str) -> Factors:
    presented = store.digest(code.lower() if code.isascii() else code)
    if not factors.enrolled or presented not in factors.recovery:
        raise SecondFactorRejected
    return factors._replace(recovery=tuple(kept for kept in factors.recovery if kept != presented))


# -- TOTP -----------------------------------------------------------------------------------------------------


async def begin_totp(member: str, ceremony: str) -> bytes:
    """Make a new secret, not yet a factor: it becomes one when `confirm_totp` gets a code of it."""
    secret = secrets.token_bytes(20)
    values: dict[str, str | int] = {
        "secret": await _encrypt(member, secret),
        "expiresAt": store.seconds() + 2 * CEREMONY_AGE_S,
    }
    await store.put((f"ceremony#{ceremony}", "totp"), values)
    return secret


def provisioning(secret: bytes, account: str) -> dict[str, str]:
    """Return a secret in the forms that authenticators take: Base32, `otpauth://`, and that as a QR code in SVG."""
    import segno  # noqa: PLC0415

    text = base64.b32encode(secret).decode()
    label = quote(f"FamilyCorp:{account}")
    uri = f"otpauth://totp/{label}?secret={text}&issuer=FamilyCorp&algorithm=SHA1&digits=6&period={STEP_S}"
    drawn = BytesIO()
    segno.make(uri).save(drawn, kind="svg", scale=4, xmldecl=False, nl=False)
    return {"secret": text, "otpauth_uri": uri, "qr_svg": drawn.getvalue().decode()}


async def confirm_totp(member: str, ceremony: str, code: str, *, first: bool) -> list[str] | None:
    """Make the secret that was begun a factor, replacing an earlier one; return the first recovery codes."""
    await _count_attempt(member)
    key = (f"ceremony#{ceremony}", "totp")
    begun, factors = await store.get(key), await load(member)
    if begun is None:
        raise SecondFactorRejected
    step = _matching_step(await _decrypt(member, begun["secret"]), code, 0)
    added = factors._replace(totp=begun["secret"], totp_at=timestamp(now()), totp_step=step)
    codes = await _add(member, factors, added, first=first)
    await store.remove(key)
    await store.remove(_attempts_key(member))
    return codes


async def _add(member: str, before: Factors, after: Factors, *, first: bool) -> list[str] | None:
    """Save a new factor, with recovery codes if it is the first; `FactorExists` if it should be and isn't."""
    if first and before.enrolled:
        raise FactorExists
    codes = None
    if not before.enrolled:
        codes, after = _with_new_codes(after)
    await _save(member, after)
    logger.info("factor_added", extra={"member": member, "methods": after.methods})
    return codes


def _with_new_codes(factors: Factors) -> tuple[list[str], Factors]:
    made = [base64.b32encode(secrets.token_bytes(15)).decode().lower() for _ in range(_RECOVERY_CODES)]
    hashes = tuple(store.digest(code) for code in made)
    return ["-".join(code[i : i + 4] for i in range(0, 24, 4)) for code in made], factors._replace(
        recovery=hashes
    )


async def renew_recovery_codes(member: str) -> list[str]:
    """Replace the recovery codes, and return the new ones, which nobody can read again."""
    factors = await load(member)
    if not factors.enrolled:
        raise NotFound
    codes, after = _with_new_codes(factors)
    await _save(member, after)
    return codes


async def remove(member: str, factor: str) -> None:
    """Remove a factor by its id (`totp`, or a passkey's); raises `LastFactor` for the only one, `NotFound`."""
    factors = await load(member)
    kept = tuple(p for p in factors.passkeys if p["id"] != factor)
    after = factors._replace(passkeys=kept, totp="" if factor == "totp" else factors.totp)
    if after == factors:
        raise NotFound
    if not after.enrolled:
        raise LastFactor
    await _save(member, after)
    logger.info("factor_removed", extra={"member": member, "methods": after.methods})


# -- passkeys -------------------------------------------------------------------------------------------------


def _relying_party() -> Any:
    from fido2.server import Fido2Server  # noqa: PLC0415 - a login by TOTP needn't pay for it
    from fido2.webauthn import (  # noqa: PLC0415
        AttestationConveyancePreference,
        PublicKeyCredentialRpEntity,
    )

    return Fido2Server(
        PublicKeyCredentialRpEntity(name="FamilyCorp", id=settings().webauthn_rp_id),
        attestation=AttestationConveyancePreference.NONE,
        verify_origin=lambda origin: origin in settings().staff_origins,
    )


def _credentials(factors: Factors) -> list[Any]:
    from fido2.webauthn import AttestedCredentialData  # noqa: PLC0415

    return [AttestedCredentialData(base64.b64decode(p["data"])) for p in factors.passkeys]


async def _keep_challenge(ceremony: str, purpose: str, state: Any) -> None:
    values: dict[str, str | int] = {
        "state": orjson.dumps(state).decode(),
        "expiresAt": store.seconds() + CEREMONY_AGE_S,
    }
    await store.put((f"ceremony#{ceremony}", purpose), values)


async def _take_challenge(ceremony: str, purpose: str) -> Any:
    found = await store.take((f"ceremony#{ceremony}", purpose))
    if found is None:
        raise SecondFactorRejected
    return orjson.loads(found["state"])


async def begin_passkey(member: str, ceremony: str, name: str) -> dict[str, Any]:
    """Return the options with which a browser creates a passkey (PublicKeyCredentialCreationOptionsJSON)."""
    from fido2.webauthn import PublicKeyCredentialUserEntity  # noqa: PLC0415

    options, state = _relying_party().register_begin(
        PublicKeyCredentialUserEntity(name=name, display_name=name, id=member.encode()),
        _credentials(await load(member)),
        resident_key_requirement="preferred",
        user_verification="required",
    )
    await _keep_challenge(ceremony, "create", state)
    return dict(options.public_key)


async def add_passkey(
    member: str, ceremony: str, name: str, credential: Mapping[str, Any], *, first: bool
) -> list[str] | None:
    """Make a created passkey a factor; return the first recovery codes. `SecondFactorRejected` for a bad one."""
    state, factors = await _take_challenge(ceremony, "create"), await load(member)
    try:
        made = _relying_party().register_complete(state, credential)
    except Exception:  # noqa: BLE001 - the library's parsers raise anything for what is no credential
        raise SecondFactorRejected from None
    if len(factors.passkeys) >= MOST_PASSKEYS:
        raise FactorExists(f"There may be {MOST_PASSKEYS} passkeys; remove one first.")
    added = {
        "id": str(new_id()),
        "name": name,
        "data": base64.b64encode(bytes(made.credential_data)).decode(),
        "count": made.counter,
        "createdAt": timestamp(now()),
    }
    return await _add(member, factors, factors._replace(passkeys=(*factors.passkeys, added)), first=first)


async def ask_passkey(member: str, ceremony: str) -> dict[str, Any]:
    """Return the options with which a browser proves a passkey (PublicKeyCredentialRequestOptionsJSON)."""
    factors = await load(member)
    if not factors.passkeys:
        raise NotFound
    options, state = _relying_party().authenticate_begin(_credentials(factors), user_verification="required")
    await _keep_challenge(ceremony, "prove", state)
    return dict(options.public_key)


async def _used_passkey(
    member: str, factors: Factors, ceremony: str, credential: Mapping[str, Any]
) -> Factors:
    from fido2.webauthn import AuthenticationResponse  # noqa: PLC0415

    state = await _take_challenge(ceremony, "prove")
    held = _credentials(factors)
    try:
        answer = AuthenticationResponse.from_dict(credential)
        proven = _relying_party().authenticate_complete(state, held, answer)
        count = answer.response.authenticator_data.counter
    except Exception:  # noqa: BLE001 - as in `add_passkey`
        raise SecondFactorRejected from None
    index = held.index(proven)
    before = factors.passkeys[index]
    # A counter that doesn't grow was read from a copy of the authenticator (WebAuthn §6.1.1); 0 means there is none.
    if (count or before["count"]) and count <= before["count"]:
        logger.warning("passkey_cloned", extra={"member": member, "passkey": before["id"]})
        raise SecondFactorRejected
    used = {**before, "count": count, "lastUsedAt": timestamp(now())}
    return factors._replace(passkeys=(*factors.passkeys[:index], used, *factors.passkeys[index + 1 :]))


# -- secrets --------------------------------------------------------------------------------------------------


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
