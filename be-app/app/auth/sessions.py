"""Sessions: one item each in DynamoDB, a refresh token that changes with every use, an end that holds at once.

A refresh token is opaque and kept as a hash alone. Its successor is an HMAC of a random salt under the token itself,
and the first request that rotates the token fixes the salt: every request that raced with it computes the same
successor, and only a holder of the token can. A rotated token that comes later was stolen from somebody: the session
ends (RFC 9700 §4.14). "Later" compares when the request arrived, not when it is served: however long requests queue,
those that were sent together are served alike.
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
from app.auth.errors import SessionExpired
from app.core.aws import dynamodb
from app.core.clock import new_id
from app.core.observability import metrics
from app.core.settings import ROLES, settings

MAX_AGE_S = 30 * 24 * 3600
"""The longest that a session lasts, however much it is used."""

_MEMBERS = uuid.UUID("0b9f3d53-5a3f-5c3e-9d0c-6f1d6a4b7e21")

logger = logging.getLogger(__name__)


class Identity(NamedTuple):
    """A person's verified claims. Issuer and subject identify the person, never the e-mail."""

    issuer: str
    subject: str
    email: str
    name: str
    role: str
    """The role of their groups; empty for none."""
    provider_session: str

    @property
    def member(self) -> str:
        """The member's ID: a UUIDv5 of issuer and subject, so that no store is needed to compute it."""
        return member_id(self.issuer, self.subject)


class State(NamedTuple):
    """A live session with its member's identity."""

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
    """Return the owner of a provider session's items: our sessions of it, and its end."""
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
    identity = _identity(found, profile)
    known = profile if profile and "version" in profile else None
    former = known is not None and bool(known.get("erased"))
    return State(
        member=member,
        session=session,
        identity=identity,
        role=None if former else (known and known["role"]) or identity.role or None,
        second_factor_at=found["secondFactorAt"],
        created_at=found["createdAt"],
        ends_at=found["endsAt"],
        provisioned=known is not None
        and (former or known["seenAt"] >= found["createdAt"] or known["claims"] == claims_digest(identity)),
    )


def _identity(found: dict[str, Any], profile: dict[str, Any] | None) -> Identity:
    """Return a session's identity, with the lower of two roles: by its own login's groups, and by the latest login's.

    Losing a group reaches every session; gaining one takes a login with it.
    """
    identity = Identity(**{name: found[name] for name in Identity._fields})
    roles = (identity.role, (profile or {}).get("groupRole", identity.role))
    return identity._replace(role=max(roles, key=ROLES.index) if all(roles) else "")


async def note_groups(identity: Identity, at: int) -> None:
    """Make the groups of a login, verified at `at` (epoch milliseconds), count for all sessions of its member.

    A login that was verified earlier, and is noted later, changes nothing.
    """
    with suppress(dynamodb.ConditionFailed):
        await dynamodb.call(
            "update_item",
            TableName=settings().sessions_table,
            Key=store.encoded(profile_key(identity.member)),
            UpdateExpression="SET groupRole = :role, groupsAt = :at",
            ConditionExpression="attribute_not_exists(groupsAt) OR groupsAt <= :at",
            ExpressionAttributeValues=dynamodb.encode({":role": identity.role, ":at": at}),
        )


def claims_digest(identity: Identity) -> str:
    """Return a digest that shows whether the members table has a person's present e-mail, name and groups."""
    return store.digest("\n".join((identity.email, identity.name, identity.role)))


def _successor(secret: str, salt: str) -> str:
    made = hmac.digest(secret.encode(), salt.encode(), hashlib.sha256)
    return urlsafe_b64encode(made).decode().rstrip("=")


async def refresh(token: str, *, arrived_at: int, second_factor_at: int | None = None) -> Tokens:
    """Exchange a refresh token for its successor and a new access token; note a second factor proven just now.

    `arrived_at` is when the request came (epoch milliseconds). Raises `SessionExpired` when the token is no good; one
    that was rotated before the request was sent ends its session.
    """
    member, session, secret = _parts(token)
    key, presented = _key(member, session), store.digest(secret)
    # Before anything is rotated: it may fail, and then nothing was.
    access = await tokens.sign(member, session)
    while True:
        found, profile, rotation = await store.get_all(
            [key, profile_key(member), _rotated_key(key, presented)]
        )
        if found is None or not _is_live(found, profile):
            raise SessionExpired
        if not hmac.compare_digest(presented, found["refreshHash"]):
            break
        salt = await _begin_rotation(key, found, stepped_up=second_factor_at is not None)
        successor = _successor(secret, salt)
        try:
            await _finish_rotation(key, found, successor, second_factor_at)
        except dynamodb.ConditionFailed:
            continue  # Another request finished it, or ended the session; the next turn finds out which.
        return _tokens(access, member, session, successor, found["endsAt"])
    if rotation is None:
        raise SessionExpired
    current = await _current_token(key, found, secret, rotation, arrived_at)
    if current is None:
        await store.remove(key)
        metrics.add("refresh_token_reused")
        logger.warning("refresh_token_reused", extra={"member": member, "session": session})
        raise SessionExpired
    if second_factor_at is not None:
        await _step_up(key, second_factor_at)
    return _tokens(access, member, session, current, found["endsAt"])


def _parts(token: str) -> tuple[str, str, str]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > 300 or not token.isascii():
        raise SessionExpired
    return parts[0], parts[1], parts[2]


