"""Building blocks of request and response models: camelCase JSON, strict input, text that is safe to keep."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from app.core.clock import timestamp

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


def _clean(text: Any, forbidden: re.Pattern[str]) -> Any:
    if not isinstance(text, str):
        return text  # The type that follows says what is wrong with it.
    if found := forbidden.search(text):
        raise PydanticCustomError(
            "forbidden_character",
            "must not contain the control character {character}",
            {"character": f"U+{ord(found.group()):04X}"},
        )
    # What is visible keeps its invisible characters: emoji and Indic scripts are spelt with them.
    return "" if _BLANK.fullmatch(text) else unicodedata.normalize("NFC", text).strip()


def _line(text: Any) -> Any:
    return _clean(text, _LINE_CONTROLS)


def _text(text: Any) -> Any:
    # One kind of line break is kept, so that what was stored reads the same from a file of any system.
    return _clean(_LINE_BREAK.sub("\n", text) if isinstance(text, str) else text, CONTROLS)


def _utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("out_of_range", "must be between the years 1 and 9999 in UTC") from None


def _no_number(value: Any) -> Any:
    """Refuse seconds since 1970, which Pydantic would take for an instant, also as text."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value):
        raise PydanticCustomError("datetime_type", "must be an ISO 8601 date and time with its offset")
    return value


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
    AfterValidator(_utc),
    PlainSerializer(timestamp, return_type=str, when_used="json"),
]
"""An aware instant; any offset is accepted, UTC with microseconds is answered."""


class Model(BaseModel):
    """A JSON object with camelCase names that answers give."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        from_attributes=True,
        defer_build=True,  # A validator is made when it is first needed; a cold start needs few of them.
    )


class Input(Model):
    """A JSON object or query that callers give; unknown members are refused, not ignored."""

    model_config = ConfigDict(
        extra="forbid",
        defer_build=False,  # FastAPI's fields of requests complain when they are completed later.
    )
