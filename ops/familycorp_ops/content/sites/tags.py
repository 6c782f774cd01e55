"""Shortcodes of Hugo, tags of Liquid, Nunjucks and Hexo: as Markdown where they are plain."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

_ARGUMENT = re.compile(
    r"""(?:([\w-]+)\s*[=:]\s*)?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|“[^”]*”|[^\s,"'`]+)"""
)


class Tag(NamedTuple):
    """A tag as it was written."""

    name: str
    arguments: list[str]
    named: dict[str, str]

    @classmethod
    def read(cls, name: str, text: str) -> "Tag":
        """Read a tag's arguments."""
        found, named = [], {}
        for key, value in _ARGUMENT.findall(text):
            bare = value[1:-1] if value[0] in "\"'`“" and len(value) > 1 else value
            bare = re.sub(r"\\([\"'\\])", r"\1", bare)
            # A colon belongs to a bare address, too.
            if key and value.startswith("//"):
                found.append(f"{key}:{value}")
            elif key:
                named[key.lower()] = bare
            else:
                found.append(bare)
        return cls(name, found, named)

    def get(self, *names: str, at: int | None = None) -> str:
        """Return the first of some named arguments that there is, else the positional one."""
        for name in names:
            if self.named.get(name):
                return self.named[name]
        return self.arguments[at] if at is not None and at < len(self.arguments) else ""


class Place(Protocol):
    """What a tag may ask for of the page on which it stands."""

    def post_link(self, name: str) -> str | None:
        """Return the present address of another page by its file's name."""

    def variable(self, name: str) -> str | None:
        """Return a variable of the template, such as `site.baseurl` or `page.title`."""


Handler = Callable[[Tag, str, Place], str | None]
"""Returns the Markdown of a tag and of what it encloses, or None where it can't be translated."""


def picture(source: str, alt: str = "", title: str = "", caption: str = "") -> str | None:
    """Return a picture in Markdown."""
    if not source:
        return None
    # A line break or bracket in the text would end it.
    alt, title, caption = (" ".join(text.split()) for text in (alt, title, caption))
    shown = _bracketed(alt or caption or title)
    quoted = title.replace('"', "'")
    suffix = f' "{quoted}"' if quoted and title != (alt or caption or title) else ""
    image = f"![{shown}]({target(source)}{suffix})"
    return f"{image}\n\n*{caption}*" if caption and caption != alt else image


def link(text: str, address: str) -> str | None:
    """Return a link in Markdown."""
    if not address:
        return None
    return f"[{_bracketed(text or address)}]({target(address)})"


def target(address: str) -> str:
    """Return an address as the target of a link in Markdown."""
    return f"<{address}>" if re.search(r"[\s()]", address) else address


def _bracketed(text: str) -> str:
    return re.sub(r"([\[\]])", r"\\\1", text)


def fenced(code: str, language: str = "") -> str:
    """Return a block of code."""
    code = code.strip("\n")
    fence = "```"
    while fence in code:
        fence += "`"
    return f"\n{fence}{language}\n{code}\n{fence}\n"


def quoted(text: str, source: str = "") -> str:
    """Return a quotation."""
    lines = [*text.strip().split("\n"), *(["", f"— {source}"] if source else [])]
    return "\n" + "\n".join(f"> {line}".rstrip() for line in lines) + "\n"


def embedded(address: str) -> str | None:
    """Return the link that stands for an embedded page."""
    if address.startswith("//"):
        address = f"https:{address}"
    video = re.match(r"https?://(?:www\.)?youtube(?:-nocookie)?\.com/embed/([\w-]+)", address)
    if video:
        return link("YouTube", f"https://www.youtube.com/watch?v={video[1]}")
    host = urlsplit(address).hostname if address.startswith(("http://", "https://")) else None
    return link(host, address) if host else None


def _figure(tag: Tag, _inner: str, _place: Place) -> str | None:
    alt, title = tag.get("alt"), tag.get("title")
    caption = tag.get("caption", "attr")
    shown = picture(tag.get("src", "url", "image_path", "path", "image", at=0), alt, title, caption)
    leads_to = tag.get("link", "href")
    if shown and leads_to and "\n" not in shown:
        return f"[{shown}]({target(leads_to)})"
    return shown


def _image(tag: Tag, _inner: str, _place: Place) -> str | None:
    """Eleventy's `image` and themes' like it: address, alternative text."""
    return picture(tag.get("src", "url", "path", at=0), tag.get("alt", "caption", at=1), tag.get("title"))


def _hexo_image(tag: Tag, _inner: str, _place: Place) -> str | None:
    """`img [classes] address [width] [height] "title 'alt'"`; `asset_img` likewise."""
    words = list(tag.arguments)
    at = next((i for i, word in enumerate(words) if re.search(r"[./]", word)), 0)
    rest = [word for word in words[at + 1 :] if not re.fullmatch(r"\d+(px|%)?", word)]
    text = " ".join(rest)
    both = re.fullmatch(r"([^']*)'(.*)'", text)
    title, alt = (both[1].rstrip(), both[2]) if both else (text, text)
    return picture(words[at] if words else "", alt, title)


