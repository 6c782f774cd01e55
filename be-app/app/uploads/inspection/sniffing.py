"""Other types that a file could pass for: markup, a PDF or an archive, where browsers and readers look for them.

Browsers decide by a file's first bytes, and none of the signatures that are taken here can begin a page (WHATWG MIME
Sniffing §7.1). The rest are polyglots: files of two types at once. Text that a format has a place for, such as a
comment, is no markup: it is passed over.
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

from app.uploads.reasons import Rejection

SNIFFED = 1445
"""Bytes at which browsers look (WHATWG MIME Sniffing §5.2)."""

MARKUP = re.compile(rb"<(?:script|html|!doctype|svg|\?php|iframe|body)", re.IGNORECASE)

_PDF_WITHIN = 1024
"""Bytes within which PDF readers look for a header (ISO 32000-1, implementation note 13)."""

_END_OF_ARCHIVE = b"PK\x05\x06"
_ARCHIVE_WITHIN = 22 + 65_535
"""Bytes within which the end of an archive's directory is: itself and the longest comment (APPNOTE 4.3.16)."""


def refuse_polyglot(data: Any, content_type: str) -> None:
    """Refuse an image or a document that could pass for another type as well."""
    head = data[:SNIFFED]
    structure = _STRUCTURES.get(content_type)
    if structure and MARKUP.search(b"".join(structure(head))):
        raise Rejection("polyglot")
    if content_type != "application/pdf" and b"%pdf-" in head[:_PDF_WITHIN].lower():
        raise Rejection("polyglot")
    if data.rfind(_END_OF_ARCHIVE, max(0, len(data) - _ARCHIVE_WITHIN)) >= 0:
        raise Rejection("polyglot")


# -- the bytes of a format that hold neither pixels nor text, until its image data begins ----------------------


def _jpeg(head: bytes) -> Iterator[bytes]:
    position = 2
    while head[position : position + 1] == b"\xff":
        marker = head[position + 1] if position + 1 < len(head) else 0xDA
        if marker == 0xDA:  # Start of scan.
            return
        if marker == 0xFF or 0xD0 <= marker <= 0xD9 or marker == 1:
            position += 1 if marker == 0xFF else 2
        else:
            position += 2 + max(2, int.from_bytes(head[position + 2 : position + 4], "big"))
    yield head[position:]


def _png(head: bytes) -> Iterator[bytes]:
    position = 8
    while position + 8 <= len(head):
        yield head[position : position + 8]
        position += 12 + int.from_bytes(head[position : position + 4], "big")


def _gif(head: bytes) -> Iterator[bytes]:
    yield head[:13]
    flags = head[10] if len(head) > 10 else 0
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while head[position : position + 1] == b"!":
        position += 2
        while position < len(head) and head[position]:
            position += 1 + head[position]
        position += 1
    if head[position : position + 1] != b",":
        yield head[position:]


def _webp(head: bytes) -> Iterator[bytes]:
    yield head[:12]
    position = 12
    while position + 8 <= len(head):
        yield head[position : position + 8]
        size = struct.unpack_from("<I", head, position + 4)[0]
        position += 8 + size + size % 2


def _hwp(head: bytes) -> Iterator[bytes]:
    yield head[:512]


_STRUCTURES: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "application/x-hwp": _hwp,
}
