"""Queries on the audit trail."""

import uuid
from collections.abc import Collection, Sequence

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.audit.models import AuditEntry

# Every post's entries begin with the one, and hold the other once it was public.
CREATED, PUBLISHED = "post.created", "post.published"


async def page(
    session: AsyncSession,
    *,
    target: str | None,
    kinds: Sequence[str] | None,
    drafts_of: str | None,
    shared: Collection[str],
    before: uuid.UUID | None,
    limit: int,
) -> Sequence[AuditEntry]:
    """Return up to `limit` entries, newest first, about `target` and about one of `kinds` where these are given.

    With `drafts_of`, nothing about posts that were never published, unless that member created them or they are
    `shared` with that member.
    """
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if target is not None:
        query = query.where(AuditEntry.target == target)
    if kinds is not None:
        query = query.where(or_(*(AuditEntry.target.startswith(f"{kind}:") for kind in kinds)))
    if drafts_of is not None:
        earlier = aliased(AuditEntry)
        own = and_(earlier.action == CREATED, earlier.actor == drafts_of)
        known = exists().where(earlier.target == AuditEntry.target, or_(earlier.action == PUBLISHED, own))
        query = query.where(or_(AuditEntry.target.not_like("post:%"), AuditEntry.target.in_(shared), known))
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return (await session.scalars(query)).all()


async def of_action(
    session: AsyncSession, action: str, *, after: uuid.UUID | None, limit: int
) -> Sequence[AuditEntry]:
    """Return up to `limit` entries about an action, oldest first."""
    query = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id).limit(limit)
    if after is not None:
        query = query.where(AuditEntry.id > after)
    return (await session.scalars(query)).all()


async def already(session: AsyncSession, action: str, targets: Collection[str]) -> set[str]:
    """Return those of some targets that an action was done to."""
    query = select(AuditEntry.target).where(AuditEntry.target.in_(targets), AuditEntry.action == action)
    return set(await session.scalars(query))
