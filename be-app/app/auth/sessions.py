"""Sessions: one item each in DynamoDB, a refresh token that changes with every use, an end that holds at once.

A refresh token is opaque and kept as a hash alone. Its successor is an HMAC of a fresh random salt under the token
itself: who repeats a token within the grace period gets the same successor, never a second one, and nobody but its
holder can compute it. A rotated token that comes later was stolen from somebody: the session ends (RFC 9700 §4.14).
"""

import hashlib
import hmac
import logging
import secrets
import uuid
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any, NamedTuple

from app.auth import store, tokens
from app.auth.cookies import Tokens
from app.auth.errors import RefreshRefused
from app.core import dynamodb, metrics
from app.core.clock import new_id
from app.core.settings import settings

MAX_AGE_S = 30 * 24 * 3600
"""The longest that a session lasts, however much it is used."""

_MEMBERS = uuid.UUID("0b9f3d53-5a3f-5c3e-9d0c-6f1d6a4b7e21")
_TRIES = 5

logger = logging.getLogger(__name__)


class Identity(NamedTuple):
    """Somebody as the provider vouches for them. What names them is issuer and subject, never the e-mail."""

    issuer: str
    subject: str
    email: str
    name: str
    role: str
    """What their groups make them; empty for nothing."""
    provider_session: str

    @property
    def member(self) -> str:
        """Their id here: a UUIDv5 of issuer and subject, so that it can be told without asking any store."""
        return member_id(self.issuer, self.subject)


class State(NamedTuple):
    """A live session, and what is known of its member."""

    member: str
    session: str
    identity: Identity
    role: str | None
    second_factor_at: int
    created_at: int
    ends_at: int
    provisioned: bool
    """Whether the members table has this identity as it is here."""


def member_id(issuer: str, subject: str) -> str:
    """Return the id of the member whom a provider knows as `subject`."""
    return str(uuid.uuid5(_MEMBERS, f"{issuer}\n{subject}"))


def owner(member: str) -> str:
    """Return the owner of everything that the table holds of a member."""
    return f"member#{member}"


def profile_key(member: str) -> store.Key:
    """Return where a member's role and state stand, as the members table says they are."""
    return owner(member), "profile"


def _key(member: str, session: str) -> store.Key:
    return owner(member), f"session#{session}"


def _provider_owner(issuer: str, provider_session: str) -> str:
    """Return the owner of what is known of a session of the provider's: which are ours of it, and that it ended."""
    return f"provider-session#{store.digest(f'{issuer} {provider_session}')}"


async def create(identity: Identity, *, second_factor_at: int, device: str) -> Tokens:
    """Begin a session of a member who proved both factors, the second at `second_factor_at` (epoch seconds)."""
    session, secret, at = str(new_id()), secrets.token_urlsafe(32), store.seconds()
    access = await tokens.sign(identity.member, session)
    values: dict[str, str | int] = {
        **identity._asdict(),
        "session": session,
        "createdAt": store.milliseconds(),
        "lastUsedAt": store.milliseconds(),
        "endsAt": at + MAX_AGE_S,
        "expiresAt": _idle_end(at + MAX_AGE_S),
        "secondFactorAt": second_factor_at,
        "device": device[:200],
        "refreshHash": store.digest(secret),
        "previousHash": "-",
        "salt": "-",
        "rotatedAt": 0,
    }
    await store.put(_key(identity.member, session), values)
    if identity.provider_session:
        await store.put(
            (_provider_owner(identity.issuer, identity.provider_session), f"session#{session}"),
            {"member": identity.member, "session": session, "expiresAt": at + MAX_AGE_S},
        )
    logger.info("session_created", extra={"member": identity.member, "session": session})
    return _tokens(access, identity.member, session, secret, at + MAX_AGE_S)


def _idle_end(ends_at: int) -> int:
    return min(ends_at, store.seconds() + settings().session_idle_days * 24 * 3600)


