"""Dates as people and generators write them."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

_DATE = re.compile(
    r"(\d{4})(?:[-/.]|년 ?)[ ]?(\d{1,2})(?:[-/.]|월 ?)[ ]?(\d{1,2})(?:일|\.)?"
    r"(?:[T ]\s*+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?"
    r"\s*+(Z|UTC|GMT|KST|[+-]\d{1,2}:?(?:\d{2})?)?(?:\s*+\[?[A-Za-z_]+/[A-Za-z_]+\]?)?",
    re.IGNORECASE,
)
_OFFSET = re.compile(r"([+-])(\d{1,2}):?(\d{2})?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_NAMED = {"Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00", "KST": "+09:00"}
_OLDEST = 1900


def read(text: str, zone: ZoneInfo) -> datetime | None:
    """Return the instant that a text names, in `zone` where it has no offset; None where it is no date."""
    text = text.strip()
    found = _DATE.fullmatch(text) or _COMPACT.fullmatch(text)
    try:
        if found is None:
            # RFC 2822, and what JavaScript prints: `Wed, 01 May 2019 10:00:00 +0900`.
            at = parsedate_to_datetime(text)
            return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
        parts = (*found.groups(), *(None,) * 5)
        year, month, day, hour, minute, second, fraction, offset = (part or "" for part in parts[:8])
        at = datetime.fromisoformat(
            f"{year}-{int(month):02}-{int(day):02}T{int(hour or 0):02}:{minute or '00'}:{second or '00'}"
            f".{(fraction or '0')[:6].ljust(6, '0')}{_offset(offset)}"
        )
        if at.year < _OLDEST:  # Go's zero time, and other ways to say that there is none.
            return None
        return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _offset(text: str | None) -> str:
    if not text:
        return ""
    if text.upper() in _NAMED:
        return _NAMED[text.upper()]
    sign, hours, minutes = _OFFSET.fullmatch(text).groups()  # type: ignore[union-attr]
    return f"{sign}{int(hours):02}:{minutes or '00'}"
