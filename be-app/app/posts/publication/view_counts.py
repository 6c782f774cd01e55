"""Views by day: at each day's end the counters of all public posts are copied, and differences are views of days.

So counting a view costs no further request. A day is one of the site's time zone. Copies last 400 days.
"""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, get_args

import orjson
from sqlalchemy import select

from app.authz.grant import Grant
from app.core.aws import dynamodb
from app.core.clock import now
from app.core.database.engine import reading
from app.core.days import day_of
from app.core.read_path import read_model
from app.core.settings import settings
from app.posts.editing import listing
from app.posts.fields import Lang
from app.posts.models import Post, PostRevision
from app.posts.repository import CURRENT
from app.posts.schemas import ViewFigures, ViewsOfPost

RETENTION = timedelta(days=400)
_AGGREGATE = "views"
_PARTS = 4
"""Items of a day's copy: an item has 400 KB, which is some 8,000 posts."""
_AT_ONCE = 8
_WEEK = 7
_MOST = 500


async def close_day(at: datetime) -> None:
    """Copy the counters as those at the end of the last day that is over; repeating it is harmless."""
    yesterday = day_of(at) - timedelta(days=1)
    copies = await _copies([yesterday - timedelta(days=n) for n in range(1, _WEEK + 1)])
    # A post that isn't public now may be so again, and was viewed before.
    totals = copies[max(copies)] if copies else {}
    async for post_id, views in _counted():
        totals[post_id] = views
    parts: list[dict[str, int]] = [{} for _ in range(_PARTS)]
    for post_id, views in totals.items():
        parts[uuid.UUID(post_id).int % _PARTS][post_id] = views
    expires = int((at + RETENTION).timestamp())
    for number, counts in enumerate(parts):
        item = _key(yesterday, number) | {"counts": orjson.dumps(counts).decode(), "expiresAt": expires}
        await dynamodb.call("put_item", TableName=settings().events_table, Item=dynamodb.encode(item))


async def week(weeks_ago: int, granted: Grant) -> ViewFigures:
    """Return how often posts were viewed on each of the last seven complete days, or of those weeks before."""
    until = day_of(now()) - timedelta(days=1, weeks=weeks_ago)
    days = [until - timedelta(days=n) for n in range(_WEEK, -1, -1)]
    copies = await _copies(days)
    by_post: dict[str, list[int]] = defaultdict(lambda: [0] * _WEEK)
    known: Mapping[str, int] | None = None
    for number, day in enumerate(days, -1):
        # Views of a day without a copy are those of the next that has one.
        if (copy := copies.get(day)) is None:
            continue
        for post_id, total in copy.items():
            if known is not None and (added := total - known.get(post_id, 0)) > 0:
                by_post[post_id][number] = added
        known = copy
    most = sorted(by_post, key=lambda post_id: (-sum(by_post[post_id]), post_id))
    titles = await _titles(most[:_MOST], granted)
    return ViewFigures(
        since=days[1],
        until=until,
        items=[
            ViewsOfPost.model_validate(
                titles[post_id] | {"views": sum(by_post[post_id]), "days": by_post[post_id]}
            )
            for post_id in most
            if post_id in titles
        ],
        complete=len(most) <= _MOST,
    )


async def _titles(post_ids: list[str], granted: Grant) -> dict[str, dict[str, Any]]:
    """Return what names each of some posts, of those that the caller may see."""
    statement = (
        select(Post, PostRevision.title)
        .join(PostRevision, CURRENT)
        .where(Post.id.in_(map(uuid.UUID, post_ids)), *listing.visible(granted))
    )
    async with reading() as session:
        return {
            str(post.id): {"post_id": post.id, "slug": post.shown_slug, "lang": post.lang, "title": title}
            for post, title in await session.execute(statement)
        }


async def _copies(days: list[date]) -> dict[date, dict[str, int]]:
    """Return the counters at the end of each of some days that has a copy, by post: one request."""
    keys = [dynamodb.encode(_key(day, number)) for day in days for number in range(_PARTS)]
    found = await dynamodb.get_all(settings().events_table, keys, consistent=False)
    copies: dict[date, dict[str, int]] = defaultdict(dict)
    for item in map(dynamodb.decode, found):
        copies[date.fromisoformat(item["sequence"].partition("#")[0])] |= orjson.loads(item["counts"])
    return copies


def _key(day: date, number: int) -> dict[str, str | int]:
    return {"aggregate": _AGGREGATE, "sequence": f"{day.isoformat()}#{number}"}


async def _counted() -> AsyncIterator[tuple[str, int]]:
    """Yield each public post that was viewed, and how often."""
    for lang in get_args(Lang):
        ids = [post_id async for post_id in read_model.query_keys("byLang", "lang", lang)]
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            found = await asyncio.gather(*map(read_model.with_counters, some))
            for post_id, (_, counters) in zip(some, found, strict=True):
                if counters["views"]:
                    yield post_id, counters["views"]