def _rotated_key(key: store.Key, presented: str) -> store.Key:
    return key[0], f"rotated#{key[1]}#{presented}"


async def _current_token(
    key: store.Key, found: dict[str, Any], secret: str, rotation: dict[str, Any], arrived_at: int
) -> str | None:
    """Return the current token of a family for a request that raced with the rotation of `secret`.

    None if it came too late: after the grace period, or after the successor was used by more than a step-up, which
    shows that its response wasn't lost.
    """
    grace = settings().refresh_grace_s * 1000
    successor = _successor(secret, rotation.get("salt", ""))
    if store.digest(successor) == found["refreshHash"]:
        return successor if arrived_at <= found["rotatedAt"] + grace else None
    if arrived_at > rotation.get("rotatedAt", 0) + grace:
        return None
    while (presented := store.digest(successor)) != found["refreshHash"]:
        used = await store.get(_rotated_key(key, presented))
        if used is None or not (used["steppedUp"] or arrived_at < used["rotatedAt"]):
            return None
        successor = _successor(successor, used["salt"])
    return successor


async def _begin_rotation(key: store.Key, found: dict[str, Any], *, stepped_up: bool) -> str:
    """Keep a token's hash for as long as its family may live; return the salt, which the first of several fixes."""
    begun = await dynamodb.call(
        "update_item",
        TableName=settings().sessions_table,
        Key=store.encoded(_rotated_key(key, found["refreshHash"])),
        UpdateExpression="SET salt = if_not_exists(salt, :salt), rotatedAt = if_not_exists(rotatedAt, :at), "
        "steppedUp = if_not_exists(steppedUp, :up), expiresAt = :end",
        ExpressionAttributeValues=dynamodb.encode(
            {
                ":salt": secrets.token_urlsafe(32),
                ":at": store.milliseconds(),
                ":up": int(stepped_up),
                ":end": found["endsAt"],
            }
        ),
        ReturnValues="ALL_NEW",
    )
    return str(dynamodb.decode(begun["Attributes"])["salt"])


async def _finish_rotation(
    key: store.Key, found: dict[str, Any], successor: str, second_factor_at: int | None
) -> None:
    """Replace the token; raise `ConditionFailed` if another request has done so, or ended the session."""
    values: dict[str, str | int] = {
        ":new": store.digest(successor),
        ":old": found["refreshHash"],
        ":at": store.milliseconds(),
        ":idle": _idle_end(found["endsAt"]),
    }
    update = "SET refreshHash = :new, rotatedAt = :at, lastUsedAt = :at, expiresAt = :idle"
    if second_factor_at is not None:
        values[":factor"] = second_factor_at
        update += ", secondFactorAt = :factor"
    await dynamodb.call(
        "update_item",
        TableName=settings().sessions_table,
        Key=store.encoded(key),
        UpdateExpression=update,
        ConditionExpression="refreshHash = :old",
        ExpressionAttributeValues=dynamodb.encode(values),
    )


async def _step_up(key: store.Key, second_factor_at: int) -> None:
    """Note a second factor in a session; raise `SessionExpired` if it is over."""
    try:
        await dynamodb.call(
            "update_item",
            TableName=settings().sessions_table,
            Key=store.encoded(key),
            UpdateExpression="SET secondFactorAt = :factor",
            ConditionExpression="attribute_exists(refreshHash)",
            ExpressionAttributeValues=dynamodb.encode({":factor": second_factor_at}),
        )
    except dynamodb.ConditionFailed:
        raise SessionExpired from None


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


async def erase(member: str) -> None:
    """End every session of a member, and remove what sessions and second factors have of them."""
    await end_all(member)
    for item in await store.of_owner(owner(member), "session#"):
        await store.remove((item["owner"], item["item"]))
    await store.remove((owner(member), "factors"))


async def keyed_hash(issuer: str, subject: str) -> str:
    """Return an HMAC of whom a provider knows as `subject`, under a key that DynamoDB alone has.

    So nobody who has the database, or a backup of it, can find out whether a person was a member.
    """
    made = await dynamodb.call(
        "update_item",
        TableName=settings().sessions_table,
        Key=store.encoded(("identity-key", "1")),
        UpdateExpression="SET hmacKey = if_not_exists(hmacKey, :new)",
        ExpressionAttributeValues=dynamodb.encode({":new": secrets.token_hex(32)}),
        ReturnValues="ALL_NEW",
    )
    key = bytes.fromhex(dynamodb.decode(made["Attributes"])["hmacKey"])
    return hmac.digest(key, f"{issuer}\n{subject}".encode(), hashlib.sha256).hex()


async def end_at_provider(issuer: str, subject: str | None, provider_session: str | None) -> None:
    """End what the provider says is over: all of ours that its session began, or all of a person.

    If the provider's session is unknown here, all of the person's end: it is unknown which of them it began.
    """
    member = None if subject is None else member_id(issuer, subject)
    if provider_session is not None:
        owner_of = _provider_owner(issuer, provider_session)
        # Before ours are read, so that a session being created now is either found here or finds this item.
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
    """Return whether logins from before `at` (epoch milliseconds) were ended since then, here or at the provider."""
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
    with suppress(SessionExpired):
        member, session, secret = _parts(refresh_token or "")
        key, presented = _key(member, session), store.digest(secret)
        found = await store.get(key)
        if found and (found["refreshHash"] == presented or await store.get(_rotated_key(key, presented))):
            await end(member, session)
