"""Sharing: authors let colleagues read, or also edit, a post that never was public, and take it back."""

import uuid
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.auth.subject import Subject
from app.core.clock import now
from app.core.database.engine import reading
from app.core.http.problems import ValidationFailed
from app.core.messages import marked
from app.core.write_path import outbox
from app.members import repository as members
from app.members.models import Member
from app.posts.editing.schemas import Share, Shares
from app.posts.models import PostShare
from app.posts.permission import allowed

SHARE = "post:share"


async def listed(post_id: uuid.UUID, actor: Subject) -> Shares:
    """Return with whom a post is shared."""
    async with reading() as session:
        await allowed(session, post_id, actor, SHARE)
        found = (await session.scalars(select(PostShare).where(PostShare.post_id == post_id))).all()
        ids = [uuid.UUID(share.member_id) for share in found]
        known = await session.execute(select(Member.id, Member.name).where(Member.id.in_(ids)))
        names = {str(row.id): row.name for row in known}
    return Shares(items=[_out(share, names.get(share.member_id, "")) for share in found])


async def grant(post_id: uuid.UUID, member_id: uuid.UUID, actor: Subject, *, can_edit: bool) -> Share:
    """Let a member read a post, or also edit it; replace what they had."""
    try:
        return await _grant(post_id, member_id, actor, can_edit=can_edit)
    except IntegrityError:  # Another request shared or deleted the post at the same moment.
        return await _grant(post_id, member_id, actor, can_edit=can_edit)


async def _grant(post_id: uuid.UUID, member_id: uuid.UUID, actor: Subject, *, can_edit: bool) -> Share:
    async with outbox.transaction() as transaction:
        session = transaction.session
        await allowed(session, post_id, actor, SHARE)
        member = await members.by_id(session, member_id)
        if member is None or not await members.is_present(session, member_id):
            raise ValidationFailed.on(
                "path.member_id", "unknown_member", marked("Choose a member who can log in.")
            )
        share = await session.get(PostShare, (post_id, str(member_id)))
        if share is None:
            share = PostShare(post_id=post_id, member_id=str(member_id), created_at=now())
            session.add(share)
        share.can_edit = can_edit
        _record(session, actor, "post.shared", post_id, member=str(member_id), canEdit=can_edit)
        await session.flush()
        return _out(share, member.name)


async def revoke(post_id: uuid.UUID, member_id: uuid.UUID, actor: Subject) -> None:
    """Take back what a member was let do to a post; taking it back twice is harmless."""
    async with outbox.transaction() as transaction:
        session = transaction.session
        await allowed(session, post_id, actor, SHARE)
        share = await session.get(PostShare, (post_id, str(member_id)))
        if share is not None:
            await session.delete(share)
            _record(session, actor, "post.unshared", post_id, member=str(member_id))


def _record(session: AsyncSession, actor: Subject, action: str, post_id: uuid.UUID, **detail: Any) -> None:
    audit.record(session, actor.id, action, f"post:{post_id}", **detail)


def _out(share: PostShare, name: str) -> Share:
    return Share(
        member_id=uuid.UUID(share.member_id),
        name=name,
        can_edit=share.can_edit,
        created_at=share.created_at,
    )
