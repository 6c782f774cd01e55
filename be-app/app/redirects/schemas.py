"""Requests and responses about redirects."""

import uuid
from typing import Annotated, Literal
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints

from app.core.http.pagination import Cursor, Limit
from app.core.http.schema import Input, Instant, Line, Model, pattern
from app.core.messages import marked


def _decoded(path: object) -> object:
    return unquote(path) if isinstance(path, str) else path


def _encoded(path: str) -> str:
    """Return a path of which `_decoded` makes the same."""
    return path.replace("%", "%25")


SitePath = Annotated[
    str,
    StringConstraints(
        pattern=pattern(
            r"^/([^/\\#][^\\#]*)?$",
            marked("Enter a path of the own site that begins with a single slash, without a fragment."),
        ),
        max_length=500,
    ),
    Field(
        description="A path of the own site, with its query if it has one. Percent-encoded letters are decoded.",
        examples=["/2019/05/notice.html"],
    ),
    Line,
    BeforeValidator(_decoded),
    PlainSerializer(_encoded),
]


class RedirectUpdate(Input):
    """Fields of a redirect that can change."""

    target: SitePath = Field(examples=["/ko/posts/창립-40주년"])


class RedirectCreate(RedirectUpdate):
    """A new redirect."""

    path: SitePath


class RedirectOut(Model):
    """A redirect."""

    id: uuid.UUID
    path: str = Field(examples=["/2019/05/notice.html"])
    target: str = Field(
        description="Where it leads; where the wanted target is redirected, too, the end of that.",
        examples=["/ko/posts/창립-40주년"],
    )
    version: int
    created_at: Instant
    updated_at: Instant


class RedirectQuery(Input):
    """Query of redirects."""

    path: SitePath | None = Field(None, description="The one of this path.")
    target: SitePath | None = Field(None, description="Those that lead to this path.")
    limit: Limit = 20
    cursor: Cursor = None


class ImportedRedirect(Model):
    """The outcome of one redirect of a file."""

    result: Literal["created", "changed", "unchanged", "failed"]
    message: str | None = None


class RedirectLookup(Input):
    """Query of where a path leads."""

    path: SitePath
