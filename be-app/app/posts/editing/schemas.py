"""Requests and responses about posts that editors work on: working copies, sharing, purges."""

import uuid
from typing import Annotated

from pydantic import Field

from app.core.http.schema import Input, Instant, Line, Model, Text


class WorkingCopyFields(Model):
    """What an editor is writing of a post: the fields of `PostUpdate`, as far as they are."""

    title: Annotated[str, Field(max_length=200, examples=["2026년 3분기 실적"]), Line] = ""
    excerpt: Annotated[str, Field(max_length=500, examples=[""]), Line] = ""
    body: Annotated[str, Field(max_length=100_000, examples=["## 요약"]), Text] = ""
    tags: list[Annotated[str, Field(max_length=50), Line]] = Field(
        default=[], max_length=20, examples=[["실적"]]
    )
    thumbnail: uuid.UUID | None = None
    attachments: list[uuid.UUID] = Field(default=[], max_length=20)
    description: Annotated[str, Field(max_length=300, examples=[""]), Line] = ""
    canonical_url: Annotated[str, Field(max_length=500), Line] | None = Field(None, examples=[None])
    noindex: bool = False
    slug: Annotated[str, Field(max_length=120), Line] | None = Field(None, examples=["2026-3분기-실적"])
    category: Annotated[str, Field(max_length=60, examples=["news"]), Line] = ""
    translation_of: uuid.UUID | None = None
    base_version: int = Field(
        ge=1, description="The version of the post that the editor began with.", examples=[3]
    )


class WorkingCopyUpdate(WorkingCopyFields, Input):
    """An editor's unsaved text. Only lengths are checked; saving checks the rest."""


class WorkingCopyOut(WorkingCopyFields):
    """An editor's unsaved text, as it was kept last."""

    version: int = Field(description="The working copy's own version, which its ETag holds.")
    updated_at: Instant
    expires_at: Instant = Field(description="When it is dropped, unless it is changed before.")


class ShareUpdate(Input):
    """What a colleague may do to a post before it is public."""

    can_edit: bool = Field(
        False,
        description="Whether they may also edit it. Publishing, sharing and deleting stay the author's.",
    )


class Share(Model):
    """A colleague whom an author lets read a post before it is public."""

    member_id: uuid.UUID
    name: str = Field(description="Empty where the member left.", examples=["김하늘"])
    can_edit: bool
    created_at: Instant


class Shares(Model):
    """With whom a post is shared."""

    items: list[Share]


class Purge(Input):
    """The confirmation of a purge."""

    slug: str = Field(
        max_length=120, description="The post's slug, as the admin typed it.", examples=["2026-3분기-실적"]
    )
