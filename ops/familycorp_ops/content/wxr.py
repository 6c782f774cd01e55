"""Exports for WordPress: WordPress eXtended RSS 1.2, as its own exporter writes and its importer reads."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote
from uuid import UUID
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl
from zoneinfo import ZoneInfo

from app.categories.schemas import CategoryCreate
from app.posts.publication import addresses
from app.posts.text import markup
from familycorp_ops.content import pictures

if TYPE_CHECKING:
    from app.content.exporting import ExportedFile
    from app.content.schemas import FilePost
    from familycorp_ops.content.pictures import Address

NAME = "wordpress.xml"
"""Name of the file in a folder of content."""

_NAMESPACES = {
    "xmlns:excerpt": "http://wordpress.org/export/1.2/excerpt/",
    "xmlns:content": "http://purl.org/rss/1.0/modules/content/",
    "xmlns:dc": "http://purl.org/dc/elements/1.1/",
    "xmlns:wp": "http://wordpress.org/export/1.2/",
}
_STATUS = {"published": "publish", "scheduled": "future", "draft": "draft", "archived": "draft"}
_LANGUAGES = {"ko": "한국어", "en": "English"}
_ZONE = ZoneInfo("Asia/Seoul")
_TIME = "%Y-%m-%d %H:%M:%S"
_NEVER = "0000-00-00 00:00:00"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Wxr:
    """The file of an export, which is there once all posts are.

    Languages and translations are taxonomies as the plugin Polylang has them.

    Args:
        path: the file.
        site: the address of the site at which WordPress finds pictures and attachments.
        categories: the categories in their order.
        address: returns the path of a file on the site; None where it has none.
    """

    def __init__(
        self, path: Path, site: str, categories: Sequence[CategoryCreate], address: "Address"
    ) -> None:
        self._path, self._site, self._address = path, site.rstrip("/"), address
        self._names = {category.slug: category.name.ko for category in categories}
        self._part = path.with_name(f".{path.name}.part")
        self._attached: dict[UUID, int] = {}
        self._last = 0

    def add(self, post: "FilePost", files: Sequence["ExportedFile"]) -> None:
        """Write a post, and those of the files that it names which no post before it does."""
        number = self._next()
        at = post.scheduled_at or post.published_at
        for file in files:
            url = self._url(file.id)
            if url and file.id not in self._attached:
                self._attached[file.id] = self._next()
                with self._item(file.name, url, self._attached[file.id], at):
                    self._put("wp:post_type", "attachment")
                    self._put("wp:status", "inherit")
                    self._put("wp:post_parent", str(number))
                    self._put("wp:attachment_url", url)
        link = self._site + quote(addresses.path(post.lang, post.slug))
        with self._item(post.title, link, number, at):
            self._put("wp:post_type", "post")
            self._put("wp:status", _STATUS[post.state])
            self._put("wp:post_name", quote(post.slug).lower())
            self._put("content:encoded", self._content(post, files))
            self._put("excerpt:encoded", post.excerpt)
            self._terms(post)
            if post.thumbnail in self._attached:
                with self._element("wp:postmeta"):
                    self._put("wp:meta_key", "_thumbnail_id")
                    self._put("wp:meta_value", str(self._attached[post.thumbnail]))

    def _terms(self, post: "FilePost") -> None:
        terms = [
            ("category", post.category, self._names.get(post.category, post.category)),
            *(("post_tag", quote(tag), tag) for tag in post.tags),
            ("language", post.lang, _LANGUAGES[post.lang]),
        ]
        if key := post.translation_key:
            terms.append(("post_translations", quote(key), key))
        for domain, slug, name in terms:
            self._put("category", name, domain=domain, nicename=slug)

    def _content(self, post: "FilePost", files: Sequence["ExportedFile"]) -> str:
        """Return a text in blocks, which have WordPress leave line breaks alone; links to attachments end it."""
        text = markup.to_html(pictures.placed(post.body, self._url)).strip()
        blocks = [f"<!-- wp:html -->\n{text}\n<!-- /wp:html -->"]
        names = {file.id: file.name for file in files}
        for attached in post.attachments:
            if url := self._url(attached):
                link = f'<a href="{escape(url)}">{escape(names[attached])}</a>'
                blocks.append(f'<!-- wp:file -->\n<div class="wp-block-file">{link}</div>\n<!-- /wp:file -->')
        return "\n\n".join(blocks)

    def _url(self, upload: UUID) -> str | None:
        path = self._address(upload)
        return path and self._site + quote(path, safe="/%")

    @contextmanager
    def _item(self, title: str, link: str, number: int, at: datetime | None) -> Iterator[None]:
        with self._element("item"):
            self._put("title", title)
            self._put("link", link)
            if at:
                self._put("pubDate", format_datetime(at))
            self._put("wp:post_id", str(number))
            self._put("wp:post_date", f"{at.astimezone(_ZONE):{_TIME}}" if at else _NEVER)
            self._put("wp:post_date_gmt", f"{at.astimezone(UTC):{_TIME}}" if at else _NEVER)
            yield

    @contextmanager
    def _element(self, name: str, **attributes: str) -> Iterator[None]:
        self._out.startElement(name, AttributesImpl(attributes))
        yield
        self._out.endElement(name)

    def _put(self, name: str, text: str, **attributes: str) -> None:
        with self._element(name, **attributes):
            self._out.characters(_NO_XML.sub("", text))

    def _next(self) -> int:
        self._last += 1
        return self._last

    def __enter__(self) -> Self:
        self._file = self._part.open("w", encoding="utf-8")
        self._out = XMLGenerator(self._file, "utf-8")
        self._out.startDocument()
        self._out.startElement("rss", AttributesImpl({"version": "2.0", **_NAMESPACES}))
        self._out.startElement("channel", AttributesImpl({}))
        for name, text in (
            ("title", self._site), ("link", self._site), ("language", "ko"), ("wp:wxr_version", "1.2"),
            ("wp:base_site_url", self._site), ("wp:base_blog_url", self._site),
        ):  # fmt: skip
            self._put(name, text)
        for slug, name in self._names.items():
            with self._element("wp:category"):
                self._put("wp:category_nicename", slug)
                self._put("wp:cat_name", name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._out.endElement("channel")
            self._out.endElement("rss")
        self._file.close()
        if error is None:
            self._part.replace(self._path)
        else:
            self._part.unlink()
