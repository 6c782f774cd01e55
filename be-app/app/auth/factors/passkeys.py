"""Passkeys (WebAuthn level 3)."""

import base64
import logging
from collections.abc import Mapping
from typing import Any

import orjson
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
)

from app.auth import store
from app.auth.errors import FactorExists, SecondFactorRejected
from app.auth.factors import CEREMONY_AGE_S
from app.auth.factors.enrolment import add
from app.auth.factors.stored import Factors, load
from app.core.clock import new_id, now, timestamp
from app.core.http.problems import NotFound
from app.core.messages import marked
from app.core.settings import settings

MOST_PASSKEYS = 10

logger = logging.getLogger(__name__)


async def begin(member: str, ceremony: str, name: str) -> dict[str, Any]:
    """Return the options with which a browser creates a passkey (PublicKeyCredentialCreationOptionsJSON)."""
    options, state = _relying_party().register_begin(
        PublicKeyCredentialUserEntity(name=name, display_name=name, id=member.encode()),
        _credentials(await load(member)),
        resident_key_requirement="preferred",
        user_verification="required",
    )
    await _keep_challenge(ceremony, "create", state)
    return dict(options.public_key)


async def create(
    member: str, ceremony: str, name: str, credential: Mapping[str, Any], *, first: bool
) -> list[str] | None:
    """Make a created passkey a factor; return the first recovery codes. `SecondFactorRejected` for a bad one."""
    state, factors = await _take_challenge(ceremony, "create"), await load(member)
    made = registered(state, credential)
    if len(factors.passkeys) >= MOST_PASSKEYS:
        raise FactorExists(
            marked("You can have at most {most} passkeys. Remove one first."), most=MOST_PASSKEYS
        )
    added = {
        "id": str(new_id()),
        "name": name,
        "data": base64.b64encode(bytes(made.credential_data)).decode(),
        "count": made.counter,
        "createdAt": timestamp(now()),
    }
    return await add(member, factors, factors._replace(passkeys=(*factors.passkeys, added)), first=first)


def registered(state: Any, credential: Mapping[str, Any]) -> Any:
    """Return what a credential registers; raise `SecondFactorRejected` for one that doesn't answer the challenge."""
    try:
        return _relying_party().register_complete(state, credential)
    except Exception:  # noqa: BLE001 - the library's parsers raise anything for a malformed credential
        raise SecondFactorRejected from None


async def ask(member: str, ceremony: str) -> dict[str, Any]:
    """Return the options with which a browser proves a passkey (PublicKeyCredentialRequestOptionsJSON)."""
    factors = await load(member)
    if not factors.passkeys:
        raise NotFound
    options, state = _relying_party().authenticate_begin(_credentials(factors), user_verification="required")
    await _keep_challenge(ceremony, "prove", state)
    return dict(options.public_key)


async def used(member: str, factors: Factors, ceremony: str, credential: Mapping[str, Any]) -> Factors:
    """Return the factors with an assertion counted; raise `SecondFactorRejected` for a wrong one."""
    state = await _take_challenge(ceremony, "prove")
    held = _credentials(factors)
    try:
        answer = AuthenticationResponse.from_dict(credential)
        proven = _relying_party().authenticate_complete(state, held, answer)
        count = answer.response.authenticator_data.counter
    except Exception:  # noqa: BLE001 - as in `create`
        raise SecondFactorRejected from None
    index = held.index(proven)
    before = factors.passkeys[index]
    # A counter that doesn't grow was read from a copy of the authenticator (WebAuthn §6.1.1); 0 means there is none.
    if (count or before["count"]) and count <= before["count"]:
        logger.warning("passkey_clone_detected", extra={"member": member, "passkey": before["id"]})
        raise SecondFactorRejected
    used = {**before, "count": count, "lastUsedAt": timestamp(now())}
    return factors._replace(passkeys=(*factors.passkeys[:index], used, *factors.passkeys[index + 1 :]))


def _relying_party() -> Any:
    return Fido2Server(
        PublicKeyCredentialRpEntity(name="FamilyCorp", id=settings().webauthn_rp_id),
        attestation=AttestationConveyancePreference.NONE,
        verify_origin=lambda origin: settings().staff_origins.fullmatch(origin) is not None,
    )


def _credentials(factors: Factors) -> list[Any]:
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
