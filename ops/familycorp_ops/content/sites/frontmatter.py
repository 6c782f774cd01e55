"""Front matter of other generators: YAML, TOML or JSON, every value as text, with the line where it stands."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from gettext import gettext as _
from typing import Any, NamedTuple

from familycorp_ops.content import yamltext
from familycorp_ops.content.notes import Note, shortened
from familycorp_ops.content.yamltext import Place, Unreadable

_FENCE = re.compile(r"(---|\+\+\+|;;;)[ \t]*+(yaml|yml|toml|json|js|javascript)?[ \t]*+", re.IGNORECASE)
_PLAIN = re.compile(r"([\w][\w .-]*):[ \t]+(\S(?:.*\S)?)[ \t]*+")
_KEY = re.compile(r'[ \t]*"?([\w-]+)"?[ \t]*[:=]')
_LEADING_TABS = re.compile(r"(?m)^\t+")
_REPAIRS = 8


class Front(NamedTuple):
    """A file's front matter, its body, and the line at which the body starts."""

    value: dict[str, Any]
    lines: Mapping[Place, int]
    body: str
    body_line: int
    notes: list[Note]


def split(text: str) -> Front:
    """Return front matter and body; raise `Unreadable`. A file without front matter is all body."""
    lines = text.split("\n")
    if lines[0].startswith("{") and not lines[0].startswith(("{{", "{%")):
        return _bare_json(text)
    opening = _FENCE.fullmatch(lines[0])
    if opening is None:
        return _headless(lines)
    fence, language = opening[1], (opening[2] or "").lower()
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() == fence:
            kind = language or {"+++": "toml", ";;;": "json"}.get(fence, "yaml")
            return _parsed(kind, lines[1 : number - 1], 2, "\n".join(lines[number:]), number + 1)
    if fence == "---" and not (len(lines) > 1 and _PLAIN.fullmatch(lines[1])):  # A ruler at the beginning.
        return Front({}, {}, text, 1, [])
    raise Unreadable(
        1, "front_matter", _("the front matter must end with a line of `{fence}`").format(fence=fence)
    )


def _headless(lines: list[str]) -> Front:
    """Read a file whose front matter has a closing fence alone, as Hexo allows it."""
    for number, line in enumerate(lines[:60], start=1):
        if line.rstrip() == "---" and number > 1:
            if any(":" in above for above in lines[: number - 1]) and _PLAIN.fullmatch(lines[0]):
                return _parsed("yaml", lines[: number - 1], 1, "\n".join(lines[number:]), number + 1)
            break
        if not line.strip():
            break
    return Front({}, {}, "\n".join(lines), 1, [])


def _bare_json(text: str) -> Front:
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return Front({}, {}, text, 1, [])
    front = text[:end]
    body_line = front.count("\n") + 1
    return _checked(value, _places(front.split("\n"), 1), text[end:], body_line, [])


def _parsed(kind: str, front: list[str], first: int, body: str, body_line: int) -> Front:
    text = "\n".join([*front, ""])
    notes: list[Note] = []
    if kind in {"js", "javascript"}:
        raise Unreadable(1, "front_matter", _("front matter in JavaScript is a program, and isn't run"))
    try:
        if kind == "toml":
            return _checked(tomllib.loads(text), _places(front, first), body, body_line, notes)
        if kind == "json":
            inner = text if text.lstrip().startswith("{") else f"{{{text}}}"
            return _checked(json.loads(inner), _places(front, first), body, body_line, notes)
    except (ValueError, RecursionError) as error:
        at = getattr(error, "lineno", None) or _line_of(str(error))
        raise Unreadable(first - 1 + (at or 1), f"{kind}_syntax", str(error)) from None
    document = _yaml(text, first, notes)
    return _checked(document.value, document.lines, body, body_line, notes)


def _line_of(message: str) -> int | None:
    found = re.search(r"at line (\d+)", message)
    return int(found[1]) if found else None


def _yaml(text: str, first: int, notes: list[Note]) -> yamltext.Document:
    """Read YAML; a simple line that isn't valid, such as `title: One: two`, is read as its text."""
    text = _LEADING_TABS.sub(lambda tabs: "  " * len(tabs[0]), text)
    for __ in range(_REPAIRS):
        try:
            return yamltext.load(text, first)
        except Unreadable as error:
            lines = text.split("\n")
            at = _repairable(lines, error.fault.line - first)
            if at is None:
                raise
            key, value = _PLAIN.fullmatch(lines[at]).groups()  # type: ignore[union-attr]
            quoted = value if value[0] not in "\"'" else value.strip("\"'")
            lines[at] = f"{key}: {json.dumps(quoted, ensure_ascii=False)}"
            why = _("The value isn't valid YAML and was read as its text.")
            notes.append(Note(first + at, "changed", key, shortened(value), shortened(quoted), why))
            text = "\n".join(lines)
    return yamltext.load(text, first)


def _repairable(lines: list[str], at: int) -> int | None:
    """Return the simple line that the parser stumbled over: the one that it names, or one above it."""
    for index in (at, at - 1):
        if 0 <= index < len(lines) and (found := _PLAIN.fullmatch(lines[index])):
            quoted = re.fullmatch(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'', found[2])
            if not quoted and not (found[2][0] in "[{|>&*" and found[2][-1] in "]}|>-+"):
                return index
    return None


def _places(front: list[str], first: int) -> dict[Place, int]:
    """Return the lines of the top-level keys of TOML or JSON, which their parsers don't keep."""
    places: dict[Place, int] = {(): first}
    for number, line in enumerate(front, start=first):
        if found := _KEY.match(line) or re.match(r"\[+([\w-]+)", line):
            places.setdefault((found[1],), number)
    return places


def texts(value: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a mapping with every value as text; dates, numbers and truth values are written out."""
    return dict(_texts(value))


def _checked(value: Any, lines: Mapping[Place, int], body: str, line: int, notes: list[Note]) -> Front:
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise Unreadable(2, "front_matter", _("the front matter must be lines of `key: value`"))
    return Front(texts(value), lines, body, line, notes)


def _texts(value: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        yield str(key), _text(inner)


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(_texts(value))
    if isinstance(value, list):
        return [_text(inner) for inner in value]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return value if value is None else str(value)
