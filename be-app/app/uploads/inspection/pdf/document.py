"""Objects of a PDF (ISO 32000-2, 7.3 and 7.5): each that any reader could find, and where it stands."""

import re
from typing import Any, NamedTuple

from app.uploads.inspection.pdf import filters
from app.uploads.inspection.pdf.actions import Actions
from app.uploads.inspection.pdf.syntax import (
    REGULAR,
    SPACE,
    TOKEN,
    WHITE,
    WORD,
    Parsed,
    Parser,
    Value,
    integer,
)
from app.uploads.inspection.sniffing import MARKUP
from app.uploads.reasons import Rejection

MOST_SECTIONS = 2_000
MOST_HOPS = 8

_SPACES = re.compile(SPACE)
_OBJECT = re.compile(
    SPACE + rb"([0-9]{1,10}+)" + SPACE + rb"([0-9]{1,5}+)" + SPACE + rb"obj(?!" + REGULAR + rb")"
)
_ANY_OBJECT = re.compile(
    rb"(?<=[0-9" + WHITE + rb"])obj|(?<=[" + WHITE + rb">\])}])trailer(?!" + REGULAR + rb")"
)
_STARTS_STREAM = re.compile(rb"\r?\n")
_ENDS_STREAM = re.compile(rb"[" + WHITE + rb"]*+endstream")
_ENDSTREAM = re.compile(rb"endstream")
_END = b"%%EOF"
_PADDING = b"\0\t\n\f\r \x1a"
"""Bytes that may follow the end: white space, and the end of a file as CP/M and DOS marked it."""

_AMIDST = re.compile(REGULAR + REGULAR)
_NUMBERS_BEFORE = re.compile(rb"([0-9]{1,10})" + SPACE + rb"[0-9]{1,5}" + SPACE + rb"\Z")
_TABLE = re.compile(rb"[0-9fn" + WHITE + rb"]*+")


class Place(NamedTuple):
    """Where an object's value begins: in the file, or in the object stream that begins at `stream`."""

    position: int
    stream: int | None = None


