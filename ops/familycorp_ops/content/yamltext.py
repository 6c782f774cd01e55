"""YAML as people write front matter: text, lists and mappings, each with the line where it stands.

Every scalar is text (`title: 2026`, `slug: 2026-01-05` and `tags: [no]` mean what they look like) but for YAML's
ways to write nothing. Anchors, aliases and deep nesting, which front matter has no use for, are refused.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml
from yaml.events import (
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.reader import Reader

Place = tuple[str | int, ...]
"""Keys and indexes that lead to a value."""

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_NOTHING = {"", "~", "null", "Null", "NULL"}
_DEEPEST = 5


class Fault(NamedTuple):
    """A problem and its line in a file; `field` names the key where it is about one."""

    line: int
    field: str | None
    rule: str
    message: str


class Unreadable(Exception):
    """The text isn't valid YAML of the expected kind."""

    def __init__(self, line: int, rule: str, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(line, None, rule, message)


class Document(NamedTuple):
    """Content of a YAML text, with lines."""

    value: Any
    lines: Mapping[Place, int]


class _Time(str):
    """An instant, which is written without quotes."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Time, lambda dumper, time: dumper.represent_scalar("tag:yaml.org,2002:timestamp", str(time))
)


def time(text: str) -> str:
    """Mark an instant's text, so that `dump` writes it as YAML writes times."""
    return _Time(text)


def dump(value: Any) -> str:
    """Write a value: keys in their order, Korean and emoji as they are, no line folded."""
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100_000)
    return text


def load(text: str, first_line: int = 1) -> Document:
    """Read a text whose first line is line `first_line` of its file; raise `Unreadable` where it can't be."""
    loader = _Loader(text, first_line)
    if found := Reader.NON_PRINTABLE.search(text):
        line = loader.line(found.start())
        raise Unreadable(line, "forbidden_character", f"U+{ord(found.group()):04X} can't stand here")
    try:
        return loader.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(filter(None, (error.context, error.problem)))
        # The end of the text isn't a line of it.
        last = loader.line(len(text) - text.endswith("\n"))
        line = min(loader.line(mark.index), last) if mark else first_line
        raise Unreadable(line, "yaml_syntax", said or "isn't YAML") from None


class _Loader:
    """Reads one document from the parser's events; unlike its own recursion, this one has an end."""

    def __init__(self, text: str, first_line: int) -> None:
        self._first = first_line
        # A mark's own line counts YAML's other breaks too (YAML 1.1 §5.4: CR, NEL, LS, PS), which editors don't.
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[Place, int] = {}
        events: Iterator[Event] = yaml.parse(text, Loader=_LOADER)
        self._events = (e for e in events if not isinstance(e, yaml.StreamStartEvent | yaml.DocumentEndEvent))

    def document(self) -> Document:
        value = None
        if isinstance(next(self._events), yaml.DocumentStartEvent):
            value = self._value(next(self._events), ())
            after = next(self._events)
            if isinstance(after, yaml.DocumentStartEvent):
                raise self._refused(after, "yaml_syntax", "there must be one document only")
        return Document(value, self._lines)

    def line(self, index: int) -> int:
        """Return the line on which the text's character `index` stands."""
        return self._first + bisect_left(self._breaks, index)

    def _value(self, event: Event, place: Place) -> Any:
        self._lines.setdefault(place, self._line(event))
        if len(place) > _DEEPEST:
            raise self._refused(event, "too_deep", "is nested too deeply")
        if getattr(event, "anchor", None) is not None:
            raise self._refused(
                event, "alias", "anchors and aliases (& and *) aren't supported; quote the text"
            )
        if isinstance(event, ScalarEvent):
            plain: bool = event.implicit[0]
            return None if plain and event.value in _NOTHING else event.value.strip()
        if isinstance(event, SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(inner := next(self._events), SequenceEndEvent):
                items.append(self._value(inner, (*place, len(items))))
            return items
        return self._mapping(place)

    def _mapping(self, place: Place) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(name := next(self._events), MappingEndEvent):
            if not isinstance(name, ScalarEvent):
                raise self._refused(name, "yaml_syntax", "a key must be a word")
            if name.value in members:
                raise self._refused(name, "duplicate_key", f"the key {name.value} stands here twice")
            self._lines[*place, name.value] = self._line(name)
            members[name.value] = self._value(next(self._events), (*place, name.value))
        return members

    def _line(self, event: Event) -> int:
        return self.line(event.start_mark.index if event.start_mark else 0)

    def _refused(self, event: Event, rule: str, message: str) -> Unreadable:
        return Unreadable(self._line(event), rule, message)
