"""Queries on previews."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.posts.models import Post, PostRevision
from app.previews.models import PreviewLink


async def of_post(session: AsyncSession, post_id: uuid.UUID, at: datetime) -> Sequence[PreviewLink]:
    """Return the links of a post that haven't expired at a time, newest first."""
    query = select(PreviewLink).where(PreviewLink.post_id == post_id, PreviewLink.expires_at > at)
    return (await session.scalars(query.order_by(PreviewLink.id.desc()))).all()


async def read(session: AsyncSession, post_id: uuid.UUID, preview_id: uuid.UUID) -> PreviewLink | None:
    """Return a link of a post."""
    query = select(PreviewLink).where(PreviewLink.id == preview_id, PreviewLink.post_id == post_id)
    return (await session.scalars(query)).one_or_none()


async def shown(
    session: AsyncSession, token_hash: str, at: datetime
) -> tuple[PreviewLink, Post, PostRevision] | None:
    """Return the link of a token that hasn't expired at a time, with its post and revision."""
    of_link = (PostRevision.post_id == PreviewLink.post_id) & (PostRevision.number == PreviewLink.revision)
    query = (
        select(PreviewLink, Post, PostRevision)
        .join(Post, Post.id == PreviewLink.post_id)
        .join(PostRevision, of_link)
        .where(PreviewLink.token_hash == token_hash, PreviewLink.expires_at > at)
    )
    found = (await session.execute(query)).first()
    return found and (found[0], found[1], found[2])


async def delete_of_maker(session: AsyncSession, member: str) -> None:
    """Delete the links that a member made."""
    await session.execute(delete(PreviewLink).where(PreviewLink.created_by == member))


async def delete_expired(session: AsyncSession, post_id: uuid.UUID, at: datetime) -> None:
    """Delete the links of a post that have expired at a time."""
    of_post = (PreviewLink.post_id == post_id, PreviewLink.expires_at <= at)
    await session.execute(delete(PreviewLink).where(*of_post))
