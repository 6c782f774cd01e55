"""Queries on inquiries."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.inquiries.models import Inquiry


async def by_id(session: AsyncSession, inquiry_id: uuid.UUID) -> Inquiry | None:
    """Return one inquiry."""
    return await session.get(Inquiry, inquiry_id)


async def page(
    session: AsyncSession, *, status: str | None, before: uuid.UUID | None, limit: int
) -> Sequence[Inquiry]:
    """Return inquiries, newest first, older than `before`."""
    query = select(Inquiry)
    if status is not None:
        query = query.where(Inquiry.status == status)
    if before is not None:
        query = query.where(Inquiry.id < before)
    return (await session.scalars(query.order_by(Inquiry.id.desc()).limit(limit))).all()
