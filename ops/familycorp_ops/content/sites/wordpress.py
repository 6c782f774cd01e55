"""Exports of WordPress (WXR): posts and pages, with what they refer to."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from gettext import gettext as _
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from familycorp_ops.content.notes import Note, Omitted, shortened
from familycorp_ops.content.sites.frontmatter import Front
from familycorp_ops.content.sites.html_markdown import converted
from familycorp_ops.content.sites.layout import Facts, Found, Layout
from familycorp_ops.content.yamltext import Unreadable

_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
_STATES = {"draft", "pending", "private"}
_NEVER = "0000-00-00 00:00:00"
_UPLOADS = "wp-content/uploads/"
_PARTS = {
    "attachment", "nav_menu_item", "revision", "custom_css", "customize_changeset", "oembed_cache",
    "wp_global_styles", "wp_navigation", "wp_template", "wp_template_part", "wp_font_family", "wp_font_face",
    "user_request", "wp_block",
}  # fmt: skip
_BLOCK = re.compile(
    r"<(p|div|h[1-6]|ul|ol|dl|table|blockquote|pre|figure|hr|section|address|form|iframe)\b", re.IGNORECASE
)
_PRE = re.compile(r"<pre\b.*?</pre>", re.DOTALL | re.IGNORECASE)
_COMMENT = re.compile(r"<!-- /?wp:.*?-->\n?", re.DOTALL)
_BUTTON = re.compile(r'<a\b[^<>]*\bclass="[^"<>]*\bwp-block-file__button\b[^<>]*>[^<>]*</a>')
"""Beside a link to the same file."""
_CAPTION = re.compile(r"\[caption[^\]]*\](.*?<img[^>]*>(?:\s*</a>)?)(.*?)\[/caption\]", re.DOTALL)
_GALLERY = re.compile(r"\[gallery\b([^\]]*)\]")
_EMBED = re.compile(r"\[embed[^\]]*\](.*?)\[/embed\]", re.DOTALL)
_WRAPPED = re.compile(r'<div class="wp-block-embed__wrapper">\s*(\S+)\s*</div>')
_MEDIA = re.compile(r"\[(video|audio)\b([^\]]*)\](?:\[/\1\])?")
_SHORTCODE = re.compile(r"\[/?([a-z][a-z0-9_-]+)((?:\s+[\w-]+=(?:\"[^\"]*\"|'[^']*'|[^\s\]]+))+)?\s*/?\]")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ADDRESS = re.compile(r"(?m)^[ \t]*(https?://\S+)[ \t]*$")


class WordPress(Layout):
    """One or more files of WordPress's export, and the uploads folder beside them."""

    kind = "wordpress"

    def __init__(self, root: Path) -> None:
        super().__init__(root if root.is_dir() else root.parent)
        self._files = sorted(root.glob("*.xml")) if root.is_dir() else [root]
        self._items: dict[str, Front] = {}
        self._addresses: dict[str, str] = {}
        self._attachments: dict[str, str] = {}
        self._authors: dict[str, str] = {}

    def pages(self) -> Iterator[Found]:
        """Yield posts and pages; count what is neither."""
        others = Counter[str]()
        for path in self._files:
            self._attachments |= self._attached(path)
        for path in self._files:
            for number, (item, line) in enumerate(self._read(path), start=1):
                kind, state = _of(item, "post_type") or "post", _of(item, "status")
                name = f"{self.name(path)}#{_of(item, 'post_id') or number}"
                if kind in _PARTS:
                    continue
                if kind not in {"post", "page"}:
                    others[kind] += 1
                elif state in {"trash", "auto-draft"}:
                    self.omitted.append(Omitted(name, _("It is in the trash."), settled=True))
                else:
                    yield self._found(path, name, item, line)
        for kind, number in others.items():
            why = _("{number} items are of a kind that this service doesn't have: {kind}.").format(
                number=number, kind=kind
            )
            self.omitted.append(Omitted(self.name(self._files[0]), why))

    def _read(self, path: Path) -> Iterator[tuple[Element, int]]:
        """Yield the items of a file one by one, each with a line that leads to it; no entity is expanded."""
        lines = _item_lines(path)
        try:
            for _event, element in iterparse(path, forbid_dtd=True):
                tag = element.tag.rpartition("}")[2]
                # Of many sites English is but the language of the installation: there, the text decides.
                if tag == "language" and element.text and not element.text.lower().startswith("en"):
                    self.lang = element.text.lower()
                elif tag == "author" and _of(element, "author_login"):
                    login = _of(element, "author_login")
                    self._authors[login] = _of(element, "author_display_name") or login
                elif tag in {"base_site_url", "base_blog_url"} and element.text:
                    self.set_prefix(_secure(element.text.strip()))
                elif tag == "item":
                    yield element, next(lines, 1)
                    element.clear()
        except (ParseError, DefusedXmlException, OSError) as error:
            position = getattr(error, "position", (1, 0))
            why = _("the file isn't an export of WordPress: {reason}").format(
                reason=str(error).split("\n")[0]
            )
            raise Unreadable(position[0], "xml", why) from None

    def _attached(self, path: Path) -> dict[str, str]:
        return {
            _of(item, "post_id"): _of(item, "attachment_url")
            for item, __ in self._read(path)
            if _of(item, "post_type") == "attachment"
        }

    def _found(self, path: Path, name: str, item: Element, line: int) -> Found:
        title, slug = _of(item, "title"), unquote(_of(item, "post_name"))
        where = PurePosixPath(slug or f"post-{_of(item, 'post_id')}")
        link = urlsplit(_of(item, "link"))
        state = _of(item, "status")
        kind = "p" if _of(item, "post_type") == "post" else "page_id"
        meta = {_of(entry, "meta_key"): _of(entry, "meta_value") for entry in _all(item, "postmeta")}
        terms = [
            (entry.get("domain"), entry.get("nicename", ""), (entry.text or "").strip())
            for entry in _all(item, "category")
        ]
        self.category_slugs |= {
            text: slug for domain, slug, text in terms if domain == "category" and _SLUG.fullmatch(slug)
        }
        of_plugins = {domain: unquote(slug) for domain, slug, _text in terms}
        author = _of(item, "creator")
        comments = len(_all(item, "comment"))
        at, local = (_of(item, name).removeprefix(_NEVER) for name in ("post_date_gmt", "post_date"))
        value: dict[str, Any] = {
            "title": title,
            "slug": slug or None,
            "date": f"{at}Z" if at else local,
            "draft": "true" if state in _STATES else None,
            "password": _of(item, "post_password") or None,
            "categories": [text for domain, _slug, text in terms if domain == "category"],
            "tags": [text for domain, _slug, text in terms if domain == "post_tag"],
            # As the plugin Polylang has them.
            "lang": of_plugins.get("language"),
            "translationKey": of_plugins.get("post_translations"),
            "author": self._authors.get(author, author) or None,
            "excerpt": next(
                (e.text for e in item if "excerpt" in e.tag and e.tag.endswith("}encoded")), None
            ),
            "image": self._attachments.get(meta.get("_thumbnail_id", "")),
            "aliases": [f"/?{kind}={_of(item, 'post_id')}"] if _of(item, "guid") else None,
            "commentCount": str(comments) if comments else None,
        }
        notes: list[Note] = []
        html = next((element.text or "" for element in item if element.tag == _CONTENT), "")
        body = self._markdown(html, line, notes)
        value = {key: inner for key, inner in value.items() if inner}
        lines = {(), *((key,) for key in value)}
        self._items[name] = Front(value, dict.fromkeys(lines, line), body, line, notes)
        self._addresses[name] = (link.path or "/") + (f"?{link.query}" if link.query else "")
        section = "" if _of(item, "post_type") == "post" else "pages"
        return Found(path, name, where, section=section)

    def front(self, found: Found) -> tuple[Front, list[tuple[str, str, str]]]:
        """Return what an item says, once."""
        return self._items.pop(found.name), []

    def address(self, facts: Facts) -> str | None:
        """Return the permalink."""
        return self._addresses.pop(facts.found.name, None)

    def is_own(self, target: str) -> bool:
        """Whether an address leads to the site, which may have moved to HTTPS, or to an upload."""
        return _UPLOADS in target or super().is_own(_secure(target))

    def file(self, _found: Found, target: str) -> Path | None:
        """Return a file of the uploads folder; a size that WordPress made is the file that it was made from."""
        _before, uploads, name = target.partition(_UPLOADS)
        bases = [self.root / "uploads", self.root / _UPLOADS, self.root]
        if not uploads:
            if not self.is_own(target):
                return None
            bases, name = [self.root], urlsplit(target).path.removeprefix(self.prefix).lstrip("/")
        original = re.sub(r"-\d+x\d+(\.\w+)$", r"\1", name)
        for wanted in (name, original) if name in self._originals else (original, name):
            for base in bases:
                if (base / wanted).is_file():
                    return base / wanted
        return None

    @cached_property
    def _originals(self) -> set[str]:
        """The names of attachments below the uploads folder; other files are sizes of them."""
        return {unquote(url.partition(_UPLOADS)[2]) for url in self._attachments.values()}

    def _markdown(self, html: str, line: int, notes: list[Note]) -> str:
        blocks = "<!-- wp:" in html
        text = _BUTTON.sub("", _COMMENT.sub("", html))
        text = _CAPTION.sub(lambda m: f"<figure>{m[1]}<figcaption>{m[2]}</figcaption></figure>", text)
        text = _GALLERY.sub(self._gallery, text)
        text = _EMBED.sub(lambda m: _linked(m[1].strip()), text)
        text = _WRAPPED.sub(lambda m: _linked(m[1]), text)
        text = _MEDIA.sub(lambda m: _linked(next(iter(re.findall(r"https?://[^\"'\s]+", m[2])), "")), text)
        text = _SHORTCODE.sub(lambda m: _unknown(m, text, line, notes), text)
        if not blocks:
            text = _paragraphs(text)
        why = _("Markdown can't carry the element; it stays as HTML.")
        return converted(
            text, lambda kept: notes.append(Note(line, "changed", "HTML", shortened(kept), "", why))
        )

    def _gallery(self, found: re.Match[str]) -> str:
        ids = re.findall(r"\d+", (re.search(r"ids=[\"']?([\d, ]+)", found[1]) or ["", ""])[1])
        images = [
            f'<p><img src="{escape(self._attachments[i])}" alt=""></p>' for i in ids if i in self._attachments
        ]
        return "".join(images) or found[0]


