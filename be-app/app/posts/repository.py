"""Queries on posts."""

import re
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy import update as update_statement
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, with_expression
from sqlalchemy.orm.exc import StaleDataError

from app.core.http.problems import PreconditionFailed, ValidationFailed
from app.core.messages import marked
from app.posts import shares
from app.posts.errors import SlugTaken, TranslationExists
from app.posts.models import PUBLISHED, SCHEDULED, FormerSlug, Post, PostRevision
from app.uploads.references import Use

CURRENT = and_(PostRevision.post_id == Post.id, PostRevision.number == Post.revision)
"""Joins posts with their newest revisions."""
_PLANNED = Post.state.in_((SCHEDULED, PUBLISHED))
_PUBLIC = and_(PostRevision.post_id == Post.id, PostRevision.number == Post.published_revision)

FILES = (PostRevision.attachments, PostRevision.thumbnail, PostRevision.pictures)
"""References to files: a list, one or none, and a list or none."""

USES = 10
"""Most uses of a file that are named."""

_Search = Select[Post, PostRevision, str | None, int]

_WORD = re.compile(r"\w+")
_TRIGRAMS = text("posts.rowid IN (SELECT rowid FROM post_search WHERE post_search MATCH :phrases)")
_NGRAMS = text("MATCH (posts.search_text) AGAINST (:phrases IN BOOLEAN MODE)")


async def current(
    session: AsyncSession, post_id: uuid.UUID, reader: str = ""
) -> tuple[Post, PostRevision] | None:
    """Return a post with its current revision, and with a reader's share of it."""
    found = (
        await session.execute(
            select(Post, PostRevision)
            .options(
                with_expression(Post.wish_is_taken, _taken(Post.id, Post.wished_slug)), shares.of(reader)
            )
            .join(PostRevision, CURRENT)
            .where(Post.id == post_id)
        )
    ).first()
    return found and (found[0], found[1])


async def slug_is_taken(session: AsyncSession, post_id: uuid.UUID, slug: str) -> bool:
    """Return whether another post has a slug, or had it while it was public."""
    return bool(await session.scalar(select(_taken(literal(post_id), literal(slug)))))


def _taken(post_id: Any, slug: Any) -> ColumnElement[bool]:
    other = aliased(Post)
    has = exists().where(other.slug == slug, other.id != post_id)
    had = exists().where(FormerSlug.slug == slug, FormerSlug.post_id != post_id)
    return or_(has, had)


async def former_slugs(session: AsyncSession, posts: Sequence[uuid.UUID]) -> Sequence[FormerSlug]:
    """Return the slugs under which posts were public before."""
    return (await session.scalars(select(FormerSlug).where(FormerSlug.post_id.in_(posts)))).all()


async def revision(session: AsyncSession, post_id: uuid.UUID, number: int) -> PostRevision | None:
    """Return one revision."""
    return await session.get(PostRevision, (post_id, number))


async def revision_of_version(session: AsyncSession, post_id: uuid.UUID, version: int) -> PostRevision | None:
    """Return the revision that was current at a version of a post; None where that isn't known."""
    at_least = select(PostRevision).where(
        PostRevision.post_id == post_id, PostRevision.post_version <= version
    )
    return (await session.scalars(at_least.order_by(PostRevision.number.desc()).limit(1))).first()


async def files(session: AsyncSession, post_id: uuid.UUID) -> list[dict[str, Any]]:
    """Return the references to files of every revision of a post, newest first."""
    of_post = select(*FILES).where(PostRevision.post_id == post_id)
    rows = await session.execute(of_post.order_by(PostRevision.number.desc()))
    return [
        file
        for attachments, thumbnail, pictures in rows
        for file in (*attachments, thumbnail, *(pictures or ()))
        if file
    ]


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


async def wishing(session: AsyncSession, post: Post, group: uuid.UUID, reader: str = "") -> Sequence[Post]:
    """Return the other posts that have or wish for a post's place in a group, with a reader's share of each."""
    of_group = or_(Post.translation_key == group, Post.wished_translation_key == group)
    others = select(Post).where(of_group, Post.lang == post.lang, Post.id != post.id)
    query = others.options(shares.of(reader))
    return (await session.scalars(query)).all()


async def shows(session: AsyncSession, upload: uuid.UUID) -> bool:
    """Return whether a post that is public now names a file.

    Revisions keep references as JSON, so this reads all public ones: a site has thousands, and an editor seldom names
    a file of somebody else.
    """
    query = (
        select(Post.id).join(PostRevision, _PUBLIC).where(Post.state == PUBLISHED, _names(upload)).limit(1)
    )
    return (await session.execute(query)).first() is not None


def _names(upload: uuid.UUID) -> ColumnElement[bool]:
    return or_(*(cast(column, String).like(f'%"{upload}"%') for column in FILES))


async def publicly_naming(
    session: AsyncSession, upload: uuid.UUID, limit: int
) -> list[tuple[Post, PostRevision]]:
    """Return posts that are public now, with their public revisions, that name a file."""
    query = select(Post, PostRevision).join(PostRevision, _PUBLIC)
    query = query.where(Post.state == PUBLISHED, _names(upload)).order_by(Post.id).limit(limit)
    return [(post, revision) for post, revision in await session.execute(query)]


