"""Requests and responses about files."""

import re
import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from app.core.http.schema import Allowed, Input, Instant, Line, Model, Uri, pattern, refused
from app.core.messages import marked
from app.uploads.kinds import Purpose

PART_BYTES = 8 * 1024 * 1024
"""Length of every part of a large file but the last."""


class AttachmentReference(Model):
    """A file that a post refers to."""

    id: uuid.UUID
    name: str = Field(description="File name as uploaded.", examples=["2026년 실적발표.pdf"])
    content_type: str = Field(examples=["application/pdf"])
    size: int = Field(description="Bytes.", examples=[482133])
    stored_as: uuid.UUID | None = Field(
        None,
        exclude_if=lambda place: place is None,
        description="Of an image that was replaced: another id whenever its content is another.",
    )


class Focus(Input):
    """The point of an image that crops keep, from its upper left corner: CSS's `object-position` in percent."""

    x: int = Field(ge=0, le=100, description="Hundredths of the width.", examples=[50])
    y: int = Field(ge=0, le=100, description="Hundredths of the height.", examples=[30])


CENTRE = Focus(x=50, y=50)


class ResponsivePicture(Model):
    """An image in several sizes and types."""

    id: uuid.UUID
    src: Uri = Field(description="A JPEG for clients that know no `srcset`.")
    srcset: dict[str, str] = Field(
        description="By media type, best first: addresses and widths as `srcset` has them.",
        examples=[{"image/webp": "https://media.familycorp.example/media/9f86d081884c7d65/320.webp 320w"}],
    )
    width: int = Field(description="Pixels of the widest rendition.", examples=[2560])
    height: int = Field(examples=[1707])
    alt: str = Field(description="Alternative text; empty where there is none.", examples=["준공식"])
    placeholder: str = Field(
        description="Colour that most of the image has, to be shown until it arrives.", examples=["#7a8ca3"]
    )
    focus: Focus = CENTRE


# Every system's separators and wildcards, and what can't be seen or turns the direction of text: controls, format
# characters, surrogates, blank letters, tags (Unicode 17: Default_Ignorable_Code_Point). Emoji need U+FE0E and
# U+FE0F, and some Chinese characters U+E0100 to U+E01EF.
_UNSAFE = re.compile(
    r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e'
    r"\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\uffff\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]"
)
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\xb9\xb2\xb3])\s*(?:\.|$)", re.IGNORECASE
)
"""Names of devices, with any suffix (Microsoft: Naming Files, Paths, and Namespaces)."""


def _file_name(name: str) -> str:
    if found := _UNSAFE.search(name):
        raise refused(
            "file_name",
            marked("Remove the character {character}: some systems cannot have it in a file name."),
            character=f"U+{ord(found.group()):04X}",
        )
    if name.startswith(".") or _RESERVED.match(name):
        raise refused("file_name", marked("Choose another file name: some systems reserve this one."))
    return name


def shown_name(name: str) -> str:
    """Return a file's name as it may be shown and saved: those of older files may hold unsafe characters."""
    return _UNSAFE.sub("", name)


FileName = Annotated[
    str,
    Field(min_length=1, max_length=200, examples=["2026년 실적발표.pdf"]),
    AfterValidator(_file_name),
    Line,
]
AlternativeText = Annotated[str, Field(max_length=500), Line]
Sha256 = Annotated[
    str,
    StringConstraints(
        pattern=pattern(r"^[0-9a-f]{64}$", marked("Enter a SHA-256 as 64 hexadecimal digits in lower case."))
    ),
]


class AlternativeTexts(Input):
    """Alternative text of a picture, by language; it is used where a post's text has none."""

    ko: AlternativeText = Field(examples=["준공식에서 테이프를 자르는 사람들"])
    en: AlternativeText = Field(examples=["People cutting a ribbon at the opening"])


class UploadCreate(Input):
    """A file to come."""

    name: FileName
    size: int = Field(ge=1, le=5_000_000_000, description="Bytes.", examples=[482133])
    content_type: str = Field(
        "",
        max_length=255,
        description="The client's name for the type: a hint. The file name's suffix decides; the content must agree.",
        examples=["application/pdf"],
    )
    sha256: Sha256 = Field(
        description="SHA-256 of the file in hexadecimal. Of a file above 10 MB: SHA-256 of the SHA-256 digests "
        "(32 bytes each) of its 8 MiB parts, one after another.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    purpose: Purpose = Field(description="`image`: may be a thumbnail. `attachment`: any type that is taken.")


class PostForm(Model):
    """A form to be sent as multipart/form-data with its fields in any order and the file as the last, `file`."""

    url: Uri
    fields: dict[str, str] = Field(
        examples=[{"key": "quarantine/0192f0c1", "policy": "eyJleHBpcmF0aW9uIjoi…"}]
    )


class Parts(Model):
    """A large file comes in parts, each with an address of its own."""

    part_bytes: int = Field(description="Length of every part but the last.")
    count: int


class UploadOut(Model):
    """An upload. `form` or `parts` says how to send the file, as long as it may be sent."""

    id: uuid.UUID
    name: str = Field(examples=["2026년 실적발표.pdf"])
    content_type: str = Field(examples=["application/pdf"])
    size: int = Field(description="Bytes.", examples=[482133])
    purpose: Purpose
    state: Literal["pending", "scanning", "clean", "rejected", "deleted"]
    reason: str | None = Field(
        description="Why it was rejected, as a stable code; null unless it was.", examples=["encrypted"]
    )
    expires_at: Instant = Field(description="Until when the file may be sent.")
    created_at: Instant
    alt: AlternativeTexts | None = Field(
        description="Alternative text by language; null where there is none."
    )
    focus: Focus | None = Field(description="The point that crops keep; null for the middle.")
    shared: bool = Field(description="Whether it is in the library.")
    form: PostForm | None = None
    parts: Parts | None = None
    allowed: Allowed = Field(default=[], examples=[["upload:attach", "upload:read"]])


class PartWanted(Input):
    """A part to be sent."""

    number: int = Field(ge=1, le=10_000, examples=[1])
    sha256: Sha256 = Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])


class PartsWanted(Input):
    """Parts to be sent now."""

    items: list[PartWanted] = Field(
        min_length=1,
        max_length=100,
        examples=[
            [{"number": 1, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]
        ],
    )


class PartAddress(Model):
    """Where to PUT one part, with exactly these headers."""

    number: int
    url: Uri
    headers: dict[str, str] = Field(
        examples=[{"x-amz-checksum-sha256": "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="}]
    )


class PartAddresses(Model):
    """Where to PUT parts within five minutes; request new URLs for parts that took longer."""

    items: list[PartAddress]


class PartsArrived(Model):
    """The parts that have arrived, for clients that resume."""

    numbers: list[int]


class Downloads(Model):
    """Downloads of one file of a post."""

    id: uuid.UUID
    downloads: int


class DownloadCounts(Model):
    """Downloads of the files of a published post."""

    items: list[Downloads]


class DownloadQuery(Input):
    """Variants of a file."""

    variant: Literal["original", "thumbnail.avif", "thumbnail.webp", "thumbnail.jpg"] = Field(
        "original", description="Images have thumbnails, at most 640 pixels wide and high."
    )
