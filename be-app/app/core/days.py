"""Days of the site's time zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SITE = "Asia/Seoul"
"""The zone of days, and of instants that were given by an offset alone."""


def day_of(at: datetime) -> date:
    """Return the day in which an instant lies."""
    return at.astimezone(ZoneInfo(SITE)).date()


def end_of_day(at: datetime) -> datetime:
    """Return the midnight that ends the day of an instant, in UTC."""
    return datetime.combine(day_of(at) + timedelta(days=1), time(), ZoneInfo(SITE)).astimezone(UTC)
