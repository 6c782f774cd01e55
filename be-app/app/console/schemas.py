"""Requests and responses about the preview."""

from pydantic import Field

from app.core.http.schema import Input, Model
from app.posts.fields import Body, Lang


class MarkdownText(Input):
    """A text that may be unsaved."""

    body: Body
    lang: Lang = Field("ko", description="Language of the text.")


class MarkdownPreview(Model):
    """A text as visitors would read it."""

    html: str = Field(description="Sanitised HTML.", examples=["<h2>요약</h2>\n<p>매출이 늘었습니다.</p>"])
