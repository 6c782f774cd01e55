"""Time and identifiers: UTC, aware, ISO 8601; UUIDv7 (RFC 9562), which sorts by creation time."""

import uuid
from datetime import UTC, datetime

import uuid_utils.compat


def now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def timestamp(instant: datetime) -> str:
    """Format an aware instant as ISO 8601 in UTC with microseconds, so that text order is time order."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_id() -> uuid.UUID:
    """Make a UUIDv7."""
    return uuid_utils.compat.uuid7()
