"""Routes about all posts at once, for the staff: the calendar and the views."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Query

from app.authz.routing import Granted, GuardedRouter
from app.core.http.problems import DatabaseUnavailable, StoreUnavailable, responses
from app.core.lazy import lazy_import
from app.posts.schemas import Calendar, CalendarQuery, ViewFigures, ViewsQuery

if TYPE_CHECKING:
    from app.posts.publication import calendar, view_counts
else:
    calendar = lazy_import("app.posts.publication.calendar")
    view_counts = lazy_import("app.posts.publication.view_counts")

editorial = GuardedRouter("/v1/editor", "editorial: posts")


@editorial.get("/calendar", action="post:list", responses=responses(DatabaseUnavailable))
async def read_calendar(granted: Granted, query: Annotated[CalendarQuery, Query()]) -> Calendar:
    """List the publications and ends that are planned for the posts that you may see, the earliest first."""
    return await calendar.planned(query, granted)


@editorial.get("/views", action="post:list", responses=responses(DatabaseUnavailable, StoreUnavailable))
async def read_views(granted: Granted, query: Annotated[ViewsQuery, Query()]) -> ViewFigures:
    """Learn how often each post was viewed on each day of a week."""
    return await view_counts.week(query.weeks_ago, granted)
