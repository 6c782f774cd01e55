"""Zip archives: every byte belongs to one entry or to the directory, and every entry is what both say of it.

Readers differ in what they believe: the directory, the headers that stand before each entry, or the bytes. So all
three are compared, and every entry is unpacked, up to its declared length. PKWARE's APPNOTE 6.3.10 is the
source of the format; section numbers are its own.
"""

import struct
import unicodedata
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from app.uploads.reasons import Rejection

MOST_ENTRIES = 5_000
MOST_UNPACKED = 2_000_000_000
MOST_RATIO = 200
"""Bytes that one may become; DEFLATE makes at most 1,032 of one, text rarely more than 20."""

MOST_NESTED = 50_000_000
MOST_DEEP = 3
_PIECE = 1 << 18
_HEAD = 33_000
"""Bytes of an entry that are inspected: an ISO image's signature is after 32 KB."""

_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DESCRIBED_LATER = 0x8
_UTF_8 = 0x800
_STORED, _DEFLATED = 0, 8
_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END_64, _LOCATOR_64, _DESCRIPTOR = b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"
_16, _32 = 0xFFFF, 0xFFFFFFFF
_VERSION = 63
"""The version of the format, times ten, that unpackers know (4.4.3)."""

_SIZES_64, _NAME = 0x0001, 0x7075
_LINKS = {0x000D, 0x756E, 0x6C78}
"""Extra fields that can make a link of an entry: PKWARE's and ASi's for Unix, libarchive's of a directory entry."""

_SPECIAL_MODES = {0o120000, 0o010000, 0o020000, 0o060000, 0o140000}
"""Symbolic links, pipes, devices, sockets, for every system that the directory may name: unpackers differ there."""

_SUFFIXES = (
    ".zip", ".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".lz4", ".tar", ".jar", ".war", ".apk", ".cab",
    ".iso", ".alz", ".egg", ".lzh", ".arj", ".z", ".tbz", ".tbz2", ".txz", ".tzst", ".lzma", ".lz", ".zipx", ".cpio",
    ".ace", ".deb", ".rpm", ".wim", ".vhdx", ".ear",
)  # fmt: skip
_ZIPPED = (_LOCAL, _END, b"PK00" + _LOCAL, _DESCRIPTOR + _LOCAL)
_ARCHIVES = (
    *_ZIPPED, b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x1f\x8b", b"\x1f\x9d", b"\x1f\xa0", b"\xfd7zXZ\0",
    b"LZIP\x01", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"MSCF\0", b"MSWIM\0", b"ALZ\x01", b"EGGA\0",
    b"\x60\xea", b"xar!\0", b"\x5d\0\0\x80\0", b"ISc(", b"\x02\x21\x4c\x18", b"!<arch>\ndebian", b"\xed\xab\xee\xdb",
    b"vhdxfile", b"conectix", b"hsqs",
)  # fmt: skip
_BZIP2 = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PROJECT = "_VBA_PROJECT".encode("utf-16-le")
"""Name of a stream of every macro project ([MS-OVBA] 2.2.1), as the directory of a compound file holds it."""

_DOCUMENTS = (".docx", ".xlsx", ".pptx", ".hwpx", ".odt", ".ods", ".odp", ".xlsb", ".sldx")
"""Documents that are archives themselves; those inside another are inspected in the same way."""


class Entry(NamedTuple):
    """An entry of the directory (4.3.12)."""

    name: bytes
    flags: int
    method: int
    checksum: int
    packed: int
    size: int
    offset: int
    mode: int
    extra: dict[int, bytes]


