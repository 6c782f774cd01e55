"""Requests and responses about posts."""

import uuid
from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from app.categories.schemas import CategorySlug
from app.core.http.pagination import Cursor, Limit
from app.core.http.schema import Allowed, Digits, Input, Instant, Line, Model, Uri
from app.core.zones import ZonedInstant
from app.posts.fields import (
    Body,
    CanonicalUrl,
    Description,
    Excerpt,
    Lang,
    MemberId,
    Noindex,
    Slug,
    State,
    StoredBody,
    StoredCanonicalUrl,
    StoredDescription,
    StoredExcerpt,
    StoredTags,
    StoredTitle,
    Tag,
    Tags,
    Title,
    Zoned,
)
from app.uploads.schemas import AttachmentReference, ResponsivePicture


class PostContent(Input):
    """Content of a revision."""

    title: Title
    excerpt: Excerpt = Field("", description="Summary for lists; left empty, the body's beginning serves.")
    body: Body
    tags: Tags = Field(default=[])
    thumbnail: uuid.UUID | None = Field(None, description="Id of an uploaded image.")
    attachments: list[uuid.UUID] = Field(default=[], max_length=20, description="Ids of uploaded files.")
    description: Description = Field(
        "", description="Text for search engines and messengers; left empty, the excerpt serves."
    )
    canonical_url: CanonicalUrl | None = Field(
        None, description="Where the text was published first, if that isn't this site."
    )
    noindex: Noindex = False


class PostUpdate(PostContent):
    """A post's whole new content: it becomes the next revision."""

    slug: Slug | None = Field(
        None, description="Part of the address; left out, it is kept, or made from the title."
    )
    category: CategorySlug
    translation_of: uuid.UUID | None = Field(
        None,
        description="A post that this one translates; left out, a post stays with its translations, and null takes "
        "it from them.",
    )


class PostCreate(PostUpdate):
    """A new draft."""

    lang: Lang


class Schedule(Input):
    """When to publish the newest revision, and when to take the post back. Each call replaces the whole plan."""

    publish_at: ZonedInstant | None = Field(
        None,
        description="When the newest revision is published: an instant with its offset, or a local time with the "
        "name of its zone (`2027-01-04T09:00[Asia/Seoul]`, RFC 9557). A published post may do without.",
        examples=["2027-01-04T09:00[Asia/Seoul]"],
    )
    unpublish_at: ZonedInstant | None = Field(
        None, description="When the post becomes a draft again.", examples=["2027-02-01T00:00:00+09:00"]
    )


class PostSummary(Model):
    """A published post in a list."""

    id: uuid.UUID
    slug: Slug
    lang: Lang
    category: CategorySlug
    title: StoredTitle
    excerpt: StoredExcerpt
    tags: StoredTags
    thumbnail: AttachmentReference | None
    picture: ResponsivePicture | None = Field(
        None, description="The thumbnail as a picture, in all its sizes."
    )
    published_at: Instant
    updated_at: Instant
    translation_key: uuid.UUID | None = Field(
        None,
        description="Shared by the translations of one post; null until an older post is published again.",
    )
    canonical_url: StoredCanonicalUrl = None
    noindex: Noindex = False


class Translation(Model):
    """The same post in another language."""

    lang: Lang
    slug: Slug
    title: StoredTitle


class Picture(Model):
    """A picture that stands for a post."""

    url: Uri
    content_type: str = Field(examples=["image/jpeg"])


class Metadata(Model):
    """Metadata of a post for search engines and messengers (Open Graph protocol, schema.org)."""

    description: str = Field(
        description="For `description` and `og:description`.", examples=["매출이 늘었습니다."]
    )
    picture: Picture | None = Field(description="For `og:image`.")
    canonical_url: Uri = Field(description='For `<link rel="canonical">` and `og:url`.')
    noindex: bool = Field(description='Whether the page needs `<meta name="robots" content="noindex">`.')
    json_ld: str = Field(
        description="An `Article` of schema.org, escaped to be the text of a `script` element of the type "
        "`application/ld+json`: embed it as it is.",
        examples=['{"@context":"https://schema.org","@type":"Article","headline":"2026년 3분기 실적 안내"}'],
    )


class DescribedPost(PostSummary):
    """A published post with its text for search engines and messengers."""

    description: StoredDescription = ""


class PublicPost(DescribedPost):
    """A published post as visitors read it."""

    metadata: Metadata
    html: str = Field(
        description="The body as sanitised HTML; uploaded images are `picture` elements.",
        examples=["<h2>요약</h2>\n<p>매출이 늘었습니다.</p>"],
    )
    pictures: list[ResponsivePicture] = Field(
        [], description="Pictures of the body, in the order of the text."
    )
    attachments: list[AttachmentReference]
    view_count: int = Field(description="How often it was viewed; may lag by the cache's lifetime.")
    translations: list[Translation]


class SearchHit(PostSummary):
    """A published post that a search finds."""

    snippet: str = Field(
        description="Plain text around the first hit, or the beginning where the hit is in title or tags; "
        "`…` stands where it is cut.",
        examples=["…올해 매출실적이 크게 늘었습니다. 해외 사업이…"],
    )


WarningCode = Literal["alt_missing", "picture_hotlinked", "picture_address"]


class EditorWarning(Model):
    """Something about a text that an editor should put right; it hinders no publication."""

    model_config = ConfigDict(frozen=True)

    code: WarningCode = Field(
        description="`alt_missing`: people who see no picture read nothing there. `picture_hotlinked`: the picture "
        "comes from another site, which sees who reads and may change or remove it. `picture_address`: the address "
        "leads nowhere; upload the picture and name it `upload:ID`."
    )
    subject: str = Field(
        description="Address in the text.", examples=["upload:0192f0c1-2b3c-7d4e-8f50-617283940a1b"]
    )


