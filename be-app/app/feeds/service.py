"""Feeds and sitemap, made of the read models."""

from datetime import UTC, datetime, time
from email.utils import format_datetime
from html import escape
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from app.core.clock import now
from app.core.settings import settings
from app.feeds.schemas import FeedQuery
from app.posts import addresses, read_model
from app.posts.schemas import Lang, PostCard, PostCards, PublicQuery

_ATOM = "http://www.w3.org/2005/Atom"
_RSS_TYPE, _ATOM_TYPE = "application/rss+xml", "application/atom+xml"
_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
_ENTRIES = 20
_MAX_SITEMAP_URLS = 50_000  # sitemaps.org protocol
_NAMES: dict[Lang, str] = {"ko": "패밀리코퍼레이션", "en": "FamilyCorp"}


def _address(post: PostCard) -> str:
    return settings().site_url + quote(addresses.path(post.lang, post.slug))


async def _newest(query: FeedQuery) -> list[PostCard]:
    listed = await read_model.listed(PublicQuery(lang=query.lang, category=query.category, limit=_ENTRIES))
    return PostCards.model_validate_json(listed).items


def _home(query: FeedQuery) -> str:
    return f"{settings().site_url}/{query.lang}"


def _own_address(name: str, query: FeedQuery) -> str:
    """Return where a feed is fetched, without what its defaults say already."""
    parameters = urlencode(query.model_dump(exclude_defaults=True))
    return f"{settings().api_url}/v1/{name}" + (f"?{parameters}" if parameters else "")


def _latest(posts: list[PostCard]) -> datetime:
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
    root = ET.Element("rss", {"version": "2.0", "xmlns:atom": _ATOM})
    channel = _child(root, "channel")
    _child(channel, "title", _NAMES[query.lang])
    _child(channel, "link", _home(query))
    _child(channel, "atom:link", rel="self", type=_RSS_TYPE, href=_own_address("feed.rss", query))
    _child(channel, "description", _NAMES[query.lang])
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
    return _bytes(root)


async def atom(query: FeedQuery) -> bytes:
    """Return the newest posts as Atom (RFC 4287)."""
    posts = await _newest(query)
    root = ET.Element("feed", {"xmlns": _ATOM, "xml:lang": query.lang})
    # An id is for good (RFC 4287 §4.2.6), so it doesn't depend on where the API is.
    _child(root, "id", _home(query) + (f"?category={query.category}" if query.category else ""))
    _child(root, "title", _NAMES[query.lang])
    _child(root, "link", rel="alternate", type="text/html", href=_home(query))
    _child(root, "link", rel="self", type=_ATOM_TYPE, href=_own_address("feed.atom", query))
    _child(root, "updated", _latest(posts).isoformat())
    author = _child(root, "author")
    _child(author, "name", _NAMES[query.lang])
    for post in posts:
        entry = _child(root, "entry")
        _child(entry, "id", f"urn:uuid:{post.id}")
        _child(entry, "title", post.title)
        _child(entry, "link", rel="alternate", type="text/html", href=_address(post))
        _child(entry, "published", post.published_at.isoformat())
        _child(entry, "updated", post.updated_at.isoformat())
        _child(entry, "category", term=post.category)
        _child(entry, "summary", post.excerpt)
    return _bytes(root)


async def sitemap() -> bytes:
    """Return every published post's address (sitemaps.org protocol)."""
    root = ET.Element("urlset", xmlns=_SITEMAP)
    urls = 0
    for lang in _NAMES:
        cursor = None
        while urls < _MAX_SITEMAP_URLS:
            listed = await read_model.listed(PublicQuery(lang=lang, limit=100, cursor=cursor))
            page = PostCards.model_validate_json(listed)
            for post in page.items[: _MAX_SITEMAP_URLS - urls]:
                url = _child(root, "url")
                _child(url, "loc", _address(post))
                _child(url, "lastmod", post.updated_at.isoformat())
                urls += 1
            cursor = page.next_cursor
            if cursor is None:
                break
    return _bytes(root)