class Archive:
    """An archive whose entries are all accounted for; raises `Rejection` for any other."""

    def __init__(self, data: Any, outer: "Archive | None" = None) -> None:
        self._data, self._outer = data, outer
        self.depth: int = 1 + (outer.depth if outer else 0)
        self._unpacked = 0
        start, end, count = self._directory()
        self.entries = self._entries(start, end, count)
        self._begins: dict[int, int] = {}
        self._refuse_bomb()
        self._walk(start)
        for entry in self.entries:
            self._refuse_link(entry)
        names = [
            # Names in CP949 and the like aren't UTF-8: each of their bytes stays what it is.
            unicodedata.normalize("NFC", entry.name.decode("utf-8", "surrogateescape")).casefold()
            for entry in self.entries
        ]
        if len(set(names)) != len(names):
            raise Rejection("malformed")

    def find(self, name: str) -> Entry | None:
        """Return the entry of a name, in any case: Windows and Office ignore case."""
        wanted = name.lower().encode()
        return next((entry for entry in self.entries if entry.name.lower() == wanted), None)

    def read(self, entry: Entry, most: int) -> bytes:
        """Return an entry's content, of at most so many bytes."""
        if entry.size > most:
            raise Rejection("too_complex")
        return b"".join(self.unpack(entry))

    def unpack(self, entry: Entry) -> Iterator[bytes]:
        """Yield an entry's content; raise `Rejection` unless it has the declared length and checksum."""
        checksum = size = 0
        for piece in self._pieces(entry):
            size += len(piece)
            if size > entry.size:
                raise Rejection("archive_bomb")
            checksum = zlib.crc32(piece, checksum)
            if piece:
                yield piece
        if size != entry.size or checksum != entry.checksum:
            raise Rejection("malformed")

    def _pieces(self, entry: Entry) -> Iterator[bytes]:
        start = self._begins[entry.offset]
        end = start + entry.packed
        if entry.method == _STORED:
            for at in range(start, end, _PIECE):
                yield self._data[at : min(end, at + _PIECE)]
            return
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for at in range(start, end, _PIECE):
                held = self._data[at : min(end, at + _PIECE)]
                while held and not inflating.eof:
                    yield inflating.decompress(held, _PIECE)
                    held = inflating.unconsumed_tail
        except zlib.error:
            raise Rejection("malformed") from None
        yield inflating.flush()
        if not inflating.eof or inflating.unused_data:
            raise Rejection("malformed")

    # -- the directory --------------------------------------------------------------------------------------

    def _directory(self) -> tuple[int, int, int]:
        """Return where the directory begins and ends, and how many entries it has (4.3.14 to 4.3.16)."""
        data = self._data
        at = data.rfind(_END, max(0, len(data) - 22 - _16))
        if at < 0 or len(data) - at < 22:
            raise Rejection("malformed")
        disk, first_disk, here, count, size, start, comment = struct.unpack_from("<4H2IH", data, at + 4)
        if at + 22 + comment != len(data):
            raise Rejection("polyglot")
        end = at
        if data[max(0, at - 20) : at][:4] == _LOCATOR_64:
            end, (here, count, size, start) = self._large(at, (here, count, size, start))
        elif _16 in {here, count} or _32 in {size, start}:
            raise Rejection("malformed")
        if disk or first_disk or here != count:
            raise Rejection("malformed")
        if start + size != end:
            raise Rejection("polyglot")
        if not count:
            raise Rejection("malformed")
        if count > MOST_ENTRIES:
            raise Rejection("too_complex")
        return start, end, count

    def _large(self, at: int, small: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """Return the same of an archive with a large end, which must not contradict the small one."""
        end = at - 20 - 56
        if end < 0 or self._data[end : end + 4] != _END_64:
            raise Rejection("malformed")
        rest, _made, _needed, disk, first_disk, *large = struct.unpack_from("<Q2H2I4Q", self._data, end + 4)
        _, pointer, _ = struct.unpack_from("<IQI", self._data, at - 16)
        unknown = (_16, _16, _32, _32)
        agrees = all(a in (b, c) for a, b, c in zip(small, large, unknown, strict=True))
        if rest != 44 or disk or first_disk or pointer != end or not agrees:
            raise Rejection("malformed")
        return end, tuple(large)

    def _entries(self, position: int, end: int, count: int) -> list[Entry]:
        entries = []
        for _ in range(count):
            if self._data[position : position + 4] != _CENTRAL or position + 46 > end:
                raise Rejection("malformed")
            fields = struct.unpack_from("<6H3I5H2I", self._data, position + 4)
            _made, needed, flags, method, _time, _date, checksum, packed, size = fields[:9]
            name_length, extra_length, comment_length, disk, _internal, external, offset = fields[9:]
            position += 46
            name = self._data[position : position + name_length]
            extra = _extra(self._data[position + name_length : position + name_length + extra_length])
            position += name_length + extra_length + comment_length
            size, packed, offset = _sizes(extra, size, packed, offset)
            if disk not in {0, _16} or needed & 0xFF > _VERSION:
                raise Rejection("malformed")
            entry = Entry(name, flags, method, checksum, packed, size, offset, external >> 16, extra)
            _refuse_escape(entry.name, extra)
            entries.append(entry)
        if position != end:
            raise Rejection("malformed")
        if any(entry.flags & _ENCRYPTED or entry.method == 99 for entry in entries):
            raise Rejection("encrypted")
        if any(entry.method not in {_STORED, _DEFLATED} for entry in entries):
            raise Rejection("malformed")
        return entries

    def _refuse_bomb(self) -> None:
        unpacked = sum(entry.size for entry in self.entries)
        if unpacked > MOST_RATIO * max(len(self._data), 4096):
            raise Rejection("archive_bomb")
        self.add(unpacked)

    def add(self, unpacked: int) -> None:
        """Count the unpacked bytes of an archive and of those in it."""
        self._unpacked += unpacked
        if self._unpacked > MOST_UNPACKED:
            raise Rejection("archive_bomb")
        if self._outer:
            self._outer.add(unpacked)

    # -- the entries ----------------------------------------------------------------------------------------

    def _walk(self, end: int) -> None:
        """Go from entry to entry as readers do that ignore the directory; compare the result with the directory."""
        position = 0
        entries = sorted(self.entries, key=lambda entry: entry.offset)
        for entry, following in zip(entries, [*(e.offset for e in entries[1:]), end], strict=True):
            # Entries that share their bytes unpack to far more than the archive holds (D. Fifield, WOOT 2019).
            if entry.offset < position:
                raise Rejection("archive_bomb")
            if entry.offset > position:
                raise Rejection("polyglot")
            position = self._local(entry, following)
        if position != end:
            raise Rejection("malformed" if position > end else "polyglot")

    def _local(self, entry: Entry, following: int) -> int:
        """Compare an entry's own header (4.3.7) with the directory; return where the entry ends."""
        data, at = self._data, entry.offset
        if data[at : at + 4] != _LOCAL or at + 30 > len(data):
            raise Rejection("malformed")
        _needed, flags, method, _time, _date, checksum, packed, size, name_length, extra_length = (
            struct.unpack_from("<5H3I2H", data, at + 4)
        )
        begin = at + 30 + name_length + extra_length
        name = data[at + 30 : at + 30 + name_length]
        extra = _extra(data[at + 30 + name_length : begin])
        _refuse_escape(name, extra)
        if not _LINKS.isdisjoint(extra):
            raise Rejection("unsafe_path")
        size, packed, _ = _sizes(extra, size, packed, 0)
        stated, seen = (entry.checksum, entry.packed, entry.size), (checksum, packed, size)
        later = flags & _DESCRIBED_LATER
        compared = _ENCRYPTED | _DESCRIBED_LATER | (0 if name.isascii() else _UTF_8)
        if (
            name != entry.name
            or method != entry.method
            or flags & compared != entry.flags & compared
            or any(a != b and not (later and not b) for a, b in zip(stated, seen, strict=True))
        ):
            raise Rejection("malformed")
        self._begins[entry.offset] = begin
        end: int = begin + entry.packed
        return end + self._descriptor(entry, end, following) if later else end

    def _descriptor(self, entry: Entry, at: int, following: int) -> int:
        """Return the length of what follows an entry whose header didn't know its sizes yet (4.3.9)."""
        rest = self._data[at:following] if 0 <= following - at <= 24 else b""
        numbers = rest.removeprefix(_DESCRIPTOR) if len(rest) in {16, 24} else rest
        stated = (entry.checksum, entry.packed, entry.size)
        if numbers not in (struct.pack("<3I", *stated), struct.pack("<I2Q", *stated)):
            raise Rejection("malformed")
        return len(rest)

    def _refuse_link(self, entry: Entry) -> None:
        if entry.mode & 0o170000 in _SPECIAL_MODES or not _LINKS.isdisjoint(entry.extra):
            raise Rejection("unsafe_path")


def check(archive: Archive, *, passed_over: tuple[str, ...] = (), macros: bool = True) -> Iterator[Archive]:
    """Unpack every entry, refuse archives in it, and yield the documents in it that are archives themselves.

    Entries whose names end in `passed_over` may be compressed; without `macros` no compound file may hold any.
    """
    for entry in archive.entries:
        name = entry.name.decode("utf-8", "replace").lower().rstrip(" .\0")
        pieces = archive.unpack(entry)
        head = b""
        for piece in pieces:
            head += piece
            if len(head) >= _HEAD:
                break
        if head.startswith(_ZIPPED) and name.endswith(_DOCUMENTS) and archive.depth < MOST_DEEP:
            if entry.size > MOST_NESTED:
                raise Rejection("too_complex")
            yield Archive(head + b"".join(pieces), archive)
            continue
        if name.endswith(_SUFFIXES) or (_is_archive(head) and not name.endswith(passed_over)):
            raise Rejection("nested_archive")
        sought = _PROJECT if not macros and head.startswith(_COMPOUND) else None
        while piece := head:
            head = next(pieces, b"")
            if sought and sought in piece + head[: len(sought)]:
                raise Rejection("active_content")


def _is_archive(head: bytes) -> bool:
    return (
        head.startswith(_ARCHIVES)
        or (head[:3] == b"BZh" and head[4:10] in _BZIP2)
        or head[257:262] == b"ustar"
        or (head.startswith(b"07070") and len(head) >= 76 and head[:76].isalnum())
        or (head[2:5] == b"-lh" and head[6:7] == b"-")
        or head[7:14] == b"**ACE**"
        or head[32769:32774] in {b"CD001", b"BEA01"}
        or _is_tar(head)
    )


def _is_tar(head: bytes) -> bool:
    """Return whether a file begins with a header of tar; that of Unix V7 shows by its checksum alone (POSIX pax)."""
    stated = head[148:156].strip(b"\0 ")
    if len(head) < 512 or not head[0] or not stated.isdigit():
        return False
    try:
        return int(stated, 8) == sum(head[:148]) + 8 * ord(" ") + sum(head[156:512])
    except ValueError:
        return False


def _extra(field: bytes) -> dict[int, bytes]:
    """Return an entry's extra fields by their ids (4.5); some writers leave a remainder that is none: padding."""
    found: dict[int, bytes] = {}
    while len(field) >= 4:
        kind, length = struct.unpack_from("<2H", field)
        if length > len(field) - 4:
            break
        if kind in found and kind in {_SIZES_64, _NAME}:
            raise Rejection("malformed")
        found[kind] = field[4 : 4 + length]
        field = field[4 + length :]
    return found


def _sizes(extra: dict[int, bytes], size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Return sizes and offset, where need be from the extra field of large archives (4.5.3)."""
    known = [size, packed, offset]
    field = extra.get(_SIZES_64, b"")
    for at, value in enumerate(known):
        if value == _32:
            if len(field) < 8:
                raise Rejection("malformed")
            known[at], field = struct.unpack_from("<Q", field)[0], field[8:]
    return known[0], known[1], known[2]


def _refuse_escape(name: bytes, extra: dict[int, bytes]) -> None:
    """Refuse a name that leads out of the directory into which the archive is unpacked."""
    names = [name]
    if _NAME in extra:
        names.append(extra[_NAME][5:])
    for path in names:
        parts = path.replace(b"\\", b"/").split(b"/")
        if (
            path.startswith((b"/", b"\\"))
            or not path
            or b"\0" in path
            # Windows drops dots and spaces at a name's end, and takes a letter and a colon for a drive.
            or any(len(part) > 1 and not part.strip(b" .") for part in parts)
            or any(part[1:2] == b":" for part in parts)
        ):
            raise Rejection("unsafe_path")