def _tokens(access: str, member: str, session: str, secret: str, ends_at: int) -> Tokens:
    return Tokens(
        access=access,
        access_age=tokens.ACCESS_AGE_S,
        session=session,
        refresh=f"{member}.{session}.{secret}",
        refresh_age=_idle_end(ends_at) - store.seconds(),
    )


def _is_live(session: dict[str, Any] | None, profile: dict[str, Any] | None) -> bool:
    if session is None:
        return False
    return profile is None or (
        not profile.get("disabled") and session["createdAt"] > profile.get("notBefore", 0)
    )


async def state(member: str, session: str) -> State | None:
    """Return a session as it is now; None when it is over or its member is disabled. One round trip."""
    found, profile = await store.get_all([_key(member, session), profile_key(member)])
    if found is None or not _is_live(found, profile):
        return None
    identity = _identity(found)
    known = profile if profile and "version" in profile else None
    return State(
        member=member,
        session=session,
        identity=identity,
        role=(known and known["role"]) or identity.role or None,
        second_factor_at=found["secondFactorAt"],
        created_at=found["createdAt"],
        ends_at=found["endsAt"],
        provisioned=known is not None
        and (known["seenAt"] >= found["createdAt"] or known["claims"] == claims_digest(identity)),
    )


def _identity(found: dict[str, Any]) -> Identity:
    return Identity(**{name: found[name] for name in Identity._fields})


def claims_digest(identity: Identity) -> str:
    """Return what tells whether the members table has a person's present e-mail, name and groups."""
    return store.digest("\n".join((identity.email, identity.name, identity.role)))


def _successor(secret: str, salt: str) -> str:
    made = hmac.digest(secret.encode(), salt.encode(), hashlib.sha256)
    return urlsafe_b64encode(made).decode().rstrip("=")


async def refresh(token: str, bound_to: str | None, *, second_factor_at: int | None = None) -> Tokens:
    """Exchange a refresh token for its successor and a new access token; note a second factor proven just now.

    `bound_to` is the session that the browser's own cookie names. Raises `RefreshRefused` when the token is no
    good; one that was rotated before, beyond the grace period, ends its session.
    """
    member, session, secret = _parts(token)
    if session != bound_to:
        raise RefreshRefused
    key, presented = _key(member, session), store.digest(secret)
    access = await tokens.sign(
        member, session
    )  # Before anything is rotated: it may fail, and then nothing was.
    for _ in range(_TRIES):
        found, profile = await store.get_all([key, profile_key(member)])
        if found is None or not _is_live(found, profile):
            raise RefreshRefused
        if hmac.compare_digest(presented, found["refreshHash"]):
            salt = secrets.token_urlsafe(32)
            successor = _successor(secret, salt)
            try:
                await _rotate(key, found, successor, salt, second_factor_at)
            except dynamodb.ConditionFailed:
                continue  # Another request with the same token was first; the next turn finds its successor.
            return _tokens(access, member, session, successor, found["endsAt"])
        late = store.milliseconds() - found["rotatedAt"] > settings().refresh_grace_s * 1000
        if hmac.compare_digest(presented, found["previousHash"]) and not late:
            return _tokens(access, member, session, _successor(secret, found["salt"]), found["endsAt"])
        if await store.get(_rotated_key(key, presented)):
            await store.remove(key)
            metrics.add("refresh_reused")
            logger.warning("refresh_reused", extra={"member": member, "session": session})
        raise RefreshRefused
    raise RefreshRefused


def _parts(token: str) -> tuple[str, str, str]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > 300 or not token.isascii():
        raise RefreshRefused
    return parts[0], parts[1], parts[2]


def _rotated_key(key: store.Key, presented: str) -> store.Key:
    return key[0], f"rotated#{key[1]}#{presented}"


