"""References of a PDF (ISO 32000-2, 7.5.4, 7.5.8): whether all readers find the same objects by them."""

import re
from collections.abc import Iterator

from app.uploads.inspection.pdf.document import Document
from app.uploads.inspection.pdf.syntax import TOKEN, WHITE, WORD, Value, integer, sequence

_ENTRIES = re.compile(rb"(?:[0-9]{10} [0-9]{5} [fn](?: \r| \n|\r\n))*+")
_IN_FILE, _COMPRESSED, _FREE = 1, 2, 0
_WRONG = (_IN_FILE, 0, -1, 0)
_SUBSECTION = re.compile(rb"[" + WHITE + rb"]*+([0-9]{1,10}) ([0-9]{1,8})[ \r\n]{1,3}(?=[0-9t])")


class References:
    """References of a document that was read."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def are_consistent(self, offset: int) -> bool:
        """Return whether no reader has a reason to search the file for objects.

        `offset` bytes precede the header; some readers count from there, others from the file's begin.
        """
        return all(self._leads_to_objects(base) for base in {0, offset})

    def _leads_to_objects(self, base: int) -> bool:
        """Return whether the last `startxref` leads to every table, and these to the catalogue and to objects."""
        sections = self._document.tables.keys() | self._document.reference_streams.keys()
        if self._document.pointer[0] != self._document.data.rfind(b"startxref"):
            return False
        visited: dict[int, None] = {}
        waiting = [self._document.pointer[1]]
        while waiting:
            section = self._document.skip(waiting.pop() + base)
            if section not in sections or section not in self._document.trailers:
                return False
            if section not in visited:
                visited[section] = None
                trailer = self._document.trailers[section]
                older = [trailer[key] for key in (b"/Prev", b"/XRefStm") if key in trailer]
                waiting += [integer(position, -1) for position in older]
        roots = [self._document.trailers[section].get(b"/Root") for section in visited]
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
                holders = [
                    self._document.held.get(holder.position, [])
                    for holder in self._document.places.get(place, ())
                ]
                found = any(numbers[which : which + 1] == [number] for numbers in holders)
            else:
                found = self._document.headers.get(self._document.skip(place + base)) == (number, which)
            if not found:
                return None
            used.add(number)
        return used - freed

    def _is_catalogue(self, root: Value, used: set[int]) -> bool:
        """Return whether a reference leads to a catalogue whose tree of pages says how many there are."""
        catalogues = self._document.resolve(root)
        trees = [found.get(b"/Pages") for found in catalogues if isinstance(found, dict)]
        pages = [found for tree in trees for found in self._document.resolve(tree)]
        counts = [found.get(b"/Count") for found in pages if isinstance(found, dict)]
        return (
            {root, *trees} <= used
            and len(catalogues) == len(trees)
            and len(pages) == len(counts)
            and all(integer(found, -1) >= 0 for count in counts for found in self._document.resolve(count))
        )

    def _references(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield type, number and two fields of every entry in tables and streams of references (7.5.4, 7.5.8).

        The fields are position and generation, or object stream and index in it. A table that isn't written as it
        must be names object 0 at -1, where nothing is.
        """
        for start in self._document.tables.values():
            yield from self._table(start)
        for dictionary, data in self._document.reference_streams.values():
            yield from self._reference_stream(dictionary, data)

    def _table(self, position: int) -> Iterator[tuple[int, int, int, int]]:
        while True:
            found = _SUBSECTION.match(self._document.data, position)
            if found is None:
                stop = TOKEN.match(self._document.data, position)
                if stop is None or stop[WORD] != b"trailer":
                    yield _WRONG
                return
            first, count = int(found[1]), int(found[2])
            self._document.parser.count(count)
            position = found.end() + 20 * count
            lines = self._document.data[found.end() : position]
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
        widths = [integer(width, -1) for width in sequence(dictionary.get(b"/W"))]
        index = [integer(of, -1) for of in sequence(dictionary.get(b"/Index"))]
        index = index or [0, integer(dictionary.get(b"/Size"), -1)]
        content = self._document.decode(dictionary, data)
        if len(widths) != 3 or min(widths) < 0 or max(widths) > 8 or not sum(widths) or content is None:
            yield _WRONG
            return
        position, row = 0, sum(widths)
        fields = [(sum(widths[:at]), sum(widths[: at + 1])) for at in range(3)]
        for first, count in zip(index[::2], index[1::2], strict=False):
            if count < 0 or position + count * row > len(content):
                yield _WRONG
                return
            self._document.parser.count(count)
            for number in range(first, first + count):
                kind, place, which = (
                    int.from_bytes(content[position + start : position + end], "big") for start, end in fields
                )
                yield (kind if widths[0] else _IN_FILE), number, place, which
                position += row
