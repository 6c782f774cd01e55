"""Instants with the name of a time zone, as `2026-12-01T09:00[Asia/Seoul]` (RFC 9557)."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidatorFunctionWrapHandler, WithJsonSchema, WrapValidator

from app.core.days import SITE
from app.core.http.schema import Instant, in_utc, refused
from app.core.lazy import lazy_import
from app.core.messages import marked

if TYPE_CHECKING:
    import zoneinfo
else:
    zoneinfo = lazy_import("zoneinfo")

# RFC 9557 §4.1: time-zone names; the flag `!` says what this parser does anyway, to refuse what doesn't fit.
_ZONED = re.compile(r"([0-9T:.-]{10,26}?)(Z|[+-][0-9]{2}:[0-9]{2})?\[!?([A-Za-z._][A-Za-z0-9._+/-]{0,63})\]")


def _in_zone(value: Any, validated: ValidatorFunctionWrapHandler) -> datetime:
    """Return an instant in the zone that it names, in UTC where it has an offset alone."""
    matched = _ZONED.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        at: datetime = validated(value)
        return at
    local, offset, name = matched.groups()
    zone = _zone(name)
    if offset is None:
        return _unambiguous(validated(f"{local}Z").replace(tzinfo=None), zone)
    try:
        given: datetime = validated(f"{local}{offset}").astimezone(zone)
    except OverflowError:
        raise refused("out_of_range", marked("Enter a date between the years 1 and 9999.")) from None
    # With `Z` the local offset is not known, and so can't differ (RFC 9557 §2.2).
    if offset != "Z" and given.replace(tzinfo=UTC) != validated(f"{local}Z"):
        raise refused("offset_mismatch", marked("The time zone has another offset at this time."))
    return given


def _zone(name: str) -> "zoneinfo.ZoneInfo":
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise refused(
            "unknown_zone", marked("Use a name of the time-zone database, such as Asia/Seoul.")
        ) from None


def _unambiguous(local: datetime, zone: "zoneinfo.ZoneInfo") -> datetime:
    """Return when a clock of the zone shows a time; refuse times that it shows twice or never."""
    at = local.replace(tzinfo=zone)
    if at.utcoffset() != at.replace(fold=1).utcoffset():
        raise refused(
            "clock_change",
            marked("Clocks change at this time: give its offset, too, or choose another time."),
        )
    in_utc(at)
    return at


ZonedInstant = Annotated[
    Instant,
    WrapValidator(_in_zone),
    WithJsonSchema({"type": "string", "maxLength": 120}),
    Field(
        description="An instant with its offset (`2026-12-01T09:00:00+09:00`), or a local time with the name of its "
        "zone in brackets (`2026-12-01T09:00[Asia/Seoul]`, RFC 9557)."
    ),
]
"""An aware instant, in the zone that it names; of one with an offset alone the zone is UTC."""


def name_of(at: datetime) -> str:
    """Return the name of an instant's zone; the site's where it was given by an offset."""
    return at.tzinfo.key if isinstance(at.tzinfo, zoneinfo.ZoneInfo) else SITE


def shown(at: datetime | None, zone: str | None) -> str | None:
    """Return an instant with the offset and the name of a zone, by default the site's; None stays None."""
    if at is None:
        return None
    name = zone or SITE
    try:
        return f"{at.astimezone(zoneinfo.ZoneInfo(name)).isoformat()}[{name}]"
    except OverflowError:  # The last hours of the year 9999, in a zone where it is over.
        return f"{at.isoformat()}[UTC]"
