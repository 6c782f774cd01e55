"""Stored posts, read in bulk: two statements for hundreds of posts, not one for each."""

import uuid
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, select

from app.core.database.engine import reading
from app.posts.models import Post, PostRevision

BATCH = 500
"""How many posts one statement may select."""


class Stored(NamedTuple):
    """A post, its newest revision, and the one that is public, if any."""

    post: Post
    newest: PostRevision
    public: PostRevision | None


class Address(NamedTuple):
    """Which post is found where."""

    id: uuid.UUID
    slug: str
    lang: str
    translation_key: uuid.UUID


async def addresses() -> list[Address]:
    """Return every post's address, by slug."""
    columns = select(Post.id, Post.slug, Post.lang, Post.translation_key).order_by(Post.slug)
    async with reading() as session:
        return [Address(*row) for row in await session.execute(columns)]


async def by_slug(slugs: Collection[str]) -> list[Stored]:
    """Return those of at most `BATCH` posts that exist."""
    return await _read(Post.slug.in_(slugs))


async def by_id(ids: Collection[uuid.UUID]) -> list[Stored]:
    """Return those of at most `BATCH` posts that exist."""
    return await _read(Post.id.in_(ids))


async def _read(which: ColumnElement[bool]) -> list[Stored]:
    newest = and_(PostRevision.post_id == Post.id, PostRevision.number == Post.revision)
    public = and_(
        PostRevision.post_id == Post.id,
        PostRevision.number == Post.published_revision,
        Post.published_revision != Post.revision,
    )
    async with reading() as session:
        posts = await session.execute(select(Post, PostRevision).join(PostRevision, newest).where(which))
        older = await session.scalars(select(PostRevision).join(Post, public).where(which))
        superseded = {revision.post_id: revision for revision in older}
        return [
            Stored(
                post,
                revision,
                revision if post.published_revision == post.revision else superseded.get(post.id),
            )
            for post, revision in posts
        ]
