"""Stored posts, read in bulk: two statements for hundreds of posts, not one for each."""

import uuid
from collections.abc import Collection, Iterator
from itertools import count
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, or_, select

from app.core.database.engine import reading
from app.posts.models import Post, PostRevision
from app.posts.publication import claims

BATCH = 500
"""Maximum number of posts that one statement selects."""


class Stored(NamedTuple):
    """A post, its newest revision, and the one that is public, if any."""

    post: Post
    newest: PostRevision
    public: PostRevision | None


class Address(NamedTuple):
    """Posts that exist already, by the keys of an import."""

    id: uuid.UUID
    slug: str
    lang: str
    translation_key: uuid.UUID


async def addresses() -> list[Address]:
    """Return every post's address, by slug: the slug that it has, else the one that it wishes for.

    Where several wish for one, the oldest gets it here, and the others one with a number.
    """
    columns = select(Post.id, Post.slug, Post.wished_slug, Post.lang, Post.translation_key).order_by(Post.id)
    async with reading() as session:
        posts = (await session.execute(columns)).all()
    taken = {post.slug for post in posts}
    found = []
    for post_id, slug, wished, lang, key in posts:
        if slug == claims.placeholder(post_id) and wished:
            slug = next(name for name in _numbered(wished) if name not in taken)  # noqa: PLW2901
            taken.add(slug)
        found.append(Address(post_id, slug, lang, key))
    return sorted(found, key=lambda address: address.slug)


def _numbered(slug: str) -> Iterator[str]:
    yield slug
    for number in count(2):
        yield f"{slug[:110].rstrip('-')}-{number}"


async def by_slug(slugs: Collection[str]) -> dict[str, Stored]:
    """Return those of at most `BATCH` posts that exist, by their slugs; the oldest of those that wish for one."""
    found = await _read(or_(Post.slug.in_(slugs), Post.wished_slug.in_(slugs)))
    found.sort(key=lambda stored: stored.post.id, reverse=True)
    wishing = {stored.post.wished_slug: stored for stored in found if stored.post.wished_slug}
    return wishing | {stored.post.slug: stored for stored in found}


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
