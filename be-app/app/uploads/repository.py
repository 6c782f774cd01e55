"""Queries on files."""

import uuid
from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.uploads.models import Attachment


async def by_ids(session: AsyncSession, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Attachment]:
    """Return the files among `ids` that exist, by id."""
    if not ids:
        return {}
    found = await session.scalars(select(Attachment).where(Attachment.id.in_(ids)))
    return {attachment.id: attachment for attachment in found}
