"""What an upload really is: its structure against its announced type, from a few ranges of it.

Everything here runs in a worker thread, fails closed, and names one reason for a rejection.
"""

import zipfile
from typing import IO, cast

import imagesize

from app.core.settings import settings
from app.uploads import archives, documents
from app.uploads.errors import Rejection
from app.uploads.kinds import KINDS
from app.uploads.storage import Reader

IMAGE_BUDGET = 256 * 1024
"""Bytes of an image that may be read before thumbnails are made of it."""

DOCUMENT_BUDGET = 4 * 1024 * 1024
"""Bytes of a document or archive that may be read: directories of thousands of entries are smaller."""

_MAGIC: dict[str, tuple[bytes, ...]] = {
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
    "application/pdf": (b"%PDF-1.", b"%PDF-2."),
    "application/x-hwp": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",),
}
_ZIP_MAGIC = (b"PK\x03\x04",)

# What browsers or servers would take for markup or code, were they to guess (WHATWG MIME Sniffing §7.1).
_MARKUP = (b"<script", b"<html", b"<!doctype", b"<svg", b"<?php", b"<iframe", b"<body")
_SNIFFED = 1445


def budget(content_type: str) -> int:
    """Return how many bytes of a file of a type may be read to check it."""
    return IMAGE_BUDGET if KINDS[content_type].family == "image" else DOCUMENT_BUDGET


def inspect(reader: Reader, content_type: str) -> None:
    """Check a file against its announced type; raise `Rejection`."""
    head = reader.read(_SNIFFED)
    if not head.startswith(_MAGIC.get(content_type, _ZIP_MAGIC)):
        raise Rejection("type_mismatch")
    family = KINDS[content_type].family
    file = cast("IO[bytes]", reader)
    reader.seek(0)
    if family in {"image", "pdf", "hwp"}:
        _refuse_polyglot(file, head, family)
    reader.seek(0)
    match family:
        case "image":
            _image(file, head, content_type)
        case "pdf":
            documents.check_pdf(file, reader.size)
        case "hwp":
            documents.check_hwp(file)
        case "zip":
            archives.check_zip(file, reader.size)
        case "hwpx":
            archives.check_hwpx(file, reader.size)
        case "office":
            archives.check_office(file, reader.size, content_type)


def _refuse_polyglot(file: IO[bytes], head: bytes, family: str) -> None:
    lowered = head.lower()
    if any(mark in lowered for mark in _MARKUP):
        raise Rejection("polyglot")
    if family != "pdf" and b"%pdf-" in lowered:
        raise Rejection("polyglot")
    if zipfile.is_zipfile(file):  # Looks at the end, as whatever opens archives does.
        raise Rejection("polyglot")


def _image(file: IO[bytes], head: bytes, content_type: str) -> None:
    if content_type == "image/webp" and head[8:12] != b"WEBP":
        raise Rejection("type_mismatch")
    try:
        width, height = imagesize.get(file, exif_rotation=False)
    except Rejection:
        raise
    except Exception:  # noqa: BLE001 - whatever a damaged header makes of the parser
        raise Rejection("malformed") from None
    if width < 1 or height < 1:
        raise Rejection("malformed")
    if width * height > settings().upload_max_pixels:
        raise Rejection("too_many_pixels")
