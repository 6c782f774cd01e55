"""Cursor pagination: a cursor is the sort key of the last item seen.

So nothing is skipped or repeated when items come and go between two pages.
"""

import base64
import binascii
import re
import uuid
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field

from app.core.clock import timestamp
from app.core.http.problems import ValidationFailed
from app.core.http.schema import Digits, Model
from app.core.messages import marked

Limit = Annotated[int, Field(ge=1, le=100, description="Maximum number of items in the page."), Digits]
Cursor = Annotated[
    str | None,
    Field(
        max_length=200,
        description="`nextCursor` of the previous page; leave it out for the first page.",
    ),
]
NextCursor = Annotated[
    str | None,
    Field(
        description="Gives the next page; null on the last.",
        examples=["MjAyNi0xMi0wMVQwMDowMDowMC4wMDAwMDBa"],
    ),
]

T = TypeVar("T")


class Page(Model, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: NextCursor

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Return the name of a page in the API's description: `PostSummaryPage`."""
        return f"{params[0].__name__}Page"


# A Unicode-aware `\d` would let digits through that databases and DynamoDB sort elsewhere.
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_RANK = re.compile(r"[0-9]{1,3}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _invalid() -> ValidationFailed:
    return ValidationFailed.on(
        "query.cursor",
        "cursor_invalid",
        marked("This is not a nextCursor of this list. Leave it out to start over."),
    )


def encode(sort_key: str | None) -> str | None:
    """Return the opaque cursor of a sort key; None stays None."""
    return sort_key and base64.urlsafe_b64encode(sort_key.encode()).decode().rstrip("=")


def timed_key(at: datetime, item: uuid.UUID) -> str:
    """Return the sort key of an item in a list ordered by time: text order is time order, ties go by id."""
    return f"{timestamp(at)}#{item}"


def decode_id(cursor: str | None) -> uuid.UUID | None:
    """Return what a cursor of a list ordered by id stands for; raise `ValidationFailed` for a foreign one."""
    return None if cursor is None else _id(_text(cursor))


def decode_timed(cursor: str | None) -> tuple[datetime, uuid.UUID] | None:
    """Return what a cursor of a list ordered by time stands for; raise `ValidationFailed` if foreign."""
    return None if cursor is None else _timed(_text(cursor))


def decode_ranked(cursor: str | None) -> tuple[int, datetime, uuid.UUID] | None:
    """Return what a cursor of a list ordered by rank, then time, stands for; raise `ValidationFailed` if foreign."""
    if cursor is None:
        return None
    rank, _, rest = _text(cursor).partition("#")
    if not _RANK.fullmatch(rank):
        raise _invalid()
    return int(rank), *_timed(rest)


def _timed(key: str) -> tuple[datetime, uuid.UUID]:
    at, _, item = key.partition("#")
    if not _TIMESTAMP.fullmatch(at):
        raise _invalid()
    try:
        return datetime.fromisoformat(at), _id(item)
    except ValueError:
        raise _invalid() from None


def _text(cursor: str) -> str:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise _invalid() from None


def _id(text: str) -> uuid.UUID:
    if not _UUID.fullmatch(text):
        raise _invalid()
    return uuid.UUID(text)
