"""Routes of members, and of their sessions as admins see them."""

import uuid
from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Query, Response

from app.auth.errors import Forbidden, StepUpRequired
from app.auth.schemas import Sessions
from app.authz import guard
from app.authz.routing import Actor, Granted, GuardedRouter
from app.core.http.pagination import Page
from app.core.http.preconditions import CONFLICTS, VERSION, IfMatch, etag
from app.core.http.problems import DatabaseUnavailable, NotFound, StoreUnavailable, merged, responses
from app.core.lazy import lazy_import
from app.members.errors import FormerMember
from app.members.schemas import MemberOut, MemberQuery, RoleChange

if TYPE_CHECKING:
    from app.members import service
else:
    service = lazy_import("app.members.service")

staff = GuardedRouter("/v1/members", "members")

MemberId = Annotated[uuid.UUID, Path(description="The member's id.")]
SessionId = Annotated[uuid.UUID, Path(description="The session's id.")]
STORES = responses(NotFound, DatabaseUnavailable, StoreUnavailable)
ENDINGS = STORES | responses(Forbidden, StepUpRequired)
CHANGES = merged(CONFLICTS, ENDINGS, responses(FormerMember))


@staff.get("", action="member:list", responses=responses(DatabaseUnavailable))
async def list_members(granted: Granted, query: Annotated[MemberQuery, Query()]) -> Page[MemberOut]:
    """List everybody who ever logged in; only admins learn more than names."""
    return await service.listed(query, granted)


def _answer(response: Response, member: MemberOut) -> MemberOut:
    assert member.version is not None  # noqa: S101 - only lists leave fields out
    response.headers["ETag"] = etag(member.version)
    return member


@staff.get("/{member_id}", action="member:read", responses=VERSION | STORES)
async def read_member(actor: Actor, member_id: MemberId, response: Response) -> MemberOut:
    """Read a member, with the ETag that every change must quote."""
    return _answer(response, await service.read(member_id, actor))


@staff.put("/{member_id}/role", action="member:set-role", responses=CHANGES)
async def set_role(
    actor: Actor,
    member_id: MemberId,
    body: RoleChange,
    if_match: IfMatch,
    response: Response,
) -> MemberOut:
    """Make a member something else, at once. Needs a second factor proven in the last five minutes."""
    return _answer(response, await service.set_role(member_id, body.role, if_match, actor))


@staff.post("/{member_id}/disable", action="member:disable", responses=CHANGES)
async def disable_member(
    actor: Actor,
    member_id: MemberId,
    if_match: IfMatch,
    response: Response,
) -> MemberOut:
    """Lock a member out and end their sessions. Needs a second factor proven in the last five minutes."""
    return _answer(response, await service.set_disabled(member_id, if_match, actor, disabled=True))


@staff.post("/{member_id}/enable", action="member:enable", responses=CHANGES)
async def enable_member(
    actor: Actor,
    member_id: MemberId,
    if_match: IfMatch,
    response: Response,
) -> MemberOut:
    """Let a member in again. Needs a second factor proven in the last five minutes."""
    return _answer(response, await service.set_disabled(member_id, if_match, actor, disabled=False))


@staff.post("/{member_id}/erase", action="member:erase", responses=CHANGES)
async def erase_member(
    actor: Actor,
    member_id: MemberId,
    if_match: IfMatch,
    response: Response,
) -> MemberOut:
    """Erase name and e-mail address of a member who left, for good, and end their sessions.

    Needs a second factor proven in the last five minutes. Who logs in again later has no role.
    """
    return _answer(response, await service.erase(member_id, if_match, actor))


@staff.get("/{member_id}/sessions", action="session:list-any", responses=STORES)
async def list_member_sessions(actor: Actor, member_id: MemberId) -> Sessions:
    """List a member's sessions, the one used last first."""
    (actions,) = guard.allowed(actor, [{"type": "session", "owner": str(member_id)}])
    return Sessions.of(await service.sessions_of(member_id), actor.session.session, actions)


@staff.delete("/{member_id}/sessions", action="session:end-any", status_code=204, responses=ENDINGS)
async def end_member_sessions(actor: Actor, member_id: MemberId) -> None:
    """End every session of a member. Needs a second factor proven in the last five minutes."""
    await service.end_sessions(member_id, None, actor)


@staff.delete(
    "/{member_id}/sessions/{session_id}", action="session:end-any", status_code=204, responses=ENDINGS
)
async def end_member_session(actor: Actor, member_id: MemberId, session_id: SessionId) -> None:
    """End one session of a member. Needs a second factor proven in the last five minutes."""
    await service.end_sessions(member_id, session_id, actor)