def _unknown(found: re.Match[str], text: str, line: int, notes: list[Note]) -> str:
    """Take a shortcode of a plugin out, with a note; square brackets around a word are none."""
    name = found[1]
    if not found[2] and f"[/{name}]" not in text:
        return found[0]
    if not found[0].startswith("[/"):
        notes.append(Note(line, "left_out", name, shortened(found[0]), "", _("The tag has no counterpart.")))
    return ""


def _secure(url: str) -> str:
    return url.replace("http://", "https://", 1)


def _linked(address: str) -> str:
    return f'<p><a href="{escape(address)}">{escape(address)}</a></p>' if address else ""


def _paragraphs(text: str) -> str:
    """Make paragraphs of a classic text's blank lines, and breaks of its other ones, as WordPress does."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\n\n<pre>{len(kept) - 1}</pre>\n\n"

    text = _PRE.sub(keep, text.replace("\r\n", "\n"))
    text = _ADDRESS.sub(lambda m: f"\n\n{_linked(m[1])}\n\n", text)
    parts = []
    for part in filter(None, (part.strip() for part in re.split(r"\n\s*\n", text))):
        plain = not _BLOCK.match(part)
        parts.append(f"<p>{part.replace(chr(10), '<br>' + chr(10))}</p>" if plain else part)
    return re.sub(r"<pre>(\d+)</pre>", lambda m: kept[int(m[1])], "\n\n".join(parts))


def _of(element: Element, name: str) -> str:
    """Return the text of a child by its name, whichever version of the format its namespace is of."""
    found = next((child.text for child in element if child.tag.rpartition("}")[2] == name), None)
    return (found or "").strip()


def _all(element: Element, name: str) -> list[Element]:
    return [child for child in element if child.tag.rpartition("}")[2] == name]


def _item_lines(path: Path) -> Iterator[int]:
    """Yield the lines at which items begin."""
    with path.open(encoding="latin-1") as file:  # Each byte is a character, and CR ends a line as in XML.
        for number, line in enumerate(file, start=1):
            for __ in range(line.count("<item>")):
                yield number
