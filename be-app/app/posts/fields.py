"""Types of the fields of posts, with their rules, descriptions and examples."""

import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from app.core.http.schema import Line, Text, pattern, refused
from app.core.messages import marked

Lang = Literal["ko", "en"]
State = Literal["draft", "scheduled", "published", "archived"]


def as_id(text: str) -> uuid.UUID | None:
    """Return the id that `text` is, if it is one: a post's address is its id or its slug."""
    try:
        return uuid.UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _not_an_id(slug: str) -> str:
    if as_id(slug):
        raise refused("like_an_id", marked("The slug must not look like an id."))
    return slug


Slug = Annotated[
    str,
    StringConstraints(
        pattern=pattern(
            r"^[a-z0-9가-힣]+(-[a-z0-9가-힣]+)*$",
            marked("Use lower-case letters, Hangul syllables, digits and single hyphens."),
        ),
        min_length=1,
        max_length=120,
    ),
    Field(
        description="Lower-case letters, Hangul syllables, digits and single hyphens; not like an id.",
        examples=["2026-3분기-실적"],
    ),
    AfterValidator(_not_an_id),
]
Title = Annotated[str, Field(min_length=1, max_length=200, examples=["2026년 3분기 실적 안내"]), Line]
Excerpt = Annotated[str, Field(max_length=500), Line]
Tag = Annotated[str, Field(min_length=1, max_length=50), Line]
# What was stored is answered as it is: earlier releases may have had other rules.
StoredTitle = Annotated[str, Field(examples=["2026년 3분기 실적 안내"])]
StoredExcerpt = Annotated[str, Field(examples=["매출이 늘었습니다."])]
StoredBody = Annotated[str, Field(description="Markdown.", examples=["## 요약\n\n매출이 늘었습니다."])]
StoredTags = Annotated[list[str], Field(examples=[["실적", "IR"]])]
StoredDescription = Annotated[
    str,
    Field(
        description="Text for search engines and messengers; empty where the excerpt serves.",
        examples=["3분기 매출과 영업이익, 다음 분기 전망을 알려 드립니다."],
    ),
]
StoredCanonicalUrl = Annotated[
    str | None,
    Field(description="Where the text was published first; null for this site.", examples=[None]),
]
Noindex = Annotated[bool, Field(description="Whether search engines are to leave the post out.")]
MemberId = Annotated[
    str,
    Field(
        description="A member's id; `import` for imported posts.",
        examples=["0192f0c1-2b3c-7d4e-8f50-617283940a1b"],
    ),
]


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise refused("duplicate_items", marked("List each item only once."))
    return values


Body = Annotated[
    str,
    Field(
        max_length=100_000,
        description="Markdown (CommonMark with tables). `![alternative text](upload:ID)` shows an uploaded image.",
        examples=["## 요약\n\n매출이 늘었습니다."],
    ),
    Text,
]
Description = Annotated[str, Field(max_length=300), Line]
CanonicalUrl = Annotated[
    str,
    StringConstraints(
        pattern=pattern(
            r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?][A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)?$",
            marked("Enter an https:// address without a fragment, percent-encoded."),
        ),
        max_length=500,
    ),
    Field(examples=["https://news.example/2026/q3"]),
]
Tags = Annotated[list[Tag], Field(max_length=20, examples=[["실적", "IR"]]), AfterValidator(_distinct)]
Zoned = Annotated[
    str,
    Field(
        description="The same instant with the offset and the name of the zone in which it was given (RFC 9557).",
        examples=["2027-01-04T09:00:00+09:00[Asia/Seoul]"],
    ),
]
