"""Queries on inquiries."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.inquiries.models import Inquiry, InquiryCategoryList
from app.inquiries.spam import Earlier


async def by_id(session: AsyncSession, inquiry_id: uuid.UUID) -> Inquiry | None:
    """Return one inquiry."""
    return await session.get(Inquiry, inquiry_id)


async def page(
    session: AsyncSession,
    *,
    before: uuid.UUID | None,
    limit: int,
    status: str | None = None,
    category: str | None = None,
    assignee: uuid.UUID | None = None,
    max_spam_score: int | None = None,
    min_spam_score: int | None = None,
    email: str | None = None,
) -> Sequence[Inquiry]:
    """Return inquiries, newest first, older than `before`; of an e-mail address whatever its letters' case."""
    query = select(Inquiry)
    if status is not None:
        query = query.where(Inquiry.status == status)
    if category is not None:
        query = query.where(Inquiry.category == category)
    if assignee is not None:
        query = query.where(Inquiry.assignee == assignee)
    if max_spam_score is not None:
        query = query.where(func.coalesce(Inquiry.spam_score, 0) <= max_spam_score)
    if min_spam_score is not None:
        query = query.where(func.coalesce(Inquiry.spam_score, 0) >= min_spam_score)
    if email is not None:
        # Compared by bytes, because databases disagree on which letters are equal. SQLite lowers ASCII's alone.
        spellings = {email.lower(), email.encode().lower().decode()}
        same = func.hex(func.lower(Inquiry.email)).in_([s.encode().hex().upper() for s in spellings])
        query = query.where(same)
    if before is not None:
        query = query.where(Inquiry.id < before)
    return (await session.scalars(query.order_by(Inquiry.id.desc()).limit(limit))).all()


async def by_ids(session: AsyncSession, ids: Sequence[uuid.UUID]) -> Sequence[Inquiry]:
    """Return those of several inquiries that there are."""
    return (await session.scalars(select(Inquiry).where(Inquiry.id.in_(ids)))).all()


async def after(session: AsyncSession, last: uuid.UUID | None, limit: int) -> Sequence[Inquiry]:
    """Return up to `limit` inquiries in the order of their ids."""
    query = select(Inquiry).order_by(Inquiry.id).limit(limit)
    if last is not None:
        query = query.where(Inquiry.id > last)
    return (await session.scalars(query)).all()


async def due(session: AsyncSession, at: datetime, limit: int) -> Sequence[uuid.UUID]:
    """Return the ids of inquiries that are to be destroyed by `at`, the longest due first."""
    query = select(Inquiry.id).where(Inquiry.destroy_at <= at).order_by(Inquiry.destroy_at).limit(limit)
    return (await session.scalars(query)).all()


async def unscheduled(session: AsyncSession, limit: int) -> Sequence[Inquiry]:
    """Return inquiries without a time of destruction."""
    return (await session.scalars(select(Inquiry).where(Inquiry.destroy_at.is_(None)).limit(limit))).all()


async def category_list(session: AsyncSession) -> InquiryCategoryList:
    """Return the list of categories, which the schema's migration has made."""
    return await session.get_one(InquiryCategoryList, 1)


async def latest(session: AsyncSession, since: datetime, limit: int) -> list[Earlier]:
    """Return what a new inquiry is compared with of those that came since."""
    # The latest by id, which the primary key finds; a condition on the time would read the whole table.
    query = (
        select(Inquiry.email, Inquiry.message, Inquiry.created_at).order_by(Inquiry.id.desc()).limit(limit)
    )
    rows = await session.execute(query)
    return [Earlier(row.email, row.message) for row in rows if row.created_at >= since]
