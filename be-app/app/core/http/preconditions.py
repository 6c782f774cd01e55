"""Headers that writes take: `If-Match` where they can race, `Idempotency-Key` where they create.

An editorial resource's ETag is its version.
"""

import re
from typing import Annotated, Any

from fastapi import Depends, Header

from app.core.grammar import WHITESPACE
from app.core.http.problems import PreconditionFailed, PreconditionRequired, responses
from app.core.http.schema import pattern
from app.core.messages import marked

_VERSION = re.compile(r'"([1-9][0-9]{0,8})"')


def etag(version: int) -> str:
    """Return the ETag of a version."""
    return f'"{version}"'


def _if_match(
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description='The ETag of the version that this write starts from, for example `"7"`.',
        ),
    ] = None,
) -> int:
    if if_match is None:
        raise PreconditionRequired
    matched = _VERSION.fullmatch(if_match.strip(WHITESPACE))
    if not matched:
        # A weak, foreign or malformed tag can't be that of any version of ours (RFC 9110 §13.1.1).
        raise PreconditionFailed(marked('If-Match must hold one ETag of this resource, for example "7".'))
    return int(matched[1])


IfMatch = Annotated[int, Depends(_if_match)]
"""The version that a write starts from."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=100,
        pattern=pattern(
            r"^[\x21-\x7e]+$", marked("Use letters, digits and punctuation of ASCII, without spaces.")
        ),
        description="A unique key that the client makes; a request repeated with it is carried out once.",
    ),
]
"""Names one intended creation, however often the request is sent."""

CONFLICTS = responses(PreconditionFailed, PreconditionRequired)
"""The OpenAPI responses of a route that takes If-Match."""

VERSION: dict[int | str, dict[str, Any]] = {200: {"headers": {"ETag": {}}}}
"""The OpenAPI response of a route that reads something with the ETag for the next change."""

CREATED_VERSION: dict[int | str, dict[str, Any]] = {201: {"headers": {"ETag": {}}}}
"""The OpenAPI response of a route that creates something, with the ETag for the next change."""
