"""The calendar: planned publications and ends of posts."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, func, or_, select

from app.authz.grant import Grant
from app.core.database.engine import reading
from app.posts.editing import listing
from app.posts.models import PUBLISHED, SCHEDULED, Post, PostRevision
from app.posts.schemas import Calendar, CalendarQuery, PlannedStep

_MOST = 500


async def planned(query: CalendarQuery, granted: Grant) -> Calendar:
    """Return the publications and ends that are planned in a time, of the posts that the caller may see."""
    shown = and_(
        PostRevision.post_id == Post.id,
        PostRevision.number == func.coalesce(Post.scheduled_revision, Post.revision),
    )
    within = (
        and_(
            column.is_not(None),
            *((column >= query.since,) if query.since else ()),
            *((column < query.until,) if query.until else ()),
        )
        for column in (Post.scheduled_at, Post.unpublish_at)
    )
    statement = (
        select(Post, PostRevision.title)
        .join(PostRevision, shown)
        .where(Post.state.in_((SCHEDULED, PUBLISHED)), or_(*within), *listing.visible(granted))
        .order_by(func.coalesce(Post.scheduled_at, Post.unpublish_at), Post.id)
        .limit(_MOST + 1)
    )
    async with reading() as session:
        found = [(post, title) for post, title in await session.execute(statement)]
    steps = (step for post, title in found[:_MOST] for step in _steps(post, title))
    kept = [
        s
        for s in steps
        if (not query.since or s.at >= query.since) and (not query.until or s.at < query.until)
    ]
    return Calendar(items=sorted(kept, key=lambda step: step.at), complete=len(found) <= _MOST)


def _steps(post: Post, title: str) -> Iterator[PlannedStep]:
    shared: dict[str, Any] = {
        "post_id": post.id,
        "slug": post.shown_slug,
        "lang": post.lang,
        "category": post.scheduled_category or post.category,
        "state": post.state,
        "title": title,
    }
    if post.scheduled_at:
        plan = {
            "at": post.scheduled_at,
            "at_zoned": post.scheduled_at_zoned,
            "revision": post.scheduled_revision,
        }
        yield PlannedStep.model_validate(shared | plan | {"step": "publish"})
    if post.unpublish_at:
        end = {"at": post.unpublish_at, "at_zoned": post.unpublish_at_zoned, "revision": None}
        yield PlannedStep.model_validate(shared | end | {"step": "unpublish"})
