"""Requests for feeds."""

from pydantic import Field

from app.categories.schemas import CategorySlug
from app.core.http.schema import Input
from app.posts.fields import Lang, Tag


class FeedQuery(Input):
    """Query of a feed."""

    lang: Lang = "ko"
    category: CategorySlug | None = None
    tag: Tag | None = Field(None, description="A tag of the posts, spelt as they have it.", examples=["실적"])
