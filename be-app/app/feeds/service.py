"""Feeds and sitemap, made of the read models."""

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time
from email.utils import format_datetime
from html import escape
from urllib.parse import urlencode
from uuid import UUID
from xml.etree import ElementTree as ET

from app.core.clock import now
from app.core.http.pagination import Page
from app.core.settings import settings
from app.feeds.schemas import FeedQuery
from app.posts.publication import read_model
from app.posts.publication.metadata import SITE_NAMES
from app.posts.publication.metadata import address as _address
from app.posts.schemas import PostSummary, PublicQuery

_ATOM = "http://www.w3.org/2005/Atom"
_MEDIA = "http://search.yahoo.com/mrss/"
_JPEG = "image/jpeg"
_RSS_TYPE, _ATOM_TYPE = "application/rss+xml", "application/atom+xml"
_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
_ENTRIES = 20
_MAX_SITEMAP_URLS = 50_000  # sitemaps.org protocol


async def _newest(query: FeedQuery) -> list[PostSummary]:
    listed = await read_model.listed(PublicQuery(**query.model_dump(), limit=_ENTRIES))
    return Page[PostSummary].model_validate_json(listed).items


def _home(query: FeedQuery) -> str:
    return f"{settings().site_url}/{query.lang}"


def _own_address(name: str, query: FeedQuery) -> str:
    """Return where a feed is fetched, without what its defaults say already."""
    parameters = urlencode(query.model_dump(exclude_defaults=True))
    return f"{settings().api_url}/v1/{name}" + (f"?{parameters}" if parameters else "")


def _latest(posts: list[PostSummary]) -> datetime:
    """Return when a feed last changed; of one without entries, only that it was before today."""
    today = datetime.combine(now(), time(), UTC)  # The same all day, so that caches may keep the feed.
    return max((post.updated_at for post in posts), default=today)


def _child(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element


def _bytes(root: ET.Element) -> bytes:
    made: bytes = ET.tostring(root, "utf-8", xml_declaration=True)
    return made


async def rss(query: FeedQuery) -> bytes:
    """Return the newest posts as RSS 2.0."""
    posts = await _newest(query)
    root = ET.Element("rss", {"version": "2.0", "xmlns:atom": _ATOM, "xmlns:media": _MEDIA})
    channel = _child(root, "channel")
    _child(channel, "title", SITE_NAMES[query.lang])
    _child(channel, "link", _home(query))
    _child(channel, "atom:link", rel="self", type=_RSS_TYPE, href=_own_address("feed.rss", query))
    _child(channel, "description", SITE_NAMES[query.lang])
    _child(channel, "language", query.lang)
    _child(channel, "lastBuildDate", format_datetime(_latest(posts)))
    for post in posts:
        item = _child(channel, "item")
        # RSS readers take the text of these for HTML, so plain text is escaped once more than XML demands.
        _child(item, "title", escape(post.title, quote=False))
        _child(item, "link", _address(post))
        _child(item, "guid", f"urn:uuid:{post.id}", isPermaLink="false")
        _child(item, "pubDate", format_datetime(post.published_at))
        _child(item, "category", post.category)
        _child(item, "description", escape(post.excerpt, quote=False))
        if post.picture:  # RSS's own `enclosure` demands a length, which nobody knows here.
            _child(item, "media:content", url=post.picture.src, type=_JPEG, medium="image")
    return _bytes(root)


async def atom(query: FeedQuery) -> bytes:
    """Return the newest posts as Atom (RFC 4287)."""
    posts = await _newest(query)
    root = ET.Element("feed", {"xmlns": _ATOM, "xml:lang": query.lang})
    # An id is for good (RFC 4287 §4.2.6), so it doesn't depend on where the API is.
    narrowed = urlencode(query.model_dump(exclude={"lang"}, exclude_none=True))
    _child(root, "id", _home(query) + (f"?{narrowed}" if narrowed else ""))
    _child(root, "title", SITE_NAMES[query.lang])
    _child(root, "link", rel="alternate", type="text/html", href=_home(query))
    _child(root, "link", rel="self", type=_ATOM_TYPE, href=_own_address("feed.atom", query))
    _child(root, "updated", _latest(posts).isoformat())
    author = _child(root, "author")
    _child(author, "name", SITE_NAMES[query.lang])
    for post in posts:
        entry = _child(root, "entry")
        _child(entry, "id", f"urn:uuid:{post.id}")
        _child(entry, "title", post.title)
        _child(entry, "link", rel="alternate", type="text/html", href=_address(post))
        _child(entry, "published", post.published_at.isoformat())
        _child(entry, "updated", post.updated_at.isoformat())
        _child(entry, "category", term=post.category)
        _child(entry, "summary", post.excerpt)
        if post.picture:
            _child(entry, "link", rel="enclosure", type=_JPEG, href=post.picture.src)
    return _bytes(root)


async def sitemap() -> bytes:
    """Return the address of every post that is for search engines (sitemaps.org protocol), with its translations."""
    posts = [post async for post in _indexed()]
    groups = defaultdict[UUID | None, list[PostSummary]](list)
    for post in posts:
        groups[post.translation_key].append(post)
    root = ET.Element("urlset", {"xmlns": _SITEMAP, "xmlns:xhtml": "http://www.w3.org/1999/xhtml"})
    for post in posts:
        url = _child(root, "url")
        _child(url, "loc", _address(post))
        _child(url, "lastmod", post.updated_at.isoformat())
        alternates = groups[post.translation_key] if post.translation_key else []
        # Each page names all of its versions, itself as well (Google Search Central, "Tell Google about localized
        # versions of your page").
        for other in alternates if len(alternates) > 1 else ():
            _child(url, "xhtml:link", rel="alternate", hreflang=other.lang, href=_address(other))
    return _bytes(root)


async def _indexed() -> AsyncIterator[PostSummary]:
    """Yield the posts that search engines may show under their address here."""
    urls = 0
    for lang in SITE_NAMES:
        cursor, more = None, True
        while more:
            listed = await read_model.listed(PublicQuery(lang=lang, limit=100, cursor=cursor))
            page = Page[PostSummary].model_validate_json(listed)
            for post in page.items:
                if post.noindex or post.canonical_url or urls == _MAX_SITEMAP_URLS:
                    continue
                urls += 1
                yield post
            cursor = page.next_cursor
            more = cursor is not None and urls < _MAX_SITEMAP_URLS
