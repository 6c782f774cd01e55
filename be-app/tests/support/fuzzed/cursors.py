"""A cursor is understood or refused as `cursor_invalid`; what was understood can be written again."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from app.core.http.pagination import Cursor, decode_id, decode_timed, encode, timed_key
from app.core.http.problems import ValidationFailed

T = TypeVar("T")

WITHIN_S = 0.2
LONGEST = 300
WORDS = (
    b"#",
    b"T",
    b"Z",
    b"-",
    b"2026-11-24T00:00:00.000000Z",
    b"0001-01-01",
    b"9999-12-31",
    b"24:00:00",
    b":60.",
)
_cursor: TypeAdapter[str | None] = TypeAdapter(Cursor)


def seeds() -> list[bytes]:
    item = uuid.UUID("01900000-0000-7000-8000-000000000000")
    timed = timed_key(datetime(2026, 11, 24, tzinfo=UTC), item)
    # By its first byte an input is a cursor, or what a cursor stands for.
    return [b"=" + str(encode(key)).encode() for key in (timed, str(item))] + [
        b"<" + timed.encode(),
        b"<" + str(item).encode(),
    ]


def check(data: bytes) -> None:
    text = data[1:].decode("utf-8", "replace")
    try:
        cursor = _cursor.validate_python(text if data[:1] == b"=" else encode(text))
    except ValidationError:
        return
    _check(cursor, decode_id, str, lambda found: found)
    _check(cursor, decode_timed, lambda found: timed_key(*found), lambda found: found[1])


def _check(
    cursor: str | None,
    decode: Callable[[str | None], T | None],
    write: Callable[[T], str],
    identity: Callable[[T], uuid.UUID],
) -> None:
    try:
        found = decode(cursor)
    except ValidationFailed as refused:
        if [error.rule for error in refused.violations] != ["cursor_invalid"]:
            raise
        return
    if found is not None:
        assert decode(encode(write(found))) == found
        assert decode_id(encode(str(identity(found))))
