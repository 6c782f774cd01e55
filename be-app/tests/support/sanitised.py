"""What a post's HTML may hold, written down a second time."""

import re
from html import unescape
from html.parser import HTMLParser

_PLAIN = [
    "blockquote",
    "br",
    "del",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "p",
    "pre",
    "s",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
]
_ALLOWED: dict[str, set[str]] = {tag: set() for tag in _PLAIN} | {
    "a": {"href", "title", "rel"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "code": {"class"},
}


class _Checker(HTMLParser):
    """Fails on any tag, attribute, address or declaration that a post's HTML may not hold."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _ALLOWED, tag
        for name, value in attrs:
            assert name in _ALLOWED[tag], (tag, name)
            if name in {"href", "src"} and value:
                plain = re.sub(r"[\x00-\x20\u200b]", "", unescape(value)).lower()
                scheme = re.match(r"([a-z][a-z0-9+.-]*):", plain)
                assert scheme is None or scheme[1] in {"http", "https", "mailto", "tel"}, value
            if name == "rel":
                assert value == "noopener noreferrer"

    def forbid(self, data: str) -> None:
        raise AssertionError(data)

    handle_comment = handle_pi = unknown_decl = forbid

    def handle_decl(self, decl: str) -> None:
        self.forbid(decl)


def check_html(html: str) -> None:
    """Fail unless HTML holds nothing but what a post's may."""
    checker = _Checker(convert_charrefs=True)
    checker.feed(html)
    checker.close()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", html)
