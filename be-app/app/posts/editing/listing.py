"""Editors' lists: posts in any state, filtered, searched and sorted."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, String, and_, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.authz.grant import Grant
from app.posts import shares
from app.posts.models import Post, PostRevision
from app.posts.repository import CURRENT
from app.posts.schemas import EditorialQuery
from app.posts.text import searching

DATES: Final[Mapping[str, InstrumentedAttribute[Any]]] = {
    "created": Post.created_at,
    "updated": Post.updated_at,
    "published": Post.first_published_at,
}
Key = tuple[datetime, uuid.UUID]


def sort_key(post: Post, query: EditorialQuery) -> Key:
    """Return where a post stands in the list of a query."""
    return getattr(post, DATES[query.sort.removeprefix("-")].key), post.id


async def page(
    session: AsyncSession,
    query: EditorialQuery,
    granted: Grant,
    *,
    translated: Post | None,
    after: Key | None,
    limit: int,
) -> list[tuple[Post, str]]:
    """Return posts that the caller may see with their current titles, in the query's order, those beyond `after`.

    With `translated`, only the translations of that post.
    """
    columns = select(Post, PostRevision.title).options(shares.of(granted.subject.id))
    statement = columns.join(PostRevision, CURRENT).where(*visible(granted), *_conditions(query))
    if translated is not None:
        group = func.coalesce(Post.wished_translation_key, Post.translation_key)
        statement = statement.where(group == translated.shown_translation_key, Post.id != translated.id)
    found = await session.execute(_sorted(statement, query.sort, after).limit(limit))
    return [(post, title) for post, title in found]


def visible(granted: Grant) -> list[ColumnElement[bool]]:
    """Return the conditions for posts that the caller may see."""
    if not granted.obligations.get("ownDraftsOnly"):
        return []
    member = granted.subject.id
    return [or_(Post.first_published_at.is_not(None), Post.created_by == member, shares.with_member(member))]


def _conditions(query: EditorialQuery) -> list[ColumnElement[bool]]:
    equal: Sequence[tuple[ColumnElement[str] | InstrumentedAttribute[str], str | None]] = (
        (Post.state, query.state),
        (Post.lang, query.lang),
        (Post.category, query.category),
        (Post.created_by, query.author),
    )
    conditions = [column == value for column, value in equal if value is not None]
    dated = DATES[query.date]
    if query.since is not None:
        conditions.append(dated >= query.since)
    if query.until is not None:
        conditions.append(dated < query.until)
    if query.tag is not None:
        # The tag as JSON has it, with its quotes: a part of a tag is none. MySQL unescapes letters, the others don't.
        tags = cast(PostRevision.tags, String)
        spellings = {json.dumps(query.tag, ensure_ascii=escaped) for escaped in (False, True)}
        conditions.append(or_(*(tags.contains(tag, autoescape=True) for tag in spellings)))
    # No index helps to find a part of a text that isn't public: a site has thousands of posts, and few editors.
    texts = (PostRevision.title, PostRevision.excerpt, PostRevision.body)
    words = searching.words(query.q or "")
    return conditions + [or_(*(text.icontains(word, autoescape=True) for text in texts)) for word in words]


def _sorted(statement: Select[Post, str], sort: str, after: Key | None) -> Select[Post, str]:
    column, descending = DATES[sort.removeprefix("-")], sort.startswith("-")
    if column is Post.first_published_at:
        statement = statement.where(column.is_not(None))
    if after is not None:
        at, last = after
        beyond = (column < at, Post.id < last) if descending else (column > at, Post.id > last)
        statement = statement.where(or_(beyond[0], and_(column == at, beyond[1])))
    order = (column, Post.id)
    return statement.order_by(*(c.desc() for c in order) if descending else order)
