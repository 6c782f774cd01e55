"""Routes about all posts at once, for the staff: what is planned."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Query

from app.authz.routing import Granted, GuardedRouter
from app.core.http.problems import DatabaseUnavailable, responses
from app.core.lazy import lazy_import
from app.posts.schemas import Calendar, CalendarQuery

if TYPE_CHECKING:
    from app.posts import calendar
else:
    calendar = lazy_import("app.posts.calendar")

editorial = GuardedRouter("/v1/editor", "editorial: posts")


@editorial.get("/calendar", action="post:list", responses=responses(DatabaseUnavailable))
async def read_calendar(granted: Granted, query: Annotated[CalendarQuery, Query()]) -> Calendar:
    """List the publications and ends that are planned for the posts that you may see, the earliest first."""
    return await calendar.planned(query, granted)
