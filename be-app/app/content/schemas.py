"""Content of a file, as it is sent from the machine that reads it to the database's importer."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from app.categories.schemas import CategoryCreate
from app.core.clock import now
from app.core.http.schema import Input, Instant, Line, refused
from app.core.translation import Language
from app.posts.fields import Slug, State
from app.posts.revisions import MAX_HTML_BYTES
from app.posts.schemas import PostCreate
from app.posts.text import complexity, markup
from app.redirects.schemas import SitePath

_SHORTEST_RENDERED = 1_000
"""Texts of fewer characters never render to too long a page, nor take long to render."""


class FilePost(PostCreate):
    """Content of a file: a post and its state."""

    slug: Slug
    state: State = "published"
    published_at: Instant | None = None
    scheduled_at: Annotated[Instant | None, Field(validate_default=True)] = None
    translation_key: Annotated[str, Field(min_length=1, max_length=200), Line] | None = None
    aliases: list[SitePath] = Field(default=[])

    @field_validator("published_at")
    @classmethod
    def _past(cls, at: datetime | None) -> datetime | None:
        if at and at > now():
            raise refused(
                "in_the_future", "The time must be in the past. A post to publish later has scheduledAt."
            )
        return at

    @field_validator("scheduled_at")
    @classmethod
    def _when_scheduled(cls, at: datetime | None, info: ValidationInfo) -> datetime | None:
        if "state" in info.data and (info.data["state"] == "scheduled") != (at is not None):
            raise refused(
                "scheduled_at", "The state scheduled needs scheduledAt; no other state may have it."
            )
        return at

    @field_validator("body")
    @classmethod
    def _fits_a_snapshot(cls, body: str) -> str:
        # Shorter text can't grow too long or be too complex, and rendering takes its time.
        if len(body) < _SHORTEST_RENDERED:
            return body
        try:
            rendered = markup.to_html(body)
        except complexity.TooComplex as problem:
            (broken,) = problem.violations
            raise refused("too_complex", str(broken.text)) from None
        if len(rendered.encode()) > MAX_HTML_BYTES:
            raise refused(
                "too_long_rendered", "The rendered text may have at most {most} bytes.", most=MAX_HTML_BYTES
            )
        return body


class NamedPost(Input):
    """A post of an import, and the file that it is from."""

    file: str
    post: FilePost


class ImportJob(Input):
    """Content of an import: categories in their order, and posts."""

    categories: list[CategoryCreate]
    adds_categories: bool = False
    """Whether categories that exist keep their names and their order."""
    posts: list[NamedPost]
    language: Language = "en"
    """Language of the findings."""
