"""Rules of members: provisioning from a login, roles, disabling and erasure, and when each takes effect.

The members table is the truth; its part that every request needs (role, disabled) follows into the sessions table
by the outbox, where the function outside the VPC finds it too.
"""

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from app.audit import service as audit
from app.auth import access, sessions
from app.auth.sessions import State
from app.auth.subject import SYSTEM, Subject
from app.authz.grant import Grant
from app.authz.guard import allowed, authorise
from app.core.clock import now
from app.core.database.engine import reading
from app.core.http import pagination
from app.core.http.pagination import Page
from app.core.http.problems import NotFound, PreconditionFailed, Unauthenticated
from app.core.messages import marked
from app.core.observability import metrics
from app.core.read_path import read_model
from app.core.read_path.read_model import Snapshot
from app.core.write_path import destructions, outbox
from app.members import addresses, endings, repository
from app.members.errors import FormerMember, MemberAmbiguous, MemberNotFound
from app.members.models import Member
from app.members.schemas import MemberOut, MemberQuery

_BATCH = 100
_ATTEMPTS = 10


async def provision(state: State) -> Subject:
    """Give the member of a session their row, or bring it up to date; return them as the row says they are.

    A former member's row stays erased, and they have no role. Raises `Unauthenticated` when the row says that they
    are disabled.
    """
    member_id = uuid.UUID(state.member)
    seen_at = datetime.fromtimestamp(state.created_at / 1000, UTC)
    identity = state.identity
    attempts = 0
    while True:
        attempts += 1
        try:
            async with outbox.transaction() as transaction:
                member = await repository.by_id(transaction.session, member_id)
                first = member is None
                if member is None:
                    member = Member(
                        id=member_id,
                        issuer=identity.issuer,
                        subject=identity.subject,
                        role=None,
                        disabled_at=None,
                        created_at=now(),
                    )
                    transaction.session.add(member)
                elif member.erased_at is not None or member.seen_at > seen_at:
                    break  # An older session of theirs; a newer one has brought newer claims.
                member.email, member.name = identity.email, identity.name
                member.group_role = identity.role or None
                member.seen_at, member.updated_at = seen_at, now()
                await transaction.session.flush()
                if first:
                    audit.record(transaction.session, state.member, "member.joined", f"member:{member_id}")
                _tell(transaction, member, "member.seen")
                break
        except (IntegrityError, StaleDataError):
            # Another request of theirs was first; the next turn finds its row.
            if attempts == _ATTEMPTS:
                raise
    if member.disabled_at is not None:
        raise Unauthenticated
    access.forget()
    role = None if member.erased_at is not None else member.role or identity.role or None
    return Subject(state.member, role, state.second_factor_at, state)


def _tell(transaction: outbox.Transaction, member: Member, kind: str) -> None:
    transaction.emit(
        f"member:{member.id}", member.version, kind, {"memberId": str(member.id)}, _profile(member)
    )


def _profile(member: Member) -> Snapshot:
    owner, _ = sessions.profile_key(str(member.id))
    identity = sessions.Identity(
        member.issuer, member.subject, member.email, member.name, member.group_role or "", ""
    )
    return Snapshot(
        owner,
        {
            "role": member.role or "",
            "disabled": int(member.disabled_at is not None),
            "erased": int(member.erased_at is not None),
            "seenAt": int(member.seen_at.timestamp() * 1000),
            "claims": sessions.claims_digest(identity),
        },
        table=read_model.PROFILES,
    )


async def listed(query: MemberQuery, granted: Grant) -> Page[MemberOut]:
    """Return a page of members, with the fields that the caller may know."""
    after = pagination.decode_id(query.cursor)
    async with reading() as session:
        found = await repository.page(session, after=after, limit=query.limit + 1)
    page = found[: query.limit]
    fields = granted.obligations.get("fields")
    actions = allowed(granted.subject, [_policy_object(member.id) for member in page])
    former = await _former(page)
    items = [_out(member, fields, former=member.id in former) for member in page]
    for item, mine in zip(items, actions, strict=True):
        item.allowed = mine
    return Page[MemberOut](
        items=items,
        next_cursor=pagination.encode(str(page[-1].id)) if len(found) > query.limit else None,
    )


async def _former(members: Sequence[Member]) -> set[uuid.UUID]:
    """Return the ids of those members that were erased, also where a backup has brought their data back."""
    recorded = await destructions.among(_name(member.id) for member in members)
    return {member.id for member in members if member.erased_at is not None or _name(member.id) in recorded}


def _name(member_id: uuid.UUID) -> str:
    return f"member:{member_id}"


