"""Requests for feeds."""

from app.categories.schemas import CategorySlug
from app.core.http.schema import Input
from app.posts.schemas import Lang


class FeedQuery(Input):
    """Query of a feed."""

    lang: Lang = "ko"
    category: CategorySlug | None = None
