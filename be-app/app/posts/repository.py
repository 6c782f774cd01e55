"""Queries on posts."""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.posts.models import DRAFT, PUBLISHED, SCHEDULED, Post, PostRevision

_CURRENT = and_(PostRevision.post_id == Post.id, PostRevision.number == Post.revision)
_PUBLIC = and_(PostRevision.post_id == Post.id, PostRevision.number == Post.published_revision)

_WORD = re.compile(r"\w+")
_TRIGRAMS = text("posts.rowid IN (SELECT rowid FROM post_search WHERE post_search MATCH :phrases)")
_NGRAMS = text("MATCH (posts.search_text) AGAINST (:phrases IN BOOLEAN MODE)")


async def current(session: AsyncSession, post_id: uuid.UUID) -> tuple[Post, PostRevision] | None:
    """Return a post with its current revision."""
    found = (
        await session.execute(
            select(Post, PostRevision).join(PostRevision, _CURRENT).where(Post.id == post_id)
        )
    ).first()
    return found and (found[0], found[1])


async def revision(session: AsyncSession, post_id: uuid.UUID, number: int) -> PostRevision | None:
    """Return one revision."""
    return await session.get(PostRevision, (post_id, number))


async def files(session: AsyncSession, post_id: uuid.UUID) -> list[dict[str, Any]]:
    """Return the references to files of every revision of a post, newest first."""
    columns = select(PostRevision.attachments, PostRevision.thumbnail)
    rows = await session.execute(
        columns.where(PostRevision.post_id == post_id).order_by(PostRevision.number.desc())
    )
    return [file for attachments, thumbnail in rows for file in (*attachments, thumbnail) if file]


async def history(session: AsyncSession, post_id: uuid.UUID) -> Sequence[Row[int, str, str, datetime]]:
    """Return number, title, author and time of every revision, newest first."""
    columns = select(
        PostRevision.number, PostRevision.title, PostRevision.created_by, PostRevision.created_at
    )
    return (
        await session.execute(
            columns.where(PostRevision.post_id == post_id).order_by(PostRevision.number.desc())
        )
    ).all()


async def page(
    session: AsyncSession,
    *,
    state: str | None,
    lang: str | None,
    category: str | None,
    before: uuid.UUID | None,
    limit: int,
    drafts_of: str | None = None,
) -> list[tuple[Post, str]]:
    """Return posts in any state with their current titles, newest created first, older than `before`.

    Of drafts that never were public only those of `drafts_of`, where it is given.
    """
    query = select(Post, PostRevision.title).join(PostRevision, _CURRENT)
    for column, value in ((Post.state, state), (Post.lang, lang), (Post.category, category)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(Post.id < before)
    if drafts_of is not None:
        shared = or_(Post.state != DRAFT, Post.first_published_at.is_not(None))
        query = query.where(or_(shared, Post.created_by == drafts_of))
    return [
        (post, title) for post, title in await session.execute(query.order_by(Post.id.desc()).limit(limit))
    ]


async def due(session: AsyncSession, at: datetime, limit: int) -> Sequence[uuid.UUID]:
    """Return the scheduled posts whose time has come, earliest first."""
    query = select(Post.id).where(Post.state == SCHEDULED, Post.scheduled_at <= at)
    return (await session.scalars(query.order_by(Post.scheduled_at).limit(limit))).all()


async def scheduled(session: AsyncSession) -> Sequence[datetime]:
    """Return the times at which posts are scheduled."""
    query = select(Post.scheduled_at).where(Post.state == SCHEDULED, Post.scheduled_at.is_not(None))
    return [at for at in await session.scalars(query) if at]


async def once_published(
    session: AsyncSession, *, after: uuid.UUID | None, limit: int
) -> list[tuple[Post, PostRevision | None]]:
    """Return posts that were ever public, by id, each with its public revision if it has one."""
    query = (
        select(Post, PostRevision)
        .outerjoin(PostRevision, _PUBLIC)
        .where(Post.first_published_at.is_not(None))
    )
    if after is not None:
        query = query.where(Post.id > after)
    return [
        (post, revision) for post, revision in await session.execute(query.order_by(Post.id).limit(limit))
    ]


async def search(
    session: AsyncSession,
    words: Sequence[str],
    *,
    lang: str,
    category: str | None,
    before: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[tuple[Post, PostRevision]]:
    """Return published posts whose text holds every word, newest first, older than `before`.

    Words must be folded as the stored text is. A match is a substring everywhere; an index narrows the search
    where there is one: ngram FULLTEXT on MySQL, FTS5 trigrams on SQLite, none on MariaDB.
    """
    query = (
        select(Post, PostRevision)
        .join(PostRevision, _PUBLIC)
        .where(Post.state == PUBLISHED, Post.lang == lang)
    )
    if category is not None:
        query = query.where(Post.published_category == category)
    if before is not None:
        at, post_id = before
        query = query.where(
            or_(Post.first_published_at < at, and_(Post.first_published_at == at, Post.id < post_id))
        )
    for word in words:
        query = query.where(Post.search_text.contains(word, autoescape=True))
    query = _narrowed(query, session, words)
    rows = await session.execute(query.order_by(Post.first_published_at.desc(), Post.id.desc()).limit(limit))
    return [(post, revision) for post, revision in rows]


def _narrowed(
    query: Select[Post, PostRevision], session: AsyncSession, words: Sequence[str]
) -> Select[Post, PostRevision]:
    dialect = session.get_bind().dialect
    if dialect.name == "sqlite":
        condition, shortest, join = _TRIGRAMS, 3, " AND "
    elif getattr(dialect, "is_mariadb", False):
        return query
    else:
        condition, shortest, join = _NGRAMS, 2, " "
    # An index can't find less than its grams, and operators or quotes must not reach its query language; the
    # substring conditions beside it decide about those.
    runs = [run for word in words for run in _WORD.findall(word) if len(run) >= shortest]
    if not runs:
        return query
    mark = "+" if condition is _NGRAMS else ""
    return query.where(condition.bindparams(phrases=join.join(f'{mark}"{run}"' for run in runs)))
