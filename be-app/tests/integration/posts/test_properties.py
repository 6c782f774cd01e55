"""Properties that hold for any text, and for any change between two pages."""

import re
import threading
import unicodedata
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.core.http import pagination
from app.core.http.pagination import decode_id, decode_timed, encode, timed_key
from app.core.http.problems import ValidationFailed
from app.posts.fields import Body, Slug, Title
from app.posts.text.markup import excerpt, slugify, to_html, to_text
from app.posts.text.searching import fold
from support.contract import korean, ok, own_category, pages
from support.hostile_bodies import PIECES
from support.sanitised import check_html
from support.stack import EDITOR, act, published

with_fixtures = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# -- pages ----------------------------------------------------------------------------------------------

LISTS = ("/v1/posts", "/v1/search", "/v1/editor/posts")
SIZE = 5

CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.just(0)),
        st.tuples(st.sampled_from(["withdraw", "republish"]), st.integers(0, SIZE - 1)),
    ),
    max_size=2,
)


class Shelf:
    """Published posts of a category, all with one word, that change while somebody pages through them."""

    def __init__(self, client: httpx.Client) -> None:
        self.client, self.category, self.word = client, own_category(client), korean()
        self.posts = [self.publish() for _ in range(SIZE)]
        self.stayed = {post["id"] for post in self.posts}
        self.ever = set(self.stayed)

    def publish(self) -> dict[str, Any]:
        return published(self.client, category=self.category, body=self.word)

    def change(self, what: str, which: int) -> None:
        if what == "publish":
            self.ever.add(self.publish()["id"])
            return
        post = self.posts[which]
        if what == "withdraw" and post["state"] == "published":
            self.posts[which] = ok(act(self.client, post, "unpublish"))
            self.stayed.discard(post["id"])
        elif what == "republish":
            self.posts[which] = ok(act(self.client, post, "publish"))

    def query(self, path: str, limit: int) -> dict[str, Any]:
        query = {"category": self.category, "limit": limit}
        return query | {"q": self.word} if path == "/v1/search" else query


WALKS = st.tuples(st.integers(1, 3), st.lists(CHANGES, max_size=5))


