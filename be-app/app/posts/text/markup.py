"""Markdown to HTML that is safe to show, and to plain text."""

import html
import re
import unicodedata
from functools import cache, lru_cache

import nh3
from markdown_it import MarkdownIt

from app.core.http.schema import CONTROLS
from app.posts.text import complexity
from app.posts.text.emphasis import CjkMarkdown

# What Markdown itself can produce; anything else that an author wrote as HTML is dropped.
_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol",
    "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}, "code": {"class"}}
_BLOCK_END = re.compile(r"</(?:p|h[1-6]|li|blockquote|pre|td|th|tr)>|<br ?/?>|<hr ?/?>")
_BLOCK = "\x1e"  # No HTML holds it: `to_html` drops control characters.
_BLANKS = re.compile(r"\s+")
_NOT_IN_SLUG = re.compile(r"[^a-z0-9가-힣]+")


@cache
def _markdown() -> MarkdownIt:
    return complexity.bound(CjkMarkdown("commonmark").enable(["table", "strikethrough"]))


@lru_cache(8)  # A post is checked when it is written and rendered when it is published, often at once.
def to_html(markdown: str) -> str:
    """Render Markdown and sanitise the result by ammonia's rules: no script, no event handler, no odd URL.

    Raises `complexity.TooComplex`. A long text takes half a second: call this in a worker thread (`offload`).
    """
    cleaned = nh3.clean(
        _markdown().render(markdown),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "tel", "upload"},  # `pictures.fill` replaces the last.
        link_rel="noopener noreferrer",
    )
    return CONTROLS.sub("", cleaned)  # What a body must not hold could still come as `&#1;`.


def to_blocks(rendered: str) -> list[str]:
    """Return the words of rendered HTML, block by block (paragraphs, list items, cells), white space folded."""
    spaced = _BLOCK_END.sub(_BLOCK, rendered)
    text = html.unescape(nh3.clean(spaced, tags=set()))
    return [block for part in text.split(_BLOCK) if (block := _BLANKS.sub(" ", part).strip())]


def to_text(rendered: str) -> str:
    """Return the words of rendered HTML, blocks kept apart, white space folded."""
    return " ".join(to_blocks(rendered))


def excerpt(markdown: str, length: int = 200) -> str:
    """Return the beginning of a text in Markdown as plain text, cut at a word where one ends near."""
    return _excerpt(markdown[: 10 * length], length)


@lru_cache(512)  # Search makes one for each post that it lists.
def _excerpt(beginning: str, length: int) -> str:
    text = to_text(to_html(beginning))
    if len(text) <= length:
        return text
    cut = text[:length]
    return (cut.rsplit(" ", 1)[0] if " " in cut[length // 2 :] else cut) + "…"


def slugify(title: str) -> str:
    """Make a slug of a title; empty when the title has no letter or digit that slugs may hold."""
    ascii_marks_dropped = "".join(
        c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c)
    )
    folded = unicodedata.normalize("NFC", ascii_marks_dropped).casefold()
    return _NOT_IN_SLUG.sub("-", folded).strip("-")[:80].strip("-")
