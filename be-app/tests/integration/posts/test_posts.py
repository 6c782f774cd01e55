"""Posts through HTTP: writing, publishing, reading."""

import json
import re
import unicodedata
import uuid
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from support.contract import (
    NOBODY,
    as_bytes,
    as_written,
    at_once,
    breaks,
    edit,
    korean,
    ok,
    operations,
    own_category,
    pages,
    problem,
    read,
    unique,
)
from support.editorial import EDITORIAL, in_seconds, upload
from support.stack import EDITOR, Stack, act, draft, published


def public(client: httpx.Client, post: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a visitor reads of a post, by its id and by its slug alike."""
    by_id, by_slug = (client.get(f"/v1/posts/{address}") for address in (post["id"], post["slug"]))
    assert by_id.status_code == by_slug.status_code
    if by_id.status_code == 404:
        return None
    assert by_id.json() == by_slug.json()
    found: dict[str, Any] = ok(by_id)
    return found


def listed(client: httpx.Client, **query: Any) -> list[str]:
    return [post["id"] for post in pages(client, "/v1/posts", **query)]


# -- drafts and publishing ------------------------------------------------------------------------------


def test_a_draft_is_answered_as_it_was_written(each_client: httpx.Client) -> None:
    category, title = own_category(each_client), f"소식 {unique()}"
    answer = draft(
        each_client,
        lang="en",
        category=category,
        title=f"  {title} ",
        excerpt="요약",
        body=" a\r\nb ",
        tags=["IR"],
    )
    post = ok(answer, 201)
    assert answer.headers["Location"] == f"{EDITORIAL}/{post['id']}"
    assert answer.headers["ETag"] == f'"{post["version"]}"'
    assert (post["title"], post["excerpt"], post["body"], post["tags"]) == (title, "요약", "a\nb", ["IR"])
    assert (post["lang"], post["category"], post["state"]) == ("en", category, "draft")
    assert (post["revision"], post["publishedRevision"], post["firstPublishedAt"]) == (1, None, None)
    assert post["createdBy"] == "editor-1"
    assert uuid.UUID(post["id"]).version == 7
    again = each_client.get(answer.headers["Location"], headers=EDITOR)
    assert again.json() == post
    assert again.headers["ETag"] == answer.headers["ETag"]
    assert public(each_client, post) is None


def test_a_draft_becomes_public_when_published(each_client: httpx.Client) -> None:
    post = draft(each_client, title="실적 안내", body="## 요약\n\n매출이 **늘었습니다**.").json()
    assert each_client.get(f"/v1/posts/{post['id']}").status_code == 404
    answer = act(each_client, post, "publish")
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["X-Count-SQL"]) <= 6
    page = each_client.get(f"/v1/posts/{post['slug']}")
    assert page.status_code == 200
    assert page.json()["html"] == "<h2>요약</h2>\n<p>매출이 <strong>늘었습니다</strong>.</p>\n"


def test_what_is_published_is_all_that_was_written(each_client: httpx.Client) -> None:
    category = own_category(each_client)
    post = published(
        each_client, lang="en", category=category, title="News", excerpt="In short", tags=["a", "b"]
    )
    page = public(each_client, post)
    assert page
    card = {
        "id": post["id"],
        "slug": post["slug"],
        "lang": "en",
        "category": category,
        "title": "News",
        "excerpt": "In short",
        "tags": ["a", "b"],
        "thumbnail": None,
        "picture": None,
        "publishedAt": post["firstPublishedAt"],
        "updatedAt": page["updatedAt"],
        "translationKey": post["id"],
        "canonicalUrl": None,
        "noindex": False,
    }
    rest = {"html": "<p>본문입니다.</p>\n", "attachments": [], "viewCount": 0, "translations": []}
    rest |= {"description": "", "metadata": page["metadata"], "pictures": []}
    assert page == card | rest
    assert ok(each_client.get("/v1/posts", params={"lang": "en", "category": category}))["items"] == [card]


def test_a_preview_shows_the_newest_text_to_editors_alone(each_client: httpx.Client) -> None:
    post = published(each_client, body="하나")
    ok(edit(each_client, post, title="새 제목", body="**둘**"))
    preview = ok(each_client.get(f"{EDITORIAL}/{post['id']}/preview", headers=EDITOR))
    assert (preview["title"], preview["html"]) == ("새 제목", "<p><strong>둘</strong></p>\n")
    page = public(each_client, post)
    assert page
    assert (page["title"], page["html"]) == (post["title"], "<p>하나</p>\n")


def test_an_edit_stays_private_until_it_is_published(each_client: httpx.Client) -> None:
    first, second, old, new = own_category(each_client), own_category(each_client), korean(), korean()
    post = published(each_client, category=first, title=old, body=old, tags=[old], excerpt=old)
    before = public(each_client, post)
    edited = ok(edit(each_client, post, category=second, title=new, body=new, tags=[new], excerpt=new))
    assert (edited["revision"], edited["publishedRevision"], edited["state"]) == (2, 1, "published")
    assert public(each_client, post) == before

    def found(word: str, **query: str) -> list[dict[str, Any]]:
        return list(pages(each_client, "/v1/search", q=word, **query))

    assert [p["category"] for p in found(old)] == [first]
    assert len(found(old, category=first)) == 1
    assert found(old, category=second) == found(new) == [] == listed(each_client, category=second)
    assert listed(each_client, category=first) == [post["id"]]

    ok(act(each_client, edited, "publish"))
    page = public(each_client, post)
    assert page
    assert (page["title"], page["category"], page["tags"], page["excerpt"]) == (new, second, [new], new)
    assert page["publishedAt"] == post["firstPublishedAt"]
    assert page["updatedAt"] > post["firstPublishedAt"]
    assert found(old) == [] == listed(each_client, category=first)
    assert [p["category"] for p in found(new, category=second)] == [second]
    assert listed(each_client, category=second) == [post["id"]]


def shown_times(client: httpx.Client, post: dict[str, Any]) -> tuple[str, str]:
    """Return when a post was published and updated, which must be the same in everything that visitors read."""
    page = public(client, post)
    assert page
    times = (page["publishedAt"], page["updatedAt"])
    query = {"category": post["category"]}
    (card,) = ok(client.get("/v1/posts", params=query))["items"]
    (hit,) = ok(client.get("/v1/search", params=query | {"q": post["title"]}))["items"]
    assert {(shown["publishedAt"], shown["updatedAt"]) for shown in (card, hit)} == {times}
    atom = client.get("/v1/feed.atom", params=query).text
    sitemap = client.get("/v1/sitemap.xml").text.partition(f"/posts/{post['slug']}<")[2]
    feed, *told = (
        datetime.fromisoformat(found)
        for found in (
            *re.findall("<updated>(.*?)</updated>", atom),
            *re.findall("<published>(.*?)</published>", atom),
            sitemap.partition("<lastmod>")[2].partition("<")[0],
        )
    )
    published_at, updated_at = map(datetime.fromisoformat, times)
    assert (feed, told) == (updated_at, [updated_at, published_at, updated_at])
    assert published_at <= updated_at
    rss = client.get("/v1/feed.rss", params=query).text
    built, at = (re.findall(f"<{tag}>(.*?)</{tag}>", rss)[0] for tag in ("lastBuildDate", "pubDate"))
    assert (parsedate_to_datetime(built), parsedate_to_datetime(at)) == (
        updated_at.replace(microsecond=0),
        published_at.replace(microsecond=0),
    )
    return times


def test_updated_is_when_the_public_text_changed(each_client: httpx.Client) -> None:
    category = own_category(each_client)
    post = draft(each_client, category=category).json()
    preview = ok(each_client.get(f"{EDITORIAL}/{post['id']}/preview", headers=EDITOR))
    assert preview["publishedAt"] <= preview["updatedAt"]
    post = ok(act(each_client, ok(edit(each_client, post, body="둘")), "publish"))
    first, updated = shown_times(each_client, post)
    assert first == updated == post["firstPublishedAt"]
    # A revision counts from when it is published, not from when it is written.
    edited = ok(edit(each_client, post, body="셋"))
    assert shown_times(each_client, post) == (first, updated)
    preview = ok(each_client.get(f"{EDITORIAL}/{post['id']}/preview", headers=EDITOR))
    assert (preview["publishedAt"], preview["updatedAt"]) == (first, edited["updatedAt"])
    post = ok(act(each_client, edited, "publish"))
    again, updated = shown_times(each_client, post)
    assert again == first
    assert edited["updatedAt"] < updated <= post["updatedAt"]
    # What returns has changed for the public.
    withdrawn = ok(act(each_client, post, "unpublish"))
    post = ok(act(each_client, withdrawn, "publish"))
    again, updated = shown_times(each_client, post)
    assert again == first
    assert withdrawn["updatedAt"] < updated <= post["updatedAt"]


def test_a_scheduled_post_was_updated_when_it_was_published(each_client: httpx.Client) -> None:
    category, at = own_category(each_client), in_seconds(30)
    post = ok(act(each_client, draft(each_client, category=category).json(), "schedule", {"publishAt": at}))
    assert each_client.post("/test/run-due", params={"ahead": 45}).status_code == 200
    assert shown_times(each_client, post) == (at, at)


@pytest.mark.parametrize("step", ["unpublish", "archive"])
def test_what_is_withdrawn_is_gone_at_once_and_can_return(each_client: httpx.Client, step: str) -> None:
    category, word = own_category(each_client), korean()
    post = published(each_client, category=category, body=word)
    assert public(each_client, post)
    assert listed(each_client, category=category) == [post["id"]]
    assert len(list(pages(each_client, "/v1/search", q=word))) == 1

    withdrawn = ok(act(each_client, post, step))
    assert withdrawn["state"] == {"unpublish": "draft", "archive": "archived"}[step]
    assert withdrawn["publishedRevision"] is None
    assert public(each_client, post) is None
    assert listed(each_client, category=category) == []
    assert list(pages(each_client, "/v1/search", q=word)) == []

    again = withdrawn if step == "unpublish" else ok(act(each_client, withdrawn, "unpublish"))
    ok(act(each_client, again, "publish"))
    page = public(each_client, post)
    assert page
    assert page["publishedAt"] == post["firstPublishedAt"]
    assert listed(each_client, category=category) == [post["id"]]
    assert len(list(pages(each_client, "/v1/search", q=word))) == 1


# -- states ---------------------------------------------------------------------------------------------


def in_state(client: httpx.Client, state: str) -> dict[str, Any]:
    post: dict[str, Any] = draft(client).json()
    steps = {
        "published": ("publish", None),
        "archived": ("archive", None),
        "scheduled": ("schedule", {"publishAt": in_seconds(3600)}),
    }
    if state in steps:
        step, body = steps[state]
        post = ok(act(client, post, step, body))
    assert post["state"] == state
    return post


@pytest.mark.parametrize(
    ("state", "step", "becomes"),
    [
        ("draft", "publish", "published"),
        ("draft", "schedule", "scheduled"),
        ("draft", "unpublish", "draft"),
        ("draft", "archive", "archived"),
        ("scheduled", "publish", "published"),
        ("scheduled", "schedule", "scheduled"),
        ("scheduled", "unpublish", "draft"),
        ("scheduled", "archive", "archived"),
        ("published", "publish", "published"),
        ("published", "schedule", "published"),
        ("published", "unpublish", "draft"),
        ("published", "archive", "archived"),
        ("archived", "publish", None),
        ("archived", "schedule", None),
        ("archived", "unpublish", "draft"),
        ("archived", "archive", "archived"),
    ],
)
def test_a_state_allows_its_steps_and_no_other(
    client: httpx.Client, state: str, step: str, becomes: str | None
) -> None:
    post = in_state(client, state)
    body = {"publishAt": in_seconds(7200)} if step == "schedule" else None
    answer = act(client, post, step, body)
    if becomes is None:
        assert state in problem(answer, 409, "invalid_state")["detail"]
        assert read(client, post) == post
    else:
        assert ok(answer)["state"] == becomes
        assert answer.headers["ETag"] == f'"{answer.json()["version"]}"'
        assert answer.json()["version"] > post["version"]
        assert (public(client, post) is not None) == (becomes == "published")


def test_a_scheduled_post_appears_at_its_time(each_client: httpx.Client) -> None:
    category = own_category(each_client)
    post = draft(each_client, category=category).json()
    at = in_seconds(30)
    scheduled = ok(act(each_client, post, "schedule", {"publishAt": at}))
    assert (scheduled["state"], scheduled["scheduledAt"]) == ("scheduled", at)
    moved = ok(act(each_client, scheduled, "schedule", {"publishAt": in_seconds(40)}))
    each_client.post("/test/run-due?ahead=35")
    assert read(each_client, post)["state"] == "scheduled"
    assert public(each_client, post) is None
    assert listed(each_client, category=category) == []
    each_client.post("/test/run-due?ahead=45")
    page = public(each_client, post)
    assert page
    assert page["publishedAt"] == moved["scheduledAt"]
    assert listed(each_client, category=category) == [post["id"]]
    now = read(each_client, post)
    assert (now["state"], now["scheduledAt"], now["publishedRevision"]) == ("published", None, 1)


@pytest.mark.parametrize("step", ["unpublish", "archive"])
def test_a_post_that_is_scheduled_no_longer_stays_private(client: httpx.Client, step: str) -> None:
    post = draft(client).json()
    scheduled = ok(act(client, post, "schedule", {"publishAt": in_seconds(30)}))
    ok(act(client, scheduled, step))
    client.post("/test/run-due?ahead=60")
    assert public(client, post) is None
    assert read(client, post)["state"] != "published"


def test_a_scheduled_post_appears_as_it_was_when_it_was_scheduled(each_client: httpx.Client) -> None:
    client = each_client
    category = own_category(client)
    post = draft(client, body="하나", category=category).json()
    scheduled = ok(act(client, post, "schedule", {"publishAt": in_seconds(30)}))
    assert scheduled["scheduledRevision"] == 1
    edited = ok(edit(client, scheduled, body="둘", category="news"))
    assert (edited["scheduledRevision"], edited["scheduledAt"]) == (1, scheduled["scheduledAt"])
    client.post("/test/run-due?ahead=60")
    page = public(client, post)
    assert page
    assert (page["html"], page["category"]) == ("<p>하나</p>\n", category)
    assert listed(client, category=category) == [post["id"]]
    now = read(client, post)
    assert (now["revision"], now["publishedRevision"], now["scheduledRevision"]) == (2, 1, None)
    assert (now["body"], now["category"]) == ("둘", "news")


def test_a_change_of_a_published_post_is_scheduled_too(each_client: httpx.Client) -> None:
    client = each_client
    post = published(client, title="하나")
    post = ok(edit(client, post, title="둘", slug=unique("new-")))
    planned = ok(act(client, post, "schedule", {"publishAt": in_seconds(30), "unpublishAt": in_seconds(90)}))
    assert (planned["state"], planned["scheduledRevision"]) == ("published", 2)
    typed = ok(edit(client, planned, title="셋"))
    assert ok(client.get(f"/v1/posts/{post['id']}"))["title"] == "하나"
    # Somebody else has the new slug by then: the change is published all the same.
    published(client, slug=post["slug"])
    client.post("/test/run-due?ahead=60")
    assert ok(client.get(f"/v1/posts/{post['id']}"))["title"] == "둘"
    now = read(client, post)
    assert (now["title"], now["revision"], now["publishedRevision"]) == ("셋", 3, 2)
    assert (now["scheduledAt"], now["unpublishAt"]) == (None, typed["unpublishAt"])
    client.post("/test/run-due?ahead=120")
    problem(client.get(f"/v1/posts/{post['id']}"), 404, "not_found")
    ended = read(client, post)
    assert (ended["state"], ended["unpublishAt"], ended["title"]) == ("draft", None, "셋")
    # Both at once, after nobody worked for a while.
    again = ok(act(client, ended, "schedule", {"publishAt": in_seconds(30), "unpublishAt": in_seconds(40)}))
    client.post("/test/run-due?ahead=60")
    assert read(client, again)["state"] == "draft"
    problem(client.get(f"/v1/posts/{post['id']}"), 404, "not_found")


def test_what_is_planned_can_be_dropped_and_replaced(client: httpx.Client) -> None:
    path, times = EDITORIAL, {"publishAt": in_seconds(30), "unpublishAt": in_seconds(40)}

    def dropped(post: dict[str, Any]) -> dict[str, Any]:
        headers = EDITOR | {"If-Match": f'"{post["version"]}"'}
        found: dict[str, Any] = ok(client.delete(f"{path}/{post['id']}/schedule", headers=headers))
        return found

    scheduled = ok(act(client, draft(client).json(), "schedule", times))
    public_ = ok(act(client, ok(edit(client, published(client), title="바뀜")), "schedule", times))
    for post, state in ((scheduled, "draft"), (public_, "published")):
        left = dropped(post)
        plan = [
            left[name] for name in ("scheduledAt", "scheduledRevision", "unpublishAt", "unpublishAtZoned")
        ]
        assert (left["state"], plan) == (state, [None] * 4)
    # A published post may have an end alone; nothing else can.
    ended = ok(act(client, read(client, public_), "schedule", {"unpublishAt": times["unpublishAt"]}))
    assert (ended["scheduledAt"], ended["scheduledRevision"]) == (None, None)
    for body in ({"unpublishAt": times["unpublishAt"]}, {}):
        breaks(act(client, read(client, scheduled), "schedule", body), ("body.publishAt", "missing"))
    early = {"publishAt": times["unpublishAt"], "unpublishAt": times["publishAt"]}
    breaks(act(client, ended, "schedule", early), ("body.unpublishAt", "in_the_past"))
    client.post("/test/run-due?ahead=60")
    assert read(client, scheduled)["state"] == read(client, public_)["state"] == "draft"


def test_the_calendar_shows_what_is_planned_in_one_request(each_client: httpx.Client) -> None:
    client = each_client
    post = draft(client, title="새해 인사", lang="en").json()
    times = {"publishAt": "2999-01-01T00:00[Asia/Seoul]", "unpublishAt": "2999-02-01T00:00:00-05:00"}
    post = ok(act(client, post, "schedule", times))
    ok(edit(client, post, title="나중 제목"))
    end = ok(act(client, published(client), "schedule", {"unpublishAt": "2999-01-15T09:00[Europe/Paris]"}))
    within = {"since": "2998-12-31T15:00:00Z", "until": "2999-02-01T05:00:01Z"}

    def calendar(who: dict[str, str] = EDITOR, **query: str) -> list[tuple[str, str, str]]:
        found = ok(client.get("/v1/editor/calendar", params=within | query, headers=who))
        assert found["complete"]
        mine = [step for step in found["items"] if step["postId"] in {post["id"], end["id"]}]
        return [(step["step"], step["atZoned"], step["title"]) for step in mine]

    steps = [
        ("publish", "2999-01-01T00:00:00+09:00[Asia/Seoul]", "새해 인사"),
        ("unpublish", "2999-01-15T09:00:00+01:00[Europe/Paris]", end["title"]),
        ("unpublish", "2999-02-01T14:00:00+09:00[Asia/Seoul]", "새해 인사"),
    ]
    assert calendar() == steps
    assert calendar(until="2999-02-01T05:00:00Z") == steps[:2]
    assert calendar(since="2998-12-31T15:00:01Z") == steps[1:]
    assert post["scheduledAt"] == "2998-12-31T15:00:00.000000Z"
    assert (post["scheduledAtZoned"], post["unpublishAtZoned"]) == (steps[0][1], steps[2][1])
    # Of another's draft, nobody but admins sees that it is planned.
    assert calendar(EDITOR | {"X-Test-Subject": "lee", "X-Test-Role": "editor"}) == steps[1:2]


@pytest.mark.parametrize(
    ("at", "rule"),
    [
        (lambda: in_seconds(-1), "in_the_past"),
        (lambda: "1970-01-01T00:00:00Z", "in_the_past"),
        (lambda: "0001-01-01T00:00:00+14:00", "out_of_range"),
        (lambda: "9999-12-31T23:59:59-14:00", "out_of_range"),
        (lambda: "2999-01-01T00:00:00", "timezone_aware"),
        (lambda: "2999-01-01", "timezone_aware"),
        (lambda: "2999-02-30T00:00:00Z", "datetime_from_date_parsing"),
        (lambda: "tomorrow-ish", "datetime_from_date_parsing"),
        (lambda: "", "datetime_type"),
        (lambda: "32472144000", "datetime_type"),
        (lambda: 32472144000, "datetime_type"),
        (lambda: True, "datetime_type"),
        (lambda: None, "missing"),
        (lambda: "2999-01-01T09:00[Mars/Base]", "unknown_zone"),
        (lambda: "2999-01-01T09:00[../../etc/passwd]", "unknown_zone"),
        (lambda: "2999-01-01T09:00+08:00[Asia/Seoul]", "offset_mismatch"),
        (lambda: "2027-03-14T02:30[America/New_York]", "clock_change"),
        (lambda: "2027-11-07T01:30[America/New_York]", "clock_change"),
        (lambda: "9999-12-31T23:59[America/New_York]", "out_of_range"),
        (lambda: "2000-01-01T09:00[Asia/Seoul]", "in_the_past"),
    ],
)
def test_a_post_is_scheduled_for_a_future_instant(client: httpx.Client, at: Any, rule: str) -> None:
    post = draft(client).json()
    breaks(act(client, post, "schedule", {"publishAt": at()}), ("body.publishAt", rule))
    assert read(client, post) == post


def test_a_schedule_may_be_given_in_any_offset(client: httpx.Client) -> None:
    post = draft(client).json()
    scheduled = ok(act(client, post, "schedule", {"publishAt": "2999-01-04T09:00:00+09:00"}))
    assert scheduled["scheduledAt"] == "2999-01-04T00:00:00.000000Z"


# -- slugs ----------------------------------------------------------------------------------------------


def test_a_slug_is_taken_once(each_client: httpx.Client) -> None:
    first = draft(each_client).json()
    second = ok(draft(each_client, slug=first["slug"]), 201)  # A wish, as the first one's.
    ok(act(each_client, second, "publish"))
    problem(act(each_client, first, "publish"), 409, "slug_taken")
    problem(act(each_client, first, "schedule", {"publishAt": in_seconds(3600)}), 409, "slug_taken")
    assert read(each_client, first) == first


def test_posts_published_at_once_have_slugs_of_their_own(each_client: httpx.Client) -> None:
    slug = unique("s")
    drafts = [ok(draft(each_client, slug=slug), 201) for _ in range(4)]
    answers = at_once(4, lambda n: act(each_client, drafts[n], "publish"))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


def test_a_slug_differs_by_its_bytes_alone(each_client: httpx.Client) -> None:
    # A database's collation must not take 가 for 까, or a for á.
    stem = unique()
    for ending in ("가", "까", "a", "a-a"):
        published(each_client, slug=f"{stem}-{ending}")


def moved(client: httpx.Client, old: str, new: str) -> None:
    """Check that an old address leads to the new one, and what it answers is cached."""
    for _ in range(2):
        answer = client.get(f"/v1/posts/{old}")
        assert (answer.status_code, answer.content) == (308, b""), answer.text
        assert answer.headers["Location"] == f"/v1/posts/{quote(new)}"
        assert answer.headers["Cache-Control"] == "public, no-cache"
        assert "ETag" not in answer.headers
    assert client.get(f"/v1/posts/{old}", headers={"If-None-Match": "*"}).status_code == 308
    assert ok(client.get(f"/v1/posts/{old}", follow_redirects=True))["slug"] == new


def renamed(client: httpx.Client, post: dict[str, Any], slug: str) -> dict[str, Any]:
    post = ok(act(client, ok(edit(client, read(client, post), slug=slug)), "publish"))
    assert post["slug"] == slug
    return post


def test_a_former_address_leads_to_the_new_one_for_good(each_client: httpx.Client) -> None:
    client, (first, second, third) = each_client, [unique(f"이름-{n}-") for n in range(3)]
    post = published(client, slug=first)
    edited = ok(edit(client, post, slug=second))
    assert edited["slug"] == second
    # Until it is published again, visitors notice nothing, wherever they look.
    page = ok(client.get(f"/v1/posts/{first}"))
    assert page["slug"] == first
    assert [hit["slug"] for hit in pages(client, "/v1/search", q=post["title"])] == [first]
    assert client.get(f"/v1/posts/{second}").status_code == 404
    post = ok(act(client, edited, "publish"))
    moved(client, first, second)
    assert [hit["slug"] for hit in pages(client, "/v1/search", q=post["title"])] == [second]
    # Each of its addresses leads to the present one, not to the next one.
    post = renamed(client, post, third)
    for old in (first, second):
        moved(client, old, third)
        other = ok(draft(client, slug=old), 201)
        problem(act(client, other, "publish"), 409, "slug_taken")
    # It may have a former one again.
    post = renamed(client, post, first)
    for old in (second, third):
        moved(client, old, first)
    # A withdrawn post has no address, and keeps all.
    post = ok(act(client, post, "unpublish"))
    for old in (first, second, third):
        problem(client.get(f"/v1/posts/{old}"), 404, "not_found")
    problem(act(client, other, "publish"), 409, "slug_taken")
    ok(act(client, post, "publish"))
    moved(client, third, first)


def test_a_slug_that_never_was_public_is_free_again(each_client: httpx.Client) -> None:
    old, new = unique("s"), unique("s")
    post = ok(edit(each_client, draft(each_client, slug=old).json(), slug=new))
    assert post["slug"] == new
    post = ok(act(each_client, post, "publish"))
    assert ok(each_client.get(f"/v1/posts/{new}"))["id"] == post["id"]
    assert each_client.get(f"/v1/posts/{old}").status_code == 404
    published(each_client, slug=old)
    # Left out or repeated, it is kept.
    post = ok(edit(each_client, post, slug=None))
    assert ok(edit(each_client, post))["slug"] == new
    # So is a wish that is taken back.
    post = ok(edit(each_client, ok(edit(each_client, read(each_client, post), slug=old)), slug=new))
    ok(act(each_client, post, "publish"))


def test_a_withdrawn_post_that_is_renamed_and_scheduled_keeps_its_address(
    client: httpx.Client,
) -> None:
    old, new, newer = (unique("s") for _ in range(3))
    post = ok(act(client, published(client, slug=old), "unpublish"))
    post = ok(act(client, ok(edit(client, post, slug=new)), "schedule", {"publishAt": in_seconds(3600)}))
    post = ok(edit(client, post, slug=newer))
    problem(client.get(f"/v1/posts/{old}"), 404, "not_found")
    ok(act(client, post, "publish"))
    for former in (old, new):
        moved(client, former, newer)


@pytest.mark.parametrize(
    ("slug", "rule"),
    [
        ("", "string_too_short"),
        ("a" * 121, "string_too_long"),
        (NOBODY, "like_an_id"),
        (7, "string_type"),
        *(
            (slug, "string_pattern_mismatch")
            for slug in (
                "A",
                "a--b",
                "-a",
                "a-",
                "a b",
                "a_b",
                "a/b",
                "..",
                "ㄱㄴ",
                "日本",
                "á",
                "소식\n",
                "\u1109\u1169",
            )
        ),
    ],
)
def test_a_slug_keeps_to_its_rules(client: httpx.Client, slug: Any, rule: str) -> None:
    breaks(draft(client, slug=slug), ("body.slug", rule))


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("2026년 3분기 실적 안내", "2026년-3분기-실적-안내"),
        ("Über Café — News!", "uber-cafe-news"),
        ("「공지」 주주총회 (제10기)", "공지-주주총회-제10기"),
        ("ＦＵＬＬ　ｗｉｄｔｈ", "full-width"),
        ("日本語 🎉", None),
        (NOBODY, None),  # Like an id.
    ],
)
def test_a_slug_is_made_of_the_title(client: httpx.Client, title: str, slug: str | None) -> None:
    for spelled in (title, unicodedata.normalize("NFD", title)):
        found = ok(draft(client, title=spelled, slug=None), 201)["slug"]
        assert found == (slug or datetime.now(UTC).date().isoformat())


def test_a_long_title_makes_a_slug_that_fits(client: httpx.Client) -> None:
    for title in ("가" * 200, "a b " * 50):
        post = ok(draft(client, title=title, slug=None), 201)
        assert len(post["slug"]) <= 120
        published_post = ok(act(client, post, "publish"))
        assert public(client, published_post)


# -- what a post holds ----------------------------------------------------------------------------------


def test_tags_keep_their_order_and_are_distinct(client: httpx.Client) -> None:
    post = ok(draft(client, tags=["실적", "IR", " a "]), 201)
    assert post["tags"] == ["실적", "IR", "a"]
    for tags, broken in (
        (["a", "a"], ("body.tags", "duplicate_items")),
        (["\u1109\u1169", "소"], ("body.tags", "duplicate_items")),  # The same text, composed and decomposed.
        (["a", " "], ("body.tags.1", "string_too_short")),
        (["a" * 51], ("body.tags.0", "string_too_long")),
        (["a\u202eb"], ("body.tags.0", "forbidden_character")),
        ([str(i) for i in range(21)], ("body.tags", "too_long")),
        ("a", ("body.tags", "list_type")),
    ):
        breaks(draft(client, tags=tags), broken)


def test_files_are_shown_as_references(each_stack: Stack, each_client: httpx.Client) -> None:
    image, report = upload(each_stack, "사진.png", "image/png"), upload(each_stack)
    post = published(each_client, thumbnail=image["id"], attachments=[report["id"], image["id"]])
    assert (post["thumbnail"], post["attachments"]) == (image, [report, image])
    page = public(each_client, post)
    assert page
    assert (page["thumbnail"], page["attachments"]) == (image, [report, image])
    revision = ok(each_client.get(f"{EDITORIAL}/{post['id']}/revisions/1", headers=EDITOR))
    assert (revision["thumbnail"], revision["attachments"]) == (image, [report, image])
    bare = ok(edit(each_client, post, thumbnail=None, attachments=[]))
    assert (bare["thumbnail"], bare["attachments"]) == (None, [])


def test_only_files_that_exist_can_be_referred_to(each_stack: Stack, each_client: httpx.Client) -> None:
    known = upload(each_stack)["id"]
    breaks(draft(each_client, thumbnail=NOBODY), ("body.thumbnail", "unknown_upload"))
    breaks(draft(each_client, attachments=[known, NOBODY]), ("body.attachments", "unknown_upload"))
    breaks(draft(each_client, thumbnail="x"), ("body.thumbnail", "uuid_parsing"))
    breaks(draft(each_client, attachments=[NOBODY] * 21), ("body.attachments", "too_long"))


def test_the_body_s_beginning_serves_where_there_is_no_excerpt(client: httpx.Client) -> None:
    post = published(client, body="# 제목\n\n" + "매출이 *크게* 늘었습니다. " * 40)
    page = public(client, post)
    assert page
    assert page["excerpt"].startswith("제목 매출이 크게 늘었습니다. 매출이")
    assert page["excerpt"].endswith("…")
    assert len(page["excerpt"]) <= 201


def test_a_category_must_exist(each_client: httpx.Client) -> None:
    breaks(draft(each_client, category="no-such"), ("body.category", "unknown_category"))
    post = draft(each_client).json()
    breaks(edit(each_client, post, category="no-such"), ("body.category", "unknown_category"))
    assert read(each_client, post) == post


def test_the_longest_body_can_be_published(each_client: httpx.Client) -> None:
    korean_text = "가나다라마 바사아자차\n\n" * 6_000
    quotes = '"' * 99_990
    for body in (korean_text, quotes):
        post = published(
            each_client, body=body, tags=[f"{i:02}" + "태" * 48 for i in range(20)], title="가" * 200
        )
        assert public(each_client, post)
        assert read(each_client, post)["body"] == body.strip()


def test_a_body_that_renders_too_long_is_refused_when_written(client: httpx.Client) -> None:
    # It could never be published: DynamoDB takes items up to 400 KB.
    post = draft(client).json()
    for body, rule in (("가" * 100_000, "too_long_rendered"), ("&" * 100_000, "too_complex")):
        breaks(draft(client, body=body), ("body.body", rule))
    breaks(edit(client, post, body="&" * 55_000), ("body.body", "too_long_rendered"))
    breaks(draft(client, body="a" * 100_001), ("body.body", "string_too_long"))


# -- what Markdown may become ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "<script>alert(1)</script>",
        "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
        "<img src=x onerror=alert(1)>",
        '<a href="javascript:alert(1)">x</a>',
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java&#115;cript:alert(1))",
        "[x](vbscript:x)",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](javascript:alert(1))",
        "![x](data:image/svg+xml;base64,PHN2Zz4=)",
        '<a href="java\tscript:alert(1)">x</a>',
        '<a href=" javascript:alert(1)">x</a>',
        "<svg onload=alert(1)><script>alert(1)</script></svg>",
        '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>',
        "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
        "<iframe src=//evil.example></iframe>",
        "<object data=x></object><embed src=x>",
        "<style>@import '//evil.example'</style>",
        '<p style="background:url(//evil.example)">x</p>',
        "<form action=//evil.example><input name=x><button>x</button></form>",
        "<base href=//evil.example><meta http-equiv=refresh content=0><link rel=stylesheet href=//e>",
        "<video src=x onerror=alert(1)></video><audio src=x></audio>",
        "<details open ontoggle=alert(1)>x</details>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
        "`</code><script>alert(1)</script>`",
        '```"onload=alert(1)\nx\n```',
        '<https://x.example/"onclick=alert(1)>',
        '[x](https://x.example "a\\" onclick=alert(1)")',
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<p>&#1;&#x202e;&#xffff;x</p>",
    ],
)
def test_html_is_sanitised(client: httpx.Client, body: str) -> None:
    post = draft(client, body=body).json()
    html = ok(client.get(f"{EDITORIAL}/{post['id']}/preview", headers=EDITOR))["html"]
    assert_harmless(html)


TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)((?:\s+[a-z-]+=\"[^\"<>]*\")*)\s*/?>")
ATTRIBUTE = re.compile(r"([a-z-]+)=\"([^\"]*)\"")
HARMLESS = {
    "a": {"href", "title", "rel"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "code": {"class"},
} | {
    tag: set()
    for tag in (
        *("h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "br", "del", "em", "hr", "li", "p", "pre", "s"),
        *("strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
    )
}


def assert_harmless(html: str) -> None:
    """Check that HTML holds nothing but well-formed tags, attributes and addresses that can do no harm."""
    for _, tag, attributes in TAG.findall(html):
        for name, value in ATTRIBUTE.findall(attributes):
            assert name in HARMLESS[tag], html
            if name in {"href", "src"}:
                scheme = re.match(r"\s*([a-z][a-z0-9+.-]*):", value, re.IGNORECASE)
                assert scheme is None or scheme[1].lower() in {"http", "https", "mailto", "tel"}, html
    assert "<" not in TAG.sub("", html), html
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", html)


def test_markdown_keeps_what_authors_need(client: httpx.Client) -> None:
    body = (
        "# H\n\n*a* **b** ~~c~~ `d`\n\n> e\n\n3. f\n\n- g\n\n| h | i |\n|---|---|\n| j | k |\n\n"
        '[l](https://x.example "m") ![n](https://x.example/o.png)\n\n```python\np\n```\n\n---\n\nq  \nr'
    )
    post = draft(client, body=body).json()
    html = ok(client.get(f"{EDITORIAL}/{post['id']}/preview", headers=EDITOR))["html"]
    assert_harmless(html)
    for part in (
        *("<h1>H</h1>", "<em>a</em>", "<strong>b</strong>", "<s>c</s>", "<code>d</code>", '<ol start="3">'),
        *(
            "<li>g</li>",
            "<th>h</th>",
            "<td>k</td>",
            '<img src="https://x.example/o.png" alt="n">',
            "<hr>",
            "<br>",
        ),
        '<a href="https://x.example" title="m" rel="noopener noreferrer">l</a>',
        '<pre><code class="language-python">p\n</code></pre>',
    ):
        assert part in html, html


# -- translations ---------------------------------------------------------------------------------------


def test_translations_are_linked_both_ways_once_published(each_client: httpx.Client) -> None:
    ko = published(each_client, lang="ko", title="소식")
    en = ok(draft(each_client, lang="en", title="News", translationOf=ko["id"]), 201)
    assert en["translationKey"] == ko["translationKey"]

    def links(post: dict[str, Any]) -> Any:
        page = public(each_client, post)
        return page and page["translations"]

    assert links(ko) == []
    en = ok(act(each_client, en, "publish"))
    assert links(ko) == [{"lang": "en", "slug": en["slug"], "title": "News"}]
    assert links(en) == [{"lang": "ko", "slug": ko["slug"], "title": "소식"}]
    edited = ok(edit(each_client, en, title="Newer"))
    assert links(ko) == [{"lang": "en", "slug": en["slug"], "title": "News"}]
    edited = ok(act(each_client, edited, "publish"))
    assert links(ko) == [{"lang": "en", "slug": en["slug"], "title": "Newer"}]
    alone = ok(act(each_client, ok(edit(each_client, edited, translationOf=None)), "publish"))
    assert (links(ko), links(en)) == ([], [])
    again = ok(act(each_client, ok(edit(each_client, alone, translationOf=ko["id"])), "publish"))
    assert links(en) == [{"lang": "ko", "slug": ko["slug"], "title": "소식"}]
    ok(act(each_client, again, "unpublish"))
    assert links(ko) == []
    assert links(en) is None


def test_there_is_one_translation_in_each_language(each_client: httpx.Client) -> None:
    ko = draft(each_client, lang="ko").json()
    problem(draft(each_client, lang="ko", translationOf=ko["id"]), 409, "translation_exists")
    en = ok(draft(each_client, lang="en", translationOf=ko["id"]), 201)
    problem(draft(each_client, lang="en", translationOf=ko["id"]), 409, "translation_exists")
    problem(draft(each_client, lang="ko", translationOf=en["id"]), 409, "translation_exists")
    # Left out, the link is cut, and its place is free.
    alone = ok(edit(each_client, en, translationOf=None))
    assert alone["translationKey"] != ko["translationKey"]
    assert draft(each_client, lang="en", translationOf=ko["id"]).status_code == 201


def test_only_another_post_can_be_translated(client: httpx.Client) -> None:
    breaks(draft(client, translationOf=NOBODY), ("body.translationOf", "unknown_post"))
    post = draft(client).json()
    breaks(edit(client, post, translationOf=post["id"]), ("body.translationOf", "unknown_post"))
    assert read(client, post) == post


# -- revisions ------------------------------------------------------------------------------------------


def test_every_writing_is_kept_with_its_author(each_client: httpx.Client) -> None:
    post = draft(each_client, title="하나", body="가").json()
    other = EDITOR | {"X-Test-Subject": "editor-2", "If-Match": '"1"'}
    ok(
        each_client.put(
            f"{EDITORIAL}/{post['id']}", json=as_written(post, title="둘", body="나"), headers=other
        )
    )
    history = ok(each_client.get(f"{EDITORIAL}/{post['id']}/revisions", headers=EDITOR))["items"]
    assert [(r["number"], r["title"], r["createdBy"]) for r in history] == [
        (2, "둘", "editor-2"),
        (1, "하나", "editor-1"),
    ]
    assert history[0]["createdAt"] > history[1]["createdAt"] == post["createdAt"]
    first = ok(each_client.get(f"{EDITORIAL}/{post['id']}/revisions/1", headers=EDITOR))
    assert (first["title"], first["body"], first["number"]) == ("하나", "가", 1)


def test_a_diff_shows_what_changed(each_client: httpx.Client) -> None:
    post = draft(each_client, title="하나", body="가\n\n나\n\n다", tags=["a"]).json()
    ok(edit(each_client, post, title="둘", body="가\n\n라\n\n다", tags=["a", "b"]))
    path = f"{EDITORIAL}/{post['id']}/revisions"
    diff = ok(each_client.get(f"{path}/2/diff", params={"against": 1}, headers=EDITOR))
    assert (diff["before"], diff["after"]) == (1, 2)
    lines = diff["unified"].splitlines()
    assert lines[:2] == ["--- revision 1", "+++ revision 2"]
    changed = [line for line in lines[2:] if line[0] in "+-"]
    assert changed == ["-title: 하나", "+title: 둘", "-tags: a", "+tags: a, b", "-나", "+라"]
    backwards = ok(each_client.get(f"{path}/1/diff", params={"against": 2}, headers=EDITOR))
    assert "+title: 하나" in backwards["unified"].splitlines()
    assert ok(each_client.get(f"{path}/2/diff", params={"against": 2}, headers=EDITOR))["unified"] == ""


def test_restoring_writes_the_old_text_as_a_new_revision(
    each_stack: Stack, each_client: httpx.Client
) -> None:
    file = upload(each_stack)
    post = published(each_client, title="하나", body="가", tags=["a"], excerpt="요", attachments=[file["id"]])
    edited = ok(edit(each_client, post, title="둘", body="나", tags=[], excerpt="", attachments=[]))
    path = f"{EDITORIAL}/{post['id']}/revisions"
    answer = each_client.post(f"{path}/1/restore", headers=EDITOR | {"If-Match": f'"{edited["version"]}"'})
    restored = ok(answer)
    assert answer.headers["ETag"] == f'"{restored["version"]}"'
    for name in ("title", "body", "tags", "excerpt", "attachments", "slug", "category"):
        assert restored[name] == post[name], name
    assert (restored["revision"], restored["publishedRevision"], restored["state"]) == (3, 1, "published")
    assert [r["number"] for r in ok(each_client.get(path, headers=EDITOR))["items"]] == [3, 2, 1]


def test_there_is_nothing_to_see_of_an_unknown_revision(client: httpx.Client) -> None:
    post = draft(client).json()
    path = f"{EDITORIAL}/{post['id']}/revisions"
    problem(client.get(f"{path}/2", headers=EDITOR), 404, "not_found")
    problem(client.get(f"{path}/2/diff?against=1", headers=EDITOR), 404, "not_found")
    problem(client.get(f"{path}/1/diff?against=2", headers=EDITOR), 404, "not_found")
    problem(client.post(f"{path}/2/restore", headers=EDITOR | {"If-Match": '"1"'}), 404, "not_found")
    breaks(client.get(f"{path}/1/diff", headers=EDITOR), ("query.against", "missing"))
    breaks(client.get(f"{path}/0", headers=EDITOR), ("path.number", "greater_than_equal"))
    breaks(client.get(f"{path}/x", headers=EDITOR), ("path.number", "int_parsing"))
    assert read(client, post) == post


# -- two editors ----------------------------------------------------------------------------------------


ADMIN = EDITOR | {"X-Test-Subject": "admin-1", "X-Test-Role": "admin"}


def writes(client: httpx.Client, post: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Return every operation that takes If-Match, ready to be carried out on a post."""
    bodies = {
        "schedule_post": {"publishAt": in_seconds(3600)},
        "update_post": as_written(post, title="둘"),
        "purge_post": {"slug": "x"},
    }
    return [
        (method, path.format(post_id=post["id"], number=1), bodies.get(operation["operationId"]))
        for method, path, operation in operations(client)
        if "{post_id}" in path and any(p.get("name") == "If-Match" for p in operation.get("parameters", ()))
        if not path.endswith("/working-copy")  # It has a version of its own.
    ]


def test_every_write_needs_the_version_that_it_starts_from(client: httpx.Client) -> None:
    post = draft(client).json()
    post = ok(edit(client, post, title="하나"))
    steps = writes(client, post)
    assert len(steps) == 9
    for method, path, body in steps:
        problem(client.request(method, path, json=body, headers=ADMIN), 428, "precondition_required")
        for stale in ('"1"', '"3"', 'W/"2"', "2", "*", '"2", "1"', '"x"', '"-1"', '"²"'.encode()):
            headers = as_bytes({**ADMIN, "If-Match": stale})
            problem(client.request(method, path, json=body, headers=headers), 412, "precondition_failed")
    assert read(client, post) == post


def test_every_write_on_an_unknown_post_gets_404(client: httpx.Client) -> None:
    ghost = draft(client).json() | {"id": NOBODY}
    for method, path, body in writes(client, ghost):
        headers = ADMIN | {"If-Match": '"1"'}
        problem(client.request(method, path, json=body, headers=headers), 404, "not_found")


def test_of_edits_made_at_once_from_one_version_one_is_kept(each_client: httpx.Client) -> None:
    post = draft(each_client).json()
    answers = at_once(8, lambda i: edit(each_client, post, title=f"제목 {i}"))
    assert sorted(a.status_code for a in answers) == [200, *[412] * 7]
    (kept,) = (a.json() for a in answers if a.status_code == 200)
    assert read(each_client, post) == kept
    assert kept["revision"] == 2
    history = ok(each_client.get(f"{EDITORIAL}/{post['id']}/revisions", headers=EDITOR))["items"]
    assert [r["title"] for r in history] == [kept["title"], post["title"]]


# -- lists ----------------------------------------------------------------------------------------------


def test_the_public_list_is_newest_first_by_language_and_category(each_client: httpx.Client) -> None:
    first, second = own_category(each_client), own_category(each_client)
    a = published(each_client, category=first)
    b = published(each_client, category=first)
    en = published(each_client, category=first, lang="en")
    other = published(each_client, category=second)
    draft(each_client, category=first)
    assert listed(each_client, category=first) == [b["id"], a["id"]]
    assert listed(each_client, category=first, lang="en") == [en["id"]]
    assert listed(each_client, category=second) == [other["id"]]
    everything = listed(each_client, limit=100)
    assert [i for i in everything if i in {a["id"], b["id"], other["id"]}] == [other["id"], b["id"], a["id"]]
    assert en["id"] not in everything
    # A later edition doesn't move a post to the top.
    ok(act(each_client, ok(edit(each_client, a, title="새")), "publish"))
    assert listed(each_client, category=first) == [b["id"], a["id"]]


def test_lists_come_in_pages(each_client: httpx.Client) -> None:
    category, word = own_category(each_client), korean()
    made = [published(each_client, category=category, body=word)["id"] for _ in range(5)][::-1]
    for path, query in (("/v1/posts", {}), ("/v1/search", {"q": word}), (EDITORIAL, {})):
        headers = EDITOR if path == EDITORIAL else {}
        asked: dict[str, str | int] = {"category": category, "limit": 2, **query}
        first = ok(each_client.get(path, params=asked, headers=headers))
        second = ok(each_client.get(path, params=asked | {"cursor": first["nextCursor"]}, headers=headers))
        third = ok(each_client.get(path, params=asked | {"cursor": second["nextCursor"]}, headers=headers))
        found = [[item["id"] for item in page["items"]] for page in (first, second, third)]
        assert found == [made[:2], made[2:4], made[4:]]
        assert third["nextCursor"] is None
        # A page that is exactly full has no next one.
        whole = ok(each_client.get(path, params=asked | {"limit": 5}, headers=headers))
        assert (len(whole["items"]), whole["nextCursor"]) == (5, None)


def test_the_spellings_of_an_address_share_an_entry_of_the_cache(client: httpx.Client) -> None:
    slug = f"새-소식-{unique()}"
    title = published(client, slug=slug)["title"]
    path, campaign = f"/v1/posts/{slug}", "utm_source=kakao&fbclid=IwAR0&utm_x&gclid=&msclkid=1"
    while client.get(path).headers["X-Count-DynamoDB"] != "0":
        pass
    decomposed = unicodedata.normalize("NFD", path)
    for address in (f"{path}?{campaign}", decomposed, f"{decomposed}?{campaign}"):
        answer = client.get(address)
        assert (ok(answer)["title"], answer.headers["X-Count-DynamoDB"]) == (title, "0"), address
        assert client.head(address).status_code == 200
    assert listed(client, utm_campaign="봄", limit=100) == listed(client, limit=100)
    for unknown in ("utm", "fbclids", "source"):
        breaks(client.get(f"{path}?{unknown}=1"), (f"query.{unknown}", "extra_forbidden"))


def test_an_address_that_the_gateway_decoded_is_found(client: httpx.Client, stack: Stack) -> None:
    """HTTP APIs hand paths on decoded; Mangum takes them as they are, the Web Adapter encodes them again."""
    slug, said = unique("새-소식-"), stack.directory / f"{unique()}.json"
    published(client, slug=slug)
    spellings = [f"/v1/posts/{text}" for text in (slug, unicodedata.normalize("NFD", slug), quote(slug))]
    script = f"""
import json
from app.main import handler
def event(path):
    http = {{"method": "GET", "path": path, "sourceIp": "192.0.2.1"}}
    return {{
        "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": {{"host": "a"}},
        "requestContext": {{"http": http}}, "isBase64Encoded": False,
    }}
answers = [handler(event(path), None) for path in {spellings!r}]
open({str(said)!r}, "w").write(json.dumps([[a["statusCode"], json.loads(a["body"])["slug"]] for a in answers]))
"""
    stack.run("-c", script)
    assert json.loads(said.read_text()) == [[200, slug]] * 3


def test_the_editor_s_list_is_filtered_by_state_language_and_category(each_client: httpx.Client) -> None:
    category = own_category(each_client)
    posts = {
        "draft": draft(each_client, category=category).json(),
        "published": published(each_client, category=category),
        "scheduled": draft(each_client, category=category).json(),
        "archived": draft(each_client, category=category, lang="en").json(),
    }
    act(each_client, posts["scheduled"], "schedule", {"publishAt": in_seconds(3600)})
    act(each_client, posts["archived"], "archive")

    def found(**query: Any) -> list[str]:
        return [p["id"] for p in pages(each_client, EDITORIAL, category=category, **query)]

    assert found() == [posts[s]["id"] for s in ("archived", "scheduled", "published", "draft")]
    for state, post in posts.items():
        assert found(state=state) == [post["id"]]
    assert found(lang="en") == [posts["archived"]["id"]]
    assert found(lang="ko", state="archived") == []
    card = ok(each_client.get(EDITORIAL, params={"category": category, "state": "draft"}, headers=EDITOR))
    whole = read(each_client, posts["draft"])
    assert card["items"] == [{name: whole[name] for name in card["items"][0]}]
    assert "body" not in card["items"][0]


# -- idempotency ----------------------------------------------------------------------------------------


def create(client: httpx.Client, body: Any, key: str, editor: str = "editor-1") -> httpx.Response:
    headers = {"X-Test-Subject": editor, "Idempotency-Key": key}
    return client.post(EDITORIAL, json=body, headers=headers)


def new_post(**content: Any) -> dict[str, Any]:
    return {"lang": "ko", "category": "news", "slug": None, "title": unique(), "body": "본문", **content}


def test_a_key_creates_once_and_is_answered_alike(each_client: httpx.Client) -> None:
    body, key = new_post(), unique("key-")
    first, second = create(each_client, body, key), create(each_client, body, key)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    for name in ("Location", "ETag", "Content-Type"):
        assert first.headers[name] == second.headers[name]
    assert [p["title"] for p in pages(each_client, EDITORIAL, limit=100)].count(body["title"]) == 1
    # The order of members and the form of white space are no difference.
    shuffled = dict(reversed(body.items())) | {"title": f" {body['title']} "}
    assert create(each_client, shuffled, key).json() == first.json()


def test_a_key_belongs_to_one_request(each_client: httpx.Client) -> None:
    body, key = new_post(), unique("key-")
    first = create(each_client, body, key)
    problem(create(each_client, new_post(), key), 422, "idempotency_key_reused")
    assert create(each_client, body, key).json() == first.json()


def test_a_key_belongs_to_one_editor(each_client: httpx.Client) -> None:
    body, key = new_post(), unique("key-")
    mine, theirs = create(each_client, body, key), create(each_client, body, key, "editor-2")
    assert mine.json()["id"] != ok(theirs, 201)["id"]
    assert theirs.json()["createdBy"] == "editor-2"


def test_keys_differ_by_their_bytes(each_client: httpx.Client) -> None:
    stem = unique("key-")
    made = {ok(create(each_client, new_post(), stem + end), 201)["id"] for end in ("a", "A", "b~", "b!")}
    assert len(made) == 4


def test_a_key_whose_request_was_refused_is_free(each_client: httpx.Client) -> None:
    key = unique("key-")
    breaks(create(each_client, new_post(category="none"), key), ("body.category", "unknown_category"))
    assert create(each_client, new_post(), key).status_code == 201


def test_a_key_that_comes_many_times_at_once_creates_once(each_client: httpx.Client) -> None:
    body, key = new_post(), unique("key-")
    answers = at_once(8, lambda _: create(each_client, body, key))
    assert [a.status_code for a in answers] == [201] * 8
    assert len({a.text for a in answers}) == 1
    assert [p["title"] for p in pages(each_client, EDITORIAL, limit=100)].count(body["title"]) == 1


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        (b"short", "string_too_short"),
        (b"", "string_too_short"),
        (b"k" * 101, "string_too_long"),
        (b"has a space", "string_pattern_mismatch"),
        ("열쇠열쇠열쇠".encode(), "string_pattern_mismatch"),
        (b"latin-1-\xff", "string_pattern_mismatch"),
    ],
)
def test_a_key_keeps_to_its_rules(client: httpx.Client, key: bytes, rule: str) -> None:
    body = new_post()
    headers = as_bytes({"X-Test-Subject": "editor-1", "Idempotency-Key": key})
    breaks(client.post(EDITORIAL, json=body, headers=headers), ("header.Idempotency-Key", rule))
    assert body["title"] not in [p["title"] for p in pages(client, EDITORIAL, limit=100)]


