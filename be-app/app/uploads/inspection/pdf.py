"""PDF: what any reader could find in the file, not what one reader's path through it finds.

Readers differ in where they look: the first or the last of two equal keys, the table of references or a search for
`obj` when that table is damaged. So every object is inspected, those in object streams and unreachable ones too, and
strings and the data of streams are taken for objects only where a reader would do so as well. ISO 32000-2 is the
source of the syntax; section numbers below are its own.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from app.uploads.inspection import pdf_filters, xml_elements
from app.uploads.inspection.sniffing import MARKUP
from app.uploads.reasons import Rejection

MOST_TOKENS = 8_000_000
"""Tokens of the file's syntax; the longest standards have about three million."""

MOST_OF_OBJECT = 1_000_000
_LONGEST_QUICK = 1_000_000
MOST_DEEP = 200
MOST_SECTIONS = 2_000
MOST_HOPS = 8
MOST_TRIGGERS = 20_000

_WHITE = rb"\0\t\n\f\r "
_SPACE = rb"(?:[" + _WHITE + rb"]++|%[^\r\n]*+)*+"
_FLAT = rb"[^()\\]++|\\.|\\\Z"
_NESTED = rb"\((?:" + _FLAT + rb"|\((?:" + _FLAT + rb"|\((?:" + _FLAT + rb")*+\))*+\))*+\)"
_REGULAR = rb"[^" + _WHITE + rb"()<>\[\]{}/%]"
_TOKEN = re.compile(
    _SPACE
    + rb"(?:(<<|>>|\[|\])|(/"
    + _REGULAR
    + rb"*+)|("
    + _REGULAR
    + rb"++)|("
    + _NESTED
    + rb")|(<[^<>]*+>)|(.))",
    re.DOTALL,
)
_BRACKET, _NAME, _WORD, _TEXT, _HEX = range(1, 6)
_TOKENS = re.compile(
    rb"<<|>>|[\[\]]|/"
    + _REGULAR
    + rb"*+|"
    + _REGULAR
    + rb"++|"
    + _NESTED
    + rb"|<[^<>]*+>|[^"
    + _WHITE
    + rb"]",
    re.DOTALL,
)
_STOP = re.compile(
    rb"(?<=[" + _WHITE + rb">\])}])(?:endobj|stream|obj|xref|trailer|startxref)(?!" + _REGULAR + rb")"
)
_SPACES = re.compile(_SPACE)
_OBJECT = re.compile(
    _SPACE + rb"([0-9]{1,10}+)" + _SPACE + rb"([0-9]{1,5}+)" + _SPACE + rb"obj(?!" + _REGULAR + rb")"
)
_PARENTHESIS = re.compile(rb"(?:[^()\\]++|\\.|\\\Z)*+([()])", re.DOTALL)
_ANY_OBJECT = re.compile(
    rb"(?<=[0-9" + _WHITE + rb"])obj|(?<=[" + _WHITE + rb">\])}])trailer(?!" + _REGULAR + rb")"
)
_STARTS_STREAM = re.compile(rb"\r?\n")
_ENDS_STREAM = re.compile(rb"[" + _WHITE + rb"]*+endstream")
_ENDSTREAM = re.compile(rb"endstream")
_ENTRIES = re.compile(rb"(?:[0-9]{10} [0-9]{5} [fn](?: \r| \n|\r\n))*+")
_ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")
_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[" + _WHITE + rb"]{0,64}%PDF-[12]\.")
_END = b"%%EOF"

_STOPS = {b"endobj", b"stream", b"obj", b"xref", b"trailer", b"startxref"}
_ACTIONS_REFUSED = {b"/JavaScript", b"/Launch", b"/ImportData", b"/GoToE", b"/RichMediaExecute"}
"""Actions (12.6.4) that run something or open an uninspected file, anywhere in the document."""

