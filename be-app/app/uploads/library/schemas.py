"""Requests and responses about the media library."""

import uuid
from typing import Annotated, Literal

from pydantic import Field

from app.core.http.pagination import Cursor, Limit
from app.core.http.schema import Allowed, Input, Instant, Line, Model, Uri
from app.uploads.schemas import AlternativeTexts, Focus


class UploadDescription(Input):
    """Description of an upload; it replaces the former one."""

    alt: AlternativeTexts = AlternativeTexts(ko="", en="")
    focus: Focus | None = Field(None, description="The point that crops keep; null for the middle.")
    shared: bool = Field(
        False,
        description="Whether it is in the library: all editors may use it, and it is kept though no post names it.",
    )


class Replacement(Input):
    """The image that takes the place of another."""

    upload_id: uuid.UUID = Field(
        description="The upload as which the image came.", examples=["0192f0c1-2b3c-7d4e-8f50-617283940a1b"]
    )


class UploadUse(Model):
    """A post that names an upload."""

    post_id: uuid.UUID
    title: str = Field(examples=["2026년 3분기 실적"])


class LibraryItem(Model):
    """A complete upload, and where it is used."""

    id: uuid.UUID
    name: str = Field(examples=["준공식.jpg"])
    content_type: str = Field(examples=["image/jpeg"])
    size: int = Field(description="Bytes.", examples=[482133])
    owner: str = Field(description="Id of the member who uploaded it.", examples=["kim"])
    created_at: Instant
    alt: AlternativeTexts
    focus: Focus
    shared: bool = Field(description="Whether it is in the library.")
    thumbnail: Uri | None = Field(
        description="A small WebP, for a quarter of an hour; null unless it is an image."
    )
    uses: list[UploadUse] = Field(
        description="Posts whose newest or public revision, or your unsaved text of which, names it."
    )
    hidden_uses: int = Field(
        description="How many other texts name it: earlier revisions, and what you may not see.", examples=[0]
    )
    allowed: Allowed = Field(examples=[["upload:attach", "upload:read"]])


class LibraryQuery(Input):
    """Query of complete uploads."""

    id: uuid.UUID | None = Field(None, description="The upload with this id alone.")
    q: Annotated[str, Field(max_length=100), Line] | None = Field(
        None, description="Part of the name or of an alternative text.", examples=["준공식"]
    )
    type: Literal["image", "document"] | None = None
    owner: Annotated[str, Field(max_length=64)] | None = Field(None, description="Id of a member.")
    since: Instant | None = Field(None, description="Uploaded at this instant or later.")
    until: Instant | None = Field(None, description="Uploaded before this instant.")
    unused: Annotated[
        bool, Field(description="Only what no text names, neither a revision nor an unsaved one.")
    ] = False
    limit: Limit = 20
    cursor: Cursor = None
