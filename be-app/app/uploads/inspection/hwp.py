"""HWP: Hancom's binary format, a compound file (Hancom's HWP 5.0 format, revision 1.3)."""

import struct
from typing import IO

import olefile

from app.uploads.reasons import Rejection

_SIGNATURE = b"HWP Document File"
_ENCRYPTED = 0x2 | 0x10 | 0x100
"""Password, DRM, certificate (table 3)."""


def check(file: IO[bytes]) -> None:
    """Check a document; raise `Rejection`."""
    try:
        with olefile.OleFileIO(file) as document:
            header = document.openstream("FileHeader").read(256)
            body = document.exists("BodyText/Section0") or document.exists("ViewText/Section0")
    except Exception:  # noqa: BLE001 - a damaged document may raise anything in the parser
        raise Rejection("malformed") from None
    if not header.startswith(_SIGNATURE) or len(header) < 40:
        raise Rejection("type_mismatch")
    (flags,) = struct.unpack_from("<I", header, 36)
    if flags & _ENCRYPTED:
        raise Rejection("encrypted")
    if not body:
        raise Rejection("malformed")
