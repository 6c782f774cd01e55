"""AWS's own rules about a request's parameters, from the service models that botocore ships.

Emulators accept what AWS refuses, and botocore itself checks types and required members alone. The models also hold
enumerations, patterns, lengths and ranges. This module needs nothing but botocore, so that programs in other
environments can use it, too.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

_PROPERTIES: Final = {
    "L": "a-zA-Z\u00aa-\uffff",
    "M": "\u0300-\u036f",
    "N": "0-9",
    "P": r"!-/:-@\[-`{-~",
    "S": r"$+<=>^`|~",
    "Z": " \u00a0\u2000-\u200a\u3000",
}
"""Characters of Unicode's properties, which Java's patterns name and Python's don't know; rather too many."""

_UNTRUE: Final = {
    # The model's pattern has no wildcard, and AWS takes one: `arn:aws:s3:::bucket/*`.
    ("rds", "ApplyMethod"),
}
"""Shapes whose rules AWS doesn't keep to, by service."""


@cache
def _pattern(pattern: str) -> re.Pattern[str] | None:
    """Return a pattern of the models as Python understands it; `None` where it can't."""
    # In front and behind a class the property stands alone; within one it is a part of it.
    inside, translated, position = False, "", 0
    while position < len(pattern):
        two = pattern[position : position + 2]
        found = re.match(r"\\p\{(\w)\w*\}", pattern[position:])
        if found:
            characters = _PROPERTIES.get(found[1], "")
            translated += characters if inside else f"[{characters}]"
            position += len(found[0])
            continue
        if two.startswith("\\"):
            translated += two
            position += 2
            continue
        inside = (inside or two[0] == "[") and two[0] != "]"
        translated += two[0]
        position += 1
    try:
        return re.compile(translated)
    except re.error:
        return None


def faults(shape: Shape, value: Any, where: str = "") -> Iterator[str]:
    """Yield what AWS's model of a shape has against a value, each with its place.

    Args:
        shape: the shape of a request, or of a part of it.
        value: the value to be sent.
        where: place of the value, as `Rules[0].Name`.
    """
    match shape, value:
        case StructureShape(), Mapping():
            for name in shape.required_members:
                if name not in value:
                    yield f"{where}.{name}".lstrip(".") + ": is required"
            for name, part in value.items():
                if name in shape.members:
                    yield from faults(shape.members[name], part, f"{where}.{name}".lstrip("."))
        case ListShape(), list() | tuple():
            yield from _bounds(shape, len(value), where, "items")
            for number, part in enumerate(value):
                yield from faults(shape.member, part, f"{where}[{number}]")
        case MapShape(), Mapping():
            yield from _bounds(shape, len(value), where, "entries")
            for key, part in value.items():
                yield from faults(shape.key, key, f"{where}[{key}]")
                yield from faults(shape.value, part, f"{where}[{key}]")
        case StringShape(), str():
            yield from _string(shape, value, where)
        case _, int() | float() if not isinstance(value, bool):
            yield from _bounds(shape, value, where, "")


def _string(shape: StringShape, value: str, where: str) -> Iterator[str]:
    yield from _bounds(shape, len(value), where, "characters")
    if shape.enum and value not in shape.enum:
        yield f"{where}: {value!r} is none of {', '.join(shape.enum)}"
    pattern = shape.metadata.get("pattern")
    compiled = _pattern(pattern) if pattern else None
    if compiled and not compiled.fullmatch(value):
        yield f"{where}: {value!r} doesn't match {pattern}"


def _bounds(shape: Shape, size: float, where: str, unit: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield f"{where}: {size} {unit} are fewer than {least}".replace("  ", " ")
    if most is not None and size > most:
        yield f"{where}: {size} {unit} are more than {most}".replace("  ", " ")