class EditorialSummary(Model):
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
    scheduled_at_zoned: Zoned | None
    scheduled_revision: int | None = Field(
        description="The revision that is published then; later edits don't move it."
    )
    unpublish_at: Instant | None
    unpublish_at_zoned: Zoned | None
    translation_key: uuid.UUID = Field(description="Shared by the translations of one post.")
    created_by: MemberId
    created_at: Instant
    updated_at: Instant
    title: StoredTitle
    allowed: Allowed = Field(examples=[["post:read-any", "post:update"]])


class EditorialPost(EditorialSummary):
    """A post as an editor sees it, with its current revision."""

    excerpt: StoredExcerpt
    body: StoredBody
    tags: StoredTags
    thumbnail: AttachmentReference | None
    attachments: list[AttachmentReference]
    description: StoredDescription
    canonical_url: StoredCanonicalUrl
    noindex: Noindex
    warnings: list[EditorWarning]


class PlannedStep(Model):
    """A publication or an end that is planned."""

    step: Literal["publish", "unpublish"]
    at: Instant
    at_zoned: Zoned
    post_id: uuid.UUID
    slug: Slug
    lang: Lang
    category: CategorySlug
    state: State
    revision: int | None = Field(description="The revision that is published; null for an end.")
    title: StoredTitle = Field(description="Its title, or that of the newest revision.")


class Calendar(Model):
    """Planned steps, the earliest first."""

    items: list[PlannedStep]
    complete: bool = Field(description="Whether that is all; else ask for a shorter time.")


class ViewsOfPost(Model):
    """Views of a post in a week."""

    post_id: uuid.UUID
    slug: str = Field(examples=["2026-3분기-실적"])
    lang: Lang
    title: StoredTitle
    views: int
    days: list[int] = Field(
        description="Views of each day, the earliest first.", examples=[[4, 0, 2, 7, 1, 0, 3]]
    )


class ViewFigures(Model):
    """Views of a week, of the posts that you may see, the most viewed first."""

    since: date = Field(description="The first of the seven days; days are those of Seoul.")
    until: date = Field(description="The last of the seven days.")
    items: list[ViewsOfPost]
    complete: bool = Field(description="Whether that is all: 500 posts at most.")


class RevisionSummary(Model):
    """A revision in a post's history."""

    number: int
    title: StoredTitle
    created_by: MemberId
    created_at: Instant


class Revision(RevisionSummary):
    """Content of a post at one time."""

    excerpt: StoredExcerpt
    body: StoredBody
    tags: StoredTags
    thumbnail: AttachmentReference | None
    attachments: list[AttachmentReference]
    description: StoredDescription
    canonical_url: StoredCanonicalUrl
    noindex: Noindex


class Revisions(Model):
    """A post's history, newest first."""

    items: list[RevisionSummary]


class RevisionDiff(Model):
    """Differences between two revisions."""

    before: int
    after: int
    unified: str = Field(
        description="Unified diff of title, excerpt, tags, metadata and body; empty when nothing changed.",
        examples=["--- 1\n+++ 2\n@@ -1 +1 @@\n-매출이 줄었습니다.\n+매출이 늘었습니다.\n"],
    )


class NarrowedQuery(Input):
    """Query of published posts of a language, and perhaps a category."""

    lang: Lang = Field("ko", description="Language of the posts.")
    category: CategorySlug | None = None
    limit: Limit = 20
    cursor: Cursor = None


class PublicQuery(NarrowedQuery):
    """Query of published posts."""

    tag: Tag | None = Field(None, description="A tag of the posts, spelt as they have it.", examples=["실적"])


class SearchQuery(NarrowedQuery):
    """Query of a search."""

    q: Annotated[str, Field(min_length=1, max_length=100), Line] = Field(
        description="Words, all of which must occur; a Korean word is found inside longer words.",
        examples=["실적"],
    )


class CalendarQuery(Input):
    """Period of the calendar."""

    since: Instant | None = Field(None, description="Steps at this instant or later.")
    until: Instant | None = Field(None, description="Steps before this instant.")


class ViewsQuery(Input):
    """Of which week to read views."""

    weeks_ago: Annotated[int, Field(ge=0, le=56), Digits] = Field(
        0, description="How many weeks before the last complete seven days."
    )


class EditorialQuery(Input):
    """Query of an editor's posts."""

    q: Annotated[str, Field(max_length=100), Line] | None = Field(
        None,
        description="Words, all of which must occur in title, excerpt or Markdown of the newest revision.",
        examples=["실적"],
    )
    state: State | None = None
    lang: Lang | None = None
    category: CategorySlug | None = None
    tag: Tag | None = Field(None, description="A tag of the newest revision.")
    author: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Id of the member who wrote the post first."
    )
    translation_of: uuid.UUID | None = Field(
        None, description="Id of a post: its translations into other languages, without the post itself."
    )
    date: Literal["created", "updated", "published"] = Field(
        "updated", description="Which date `since` and `until` compare."
    )
    since: Instant | None = Field(None, description="Posts of this instant or later.")
    until: Instant | None = Field(None, description="Posts before this instant.")
    sort: Literal["-created", "created", "-updated", "updated", "-published", "published"] = Field(
        "-created",
        description="The date to sort by; `-` for the newest first. By `published`, only posts that were public.",
    )
    limit: Limit = 20
    cursor: Cursor = None