def _out(member: Member, fields: list[str] | None = None, *, former: bool | None = None) -> MemberOut:
    if former is None:
        former = member.erased_at is not None
    known = {
        "id": member.id,
        "name": "" if former else member.name,
        "email": "" if former else member.email,
        "former": former,
        "role": member.role,
        "group_role": member.group_role,
        "disabled": member.disabled_at is not None,
        "seen_at": member.seen_at,
        "version": member.version,
    }
    return MemberOut.model_validate(known if fields is None else {name: known[name] for name in fields})


def _policy_object(member_id: uuid.UUID, role: str | None = None) -> dict[str, str | None]:
    """Return a member as the policy knows them; `newRole` counts where a role is set."""
    return {"type": "member", "id": str(member_id), "newRole": role}


def _with_actions(member: MemberOut, actor: Subject) -> MemberOut:
    (member.allowed,) = allowed(actor, [_policy_object(member.id)])
    return member


async def read(member_id: uuid.UUID, actor: Subject) -> MemberOut:
    """Return one member."""
    authorise(actor, "member:read", _policy_object(member_id))
    async with reading() as session:
        member = await repository.by_id(session, member_id)
    if member is None:
        raise NotFound
    return _with_actions(_out(member, former=bool(await _former([member]))), actor)


async def erase(member_id: uuid.UUID, expected: int, actor: Subject) -> MemberOut:
    """Erase name and e-mail address of a member who left, for good; their sessions end."""
    authorise(actor, "member:erase", _policy_object(member_id))
    async with outbox.transaction() as transaction:
        member = await _open(transaction, member_id, expected, erasing=True)
        return _with_actions(await _erase(transaction, member, actor, "request"), actor)


async def _erase(transaction: outbox.Transaction, member: Member, actor: Subject, reason: str) -> MemberOut:
    # Before the commit, as when a member is disabled.
    await sessions.erase(str(member.id))
    member.subject = await sessions.keyed_hash(member.issuer, member.subject)
    member.email = member.name = ""
    member.role = member.group_role = None
    member.erased_at = now()
    await endings.end_all(transaction.session, str(member.id))
    transaction.record_destruction(_name(member.id), reason)
    return await _changed(transaction, member, actor, audit.MEMBER_ERASED, reason=reason)


async def set_role(member_id: uuid.UUID, role: str | None, expected: int, actor: Subject) -> MemberOut:
    """Make a member something else; it counts from their next request on."""
    authorise(actor, "member:set-role", _policy_object(member_id, role))
    async with outbox.transaction() as transaction:
        member = await _open(transaction, member_id, expected)
        return _with_actions(await _change_role(transaction, member, role, actor), actor)


async def _change_role(
    transaction: outbox.Transaction, member: Member, role: str | None, actor: Subject
) -> MemberOut:
    before, member.role = member.role, role
    if role == "admin" != before:
        metrics.add("admin_granted")
    return await _changed(transaction, member, actor, "member.role_changed", before=before, after=role)


async def set_disabled(member_id: uuid.UUID, expected: int, actor: Subject, *, disabled: bool) -> MemberOut:
    """Lock a member out, which ends their sessions at once, or let them in again."""
    what = "disable" if disabled else "enable"
    authorise(actor, f"member:{what}", _policy_object(member_id))
    async with outbox.transaction() as transaction:
        member = await _open(transaction, member_id, expected)
        return _with_actions(await _set_disabled(transaction, member, actor, disabled=disabled), actor)


async def _set_disabled(
    transaction: outbox.Transaction, member: Member, actor: Subject, *, disabled: bool
) -> MemberOut:
    if disabled:
        # Before the commit: should DynamoDB be away, nothing is accepted that wouldn't hold at once.
        await sessions.end_all(str(member.id))
        await endings.end_all(transaction.session, str(member.id))
    member.disabled_at = now() if disabled else None
    return await _changed(transaction, member, actor, "member.disabled" if disabled else "member.enabled")


async def _open(
    transaction: outbox.Transaction, member_id: uuid.UUID, expected: int, *, erasing: bool = False
) -> Member:
    member = await repository.by_id(transaction.session, member_id)
    if member is None:
        raise NotFound
    # Where the commit of an erasure failed, the record names a member who is still there, to be erased once more.
    if member.erased_at is not None or (not erasing and await _former([member])):
        raise FormerMember
    if member.version != expected:
        raise PreconditionFailed(
            marked("The member is at version {version} now. Read it again, then repeat your change."),
            version=member.version,
        )
    return member


async def _changed(
    transaction: outbox.Transaction, member: Member, actor: Subject, kind: str, **detail: str | None
) -> MemberOut:
    member.updated_at = now()
    audit.record(transaction.session, actor.id, kind, f"member:{member.id}", **detail)
    try:
        await transaction.session.flush()
    except StaleDataError:
        raise PreconditionFailed from None
    _tell(transaction, member, kind)
    access.forget()
    return _out(member)


