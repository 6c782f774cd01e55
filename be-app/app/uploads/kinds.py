"""Accepted files: the allow-list, by purpose, with each type's file names and limit.

It imports nothing, so that the program that inspects files starts quickly.
"""

from typing import Literal, NamedTuple

MEGABYTE = 1_000_000
SINGLE_POST = 10 * MEGABYTE
"""Bytes up to which a file is sent in one POST; larger ones come in parts."""

Purpose = Literal["image", "attachment"]
Family = Literal["image", "pdf", "zip", "office", "hwp", "hwpx"]

THUMBNAILS = {"avif": "image/avif", "webp": "image/webp", "jpg": "image/jpeg"}
"""Types of the thumbnails and renditions of an image, by suffix."""

_OFFICE = "application/vnd.openxmlformats-officedocument."


class Kind(NamedTuple):
    """A type of file that is taken."""

    family: Family
    suffixes: tuple[str, ...]
    limit_mb: int = 200


KINDS: dict[str, Kind] = {
    "image/jpeg": Kind("image", (".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp"), 10),
    "image/png": Kind("image", (".png",), 10),
    "image/gif": Kind("image", (".gif",), 10),
    "image/webp": Kind("image", (".webp",), 10),
    "application/pdf": Kind("pdf", (".pdf",)),
    "application/zip": Kind("zip", (".zip",)),
    f"{_OFFICE}wordprocessingml.document": Kind("office", (".docx",)),
    f"{_OFFICE}spreadsheetml.sheet": Kind("office", (".xlsx",)),
    f"{_OFFICE}presentationml.presentation": Kind("office", (".pptx",)),
    "application/x-hwp": Kind("hwp", (".hwp",)),
    "application/vnd.hancom.hwpx": Kind("hwpx", (".hwpx",)),
}


def allowed(content_type: str, purpose: Purpose) -> bool:
    """Return whether files of a type are taken for a purpose; an attachment may be an image too."""
    kind = KINDS.get(content_type)
    return kind is not None and (purpose == "attachment" or kind.family == "image")


def by_name(name: str) -> str | None:
    """Return the type of a file by its name's suffix; None if no such files are taken.

    What browsers say of a type comes from the operating system's tables, which name many types badly or not at all.
    """
    return _BY_SUFFIX.get("." + name.rpartition(".")[2].lower())


_BY_SUFFIX = {suffix: content_type for content_type, kind in KINDS.items() for suffix in kind.suffixes}
