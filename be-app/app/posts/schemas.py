"""Requests and answers about posts."""

import uuid
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from app.categories.schemas import CategorySlug
from app.core.http.pagination import Cursor, Limit, NextCursor
from app.core.http.schema import Allowed, Input, Instant, Line, Model, Text, pattern, refused
from app.core.messages import marked
from app.uploads.schemas import AttachmentReference

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
        description="Markdown (CommonMark with tables).",
        examples=["## 요약\n\n매출이 늘었습니다."],
    ),
    Text,
]
Tags = Annotated[list[Tag], Field(max_length=20, examples=[["실적", "IR"]]), AfterValidator(_distinct)]


class PostContent(Input):
    """Content of a revision."""

    title: Title
    excerpt: Excerpt = Field("", description="Summary for lists; left empty, the body's beginning serves.")
    body: Body
    tags: Tags = Field(default=[])
    thumbnail: uuid.UUID | None = Field(None, description="Id of an uploaded image.")
    attachments: list[uuid.UUID] = Field(default=[], max_length=20, description="Ids of uploaded files.")


class PostUpdate(PostContent):
    """A post's whole new content: it becomes the next revision."""

    slug: Slug | None = Field(
        None, description="Part of the address; left out, it is kept, or made from the title."
    )
    category: CategorySlug
    translation_of: uuid.UUID | None = Field(None, description="A post that this one translates.")


class PostCreate(PostUpdate):
    """A new draft."""

    lang: Lang


class Schedule(Input):
    """When to publish."""

    publish_at: Instant = Field(
        description="A future instant, with its offset.", examples=["2027-01-04T09:00:00+09:00"]
    )


class PostCard(Model):
    """A published post in a list."""

    id: uuid.UUID
    slug: Slug
    lang: Lang
    category: CategorySlug
    title: StoredTitle
    excerpt: StoredExcerpt
    tags: StoredTags
    thumbnail: AttachmentReference | None
    published_at: Instant
    updated_at: Instant


class Translation(Model):
    """The same post in another language."""

    lang: Lang
    slug: Slug
    title: StoredTitle


class PublicPost(PostCard):
    """A published post as visitors read it."""

    html: str = Field(
        description="The body as sanitised HTML.", examples=["<h2>요약</h2>\n<p>매출이 늘었습니다.</p>"]
    )
    attachments: list[AttachmentReference]
    view_count: int = Field(description="How often it was viewed; may lag by the cache's lifetime.")
    translations: list[Translation]


class PostCards(Model):
    """A page of published posts, newest first."""

    items: list[PostCard]
    next_cursor: NextCursor


class SearchHit(PostCard):
    """A published post that a search finds."""

    snippet: str = Field(
        description="Plain text around the first hit, or the beginning where the hit is in title or tags; "
        "`…` stands where it is cut.",
        examples=["…올해 매출실적이 크게 늘었습니다. 해외 사업이…"],
    )


class SearchHits(Model):
    """A page of published posts, those first whose titles hold more of the words, then the newest."""

    items: list[SearchHit]
    next_cursor: NextCursor


class EditorialCard(Model):
    """A post in an editor's list."""

    id: uuid.UUID
    slug: Slug
    lang: Lang
    category: CategorySlug
    state: State
    version: int
    revision: int
    published_revision: int | None
    first_published_at: Instant | None
    scheduled_at: Instant | None
    translation_key: uuid.UUID = Field(description="Shared by the translations of one post.")
    created_by: MemberId
    created_at: Instant
    updated_at: Instant
    title: StoredTitle
    allowed: Allowed = Field(examples=[["post:read-any", "post:update"]])


class EditorialPost(EditorialCard):
    """A post as an editor sees it, with its current revision."""

    excerpt: StoredExcerpt
    body: StoredBody
    tags: StoredTags
    thumbnail: AttachmentReference | None
    attachments: list[AttachmentReference]


class EditorialCards(Model):
    """A page of posts in any state, newest first."""

    items: list[EditorialCard]
    next_cursor: NextCursor


class RevisionCard(Model):
    """A revision in a post's history."""

    number: int
    title: StoredTitle
    created_by: MemberId
    created_at: Instant


class Revision(RevisionCard):
    """Content of a post at one time."""

    excerpt: StoredExcerpt
    body: StoredBody
    tags: StoredTags
    thumbnail: AttachmentReference | None
    attachments: list[AttachmentReference]


class RevisionCards(Model):
    """A post's history, newest first."""

    items: list[RevisionCard]


class RevisionDiff(Model):
    """Differences between two revisions."""

    before: int
    after: int
    unified: str = Field(
        description="Unified diff of title, excerpt, tags and body; empty when nothing changed.",
        examples=["--- 1\n+++ 2\n@@ -1 +1 @@\n-매출이 줄었습니다.\n+매출이 늘었습니다.\n"],
    )


class PublicQuery(Input):
    """Query of published posts."""

    lang: Lang = Field("ko", description="Language of the posts.")
    category: CategorySlug | None = None
    limit: Limit = 20
    cursor: Cursor = None


class SearchQuery(PublicQuery):
    """Query of a search."""

    q: Annotated[str, Field(min_length=1, max_length=100), Line] = Field(
        description="Words, all of which must occur; a Korean word is found inside longer words.",
        examples=["실적"],
    )


class EditorialQuery(Input):
    """Query of an editor's posts."""

    state: State | None = None
    lang: Lang | None = None
    category: CategorySlug | None = None
    limit: Limit = 20
    cursor: Cursor = None
