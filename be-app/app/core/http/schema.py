"""Building blocks of request and response models: camelCase JSON, strict input, text that is safe to keep."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, PydanticKnownError

from app.core.clock import timestamp
from app.core.messages import marked

# C0 and C1 controls; UAX #9's explicit bidirectional controls, which make text read as something else; and
# what XML can't carry, which would break every feed.
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
# UAX #44's Default_Ignorable_Code_Point: nothing is shown for these.
IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# What looks blank: that, white space, the empty Braille pattern, annotation marks and the null note head.
_BLANK = re.compile(rf"[\s{IGNORABLE}\u2800\ufff9-\ufffb\U0001d159]*")
_LINE_BREAK = re.compile(r"\r\n?")
_LINE_CONTROLS = re.compile(CONTROLS.pattern[:-1] + r"\t\n\r\u2028\u2029]")

_INTEGER = re.compile(r"-?[0-9]+")
_MOST_MARKS = 30
"""Combining marks in a row: no language needs more (Stream-Safe Text Format, UAX #15 §13)."""
_MAYBE_MARKS = re.compile(r"[^\w\s\x00-\u02ff]{31,}")
# Characters that are read, whatever a field's own limit is: NFC makes one syllable of three characters of NFD.
_LONGEST_LINE, _LONGEST_TEXT = 3 * 500, 3 * 100_000


PATTERNS: Final[dict[str, str]] = {}
"""Message of each field's regular expression, for people."""


def pattern(expression: str, message: str) -> str:
    """Return the regular expression of a field, and keep the message for texts that don't match it."""
    PATTERNS[expression] = message
    return expression


def refused(rule: str, message: str, **values: Any) -> PydanticCustomError:
    """Return the error of a field that breaks a rule of ours, to be raised by a validator.

    Args:
        rule: stable name of the rule.
        message: the problem, for people, with placeholders for `values`.
        **values: values of the placeholders.
    """
    return PydanticCustomError(rule, message, {"message": message, **values})


def _clean(text: Any, forbidden: re.Pattern[str]) -> Any:
    if not isinstance(text, str):
        return text  # The type's own validation reports the error.
    if found := forbidden.search(text):
        raise refused(
            "forbidden_character",
            marked("Remove the control character {character}."),
            character=f"U+{ord(found.group()):04X}",
        )
    # Visible text keeps its invisible characters: emoji and Indic scripts are spelt with them.
    return "" if _BLANK.fullmatch(text) else _normalized(text).strip()


def _normalized(text: str) -> str:
    """Return text in NFC; refuse endless runs of combining marks, which Python orders in quadratic time."""
    if unicodedata.is_normalized("NFC", text):
        return text
    for run in _MAYBE_MARKS.finditer(text):
        if len(run[0]) - list(map(unicodedata.combining, run[0])).count(0) > _MOST_MARKS:
            raise refused(
                "too_many_marks", marked("Use at most {most} combining marks in a row."), most=_MOST_MARKS
            )
    return unicodedata.normalize("NFC", text)


def _line(text: Any) -> Any:
    if isinstance(text, str) and len(text) > _LONGEST_LINE:
        raise PydanticKnownError("string_too_long", {"max_length": _LONGEST_LINE})
    return _clean(text, _LINE_CONTROLS)


def _text(text: Any) -> Any:
    if isinstance(text, str) and len(text) > _LONGEST_TEXT:
        raise PydanticKnownError("string_too_long", {"max_length": _LONGEST_TEXT})
    # One kind of line break is kept, so that what was stored reads the same from a file of any system.
    return _clean(_LINE_BREAK.sub("\n", text) if isinstance(text, str) else text, CONTROLS)


def in_utc(instant: datetime) -> datetime:
    """Return an aware instant in UTC; refuse one that is beyond Python's calendar there."""
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise refused("out_of_range", marked("Enter a date between the years 1 and 9999.")) from None


def _no_number(value: Any) -> Any:
    """Refuse seconds since 1970, which Pydantic would take for an instant, also as text."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value):
        raise PydanticKnownError("datetime_type")
    return value


def _digits(value: Any) -> Any:
    """Refuse text that Pydantic would read as a number beside `0` to `9`: `1_0`, ` 10`, `+10`, `10.0`."""
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        raise PydanticKnownError("int_parsing")
    return value


PlainSlug = StringConstraints(
    pattern=pattern(
        r"^[a-z0-9]+(-[a-z0-9]+)*$", marked("Use lower-case letters, digits and single hyphens.")
    ),
    min_length=1,
    max_length=60,
)
"""Makes `str` a name for addresses: ASCII letters in lower case, digits and single hyphens."""

Digits = BeforeValidator(_digits)
"""Makes `int` of ASCII digits, where it comes in a path or query: one number, one spelling, one cache entry."""

Line = BeforeValidator(_line)
"""Makes `str` one line of text: NFC, trimmed, without control or bidirectional-override characters.

Text that looks blank becomes the empty one.
"""

Text = BeforeValidator(_text)
"""Makes `str` text of several lines: NFC, trimmed; tabs and line breaks are the only controls.

Text that looks blank becomes the empty one.
"""

Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_no_number),
    AfterValidator(in_utc),
    PlainSerializer(timestamp, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An aware instant; any offset is accepted, UTC with microseconds is answered."""


Timestamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""An instant that is stored as text, and answered as it is."""

Uri = Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]
"""A URL or URN that answers give."""

Allowed = Annotated[
    list[str],
    Field(
        description="Actions that the policy allows the caller on this object. An action that needs a recent second "
        "factor is among them; it answers `step_up_required` until the caller proves one. The object's state may "
        "still forbid an action.",
    ),
]
"""Actions that a caller may do to an object, for front ends that show no button for others."""


class Model(BaseModel):
    """A JSON object with camelCase names that answers give."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        from_attributes=True,
        defer_build=True,  # A validator is made when it is first needed; a cold start needs few of them.
        json_schema_serialization_defaults_required=True,  # Answers give every member, also those at their default.
    )


def _without_defaults(schema: dict[str, Any]) -> None:
    """Leave defaults out of a schema of input: generators of clients demand members that have one."""
    for member in schema.get("properties", {}).values():
        member.pop("default", None)


class Input(Model):
    """A JSON object or query that callers give; unknown members are refused, not ignored."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra=_without_defaults,
        defer_build=False,  # FastAPI's fields of requests complain when they are completed later.
    )