_KEYS_REFUSED = {b"/JS", b"/JavaScript", b"/OnInstantiate", b"/RichMediaContent"}
"""Keys of scripts: actions, the catalogue's tree of them, 3D views and Flash."""

_HARMLESS = {b"/GoTo", b"/Named"}
"""Actions allowed without a click: to show a place of this document, or to run a menu's command."""

_TRIGGERS = (b"/OpenAction", b"/AA")
_ADDRESSES = (b"/URI", b"/Base", b"/F")
"""Keys of addresses that a reader opens (12.6.4.8, 7.11): of links, of what precedes them, of files and forms."""

_WATCHED = _KEYS_REFUSED | {b"/S", b"/Subtype", b"/XFA", *_TRIGGERS, *_ADDRESSES}
_MISLEADING = _KEYS_REFUSED | _ACTIONS_REFUSED | {b"/XFA", *_TRIGGERS}
_SCRIPTED = {"script", "submit", "execute"}
"""Elements of XFA templates (XFA 3.3) that run or send something."""

_PRECEDENCE = ("type_mismatch", "encrypted", "active_content", "polyglot", "too_complex", "malformed")

Value = Any
"""A dictionary, a list, a reference (its object's number as `int`), or a token as `bytes`."""


class Place(NamedTuple):
    """Where an object's value begins: in the file, or in the object stream that begins at `stream`."""

    position: int
    stream: int | None = None


class Parsed(NamedTuple):
    """One object: its value, where it ends, and the word that ended it."""

    value: Value
    end: int
    stop: bytes


def check(data: Any) -> None:
    """Check a PDF, given as bytes or a memory map; raise `Rejection`."""
    document = _Document(data)
    try:
        document.read()
    except Rejection as rejection:
        document.faults.add(rejection.reason)
    if document.faults:
        raise Rejection(min(document.faults, key=_PRECEDENCE.index))