class Document:
    """Objects, tables and trailers of one file, gathered while they are read.

    Args:
        data: the file.
        actions: receives the values.
    """

    def __init__(self, data: Any, actions: Actions) -> None:
        self.data, self._actions, self.parser = data, actions, Parser(actions)
        self.headers: dict[int, tuple[int, int]] = {}
        """Where `N G obj` begins, and N and G."""
        self.places: dict[int, list[Place]] = {}
        self.held: dict[int, list[int]] = {}
        """Where an object stream begins, and the numbers of its objects."""
        self.tables: dict[int, int] = {}
        """Where `xref` begins, and where its subsections do."""
        self.reference_streams: dict[int, tuple[dict[bytes, Value], int]] = {}
        self.trailers: dict[int, dict[bytes, Value]] = {}
        """Trailers by where their table or stream begins."""
        self.pointer: tuple[int, int] = (-1, -1)
        """Where the last `startxref` is, and where it leads."""
        self._begun: set[int] = set()  # Where values of objects begin that were read.
        self._unpacked: tuple[int, bytes] = (-1, b"")

    def check_end(self) -> None:
        """Refuse a file that has no end, or goes on after it, as one of two formats does."""
        last = self.data.rfind(_END)
        if last < 0:
            raise Rejection("malformed")
        for start in range(last + len(_END), len(self.data), 65536):
            if self.data[start : start + 65536].strip(_PADDING):
                raise Rejection("polyglot")

    def walk(self, position: int) -> None:
        """Read objects, tables of references and trailers in the file's own order."""
        gap = position
        while True:
            if header := _OBJECT.match(self.data, position):
                self._refuse_markup(gap, header.start(1))
                self.headers[header.start(1)] = (int(header[1]), int(header[2]))
                gap = position = self._object(header.end(), int(header[1]))
                continue
            token = TOKEN.match(self.data, position)
            if token is None:
                break
            self.parser.count()
            start, position = token.start(token.lastindex or 0), token.end()
            word = token[token.lastindex or 0]
            if word == b"(":
                position = self.parser.end_of_text(self.data, position)
            elif word == b"xref":
                self.tables[start] = position
                position = self.skip(position, _TABLE)
            elif word == b"trailer":
                self._refuse_markup(gap, start)
                parsed = self.parser.value(self.data, position)
                self._trailer(parsed.value, next(reversed(self.tables), -1))
                gap = position = self._begin_of(parsed)
            elif word == b"startxref":
                self.pointer = (start, self._next_number(position))
        self._refuse_markup(gap, len(self.data))
        if len(self.tables) + len(self.reference_streams) > MOST_SECTIONS:
            raise Rejection("too_complex")

    def search(self) -> None:
        """Read what a reader finds that searches the file, also where the walk saw strings and data of streams."""
        for found in _ANY_OBJECT.finditer(self.data):
            if found[0] == b"trailer":
                value = self.parser.value(self.data, found.end()).value
                if isinstance(value, dict):
                    self._trailer(value)
                continue
            number = self._number_before(found.start())
            if found.end() not in self._begun:
                self._object(found.end(), number)

    def _refuse_markup(self, start: int, end: int) -> None:
        """Refuse what a browser would take for a page where it belongs to no object (WHATWG MIME Sniffing §7.1)."""
        if end - start > 1 and MARKUP.search(self.data, start, end):
            self._actions.faults.add("polyglot")

    def _next_number(self, position: int) -> int:
        token = TOKEN.match(self.data, position)
        word = token and token[WORD]
        return int(word) if word and word.isdigit() and len(word) <= 10 else -1

    def _number_before(self, position: int) -> int:
        """Return N of `N G obj`, of which `obj` begins at a position; -1 if there is none."""
        found = _NUMBERS_BEFORE.search(self.data[max(0, position - 40) : position])
        return int(found[1]) if found else -1

    def _trailer(self, value: Value, section: int = -1) -> None:
        """Note a trailer, and of which table or stream of references it is."""
        if not isinstance(value, dict):
            self._actions.faults.add("malformed")
            return
        if value.get(b"/Encrypt", b"null") != b"null":
            self._actions.faults.add("encrypted")
        self.trailers[section] = value
        self._actions.seen |= value.keys() & {b"/Root"}

    def _object(self, position: int, number: int) -> int:
        """Read the object whose value begins at a position; return where it ends."""
        self._begun.add(position)
        self.places.setdefault(number, []).append(Place(position))
        parsed = self.parser.value(self.data, position)
        if parsed.stop == b"endobj":
            return parsed.end
        if parsed.stop != b"stream":
            return self._begin_of(parsed)
        dictionary = parsed.value if isinstance(parsed.value, dict) else {}
        # Some readers look for `First` and `N` only, others for the type.
        if dictionary.get(b"/Type") == b"/ObjStm" or {b"/First", b"/N"} <= dictionary.keys():
            self._object_stream(dictionary, parsed.end, position)
        if dictionary.get(b"/Type") == b"/XRef" or b"/W" in dictionary:
            header = next(reversed(self.headers), -1)
            self._trailer(dictionary, header)
            self.reference_streams[header] = (dictionary, parsed.end)
        return self._end_of_stream(dictionary, parsed.end)

    def _begin_of(self, parsed: Parsed) -> int:
        """Return where the next object or section begins, of which a word ended an object without its own end."""
        begin = parsed.end - len(parsed.stop)
        window = max(0, begin - 40)
        found = _NUMBERS_BEFORE.search(self.data[window:begin]) if parsed.stop == b"obj" else None
        return window + found.start() if found else begin

    def _end_of_stream(self, dictionary: dict[bytes, Value], position: int) -> int:
        start = _STARTS_STREAM.match(self.data, position)
        begin = start.end() if start else position
        end = begin + integer(dictionary.get(b"/Length"), len(self.data))
        if end < len(self.data) and (found := _ENDS_STREAM.match(self.data, end)):
            return found.end()
        found = _ENDSTREAM.search(self.data, begin)
        return found.end() if found else len(self.data)

    def _object_stream(self, dictionary: dict[bytes, Value], position: int, place: int) -> None:
        """Read the objects of an object stream (7.5.7)."""
        first, count = integer(dictionary.get(b"/First"), -1), integer(dictionary.get(b"/N"), -1)
        content = self.decode(dictionary, position)
        if content is None or first < 0 or count < 0:
            self._actions.faults.add("malformed")
            return
        words = content[:first].split()[: 2 * count]
        if len(words) != 2 * count or not all(word.isdigit() and len(word) <= 10 for word in words):
            self._actions.faults.add("malformed")
            return
        self.held[place] = [int(number) for number in words[::2]]
        offsets = [first + int(offset) for offset in words[1::2]]
        for number, start, end in zip(words[::2], offsets, [*offsets[1:], len(content)], strict=True):
            self.places.setdefault(int(number), []).append(Place(start, place))
            items = self.parser.items(content[start:end])
            # Where the next object is said to begin in the midst of a name or number, readers read on.
            if not items or _AMIDST.match(content, end - 1):
                self.parser.slowly(content, start, single=True)
            else:
                self._actions.object_of(items)

    def decode(self, dictionary: Value, position: int) -> bytes | None:
        """Return a stream's content, or None if not every reader would have the same."""
        if not isinstance(dictionary, dict):
            return None
        start = _STARTS_STREAM.match(self.data, position)
        if start is None or not {b"/F", b"/FFilter", b"/DP"}.isdisjoint(dictionary):
            return None
        entries = [dictionary.get(b"/Filter", b"null"), dictionary.get(b"/DecodeParms", b"null")]
        names, parameters = ([of] if not isinstance(of, list) else of for of in entries)
        end = self._end_of_stream(dictionary, position)
        raw = self.data[start.end() : end]
        return filters.decode(raw.removesuffix(b"endstream"), names, parameters)

    def resolve(self, value: Value, depth: int = 0) -> list[Value]:
        """Return what a value may be: each object of the number that it refers to."""
        if not isinstance(value, int):
            return [value]
        if depth > MOST_HOPS:
            raise Rejection("too_complex")
        found: list[Value] = []
        for place in self.places.get(value, ()):
            found += self.resolve(self.again(place), depth + 1)
        return found

    def again(self, place: Place) -> Value:
        """Read the value at a place another time: no more than one object stream is kept unpacked."""
        if place.stream is None:
            return self.parser.value(self.data, place.position).value
        if self._unpacked[0] != place.stream:
            holder = self.parser.value(self.data, place.stream)
            self._unpacked = (place.stream, self.decode(holder.value, holder.end) or b"")
        return self.parser.slowly(self._unpacked[1], place.position, single=True).value

    def skip(self, position: int, passed_over: re.Pattern[bytes] = _SPACES) -> int:
        """Return where the next token begins, or what follows a table."""
        found = passed_over.match(self.data, position) if 0 <= position < len(self.data) else None
        return found.end() if found else -1
