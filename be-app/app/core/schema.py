"""Building blocks of request and response models: camelCase JSON, strict input, text that is safe to keep."""

import re
import unicodedata
from datetime import UTC
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from app.core.clock import timestamp

# C0 and C1 controls, and the explicit bidirectional controls of UAX #9, which can make text read as something else.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LINE_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _clean(text: str, forbidden: re.Pattern[str]) -> str:
    if found := forbidden.search(text):
        raise PydanticCustomError(
            "forbidden_character",
            "must not contain the control character {character}",
            {"character": f"U+{ord(found.group()):04X}"},
        )
    return unicodedata.normalize("NFC", text).strip()


def _line(text: str) -> str:
    return _clean(text, _LINE_CONTROLS)


def _text(text: str) -> str:
    return _clean(text.replace("\r\n", "\n"), _CONTROLS)


Line = Annotated[str, AfterValidator(_line)]
"""One line of text: NFC, trimmed, without control or bidirectional-override characters."""

Text = Annotated[str, AfterValidator(_text)]
"""Text of several lines: NFC, trimmed; tabs and line breaks are the only controls."""

Instant = Annotated[
    AwareDatetime,
    AfterValidator(lambda instant: instant.astimezone(UTC)),
    PlainSerializer(timestamp, return_type=str, when_used="json"),
]
"""An aware instant; any offset is accepted, UTC with microseconds is answered."""


class Model(BaseModel):
    """A JSON object with camelCase names that answers give."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class Input(Model):
    """A JSON object or query that callers give; unknown members are refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