async def sessions_of(member_id: uuid.UUID) -> list[dict[str, Any]]:
    """Return a member's live sessions, the one used last first."""
    async with reading() as session:
        if await repository.by_id(session, member_id) is None:
            raise NotFound
    return await sessions.listed(str(member_id))


async def end_sessions(member_id: uuid.UUID, ended: uuid.UUID | None, actor: Subject) -> None:
    """End one session of a member, or all of them; the audit trail records who did."""
    authorise(actor, "session:end-any", {"type": "session", "owner": str(member_id)})
    async with outbox.transaction() as transaction:
        if await repository.by_id(transaction.session, member_id) is None:
            raise NotFound
        await _end_sessions(transaction, member_id, ended, actor)


async def _end_sessions(
    transaction: outbox.Transaction, member_id: uuid.UUID, ended: uuid.UUID | None, actor: Subject
) -> None:
    if ended is None:
        await sessions.end_all(str(member_id))
    elif not await sessions.end(str(member_id), str(ended)):
        raise NotFound
    which = "all" if ended is None else str(ended)
    audit.record(transaction.session, actor.id, "member.sessions_ended", f"member:{member_id}", which=which)
    access.forget()


async def grant_role(who: str, role: str | None) -> MemberOut:
    """Make a member something, as an operator who needs no session; it ends the member's own.

    Args:
        who: the e-mail address that one member alone has, or a member's id.
        role: what they become; None leaves it to their groups at the provider.

    Raises `MemberNotFound`; `MemberAmbiguous` where another's address could be taken for this one.
    """
    async with outbox.transaction() as transaction:
        member = await _one(transaction.session, who)
        # A session that somebody else has got hold of doesn't grow with the member's rights. Before the commit, as
        # when a member is disabled.
        await sessions.end_all(str(member.id))
        return await _change_role(transaction, member, role, SYSTEM)


async def disable(who: str) -> MemberOut:
    """Lock a member out and end their sessions, as an operator; `who` and errors are those of `grant_role`."""
    async with outbox.transaction() as transaction:
        member = await _one(transaction.session, who)
        return await _set_disabled(transaction, member, SYSTEM, disabled=True)


async def erase_for_operator(who: str) -> MemberOut:
    """Erase a member who left, as an operator; `who` and errors are those of `grant_role`."""
    async with outbox.transaction() as transaction:
        member = await _one(transaction.session, who)
        return await _erase(transaction, member, SYSTEM, "request")


async def log_out(who: str) -> MemberOut:
    """End a member's sessions, as an operator; `who` and errors are those of `grant_role`."""
    async with outbox.transaction() as transaction:
        member = await _one(transaction.session, who)
        await _end_sessions(transaction, member.id, None, SYSTEM)
    return _out(member)


async def _one(session: AsyncSession, who: str) -> Member:
    who = who.strip()
    if "@" not in who:
        try:
            member = await repository.by_id(session, uuid.UUID(who))
        except ValueError:
            member = None
        if member is None:
            raise MemberNotFound
        if member.erased_at is not None:
            raise FormerMember
        return member
    found = await repository.by_email(session, who)
    if len(found) > 1:
        raise MemberAmbiguous("{members}", members="\n".join(map(_told_apart, found)))
    # One that only looks like it may be somebody else's, who chose it for that.
    if not found or not addresses.is_same(found[0].email, who):
        raise MemberNotFound
    return found[0]


def _told_apart(member: Member) -> str:
    """Return a line that distinguishes a member from another with the same address, look-alike letters spelt out."""
    email, subject = (t.encode("ascii", "backslashreplace").decode() for t in (member.email, member.subject))
    disabled = ", disabled" if member.disabled_at else ""
    return f"{member.id}: {email}, {member.name}, {subject} at {member.issuer}{disabled}"


async def everybody() -> list[MemberOut]:
    """Return all members, for an operator."""
    members = [member async for member in _all()]
    former = await _former(members)
    return [_out(member, former=member.id in former) for member in members]


async def rebuild() -> None:
    """Write to DynamoDB what the members table says, where DynamoDB knows less.

    Members whom the destruction record names are erased again first; a lost record is written again.
    """
    async for recorded in destructions.recorded("member"):
        async with outbox.transaction() as transaction:
            member = await repository.by_id(transaction.session, uuid.UUID(recorded.partition(":")[2]))
            if member is not None and member.erased_at is None:
                await _erase(transaction, member, SYSTEM, "restore")
    async for targets in audit.targets(audit.MEMBER_ERASED):
        await destructions.record_again(targets)
    async for member in _all():
        await read_model.replace(_profile(member), member.version)


async def _all() -> AsyncIterator[Member]:
    after: uuid.UUID | None = None
    while True:
        async with reading() as session:
            members = await repository.page(session, after=after, limit=_BATCH)
        for member in members:
            yield member
        if len(members) < _BATCH:
            return
        after = members[-1].id