def walk(client: httpx.Client, path: str, limit: int, between: list[list[tuple[str, int]]]) -> None:
    """Page through a list that changes between two pages."""
    shelf = Shelf(client)
    seen: list[str] = []
    query, steps = shelf.query(path, limit), iter(between)
    headers = EDITOR if "/editor/" in path else {}
    while True:
        page = ok(client.get(path, params=query, headers=headers))
        assert len(page["items"]) <= limit
        seen += [item["id"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        assert page["items"]
        query["cursor"] = page["nextCursor"]
        for what, which in next(steps, ()):
            shelf.change(what, which)
    assert len(seen) == len(set(seen))
    # UUIDv7 sorts as it was made, and so do posts here: newest first, in one order throughout.
    assert seen == sorted(seen, reverse=True)
    expected = {post["id"] for post in shelf.posts} if "/editor/" in path else shelf.stayed
    assert expected <= set(seen) <= shelf.ever


@settings(with_fixtures, max_examples=10)
@given(walked=WALKS)
@example(walked=(1, [[("publish", 0), ("withdraw", SIZE - 1)], [("withdraw", SIZE - 2)], [("publish", 0)]]))
@example(walked=(2, [[("withdraw", 3), ("withdraw", 2)], [("republish", 3)], [("publish", 0)] * 2]))
def test_public_pages_have_no_gap_and_no_duplicate_after_any_change_between_them(
    client: httpx.Client, walked: tuple[int, list[list[tuple[str, int]]]]
) -> None:
    walk(client, "/v1/posts", *walked)


@pytest.mark.parametrize("path", LISTS[1:])
@settings(with_fixtures, max_examples=3)
@given(walked=WALKS)
@example(walked=(1, [[("publish", 0), ("withdraw", SIZE - 1)], [("withdraw", SIZE - 2)], [("publish", 0)]]))
@example(walked=(2, [[("withdraw", 3), ("withdraw", 2)], [("republish", 3)], [("publish", 0)] * 2]))
def test_pages_of_the_database_have_no_gap_and_no_duplicate_after_any_change_between_them(
    each_client: httpx.Client, path: str, walked: tuple[int, list[list[tuple[str, int]]]]
) -> None:
    walk(each_client, path, *walked)


def test_pages_have_no_gap_and_no_duplicate_while_others_publish(each_client: httpx.Client) -> None:
    shelf = Shelf(each_client)
    done = threading.Event()

    def churn() -> None:
        with httpx.Client(base_url=each_client.base_url, trust_env=False, timeout=120) as client:
            while not done.is_set():
                post = published(client, category=shelf.category, body=shelf.word)
                ok(act(client, post, "unpublish"))

    others = [threading.Thread(target=churn) for _ in range(2)]
    for other in others:
        other.start()
    try:
        for path in LISTS:
            for limit in (1, 3):
                items = list(pages(each_client, path, **shelf.query(path, limit)))
                seen = [item["id"] for item in items]
                assert len(seen) == len(set(seen))
                # Ids are in the order in which drafts were made; visitors' lists are in that of publication.
                order = [(item.get("publishedAt", ""), item["id"]) for item in items]
                assert order == sorted(order, reverse=True)
                assert [i for i in seen if i in shelf.stayed] == [
                    post["id"] for post in reversed(shelf.posts)
                ]
    finally:
        done.set()
        for other in others:
            other.join()


# -- cursors --------------------------------------------------------------------------------------------


@given(st.text())
def test_a_cursor_is_decoded_or_refused(cursor: str) -> None:
    for decode in (decode_id, decode_timed):
        with suppress(ValidationFailed):
            assert decode(cursor)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_survives_the_way_there_and_back(at: datetime, item: uuid.UUID) -> None:
    cursor = encode(timed_key(at, item))
    assert cursor
    assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
    assert TypeAdapter(pagination.Cursor).validate_python(cursor) == cursor
    assert decode_timed(cursor) == (at, item)
    assert decode_id(encode(str(item))) == item


@given(st.lists(st.tuples(st.datetimes(timezones=st.just(UTC)), st.uuids())))
def test_sort_keys_sort_by_time_then_id(items: list[tuple[datetime, uuid.UUID]]) -> None:
    assert sorted(items, key=lambda i: timed_key(*i)) == sorted(items)


# -- text -----------------------------------------------------------------------------------------------

slugs, titles, bodies = (TypeAdapter(kind) for kind in (Slug, Title, Body))
TEXT = st.text(st.characters(codec="utf-8"))


@settings(max_examples=400)
@given(TEXT)
@example("İ")
@example("ŉ" * 100)
@example("a" * 79 + "-b")
@example("\u1100\u1161\u11a8")
def test_a_title_makes_a_slug_or_nothing(title: str) -> None:
    slug = slugify(title)
    assert slug == "" or slugs.validate_python(slug) == slug
    assert len(slug) <= 80
    assert slugify(slug) == slug


@settings(max_examples=400)
@given(TEXT)
@example("\u0345\u0301")
@example("ﬃ İ ẞ \u1e9e ͅ")
def test_folding_again_changes_nothing(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert unicodedata.is_normalized("NFKC", folded)
    assert not re.search(r"\s\s|^\s|\s$", folded)


@given(st.text())
def test_a_title_is_clean_or_refused(text: str) -> None:
    try:
        title = titles.validate_python(text)
    except ValidationError:
        return
    assert 1 <= len(title) <= 200
    assert title == title.strip()
    assert unicodedata.is_normalized("NFC", title)
    assert titles.validate_python(title) == title
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in "\ufffe\uffff" for c in title)
    ET.fromstring(f"<t>{title.replace('&', '').replace('<', '').replace(']]>', '')}</t>")


@given(st.text())
def test_a_body_is_clean_or_refused(text: str) -> None:
    try:
        body = bodies.validate_python(text)
    except ValidationError:
        return
    assert bodies.validate_python(body) == body
    assert not any(unicodedata.category(c) in {"Cc", "Cs"} and c not in "\t\n\r" for c in body)


MARKDOWN = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=25).map("".join)


@settings(max_examples=300, deadline=None)
@given(MARKDOWN)
def test_markdown_becomes_harmless_html(markdown: str) -> None:
    check_html(to_html(markdown))


@settings(max_examples=200, deadline=None)
@given(MARKDOWN)
def test_an_excerpt_is_plain_text_that_xml_can_carry(markdown: str) -> None:
    text = excerpt(markdown)
    assert len(text) <= 201
    assert "\n" not in text
    root = ET.Element("t")
    root.text = text
    assert (ET.fromstring(ET.tostring(root)).text or "") == text


@given(
    st.lists(st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1), min_size=1, max_size=5)
)
def test_what_was_written_can_be_searched(words: list[str]) -> None:
    text = fold(to_text(to_html("\n\n".join(words))))
    for word in words:
        assert fold(word) in text
