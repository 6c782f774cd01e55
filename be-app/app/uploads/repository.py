"""Queries on files."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database.engine import writing
from app.uploads.models import CLEAN, Attachment, Upload, UploadUsage


async def by_ids(session: AsyncSession, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Attachment]:
    """Return the files among `ids` that exist, by id."""
    if not ids:
        return {}
    found = await session.scalars(select(Attachment).where(Attachment.id.in_(ids)))
    return {attachment.id: attachment for attachment in found}


async def pictures(session: AsyncSession, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Upload]:
    """Return the images with renditions among `ids`, by id."""
    if not ids:
        return {}
    query = select(Upload).where(Upload.id.in_(ids), Upload.state == CLEAN, Upload.picture.is_not(None))
    return {upload.id: upload for upload in await session.scalars(query)}


async def shared(session: AsyncSession, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of the uploads that are in the library."""
    query = select(Upload.id).where(Upload.id.in_(ids), Upload.state == CLEAN, Upload.shared)
    return set(await session.scalars(query))


async def upload(session: AsyncSession, upload_id: uuid.UUID) -> Upload | None:
    """Return an upload."""
    return await session.get(Upload, upload_id)


async def holder(session: AsyncSession, place: uuid.UUID) -> uuid.UUID:
    """Return the upload whose file stands under an id: that upload, unless it has changed places with another."""
    query = select(Upload.id).where(Upload.stored_as == place)
    return await session.scalar(query) or place


async def locked(session: AsyncSession, upload_id: uuid.UUID) -> Upload | None:
    """Return an upload, locked until the transaction ends."""
    return await session.get(Upload, upload_id, with_for_update=True, populate_existing=True)


async def attachment(session: AsyncSession, upload_id: uuid.UUID) -> Attachment | None:
    """Return a file that may be attached."""
    return await session.get(Attachment, upload_id)


class NothingYet(Exception):
    """A member has never created an upload."""


async def usage(session: AsyncSession, owner: str) -> UploadUsage:
    """Return a member's usage, locked until the transaction ends.

    Raises `NothingYet` before their first file: `begin_usage` then, in a transaction of its own, because requests at
    the same time that read a row and create it in one transaction deadlock.
    """
    found = await session.get(UploadUsage, owner, with_for_update=True)
    if found is None:
        raise NothingYet
    return found


async def begin_usage(owner: str) -> None:
    """Note that a member has no files yet, unless that was noted."""
    with suppress(IntegrityError):  # Another request of theirs was first.
        async with writing() as session:
            session.add(UploadUsage(owner=owner, bytes=0, under_way=0))


async def due(session: AsyncSession, at: datetime, limit: int) -> Sequence[uuid.UUID]:
    """Return uploads that must be advanced, longest due first."""
    query = select(Upload.id).where(Upload.due_at <= at).order_by(Upload.due_at).limit(limit)
    return (await session.scalars(query)).all()


async def dues(session: AsyncSession) -> Sequence[datetime]:
    """Return the times at which uploads must be advanced."""
    query = select(Upload.due_at).where(Upload.due_at.is_not(None)).distinct()
    return [due for due in await session.scalars(query) if due]
