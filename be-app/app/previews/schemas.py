"""Requests and responses about previews."""

import uuid
from typing import Annotated

from pydantic import Field, StringConstraints

from app.core.http.schema import Input, Instant, Model, Uri, pattern
from app.core.messages import marked
from app.posts.fields import MemberId

MAX_HOURS = 30 * 24
TOKEN_BYTES = 32

Token = Annotated[
    str,
    StringConstraints(
        pattern=pattern(r"^[A-Za-z0-9_-]{43}$", marked("Send the fragment of the preview link, without `#`."))
    ),
]


class PreviewCreate(Input):
    """A new preview link."""

    revision: int | None = Field(
        None, ge=1, le=1_000_000, description="The revision to show; left out, the current one."
    )
    hours: int = Field(72, ge=1, le=MAX_HOURS, description="How long the link works.", examples=[72])


class PreviewOut(Model):
    """A preview link that works."""

    id: uuid.UUID
    revision: int
    created_by: MemberId
    created_at: Instant
    expires_at: Instant


class PreviewCreated(PreviewOut):
    """A new preview link, with its address. The address is in this response alone."""

    url: Uri = Field(
        description="Page of the front end, with the token as the fragment.",
        examples=["https://www.familycorp.example/preview#k3Jx0Zc9TqfW2m7yB5uN8aVdR1eLhXoGsPiQtYwEzUA"],
    )


class Previews(Model):
    """The preview links of a post that work, newest first."""

    items: list[PreviewOut]


class PreviewFile(Model):
    """Where a file of the shown revision is."""

    url: Uri = Field(description="The file's address, for a minute.")
