"""Checks of PDF and HWP documents: built as their types demand, not encrypted; a PDF runs nothing when opened."""

import struct
from typing import IO, Any

import olefile
import pypdf
from pypdf.generic import DictionaryObject

from app.uploads.errors import Rejection

_TAIL = 1024
_HWP_SIGNATURE = b"HWP Document File"
_HWP_ENCRYPTED = 0x2 | 0x10 | 0x100
"""Password, DRM, certificate (HWP 5.0 format, revision 1.3, table 3)."""

# Tables of references are compressed too; without bounds a few kilobytes would become gigabytes.
_BOUNDS = {
    "zlib_maximum_output_length": 8_000_000,
    "lzw_maximum_output_length": 8_000_000,
    "run_length_maximum_output_length": 8_000_000,
    "maximum_declared_stream_length": 8_000_000,
    "stream_decoding_work_maximum_length": 16_000_000,
}
_HARMLESS = {"/GoTo", "/Named"}
"""What a document may do when it is opened: show a place in itself, or do what a menu does (ISO 32000-1, 12.6.4)."""

_DEEPEST = 50
"""Levels of the tree of pages that are gone down to the first one."""


def check_pdf(file: IO[bytes], size: int) -> None:
    """Check a PDF by its ends, its table of references and its catalogue; raise `Rejection`."""
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    _, mark, rest = tail.rpartition(b"%%EOF")
    if not mark:
        raise Rejection("malformed")
    if rest.strip(b"\r\n\t \x00"):
        raise Rejection("polyglot")
    # Strictly first: small faults are common, but to mend them means to look at every object of the file.
    for strict in (True, False):
        try:
            active = _acts_when_opened(file, strict=strict)
            break
        except Rejection:
            raise
        except Exception:  # noqa: BLE001, S112 - whatever a damaged document makes of the parser
            continue
    else:
        raise Rejection("malformed")
    if active:
        raise Rejection("active_content")


def _acts_when_opened(file: IO[bytes], *, strict: bool) -> bool:
    """Return whether opening the document would run something."""
    file.seek(0)
    with pypdf.apply_configuration(None, **_BOUNDS):
        return _catalogue_acts(pypdf.PdfReader(file, strict=strict))


def _catalogue_acts(document: pypdf.PdfReader) -> bool:
    if "/Encrypt" in document.trailer:
        raise Rejection("encrypted")
    catalogue = _resolved(document.trailer["/Root"])
    pages = _resolved(catalogue.get("/Pages"))
    if not isinstance(pages, DictionaryObject) or not int(_resolved(pages.get("/Count", 0))) > 0:
        raise Rejection("malformed")
    names = _resolved(catalogue.get("/Names"))
    opening = _resolved(catalogue.get("/OpenAction"))
    return (
        (isinstance(names, DictionaryObject) and "/JavaScript" in names)
        or "/AA" in catalogue
        or "/AA" in _first_page(pages)
        or (isinstance(opening, DictionaryObject) and not _is_harmless(opening))
    )


def _is_harmless(action: DictionaryObject) -> bool:
    return str(_resolved(action.get("/S"))) in _HARMLESS and "/Next" not in action


def _first_page(node: DictionaryObject) -> DictionaryObject:
    for _ in range(_DEEPEST):
        kids = _resolved(node.get("/Kids"))
        if not kids:
            return node
        node = _resolved(kids[0])
    raise Rejection("too_complex")


def _resolved(value: Any) -> Any:
    return value.get_object() if hasattr(value, "get_object") else value


def check_hwp(file: IO[bytes]) -> None:
    """Check a document in Hancom's binary format; raise `Rejection`."""
    try:
        with olefile.OleFileIO(file) as document:
            header = document.openstream("FileHeader").read(256)
            body = document.exists("BodyText/Section0") or document.exists("ViewText/Section0")
    except Exception:  # noqa: BLE001 - whatever a damaged document makes of the parser
        raise Rejection("malformed") from None
    if not header.startswith(_HWP_SIGNATURE) or len(header) < 40:
        raise Rejection("type_mismatch")
    (flags,) = struct.unpack_from("<I", header, 36)
    if flags & _HWP_ENCRYPTED:
        raise Rejection("encrypted")
    if not body:
        raise Rejection("malformed")
