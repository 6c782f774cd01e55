"""Queries on members."""

import uuid
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members.models import Member


async def by_id(session: AsyncSession, member_id: uuid.UUID) -> Member | None:
    """Return a member, or None."""
    return await session.get(Member, member_id)


async def by_email(session: AsyncSession, email: str) -> Sequence[Member]:
    """Return the members with an e-mail address, whatever its case; providers may share one."""
    return (await session.scalars(select(Member).where(func.lower(Member.email) == email.lower()))).all()


async def page(session: AsyncSession, *, after: uuid.UUID | None, limit: int) -> Sequence[Member]:
    """Return up to `limit` members in the order of their ids."""
    query = select(Member).order_by(Member.id).limit(limit)
    if after is not None:
        query = query.where(Member.id > after)
    return (await session.scalars(query)).all()