# -- views ----------------------------------------------------------------------------------------------


def test_a_view_is_counted_when_reported_and_only_then(client: httpx.Client, stack: Stack) -> None:
    post = published(client)
    for _ in range(3):
        assert client.get(f"/v1/posts/{post['id']}").status_code == 200
    assert client.post(f"/v1/posts/{post['id']}/views").status_code == 204
    assert client.post(f"/v1/posts/{post['id']}/views").content == b""
    assert stack.counted(post["id"], "views") == 2
    # An edition keeps the count, and is read with it: a publication renews every page.
    ok(act(client, ok(edit(client, post, title="새")), "publish"))
    page = public(client, post)
    assert page
    assert page["viewCount"] == 2


def test_views_counted_at_once_are_all_counted(client: httpx.Client, stack: Stack) -> None:
    post = published(client)
    answers = at_once(32, lambda _: client.post(f"/v1/posts/{post['id']}/views").status_code)
    assert answers == [204] * 32
    assert stack.counted(post["id"], "views") == 32


def test_only_a_public_post_has_views(client: httpx.Client, stack: Stack) -> None:
    post = draft(client).json()
    problem(client.post(f"/v1/posts/{post['id']}/views"), 404, "not_found")
    problem(client.post(f"/v1/posts/{NOBODY}/views"), 404, "not_found")
    breaks(client.post(f"/v1/posts/{post['slug']}/views"), ("path.post_id", "uuid_parsing"))
    assert stack.snapshot(post["id"]) is None
    assert stack.snapshot(NOBODY) is None
    gone = ok(act(client, published(client), "unpublish"))
    problem(client.post(f"/v1/posts/{gone['id']}/views"), 404, "not_found")
    item = stack.snapshot(gone["id"])
    assert item
    assert "views" not in item
