"""Feeds and sitemap: valid XML, absolute addresses, published posts only."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import httpx
import pytest

from support.contract import breaks, edit, ok, own_category, problem, unique
from support.stack import Stack, act, draft, published

ATOM = "{http://www.w3.org/2005/Atom}"
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
SITE = "https://www.familycorp.example"
FEEDS = ("/v1/feed.rss", "/v1/feed.atom", "/v1/sitemap.xml")
TYPES = {
    "/v1/feed.rss": "application/rss+xml",
    "/v1/feed.atom": "application/atom+xml",
    "/v1/sitemap.xml": "application/xml",
}


def xml(client: httpx.Client, path: str, **query: str) -> ET.Element:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == TYPES[path]
    assert answer.content.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    return ET.fromstring(answer.content)


def text(parent: ET.Element, tag: str) -> str:
    """Return the text of the one element that has a tag."""
    (found,) = parent.findall(tag)
    assert found.text
    return found.text


def instant(of: str) -> datetime:
    return datetime.fromisoformat(of)


def address(post: dict[str, Any]) -> str:
    return f"{SITE}/{post['lang']}/posts/{quote(post['slug'])}"


def links(client: httpx.Client, path: str, **query: str) -> list[str | None]:
    root = xml(client, path, **query)
    if path.endswith("rss"):
        return [item.findtext("link") for item in root.iter("item")]
    if path.endswith("atom"):
        return [link.get("href") for link in root.findall(f"{ATOM}entry/{ATOM}link")]
    return [loc.text for loc in root.iter(f"{SITEMAP}loc")]


def test_rss_is_as_the_specification_has_it(client: httpx.Client) -> None:
    category, slug = own_category(client), f"실적-{unique()}"
    first = published(client, category=category)
    post = published(
        client, category=category, slug=slug, title='<b>"1 & 2"</b> 😀 소식', excerpt="a < b & c", body="본문"
    )
    root = xml(client, "/v1/feed.rss", category=category)
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    (channel,) = root.findall("channel")
    for tag in ("title", "link", "description"):
        assert text(channel, tag)
    assert text(channel, "language") == "ko"
    newest, oldest = channel.findall("item")
    # Readers take both for HTML.
    assert text(newest, "title") == '&lt;b&gt;"1 &amp; 2"&lt;/b&gt; 😀 소식'
    assert text(newest, "description") == "a &lt; b &amp; c"
    assert text(newest, "link") == f"{SITE}/ko/posts/{quote(slug)}"
    assert text(newest, "link").isascii()
    assert text(newest, "category") == category
    (guid,) = newest.findall("guid")
    assert (guid.text, guid.get("isPermaLink")) == (f"urn:uuid:{post['id']}", "false")
    assert parsedate_to_datetime(text(newest, "pubDate")) == instant(post["firstPublishedAt"]).replace(
        microsecond=0
    )
    assert text(oldest, "guid") == f"urn:uuid:{first['id']}"
    built = parsedate_to_datetime(text(channel, "lastBuildDate"))
    assert 0 <= (datetime.now(UTC) - built).total_seconds() < 60


def test_atom_is_as_the_specification_has_it(client: httpx.Client) -> None:
    category, slug = own_category(client), f"실적-{unique()}"
    published(client, lang="en", category=category)
    post = published(client, lang="en", category=category, slug=slug, title="<b> & 소식", excerpt="a < b")
    post = ok(act(client, ok(edit(client, post, excerpt="a < c")), "publish"))
    feed = xml(client, "/v1/feed.atom", category=category, lang="en")
    assert feed.tag == f"{ATOM}feed"
    assert urlsplit(text(feed, f"{ATOM}id")).scheme == "https"
    assert text(feed, f"{ATOM}title")
    assert text(feed, f"{ATOM}author/{ATOM}name")
    newest, oldest = feed.findall(f"{ATOM}entry")
    assert text(newest, f"{ATOM}id") == f"urn:uuid:{post['id']}"
    assert text(newest, f"{ATOM}title") == "<b> & 소식"
    assert text(newest, f"{ATOM}summary") == "a < c"
    assert instant(text(newest, f"{ATOM}published")) == instant(post["firstPublishedAt"])
    updated = instant(text(newest, f"{ATOM}updated"))
    assert updated > instant(post["firstPublishedAt"])
    assert instant(text(feed, f"{ATOM}updated")) == updated > instant(text(oldest, f"{ATOM}updated"))
    assert updated.tzinfo
    (term,) = newest.findall(f"{ATOM}category")
    assert term.get("term") == category
    (link,) = newest.findall(f"{ATOM}link")
    assert (link.get("href"), link.get("rel")) == (f"{SITE}/en/posts/{quote(slug)}", "alternate")


def test_the_sitemap_names_every_published_post_of_both_languages(client: httpx.Client) -> None:
    slug = f"실적-{unique()}"
    posts = [published(client, slug=slug), published(client, lang="en"), published(client)]
    hidden = [draft(client).json(), ok(act(client, published(client), "archive"))]
    root = xml(client, "/v1/sitemap.xml")
    assert root.tag == f"{SITEMAP}urlset"
    found = {text(url, f"{SITEMAP}loc"): text(url, f"{SITEMAP}lastmod") for url in root}
    assert len(found) == len(root)
    for post in posts:
        page = ok(client.get(f"/v1/posts/{post['id']}"))
        assert instant(found[address(post)]) == instant(page["updatedAt"])
    assert not {address(post) for post in hidden} & set(found)
    assert f"{SITE}/ko/posts/{quote(slug)}" in found
    assert all(loc.isascii() and loc.startswith(f"{SITE}/") for loc in found)


def test_the_sitemap_names_translations_and_leaves_out_what_is_not_for_search_engines(
    client: httpx.Client,
) -> None:
    ko = published(client)
    en = published(client, lang="en", translationOf=ko["id"])
    alone = published(client)
    first = published(client, noindex=True)
    hidden = [
        first,
        published(client, canonicalUrl="https://news.example/1"),
    ]
    of_hidden = published(client, lang="en", translationOf=first["id"])
    found = {text(url, f"{SITEMAP}loc"): url for url in xml(client, "/v1/sitemap.xml")}
    alternates = {
        address(post): [
            (link.get("rel"), link.get("hreflang"), link.get("href"))
            for link in found[address(post)].findall("{http://www.w3.org/1999/xhtml}link")
        ]
        for post in (ko, en, alone, of_hidden)
    }
    both = [("alternate", post["lang"], address(post)) for post in (ko, en)]
    assert alternates == {address(ko): both, address(en): both, address(alone): [], address(of_hidden): []}
    assert not {address(post) for post in hidden} & set(found)
    shown = ok(act(client, ok(edit(client, first, noindex=False)), "publish"))
    assert address(shown) in links(client, "/v1/sitemap.xml")


@pytest.mark.parametrize("path", FEEDS)
def test_what_is_withdrawn_leaves_the_feed_at_once(client: httpx.Client, path: str) -> None:
    post = published(client)
    assert address(post) in links(client, path)
    ok(act(client, post, "unpublish"))
    assert address(post) not in links(client, path)


@pytest.mark.parametrize("path", FEEDS)
def test_a_renamed_post_has_its_new_address_in_the_feed(client: httpx.Client, path: str) -> None:
    post = published(client)
    assert address(post) in links(client, path)
    moved = ok(act(client, ok(edit(client, post, slug=unique("새-이름-"))), "publish"))
    assert address(moved) in links(client, path)
    assert address(post) not in links(client, path)


@pytest.mark.parametrize("path", FEEDS[:2])
def test_a_feed_is_of_one_language_and_category(client: httpx.Client, path: str) -> None:
    first, second = own_category(client), own_category(client)
    ko, en = published(client, category=first), published(client, category=first, lang="en")
    other = published(client, category=second)
    assert links(client, path, category=first) == [address(ko)]
    assert links(client, path, category=first, lang="en") == [address(en)]
    assert links(client, path, category=second) == [address(other)]
    assert {address(other), address(ko)} <= set(links(client, path))
    assert address(en) not in links(client, path)


@pytest.mark.parametrize("path", FEEDS[:2])
def test_a_feed_is_of_one_tag(client: httpx.Client, path: str) -> None:
    category, tag = own_category(client), f"#1 {unique('태그')}"
    both = published(client, category=category, tags=[tag, "b"])
    elsewhere, en = published(client, tags=[tag]), published(client, tags=[tag], lang="en")
    assert links(client, path, tag=tag) == [address(elsewhere), address(both)]
    assert links(client, path, tag=tag, category=category) == [address(both)]
    assert links(client, path, tag=tag, lang="en") == [address(en)]
    root = xml(client, path, tag=tag, category=category)
    own = [e.get("href", "") for e in root.iter(f"{ATOM}link") if e.get("rel") == "self"]
    assert client.get(own[0]).content == client.get(path, params={"tag": tag, "category": category}).content


@pytest.mark.parametrize("path", FEEDS[:2])
def test_a_feed_holds_the_newest_twenty(client: httpx.Client, path: str) -> None:
    category = own_category(client)
    posts = [published(client, category=category) for _ in range(22)]
    assert links(client, path, category=category) == [address(p) for p in reversed(posts[2:])]


@pytest.mark.parametrize("path", FEEDS[:2])
def test_an_empty_feed_is_valid(client: httpx.Client, path: str) -> None:
    category = unique("c")
    assert links(client, path, category=category) == []
    root, days = xml(client, path, category=category), timedelta(days=2)
    if path.endswith("rss"):
        updated = parsedate_to_datetime(text(root, "channel/lastBuildDate"))
    else:
        updated = instant(text(root, f"{ATOM}updated"))
    assert datetime.now(UTC) - days < updated <= datetime.now(UTC)


def said(html: str) -> str:
    """Return the text that a reader shows of HTML."""
    return unescape(re.sub("<[^>]*>", "", html))


def test_readers_show_signs_as_they_were_written(client: httpx.Client) -> None:
    category, title, excerpt = own_category(client), "List<String>과 R&D &lt; <b>", "if a<b && b>c: &amp;"
    published(client, category=category, title=title, excerpt=excerpt)
    (item,) = xml(client, "/v1/feed.rss", category=category).iter("item")
    assert (said(text(item, "title")), said(text(item, "description"))) == (title, excerpt)
    (entry,) = xml(client, "/v1/feed.atom", category=category).iter(f"{ATOM}entry")
    # Atom's text is text (RFC 4287 §3.1.1.1).
    for tag, expected in (("title", title), ("summary", excerpt)):
        (element,) = entry.findall(f"{ATOM}{tag}")
        assert (element.text, element.get("type", "text")) == (expected, "text")


VARIANTS: tuple[dict[str, str], ...] = (
    {},
    {"lang": "en"},
    {"category": "news"},
    {"category": "ir"},
    {"category": "news", "lang": "en"},
)


def test_each_feed_names_itself(client: httpx.Client, stack: Stack) -> None:
    for path, link, kind in (
        ("/v1/feed.rss", f"channel/{ATOM}link", "application/rss+xml"),
        ("/v1/feed.atom", f"{ATOM}link", "application/atom+xml"),
    ):
        found = []
        for query in VARIANTS:
            links_ = {e.get("rel"): e for e in xml(client, path, **query).findall(link)}
            own = links_["self"]
            assert own.get("type") == kind
            address_ = httpx.URL(own.attrib["href"])
            assert str(address_).startswith(f"{stack.api_url}{path}")
            # What it names is the same feed.
            assert client.get(address_).content == client.get(path, params=query).content
            found.append(str(address_))
        assert len(set(found)) == len(VARIANTS)
        assert client.get(path, params={"lang": "ko"}).content == client.get(path).content
    ids = [text(xml(client, "/v1/feed.atom", **query), f"{ATOM}id") for query in VARIANTS]
    assert len(set(ids)) == len(VARIANTS)
    assert all(i.startswith(f"{SITE}/") for i in ids)


@pytest.mark.parametrize("path", FEEDS[:2])
def test_a_body_s_strange_characters_leave_the_feed_valid(client: httpx.Client, path: str) -> None:
    category = own_category(client)
    strange = "&#1;&#x0b;&#xfffe;&#xffff;&#xd800;&#x80;&#x202e; ]]> -- \ufdd0 \U0001fffe \u200f 끝"
    published(client, category=category, body=strange)
    published(client, category=category, body=f"<p>{strange}</p>")
    root = xml(client, path, category=category)
    tag = "description" if path.endswith("rss") else f"{ATOM}summary"
    summaries = [e.text for e in root.iter(tag)][-2:]
    assert all(s and s.endswith("끝") for s in summaries)


@pytest.mark.parametrize("path", FEEDS)
def test_a_feed_is_revalidated(client: httpx.Client, path: str) -> None:
    published(client)
    first = client.get(path)
    assert first.headers["Cache-Control"] == "public, no-cache"
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    published(client)
    changed = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("path", FEEDS[:2])
def test_a_feed_refuses_what_it_does_not_know(client: httpx.Client, path: str) -> None:
    breaks(client.get(path, params={"lang": "ja"}), ("query.lang", "literal_error"))
    breaks(client.get(path, params={"category": "A"}), ("query.category", "string_pattern_mismatch"))
    breaks(client.get(path, params={"limit": "5"}), ("query.limit", "extra_forbidden"))
    problem(client.post(path), 405, "method_not_allowed")
