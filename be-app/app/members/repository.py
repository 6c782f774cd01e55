"""Queries on members."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.members import addresses
from app.members.models import Member


async def by_id(session: AsyncSession, member_id: uuid.UUID) -> Member | None:
    """Return a member, or None."""
    return await session.get(Member, member_id)


async def by_email(session: AsyncSession, email: str) -> Sequence[Member]:
    """Return the members whose e-mail address is this one, or could be taken for it (`addresses.likeness`).

    Read in whole, because databases disagree on which letters are equal; there are as many as the company has staff.
    """
    alike = addresses.likeness(email)
    rows = await session.execute(select(Member.id, Member.email).where(Member.email != ""))
    ids = [row.id for row in rows if addresses.likeness(row.email) == alike]
    return (await session.scalars(select(Member).where(Member.id.in_(ids)).order_by(Member.id))).all()


async def page(session: AsyncSession, *, after: uuid.UUID | None, limit: int) -> Sequence[Member]:
    """Return up to `limit` members in the order of their ids."""
    query = select(Member).order_by(Member.id).limit(limit)
    if after is not None:
        query = query.where(Member.id > after)
    return (await session.scalars(query)).all()


async def is_present(session: AsyncSession, member_id: uuid.UUID) -> bool:
    """Return whether a member is there, and neither disabled nor erased."""
    member = await session.get(Member, member_id)
    return member is not None and member.disabled_at is None and member.erased_at is None