class _Document:
    """Facts about the objects of one file, gathered while they are read."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self._tokens = 0
        self._headers: dict[int, tuple[int, int]] = {}  # Where `N G obj` begins, and N and G.
        self._places: dict[int, list[Place]] = {}
        self._begun: set[int] = set()  # Where values of objects begin that were read.
        self._held: dict[
            int, list[int]
        ] = {}  # Where an object stream begins, and the numbers of its objects.
        self._tables: dict[int, int] = {}  # Where `xref` begins, and where its subsections do.
        self._reference_streams: dict[int, tuple[dict[bytes, Value], int]] = {}
        self._trailers: dict[int, dict[bytes, Value]] = {}  # By where their table or stream begins.
        self._pointer: tuple[int, int] = (-1, -1)  # Where the last `startxref` is, and where it leads.
        self._triggers: list[tuple[bytes, Value]] = []
        self._forms: list[Value] = []
        self._addresses: list[Value] = []
        self._unpacked: tuple[int, bytes] = (-1, b"")
        self._seen: set[bytes] = set()
        self._complete = False
        self.faults: set[str] = set()

    def read(self) -> None:
        """Read every object; add problems to `faults`."""
        header = _HEADER.match(self._data)
        if header is None:
            raise Rejection("type_mismatch")
        self._check_end()
        self._walk(header.end())
        if not self._is_consistent(self._data[: header.end()].index(b"%PDF")):
            self._search()
        if not {b"/Root", b"/Pages", b"/Kids"} <= self._seen:
            self.faults.add("malformed")
        self._complete = True  # What is read again from here on was noted before.
        for key, value in self._triggers:
            self._check_trigger(key, value)
        for address in self._addresses:
            if any(_is_script(found) for found in self._resolve(address)):
                self.faults.add("active_content")
        for form in self._forms:
            self._check_form(form)

    def _search(self) -> None:
        """Read what a reader finds that searches the file, also where the walk saw strings and data of streams."""
        for found in _ANY_OBJECT.finditer(self._data):
            if found[0] == b"trailer":
                value = self._value(self._data, found.end()).value
                if isinstance(value, dict):
                    self._trailer(value)
                continue
            number = self._number_before(found.start())
            if found.end() not in self._begun:
                self._object(found.end(), number)

    def _check_end(self) -> None:
        last = self._data.rfind(_END)
        if last < 0:
            raise Rejection("malformed")
        for start in range(last + len(_END), len(self._data), 65536):
            if self._data[start : start + 65536].strip(_PADDING):
                raise Rejection("polyglot")

    # -- the file's outer structure (7.5) -------------------------------------------------------------------

    def _walk(self, position: int) -> None:
        """Read objects, tables of references and trailers in the file's own order."""
        gap = position
        while True:
            if header := _OBJECT.match(self._data, position):
                self._refuse_markup(gap, header.start(1))
                self._headers[header.start(1)] = (int(header[1]), int(header[2]))
                gap = position = self._object(header.end(), int(header[1]))
                continue
            token = _TOKEN.match(self._data, position)
            if token is None:
                break
            self._count()
            start, position = token.start(token.lastindex or 0), token.end()
            word = token[token.lastindex or 0]
            if word == b"(":
                position = self._end_of_text(position)
            elif word == b"xref":
                self._tables[start] = position
                position = self._skip(position, _TABLE)
            elif word == b"trailer":
                self._refuse_markup(gap, start)
                parsed = self._value(self._data, position)
                self._trailer(parsed.value, next(reversed(self._tables), -1))
                gap = position = self._begin_of(parsed)
            elif word == b"startxref":
                self._pointer = (start, self._next_number(position))
        self._refuse_markup(gap, len(self._data))
        if len(self._tables) + len(self._reference_streams) > MOST_SECTIONS:
            raise Rejection("too_complex")

    def _refuse_markup(self, start: int, end: int) -> None:
        """Refuse what a browser would take for a page where it belongs to no object (WHATWG MIME Sniffing §7.1)."""
        if end - start > 1 and MARKUP.search(self._data, start, end):
            self.faults.add("polyglot")

    def _next_number(self, position: int) -> int:
        token = _TOKEN.match(self._data, position)
        word = token and token[_WORD]
        return int(word) if word and word.isdigit() and len(word) <= 10 else -1

    def _number_before(self, position: int) -> int:
        """Return N of `N G obj`, of which `obj` begins at a position; -1 if there is none."""
        found = _NUMBERS_BEFORE.search(self._data[max(0, position - 40) : position])
        return int(found[1]) if found else -1

    def _trailer(self, value: Value, section: int = -1) -> None:
        """Note a trailer, and of which table or stream of references it is."""
        if not isinstance(value, dict):
            self.faults.add("malformed")
            return
        if value.get(b"/Encrypt", b"null") != b"null":
            self.faults.add("encrypted")
        self._trailers[section] = value
        self._seen |= value.keys() & {b"/Root"}

    def _is_consistent(self, offset: int) -> bool:
        """Return whether no reader has a reason to search the file for objects.

        `offset` bytes precede the header; some readers count from there, others from the file's begin.
        """
        return all(self._leads_to_objects(base) for base in {0, offset})

    def _leads_to_objects(self, base: int) -> bool:
        """Return whether the last `startxref` leads to every table, and these to the catalogue and to objects."""
        sections = self._tables.keys() | self._reference_streams.keys()
        if self._pointer[0] != self._data.rfind(b"startxref"):
            return False
        visited: dict[int, None] = {}
        waiting = [self._pointer[1]]
        while waiting:
            section = self._skip(waiting.pop() + base)
            if section not in sections or section not in self._trailers:
                return False
            if section not in visited:
                visited[section] = None
                trailer = self._trailers[section]
                waiting += [_integer(trailer[key], -1) for key in (b"/Prev", b"/XRefStm") if key in trailer]
        roots = [self._trailers[section].get(b"/Root") for section in visited]
        used = self._used(base)
        return (
            visited.keys() == sections
            and roots[0] is not None
            and used is not None
            and all(self._is_catalogue(root, used) for root in roots if root is not None)
        )

    def _used(self, base: int) -> set[int] | None:
        """Return the numbers of objects that all tables of references name; None if one leads elsewhere."""
        used, freed = set[int](), set[int]()
        for kind, number, place, which in self._references():
            if kind == _FREE:
                freed.add(number)
                continue
            if kind == _COMPRESSED:
                holders = [self._held.get(holder.position, []) for holder in self._places.get(place, ())]
                found = any(numbers[which : which + 1] == [number] for numbers in holders)
            else:
                found = self._headers.get(self._skip(place + base)) == (number, which)
            if not found:
                return None
            used.add(number)
        return used - freed

    def _is_catalogue(self, root: Value, used: set[int]) -> bool:
        """Return whether a reference leads to a catalogue whose tree of pages says how many there are."""
        catalogues = self._resolve(root)
        trees = [found.get(b"/Pages") for found in catalogues if isinstance(found, dict)]
        pages = [found for tree in trees for found in self._resolve(tree)]
        counts = [found.get(b"/Count") for found in pages if isinstance(found, dict)]
        return (
            {root, *trees} <= used
            and len(catalogues) == len(trees)
            and len(pages) == len(counts)
            and all(_integer(found, -1) >= 0 for count in counts for found in self._resolve(count))
        )

    def _skip(self, position: int, passed_over: re.Pattern[bytes] = _SPACES) -> int:
        """Return where the next token begins, or what follows a table."""
        found = passed_over.match(self._data, position) if 0 <= position < len(self._data) else None
        return found.end() if found else -1

    def _references(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield type, number and two fields of every entry in tables and streams of references (7.5.4, 7.5.8).

        The fields are position and generation, or object stream and index in it. A table that isn't written as it
        must be names object 0 at -1, where nothing is.
        """
        for start in self._tables.values():
            yield from self._table(start)
        for dictionary, data in self._reference_streams.values():
            yield from self._reference_stream(dictionary, data)

    def _table(self, position: int) -> Iterator[tuple[int, int, int, int]]:
        while True:
            found = _SUBSECTION.match(self._data, position)
            if found is None:
                stop = _TOKEN.match(self._data, position)
                if stop is None or stop[_WORD] != b"trailer":
                    yield _WRONG
                return
            first, count = int(found[1]), int(found[2])
            self._count(count)
            position = found.end() + 20 * count
            lines = self._data[found.end() : position]
            if len(lines) != 20 * count or not _ENTRIES.fullmatch(lines):
                yield _WRONG
                return
            for number in range(count):
                line = lines[20 * number : 20 * number + 18]
                kind = _IN_FILE if line[17:] == b"n" else _FREE
                yield kind, first + number, int(line[:10]), int(line[11:16])

    def _reference_stream(
        self, dictionary: dict[bytes, Value], data: int
    ) -> Iterator[tuple[int, int, int, int]]:
        widths = [_integer(width, -1) for width in _sequence(dictionary.get(b"/W"))]
        index = [_integer(of, -1) for of in _sequence(dictionary.get(b"/Index"))]
        index = index or [0, _integer(dictionary.get(b"/Size"), -1)]
        content = self._decode(dictionary, data)
        if len(widths) != 3 or min(widths) < 0 or max(widths) > 8 or not sum(widths) or content is None:
            yield _WRONG
            return
        position, row = 0, sum(widths)
        fields = [(sum(widths[:at]), sum(widths[: at + 1])) for at in range(3)]
        for first, count in zip(index[::2], index[1::2], strict=False):
            if count < 0 or position + count * row > len(content):
                yield _WRONG
                return
            self._count(count)
            for number in range(first, first + count):
                kind, place, which = (
                    int.from_bytes(content[position + start : position + end], "big") for start, end in fields
                )
                yield (kind if widths[0] else _IN_FILE), number, place, which
                position += row

    # -- objects (7.3) --------------------------------------------------------------------------------------

    def _object(self, position: int, number: int) -> int:
        """Read the object whose value begins at a position; return where it ends."""
        self._begun.add(position)
        self._places.setdefault(number, []).append(Place(position))
        parsed = self._value(self._data, position)
        if parsed.stop == b"endobj":
            return parsed.end
        if parsed.stop != b"stream":
            return self._begin_of(parsed)
        dictionary = parsed.value if isinstance(parsed.value, dict) else {}
        # Some readers look for `First` and `N` only, others for the type.
        if dictionary.get(b"/Type") == b"/ObjStm" or {b"/First", b"/N"} <= dictionary.keys():
            self._object_stream(dictionary, parsed.end, position)
        if dictionary.get(b"/Type") == b"/XRef" or b"/W" in dictionary:
            header = next(reversed(self._headers), -1)
            self._trailer(dictionary, header)
            self._reference_streams[header] = (dictionary, parsed.end)
        return self._end_of_stream(dictionary, parsed.end)

    def _begin_of(self, parsed: Parsed) -> int:
        """Return where the next object or section begins, of which a word ended an object without its own end."""
        begin = parsed.end - len(parsed.stop)
        window = max(0, begin - 40)
        found = _NUMBERS_BEFORE.search(self._data[window:begin]) if parsed.stop == b"obj" else None
        return window + found.start() if found else begin

    def _end_of_stream(self, dictionary: dict[bytes, Value], position: int) -> int:
        start = _STARTS_STREAM.match(self._data, position)
        begin = start.end() if start else position
        end = begin + _integer(dictionary.get(b"/Length"), len(self._data))
        if end < len(self._data) and (found := _ENDS_STREAM.match(self._data, end)):
            return found.end()
        found = _ENDSTREAM.search(self._data, begin)
        return found.end() if found else len(self._data)

    def _object_stream(self, dictionary: dict[bytes, Value], position: int, place: int) -> None:
        """Read the objects of an object stream (7.5.7)."""
        first, count = _integer(dictionary.get(b"/First"), -1), _integer(dictionary.get(b"/N"), -1)
        content = self._decode(dictionary, position)
        if content is None or first < 0 or count < 0:
            self.faults.add("malformed")
            return
        words = content[:first].split()[: 2 * count]
        if len(words) != 2 * count or not all(word.isdigit() and len(word) <= 10 for word in words):
            self.faults.add("malformed")
            return
        self._held[place] = [int(number) for number in words[::2]]
        offsets = [first + int(offset) for offset in words[1::2]]
        for number, start, end in zip(words[::2], offsets, [*offsets[1:], len(content)], strict=True):
            self._places.setdefault(int(number), []).append(Place(start, place))
            items = self._items(content[start:end])
            # Where the next object is said to begin in the midst of a name or number, readers read on.
            if not items or _AMIDST.match(content, end - 1):
                self._slowly(content, start, single=True)
            else:
                self._first(items)

    def _decode(self, dictionary: Value, position: int) -> bytes | None:
        """Return a stream's content, or None if not every reader would have the same."""
        if not isinstance(dictionary, dict):
            return None
        start = _STARTS_STREAM.match(self._data, position)
        if start is None or not {b"/F", b"/FFilter", b"/DP"}.isdisjoint(dictionary):
            return None
        filters = [dictionary.get(b"/Filter", b"null"), dictionary.get(b"/DecodeParms", b"null")]
        names, parameters = ([of] if not isinstance(of, list) else of for of in filters)
        end = self._end_of_stream(dictionary, position)
        raw = self._data[start.end() : end]
        return pdf_filters.decode(raw.removesuffix(b"endstream"), names, parameters)

    def _value(self, data: Any, position: int) -> Parsed:
        """Read an object's value, up to the word that ends the object."""
        stop = _STOP.search(data, position, position + _LONGEST_QUICK)
        if stop:
            items = self._items(data[position : stop.start()])
            if items is not None:
                return Parsed(self._first(items), stop.end(), stop[0])
        return self._slowly(data, position)

    def _items(self, region: bytes) -> list[Value] | None:
        """Return what stands in a region; None if it begins or ends amidst something, or needs a closer look."""
        tokens = _TOKENS.findall(region)
        self._count(len(tokens))
        escaped = b"#" in region
        items: list[Value] = []
        stack = [items]
        for token in tokens:
            kind = token[0]
            if kind in _PLAIN:
                items.append(token)
            elif kind == _SLASH:
                items.append(_unescape(token) if escaped else token)
            elif token == b"R":
                _refer(items)
            elif token in {b"<<", b"["}:
                items = []
                stack.append(items)
            elif token in {b">>", b"]"}:
                if len(stack) == 1:
                    return None
                closed = stack.pop()
                items = stack[-1]
                items.append(self._dictionary(closed) if token == b">>" else closed)
            elif len(token) == 1 and kind in _LONE:
                return None
            else:
                items.append(token)
        if len(stack) > 1:
            return None
        return items

    def _slowly(self, data: Any, position: int, *, single: bool = False) -> Parsed:
        """Read an object's value token by token; with `single` stop after it."""
        items: list[Value] = []
        stack = [items]
        limit = self._tokens + MOST_OF_OBJECT
        while (token := _TOKEN.match(data, position)) is not None:
            self._count()
            position = token.end()
            kind = token.lastindex or 0
            found = token[kind]
            if kind in {_NAME, _TEXT, _HEX}:
                items.append(_unescape(found) if kind == _NAME else found)
            elif kind == _WORD:
                if found == b"R":
                    _refer(items)
                elif found in _STOPS:
                    return self._closed(stack, position, found)
                else:
                    items.append(found)
            elif kind == _BRACKET:
                if found in {b"<<", b"["}:
                    items = []
                    stack.append(items)
                elif len(stack) > 1:
                    closed = stack.pop()
                    items = stack[-1]
                    items.append(self._dictionary(closed) if found == b">>" else closed)
            elif found == b"(":
                start, position = position - 1, self._end_of_text(position, data)
                items.append(data[start:position])
            # Three numbers may be a reference, of which one is too little to know.
            if (
                single
                and len(stack) == 1
                and items
                and (len(items) > 2 or kind != _WORD or items[0] is not found)
            ):
                break
            if self._tokens > limit or len(stack) > MOST_DEEP:
                raise Rejection("too_complex")
        return self._closed(stack, position, b"")

    def _closed(self, stack: list[list[Value]], position: int, stop: bytes) -> Parsed:
        """Return an object's value, of which brackets may have been left open."""
        while len(stack) > 1:
            opened = self._dictionary(stack.pop())
            stack[-1].append(opened)
        return Parsed(self._first(stack[0]), position, stop)

    def _first(self, items: list[Value]) -> Value:
        value = items[0] if items else b"null"
        if isinstance(value, bytes) and value in _ACTIONS_REFUSED:
            self.faults.add("active_content")  # Another object may refer to this name.
        return value

    def _end_of_text(self, position: int, data: Any = None) -> int:
        """Return where a literal string ends, after whose first parenthesis a position is."""
        data, depth = self._data if data is None else data, 1
        while depth and (found := _PARENTHESIS.match(data, position)):
            self._count()
            depth += 1 if found[1] == b"(" else -1
            position = found.end()
        return position if not depth else len(data)

    def _count(self, tokens: int = 1) -> None:
        self._tokens += tokens
        if self._tokens > MOST_TOKENS:
            raise Rejection("too_complex")

    # -- what they do ---------------------------------------------------------------------------------------

    def _dictionary(self, items: list[Value]) -> dict[bytes, Value]:
        """Make a dictionary of its keys and values, and note its problems."""
        keys = items[::2]
        try:
            made = dict(zip(keys, items[1::2], strict=True))
            aligned = not made or (min(made) >= b"/" and max(made) < b"0")
        except (TypeError, ValueError):
            aligned = False
        if not aligned:
            return self._misaligned(items)
        if len(made) != len(keys):
            self.faults.add("malformed")
            if not _MISLEADING.isdisjoint(keys) or any(value in _ACTIONS_REFUSED for value in _names(items)):
                self.faults.add("active_content")
        if not self._complete and not _WATCHED.isdisjoint(made):
            self._look(made)
        self._seen |= made.keys() & {b"/Pages", b"/Kids"}
        return made

    def _misaligned(self, items: list[Value]) -> dict[bytes, Value]:
        """Make a dictionary of what isn't pairs of names and values; readers pass over the rest each in its way."""
        if not _MISLEADING.isdisjoint(_names(items)):
            self.faults.add("active_content")
        made = dict[bytes, Value]()
        position = 0
        while position < len(items) - 1:
            key = items[position]
            position += 1
            if isinstance(key, bytes) and key[:1] == b"/":
                if key in made:
                    self.faults.add("malformed")
                made[key] = items[position]
                position += 1
        if not self._complete:
            self._look(made)
        return made

    def _look(self, made: dict[bytes, Value]) -> None:
        kind = made.get(b"/S")
        if (
            not _KEYS_REFUSED.isdisjoint(made)
            or (isinstance(kind, bytes) and kind in _ACTIONS_REFUSED)
            or made.get(b"/Subtype") == b"/RichMedia"
        ):
            self.faults.add("active_content")
        for key in _ADDRESSES:
            address = made.get(key)
            if isinstance(address, int):
                self._addresses.append(address)
            elif _is_script(address):
                self.faults.add("active_content")
        self._triggers += [(key, made[key]) for key in _TRIGGERS if key in made]
        if b"/XFA" in made:
            self._forms.append(made[b"/XFA"])
        if len(self._triggers) + len(self._forms) + len(self._addresses) > MOST_TRIGGERS:
            raise Rejection("too_complex")

    def _resolve(self, value: Value, depth: int = 0) -> list[Value]:
        """Return what a value may be: each object of the number that it refers to."""
        if not isinstance(value, int):
            return [value]
        if depth > MOST_HOPS:
            raise Rejection("too_complex")
        found: list[Value] = []
        for place in self._places.get(value, ()):
            found += self._resolve(self._again(place), depth + 1)
        return found

    def _again(self, place: Place) -> Value:
        if place.stream is None:
            return self._value(self._data, place.position).value
        if self._unpacked[0] != place.stream:
            holder = self._value(self._data, place.stream)
            self._unpacked = (place.stream, self._decode(holder.value, holder.end) or b"")
        return self._slowly(self._unpacked[1], place.position, single=True).value

    def _check_trigger(self, key: bytes, value: Value) -> None:
        """Refuse what happens without a click (12.6.3), unless it is harmless."""
        for found in self._resolve(value):
            if isinstance(found, dict):
                actions = (
                    [found]
                    if key == b"/OpenAction"
                    else [a for v in found.values() for a in self._resolve(v)]
                )
                if not all(self._is_harmless(action) for action in actions):
                    self.faults.add("active_content")

    def _is_harmless(self, action: Value) -> bool:
        if not isinstance(action, dict) or b"/S" not in action:
            return True
        return b"/Next" not in action and all(
            isinstance(kind, bytes) and kind in _HARMLESS for kind in self._resolve(action[b"/S"])
        )

    def _check_form(self, value: Value) -> None:
        """Refuse a form (12.7.8) whose template holds scripts, or can't be read in one way only."""
        try:
            content = self._form(value)
            scripted = content and any(name in _SCRIPTED for name, _ in xml_elements.read(content))
        except Rejection:
            scripted = True
        if scripted:
            self.faults.add("active_content")

    def _form(self, value: Value, depth: int = 0) -> bytes:
        """Return a form's XML: of a stream, or of a list of names and streams."""
        if isinstance(value, list):
            packets = [packet for packet in value if not isinstance(packet, bytes)]
            if not all(packet[:1] in {b"(", b"<"} for packet in value if isinstance(packet, bytes)):
                raise Rejection("active_content")
            return b"".join(self._form(packet, depth + 1) for packet in packets)
        if not isinstance(value, int) or not (places := self._places.get(value)):
            return b""
        if len(places) > 1 or depth > MOST_HOPS:
            raise Rejection("active_content")
        if places[0].stream is None:
            parsed = self._value(self._data, places[0].position)
            if parsed.stop == b"stream":
                content = self._decode(parsed.value, parsed.end)
                if content is None:
                    raise Rejection("active_content")
                return content
        return self._form(self._again(places[0]), depth + 1)


_PLAIN = frozenset(b"0123456789+-.")
_SLASH = ord("/")
_LONE = frozenset(b"%()<>{}")
_PADDING = b"\0\t\n\f\r \x1a"
"""Bytes that may follow the end: white space, and the end of a file as CP/M and DOS marked it."""

_IN_FILE, _COMPRESSED, _FREE = 1, 2, 0
_WRONG = (_IN_FILE, 0, -1, 0)
_AMIDST = re.compile(_REGULAR + _REGULAR)
_ODD_NUMBER = re.compile(rb"\+?0*([0-9]{1,10})(?:\.0*)?")
"""A whole number in another form, which some readers take in a reference as well."""

_NUMBERS_BEFORE = re.compile(rb"([0-9]{1,10})" + _SPACE + rb"[0-9]{1,5}" + _SPACE + rb"\Z")
_TABLE = re.compile(rb"[0-9fn" + _WHITE + rb"]*+")
_SUBSECTION = re.compile(rb"[" + _WHITE + rb"]*+([0-9]{1,10}) ([0-9]{1,8})[ \r\n]{1,3}(?=[0-9t])")


def _refer(items: list[Value]) -> None:
    """Make a reference of the last two items, if they are the numbers of one."""
    number = items[-2] if len(items) > 1 else None
    if isinstance(number, bytes) and number.isdigit() and len(number) <= 10:
        items[-2:] = [int(number)]
    elif isinstance(number, bytes) and (found := _ODD_NUMBER.fullmatch(number)):
        items[-2:] = [int(found[1])]


def _unescape(name: bytes) -> bytes:
    """Return a name without its escapes (7.3.5): `/J#53` is `/JS`."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), name) if b"#" in name else name


def _names(items: list[Value]) -> list[bytes]:
    return [item for item in items if isinstance(item, bytes) and item[:1] == b"/"]


def _integer(value: Value, otherwise: int) -> int:
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= 10 else otherwise


def _sequence(value: Value) -> Sequence[Value]:
    return value if isinstance(value, list) else ()


def _is_script(address: Value) -> bool:
    """Return whether an address runs something in a browser; it may be written in hexadecimal or with escapes."""
    if not isinstance(address, bytes):
        return False
    if address[:1] == b"<":
        digits = re.sub(rb"[^0-9A-Fa-f]", b"", address)
        text = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
    else:
        text = re.sub(rb"\\([0-7]{1,3})", lambda found: bytes([int(found[1], 8) & 255]), address[1:-1])
        text = re.sub(rb"\\[nrtbf]", b"", text)  # White space, which browsers pass over.
    return re.sub(rb"[^a-z:]", b"", text.lower()).startswith((b"javascript:", b"vbscript:"))
