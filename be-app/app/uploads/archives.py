"""Checks of archives and of the office formats that are archives, by their directory alone."""

import zipfile
import zlib
from typing import IO

from app.uploads.errors import Rejection

MOST_ENTRIES = 5_000
MOST_UNPACKED = 2_000_000_000
MOST_RATIO = 200
"""Bytes that one may become; DEFLATE makes at most 1,032 of one, text rarely more than 20."""

_ENCRYPTED = 0x1 | 0x40 | 0x2000
_LOCAL_HEADER = 30
_END, _END_REST = b"PK\x05\x06", 18
_ARCHIVES = (
    ".zip", ".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".tar", ".jar", ".war", ".apk", ".cab", ".iso",
    ".alz", ".egg", ".lzh", ".arj", ".z",
)  # fmt: skip
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_MAIN = {
    "wordprocessingml.document": ("word/", "wordprocessingml.document.main+xml"),
    "spreadsheetml.sheet": ("xl/", "spreadsheetml.sheet.main+xml"),
    "presentationml.presentation": ("ppt/", "presentationml.presentation.main+xml"),
}
_TYPES = "[Content_Types].xml"
_MOST_XML = 1_000_000


def check_zip(file: IO[bytes], size: int) -> None:
    """Check an archive that people made; raise `Rejection`."""
    for entry in _open(file, size).infolist():
        if entry.filename.lower().endswith(_ARCHIVES):
            raise Rejection("nested_archive")


def check_hwpx(file: IO[bytes], size: int) -> None:
    """Check a document in Hancom's open format (KS X 6101); raise `Rejection`."""
    archive = _open(file, size)
    if _member(archive, "mimetype").strip() != b"application/hwp+zip":
        raise Rejection("type_mismatch")
    if b"encryption-data" in _member(archive, "META-INF/manifest.xml", optional=True):
        raise Rejection("encrypted")


def check_office(file: IO[bytes], size: int, content_type: str) -> None:
    """Check an Office Open XML document (ECMA-376); raise `Rejection`."""
    archive = _open(file, size)
    folder, main = _MAIN[content_type.removeprefix("application/vnd.openxmlformats-officedocument.")]
    types = _member(archive, _TYPES)
    if main.encode() not in types or not any(name.startswith(folder) for name in archive.namelist()):
        raise Rejection("type_mismatch")
    if b"macroEnabled" in types or any("vbaproject" in name.lower() for name in archive.namelist()):
        raise Rejection("active_content")


def _open(file: IO[bytes], size: int) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(file)
    except Rejection:
        raise
    except Exception:  # noqa: BLE001 - whatever a damaged directory makes of the parser
        raise Rejection("malformed") from None
    entries = archive.infolist()
    if not entries:
        raise Rejection("malformed")
    if len(entries) > MOST_ENTRIES:
        raise Rejection("too_complex")
    if min(entry.header_offset for entry in entries) != 0 or not _ends_there(file, size):
        raise Rejection("polyglot")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise Rejection("encrypted")
    if any(entry.compress_type not in _METHODS for entry in entries):
        raise Rejection("malformed")
    for entry in entries:
        _refuse_escape(entry.filename)
    _refuse_bomb(entries, size)
    return archive


def _ends_there(file: IO[bytes], size: int) -> bool:
    """Tell whether nothing follows the directory, not even a comment: it could be a file of another type."""
    file.seek(size - len(_END) - _END_REST)
    return file.read(len(_END)) == _END


def _refuse_escape(name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or (len(name) > 1 and name[1] == ":") or "\x00" in name:
        raise Rejection("unsafe_path")


def _refuse_bomb(entries: list[zipfile.ZipInfo], size: int) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MOST_UNPACKED or unpacked > MOST_RATIO * max(size, 4096):
        raise Rejection("archive_bomb")
    # Entries that share their bytes unpack to far more than the archive holds (D. Fifield, WOOT 2019).
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise Rejection("archive_bomb")
        end = entry.header_offset + _LOCAL_HEADER + len(entry.orig_filename) + entry.compress_size
    if end > size:
        raise Rejection("malformed")


def _member(archive: zipfile.ZipFile, name: str, *, optional: bool = False) -> bytes:
    """Return a member's content, as far as it is of a sane size."""
    try:
        with archive.open(name) as member:
            content = member.read(_MOST_XML + 1)
    except KeyError:
        if optional:
            return b""
        raise Rejection("type_mismatch") from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError):
        raise Rejection("malformed") from None
    if len(content) > _MOST_XML:
        raise Rejection("too_complex")
    return content