def _youtube(tag: Tag, _inner: str, _place: Place) -> str | None:
    video = tag.get("id", "v", at=0)
    if video.startswith(("http:", "https:")):
        return link("YouTube", video)
    return link(tag.get("title") or "YouTube", video and f"https://www.youtube.com/watch?v={video}")


def _at(host: str, pattern: str) -> Handler:
    def handler(tag: Tag, _inner: str, _place: Place) -> str | None:
        first, second = tag.get("id", "user", at=0), tag.get("id", at=1)
        if not first or ("{1}" in pattern and not second):
            return None
        return link(host, first if "://" in first else pattern.format(first, second))

    return handler


def _gist(tag: Tag, _inner: str, _place: Place) -> str | None:
    path = "/".join(word for word in tag.arguments[:2] if "." not in word)
    return link("GitHub Gist", path and f"https://gist.github.com/{path}")


def _frame(tag: Tag, _inner: str, _place: Place) -> str | None:
    return embedded(tag.get("src", "url", at=0))


def _video(tag: Tag, _inner: str, _place: Place) -> str | None:
    source = tag.get("src", "url", "mp4", at=0)
    return link(source.rpartition("/")[2], source)


def _highlight(tag: Tag, inner: str, _place: Place) -> str:
    return fenced(inner, tag.get("lang", "language", at=0))


def _codeblock(tag: Tag, inner: str, _place: Place) -> str:
    return fenced(inner, tag.get("lang", "language"))


def _quote(tag: Tag, inner: str, _place: Place) -> str:
    source = tag.get("author") or " ".join(word for word in tag.arguments if "://" not in word)
    address = next((word for word in tag.arguments if "://" in word), "")
    return quoted(inner, (link(source, address) or source) if address else source)


def _inner(_tag: Tag, inner: str, _place: Place) -> str:
    return inner


def _nothing(_tag: Tag, _inner: str, _place: Place) -> str:
    return ""


def _reference(tag: Tag, _inner: str, place: Place) -> str | None:
    name, _, fragment = tag.get("path", at=0).partition("#")
    address = place.post_link(name) if name else ""
    return None if address is None else address + (f"#{fragment}" if fragment else "")


def _post_link(tag: Tag, _inner: str, place: Place) -> str | None:
    address = place.post_link(tag.get(at=0))
    return link(" ".join(w for w in tag.arguments[1:] if w not in {"true", "false"}), address or "")


def _link(tag: Tag, _inner: str, place: Place) -> str | None:
    """Hexo's `link text address` and Jekyll's `link file`."""
    at = next((i for i, word in enumerate(tag.arguments) if "://" in word), None)
    if at is None:
        return _reference(tag, "", place)
    return link(" ".join(tag.arguments[:at]), tag.arguments[at])


def _include(tag: Tag, inner: str, place: Place) -> str | None:
    """Jekyll's `include`: what shows one picture or one video."""
    name = tag.get(at=0).rpartition("/")[2].lower()
    if re.search(r"figure|image|img|picture|photo", name):
        return _figure(Tag(name, tag.arguments[1:], tag.named), inner, place)
    if "youtube" in name:
        return _youtube(Tag(name, tag.arguments[1:], tag.named), inner, place)
    return None


_COMMON: dict[str, Handler] = {
    "figure": _figure, "youtube": _youtube, "gist": _gist, "iframe": _frame, "video": _video, "audio": _video,
    "vimeo": _at("Vimeo", "https://vimeo.com/{0}"),
    "instagram": _at("Instagram", "https://www.instagram.com/p/{0}/"),
    "tweet": _at("X", "https://x.com/i/status/{0}"), "twitter": _at("X", "https://x.com/i/status/{0}"),
    "x": _at("X", "https://x.com/i/status/{1}"),
    "highlight": _highlight, "raw": _inner, "blockquote": _quote, "quote": _quote,
    "jsfiddle": _at("JSFiddle", "https://jsfiddle.net/{0}/"),
    "codepen": _at("CodePen", "https://codepen.io/{0}/pen/{1}"),
}  # fmt: skip
SETS: Mapping[str, Mapping[str, Handler]] = {
    "hugo": _COMMON | {
        "ref": _reference, "relref": _reference, "rawhtml": _inner, "img": _image, "image": _image,
        "details": _inner, "comment": _nothing, "code": _codeblock, "code-toggle": _codeblock,
    },
    "jekyll": _COMMON | {
        "post_url": _reference, "link": _reference, "include": _include, "include_relative": _include,
        "comment": _nothing, "endraw": _nothing,
    },
    "hexo": _COMMON | {
        "img": _hexo_image, "image": _hexo_image, "asset_img": _hexo_image,
        "asset_path": lambda t, _i, _p: t.get(at=0),
        "asset_link": lambda t, _i, _p: link(" ".join(t.arguments[1:]), t.get(at=0)),
        "codeblock": _codeblock, "code": _codeblock, "post_link": _post_link, "post_path": _reference,
        "link": _link, "pullquote": _quote, "gp": _image, "more": _nothing,
    },
    "eleventy": _COMMON | {"image": _image, "img": _image, "comment": _nothing, "verbatim": _inner},
}  # fmt: skip
VERBATIM = {"code-toggle", "highlight", "raw", "codeblock", "code", "comment", "verbatim", "rawhtml"}
"""Tags whose inside isn't looked into."""
