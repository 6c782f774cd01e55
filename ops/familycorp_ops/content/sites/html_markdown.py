"""HTML of other systems as Markdown; what Markdown can't carry stays as sanitised HTML."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import nh3
from bs4 import MarkupResemblesLocatorWarning
from bs4.element import Tag
from markdownify import MarkdownConverter

_KEPT = {
    "table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "p", "br", "strong", "em", "a", "img", "ul",
    "ol", "li", "code", "del", "s", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "blockquote",
}  # fmt: skip
_TRANSLATED_LATER = [
    "iframe",
    "video",
    "audio",
    "script",
    "style",
    "form",
    "canvas",
    "object",
    "embed",
    "svg",
    "math",
]
_LANGUAGE = re.compile(r"\b(?:language|lang|brush:\s*)-?([\w+#-]+)")
_SPACES = re.compile(r"\n{3,}")


class _Converter(MarkdownConverter):
    """Keeps as HTML what is translated or reported later, and tables that Markdown has no syntax for."""

    def __init__(self, complicated: Callable[[str], None]) -> None:
        super().__init__(
            heading_style="ATX",
            bullets="-",
            escape_misc=False,
            code_language_callback=_language,
            newline_style="backslash",
        )
        self._complicated = complicated

    def convert_table(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        """Convert a table, or keep one whose cells are joined or have blocks inside."""
        joined = el.find(lambda tag: tag.get("colspan", "1") != "1" or tag.get("rowspan", "1") != "1")
        blocks = el.find(["ul", "ol", "table", "pre", "blockquote"])
        if not joined and not blocks:
            return str(super().convert_table(el, text, parent_tags))  # type: ignore[misc]
        self._complicated(str(el))
        kept = nh3.clean(
            str(el), tags=_KEPT, attributes={"a": {"href"}, "img": {"src", "alt"}}, link_rel=None
        )
        # A blank line would end the block of HTML.
        return "\n\n" + " ".join(filter(None, map(str.strip, kept.split("\n")))) + "\n\n"

    def convert_figcaption(self, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002
        """Write a caption as a paragraph of its own."""
        return f"\n\n*{text.strip()}*\n\n" if text.strip() else ""

    def __getattr__(self, name: str) -> Any:
        if name.removeprefix("convert_") in _TRANSLATED_LATER:
            return lambda el, text, parent_tags: f"\n\n{el}\n\n"  # noqa: ARG005
        raise AttributeError(name)


def _language(el: Tag) -> str:
    for tag in [el, *el.find_all("code")]:
        found = _LANGUAGE.search(" ".join(tag.get("class") or []))
        if found:
            return found[1]
    return ""


def converted(html: str, complicated: Callable[[str], None]) -> str:
    """Return HTML as Markdown.

    Args:
        html: the HTML.
        complicated: receives each element that stays HTML.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
        text = str(_Converter(complicated).convert(html))
    return _SPACES.sub("\n\n", text).strip()