async def media(session: AsyncSession, post_id: uuid.UUID) -> dict[str, Any]:
    """Return the pictures that a post shows to the public."""
    return await session.scalar(select(Post.media).where(Post.id == post_id)) or {}


async def media_in_use(session: AsyncSession, digests: Collection[str]) -> dict[str, Any]:
    """Return those of the pictures that any post shows to the public. This reads the pictures of all posts."""
    mentions = or_(*(cast(Post.media, String).like(f'%"{digest}"%') for digest in digests))
    found = await session.scalars(select(Post.media).where(mentions))
    return {digest: file for shown in found for digest, file in (shown or {}).items() if digest in digests}


async def due(session: AsyncSession, at: datetime, limit: int) -> Sequence[uuid.UUID]:
    """Return the posts whose time to be published has come, earliest first."""
    query = select(Post.id).where(_PLANNED, Post.scheduled_at <= at)
    return (await session.scalars(query.order_by(Post.scheduled_at).limit(limit))).all()


async def ending(session: AsyncSession, at: datetime, limit: int) -> Sequence[uuid.UUID]:
    """Return the published posts whose time to be taken back has come, earliest first."""
    query = select(Post.id).where(Post.state == PUBLISHED, Post.unpublish_at <= at)
    return (await session.scalars(query.order_by(Post.unpublish_at).limit(limit))).all()


async def planned(session: AsyncSession) -> set[datetime]:
    """Return the times at which posts are to be published or taken back."""
    rows = await session.execute(select(Post.scheduled_at, Post.unpublish_at).where(_PLANNED))
    return {at for row in rows for at in row if at}


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


class Hit(NamedTuple):
    """A post that a search finds, with its public revision and text, and how many of the words its title holds."""

    post: Post
    revision: PostRevision
    plain_text: str | None
    rank: int


async def search(
    session: AsyncSession,
    words: Sequence[str],
    *,
    lang: str,
    category: str | None,
    before: tuple[int, datetime, uuid.UUID] | None,
    limit: int,
) -> list[Hit]:
    """Return published posts whose text holds every word, ranked lower or older than `before`.

    Posts with more of the words in their titles are first; then the newest. Words must be folded as the stored text
    is. A match is a substring everywhere; an index narrows the search where there is one: ngram FULLTEXT on MySQL,
    FTS5 trigrams on SQLite, none on MariaDB.
    """
    title_end = func.instr(Post.search_text, "\n")
    in_title = (func.instr(Post.search_text, word).between(1, title_end) for word in words)
    none: ColumnElement[int] = literal_column("0")
    rank = sum((case((found, 1), else_=0) for found in in_title), start=none)
    query = (
        select(Post, PostRevision, Post.plain_text, rank)
        .join(PostRevision, _PUBLIC)
        .where(Post.state == PUBLISHED, Post.lang == lang)
    )
    if category is not None:
        query = query.where(Post.published_category == category)
    if before is not None:
        ranked, at, post_id = before
        older = or_(Post.first_published_at < at, and_(Post.first_published_at == at, Post.id < post_id))
        query = query.where(or_(rank < ranked, and_(rank == ranked, older)))
    for word in words:
        query = query.where(Post.search_text.contains(word, autoescape=True))
    query = _narrowed(query, session, words)
    newest = (Post.first_published_at.desc(), Post.id.desc())
    rows = await session.execute(query.order_by(rank.desc(), *newest).limit(limit))
    return [Hit(*row) for row in rows]


def _narrowed(
    query: Select[*tuple[Any, ...]], session: AsyncSession, words: Sequence[str]
) -> Select[*tuple[Any, ...]]:
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


async def displace(session: AsyncSession, post: Post, **values: Any) -> None:
    """Change a post without raising its version."""
    # Past the mapper, so that the version stays: to its author, nothing about the post has changed.
    statement = update_statement(Post).where(Post.id == post.id).values(values)
    await session.execute(statement, execution_options={"synchronize_session": False})


async def flush(session: AsyncSession) -> None:
    """Send the changes; translate what another editor's commit made impossible."""
    try:
        await session.flush()
    except StaleDataError:
        raise PreconditionFailed from None
    except IntegrityError as error:
        reason = str(error.orig).lower()
        if "foreign key" in reason:
            raise ValidationFailed.on(
                "body.category", "unknown_category", marked("This category does not exist.")
            ) from None
        if "translation_key" in reason:
            raise TranslationExists from None
        raise SlugTaken from None


async def naming_upload(session: AsyncSession, upload_id: uuid.UUID, *, ever: bool) -> list[Use]:
    """Return posts whose current or public revision names a file, or with `ever`, any revision: ten at most.

    Revisions keep references as JSON, so this reads them all: a site has thousands, and files are seldom deleted.
    """
    columns = select(Post.id, PostRevision.title, Post.created_by, Post.first_published_at)
    query = columns.join(Post, Post.id == PostRevision.post_id).where(_names(upload_id))
    if not ever:
        query = query.where(
            or_(PostRevision.number == Post.revision, PostRevision.number == Post.published_revision)
        )
    rows = await session.execute(query.order_by(Post.id, PostRevision.number).limit(USES))
    return list(
        {
            post: Use(title, owner, public_at is None, text=post) for post, title, owner, public_at in rows
        }.values()
    )