async def _rotate(
    key: store.Key, found: dict[str, Any], successor: str, salt: str, second_factor_at: int | None
) -> None:
    """Replace the token in one transaction that only one of several can win; keep the old one's hash."""
    table = settings().sessions_table
    values = {
        ":new": store.digest(successor),
        ":old": found["refreshHash"],
        ":salt": salt,
        ":at": store.milliseconds(),
        ":idle": _idle_end(found["endsAt"]),
        ":factor": second_factor_at or found["secondFactorAt"],
    }
    update = {
        "TableName": table,
        "Key": store.encoded(key),
        "UpdateExpression": "SET refreshHash = :new, previousHash = :old, salt = :salt, rotatedAt = :at, "
        "lastUsedAt = :at, expiresAt = :idle, secondFactorAt = :factor",
        "ConditionExpression": "refreshHash = :old",
        "ExpressionAttributeValues": dynamodb.encode(values),
    }
    rotated = {
        **store.encoded(_rotated_key(key, found["refreshHash"])),
        **dynamodb.encode({"expiresAt": found["endsAt"]}),
    }
    items = [{"Update": update}, {"Put": {"TableName": table, "Item": rotated}}]
    await dynamodb.call("transact_write_items", TransactItems=items)


async def listed(member: str) -> list[dict[str, Any]]:
    """Return a member's live sessions, the one used last first."""
    profile = await store.get(profile_key(member))
    live = [i for i in await store.of_owner(owner(member), "session#") if _is_live(i, profile)]
    return sorted(live, key=lambda i: i["lastUsedAt"], reverse=True)


async def end(member: str, session: str) -> bool:
    """End one session for good; return whether it was there."""
    ended = await store.take(_key(member, session))
    logger.info("session_ended", extra={"member": member, "session": session})
    return ended is not None


async def end_all(member: str) -> None:
    """End every session of a member, those too that are being created just now."""
    await dynamodb.call(
        "update_item",
        TableName=settings().sessions_table,
        Key=store.encoded(profile_key(member)),
        UpdateExpression="SET notBefore = :now",
        ExpressionAttributeValues=dynamodb.encode({":now": store.milliseconds()}),
    )
    logger.info("sessions_ended", extra={"member": member})


async def end_at_provider(issuer: str, subject: str | None, provider_session: str | None) -> None:
    """End what the provider says is over: all of ours that its session began, or all of a person.

    Of a person whose session of the provider's is unknown here all end: which were of it can't be told.
    """
    member = None if subject is None else member_id(issuer, subject)
    if provider_session is not None:
        owner_of = _provider_owner(issuer, provider_session)
        # Before ours are looked for, so that one being created now is either found here or finds this.
        ended = {"endedAt": store.milliseconds(), "expiresAt": store.seconds() + MAX_AGE_S}
        await store.put((owner_of, "ended"), ended)
        begun = [i for i in await store.of_owner(owner_of, "session") if member in (None, i["member"])]
        for item in begun:
            await end(item["member"], item["session"])
        if begun:
            return
    if member is not None:
        await end_all(member)


async def ended_since(identity: Identity, at: int) -> bool:
    """Tell whether what somebody began before `at` (epoch milliseconds) was ended since, here or at the provider."""
    keys = [
        profile_key(identity.member),
        (_provider_owner(identity.issuer, identity.provider_session), "ended"),
    ]
    profile, provider = await store.get_all(keys)
    if profile and (profile.get("disabled") or profile.get("notBefore", 0) >= at):
        return True
    return bool(identity.provider_session and provider and provider["endedAt"] >= at)


async def end_by_tokens(refresh_token: str | None, access_token: str | None) -> None:
    """End the session that a browser's cookies stand for; the access token may be over, the refresh token rotated."""
    if access_token and (claims := await tokens.verify(access_token)):
        await end(claims.member, claims.session)
        return
    with suppress(RefreshRefused):
        member, session, secret = _parts(refresh_token or "")
        key, presented = _key(member, session), store.digest(secret)
        found = await store.get(key)
        if found and (found["refreshHash"] == presented or await store.get(_rotated_key(key, presented))):
            await end(member, session)
