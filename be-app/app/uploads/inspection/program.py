"""A program that inspects a file, started by `inspect` in a process of its own: it parses what strangers sent.

    python -m app.uploads.inspection.program FILE CONTENT_TYPE MOST_PIXELS

It prints the reason of a rejection and exits with 3. It is given no credentials, and bounds itself.
"""

import mmap
import os
import resource
import sys
from pathlib import Path

import imagesize

from app.uploads.children import REJECTED
from app.uploads.inspection import archives, office, pdf, sniffing
from app.uploads.kinds import KINDS
from app.uploads.reasons import Rejection

CPU_S = 25
_ADDRESS_SPACE = 1_000_000_000
_NICENESS = 10
"""Requests of readers have priority over it."""

_MAGIC: dict[str, tuple[bytes, ...]] = {
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
    "application/x-hwp": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",),
}
_ZIP_MAGIC = (b"PK\x03\x04",)


def main(file: Path, content_type: str, most_pixels: int) -> int:
    """Inspect a file; return the exit status."""
    os.nice(_NICENESS)
    for what, most in (
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_AS, _ADDRESS_SPACE),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(what, (most, most))
    try:
        check(file, content_type, most_pixels)
    except Rejection as rejection:
        sys.stdout.write(rejection.reason)
        return REJECTED
    except (MemoryError, RecursionError):
        sys.stdout.write("too_complex")
        return REJECTED
    return 0


def check(path: Path, content_type: str, most_pixels: int) -> None:
    """Check a file against the type that its name says; raise `Rejection`."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        family = KINDS[content_type].family
        if family != "pdf" and not data[:16].startswith(_MAGIC.get(content_type, _ZIP_MAGIC)):
            raise Rejection("type_mismatch")
        if family in {"image", "pdf", "hwp"}:
            sniffing.refuse_polyglot(data, content_type)
        match family:
            case "pdf":
                pdf.check(data)
            case "zip":
                office.check_members(archives.Archive(data))
            case "hwpx":
                office.check_hancom(data)
            case "office":
                office.check_document(data, content_type)
            case "hwp":
                from app.uploads.inspection import hwp  # noqa: PLC0415 - its library is slow to import.

                hwp.check(file)
            case "image":
                _check_image(path, data[8:12], content_type, most_pixels)


def _check_image(path: Path, kind: bytes, content_type: str, most_pixels: int) -> None:
    if content_type == "image/webp" and kind != b"WEBP":
        raise Rejection("type_mismatch")
    try:
        width, height = imagesize.get(path, exif_rotation=False)
    except Exception:  # noqa: BLE001 - a damaged header may raise anything in the parser
        raise Rejection("malformed") from None
    if width < 1 or height < 1:
        raise Rejection("malformed")
    if width * height > most_pixels:
        raise Rejection("too_many_pixels")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
