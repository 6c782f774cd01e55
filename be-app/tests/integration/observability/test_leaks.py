"""What is hidden stays hidden: no public route, cache, feed, search, count or error shows it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import redis

from app.core.clock import new_id, timestamp
from support.contract import NOBODY, as_written, edit, ok, operations, own_category, unique
from support.stack import EDITOR, Stack, act, draft, published

# Each answer names its own request and moment.
OWN = {"x-request-id", "date"}
QUERIED = {"/v1/posts", "/v1/search", "/v1/feed.rss", "/v1/feed.atom"}
PLAIN = {"/health", "/ready", "/v1/categories", "/v1/sitemap.xml"}
OF_ONE_FILE = "/v1/posts/{post_id}/attachments/{attachment_id}"
OF_ONE_POST = {
    "/v1/posts/{id_or_slug}",
    "/v1/posts/{post_id}/views",
    OF_ONE_FILE,
    f"{OF_ONE_FILE}/downloads",
}
UNRELATED = (
    "/media/",  # It leads to any address of the bucket, which has nothing of a hidden post (posts/test_pictures.py).
    "/v1/editor/",
    "/v1/inquiries",
    "/v1/auth/",
    "/v1/me/",
    "/v1/members",
    "/v1/audit",
    "/v1/uploads",
    "/v1/preview",  # Shows what is hidden to those who have a link.
)


class Hidden:
    """Posts that visitors must not know of; every field of them, even their author's name, has one word."""

    def __init__(self, stack: Stack, client: httpx.Client) -> None:
        self.canary = unique("canary")
        self.category = own_category(client)
        self._client = client
        self._headers = {"X-Test-Subject": self.canary}
        self.file = str(new_id())
        stack.sql(
            "INSERT INTO attachments (id, name, content_type, size, object_key, created_by, created_at)"
            " VALUES (:id, :name, 'application/pdf', 1, :name, :name, '2026-11-23 00:00:00')",
            id=self.file.replace("-", ""),
            name=self.canary,
        )
        self.visible: list[dict[str, Any]] = []
        self.posts: list[dict[str, Any]] = []

    def content(self, **changes: Any) -> dict[str, Any]:
        words = {name: f"{self.canary} {name}" for name in ("title", "excerpt", "body", "description")}
        files = {"thumbnail": self.file, "attachments": [self.file]}
        slug = f"{self.canary}-{unique()}"
        return words | files | {"tags": [self.canary], "slug": slug, "category": self.category} | changes

    def write(self, **changes: Any) -> dict[str, Any]:
        answer = self._client.post(
            "/v1/editor/posts", json=self.content(**{"lang": "ko", **changes}), headers=self._headers
        )
        post: dict[str, Any] = ok(answer, 201)
        return post

    def step(self, post: dict[str, Any], name: str, body: Any = None) -> dict[str, Any]:
        taken: dict[str, Any] = ok(act(self._client, post, name, body, **self._headers))
        return taken

    def prepare(self) -> None:
        """Publish what visitors may see, some of it to be hidden later."""
        self.visible = [published(self._client, category=self.category) for _ in range(2)]
        self.was_public = [self.step(self.write(), "publish") for _ in range(3)]

    def hide(self) -> None:
        """Bring posts into every state that visitors must not see."""
        future = {"publishAt": timestamp(datetime.now(UTC) + timedelta(hours=1))}
        unpublished, archived, rescheduled = self.was_public
        self.posts = [
            self.write(),
            self.write(lang="en", translationOf=self.visible[0]["id"]),
            self.step(self.write(), "schedule", future),
            self.step(self.write(), "archive"),
            self.step(unpublished, "unpublish"),
            self.step(archived, "archive"),
            self.step(self.step(rescheduled, "unpublish"), "schedule", future),
        ]
        post = self.visible[1]
        newer = self.content(slug=None, category="news")
        headers = self._headers | {"If-Match": f'"{post["version"]}"'}
        ok(self._client.put(f"/v1/editor/posts/{post['id']}", json=newer, headers=headers))


def ask_everything(client: httpx.Client, hidden: Hidden) -> Iterator[httpx.Response]:
    """Ask every public route in every way that might touch hidden posts."""
    for method, path, _ in operations(client):
        if path.startswith(UNRELATED):
            continue
        if path in PLAIN:
            yield client.request(method, path)
        elif path in QUERIED:
            words = [hidden.canary, f"{hidden.canary} title", hidden.canary[:5]]
            for query in [{"q": word} for word in words] if path == "/v1/search" else [{}]:
                for narrowed in ({}, {"category": hidden.category}):
                    for lang in ("ko", "en"):
                        yield client.request(method, path, params={**query, **narrowed, "lang": lang})
        elif path == "/v1/redirects":
            for post in hidden.posts:
                yield client.request(method, path, params={"path": f"/ko/posts/{post['slug']}"})
        else:
            assert path in OF_ONE_POST, f"teach this test about {path}"
            of_file = path.replace("{attachment_id}", hidden.file)
            for post in [*hidden.posts, *hidden.was_public, *hidden.visible]:
                for address in (post["id"], post["slug"]):
                    yield client.request(method, re.sub(r"{\w+}", address, of_file))


def assert_nothing_tells(client: httpx.Client, hidden: Hidden) -> None:
    answers = list(ask_everything(client, hidden))
    for answer in answers:
        assert answer.status_code < 500
        assert hidden.canary not in answer.text, answer.request.url
        assert hidden.canary not in str(answer.headers), answer.request.url
    # Visible are the two posts that were published, as they were published.
    (listed,) = (
        a
        for a in answers
        if a.url.path == "/v1/posts" and "category" in a.url.params and a.url.params["lang"] == "ko"
    )
    assert [p["id"] for p in listed.json()["items"]] == [p["id"] for p in reversed(hidden.visible)]
    for answer in answers:
        if answer.url.path == "/v1/search":
            assert answer.json() == {"items": [], "nextCursor": None}
        if answer.url.path == f"/v1/posts/{hidden.visible[0]['id']}":
            assert answer.json()["translations"] == []
        if answer.url.path == f"/v1/posts/{hidden.visible[1]['id']}":
            assert answer.json()["title"] == hidden.visible[1]["title"]


def assert_no_gaps_tell(client: httpx.Client, hidden: Hidden) -> None:
    """Check that pages are as if hidden posts weren't there: their number can't be read off them."""
    first = ok(client.get("/v1/posts", params={"category": hidden.category, "limit": 1}))
    query = {"category": hidden.category, "limit": 1, "cursor": first["nextCursor"]}
    second = ok(client.get("/v1/posts", params=query))
    assert [len(first["items"]), len(second["items"]), second["nextCursor"]] == [1, 1, None]


def assert_like_nobody(client: httpx.Client, hidden: Hidden) -> None:
    """Check that a hidden post is answered for as one that never was, to the byte and the round trip."""
    ways: list[Callable[[str], httpx.Response]] = [
        lambda i: client.get(f"/v1/posts/{i}"),
        lambda i: client.head(f"/v1/posts/{i}"),
        lambda i: client.get(f"/v1/posts/{i}", headers={"If-None-Match": "*"}),
        lambda i: client.post(f"/v1/posts/{i}"),
        lambda i: client.post(f"/v1/posts/{i}/views"),
        lambda i: client.get(f"/v1/posts/{i}/views"),
        lambda i: client.get(f"/v1/posts/{i}?lang=ko"),
    ]

    def request(method: str, path: str, body: dict[str, Any], post: str) -> httpx.Response:
        return client.request(method, path.replace("{post_id}", post).replace("{number}", "1"), **body)

    for method, path, operation in operations(client):
        if path.startswith("/v1/editor/posts/"):
            body = {"json": as_written(hidden.posts[0])} if "requestBody" in operation else {}
            ways.append(partial(request, method, path, body))
    strangers = {"id": NOBODY, "slug": f"{unique('canary')}-{unique()}"}
    for ask in ways:
        for kind, stranger in strangers.items():
            expected = described(ask(stranger))
            for post in hidden.posts:
                assert described(ask(post[kind])) == expected, (kind, post["state"])


def described(answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    headers = {k: v for k, v in answer.headers.items() if k not in OWN}
    return answer.status_code, headers, answer.text.replace(answer.headers["X-Request-ID"], "…")


@contextmanager
def another_process(stack: Stack) -> Iterator[httpx.Client]:
    application = stack.start()
    try:
        with stack.client(application) as client:
            yield client
    finally:
        stack.processes.remove(application)
        application.kill()


def test_a_draft_can_never_leak(stack: Stack, client: httpx.Client) -> None:
    hidden = Hidden(stack, client)
    hidden.prepare()
    with another_process(stack) as other:
        # Every cache has seen what is about to be hidden.
        seen = [
            sum(hidden.canary in a.text for a in ask_everything(c, hidden))
            for c in (client, client, other, other)
        ]
        assert min(seen) > 10
        hidden.hide()
        # The process that hid it never shows it again: it clears its own cache and Valkey at once.
        for _ in range(2):
            assert_nothing_tells(client, hidden)
        assert_no_gaps_tell(client, hidden)
        assert_like_nobody(client, hidden)
        # Another process may answer from its own copy for a second, no longer.
        stale = True
        deadline = datetime.now(UTC) + timedelta(seconds=3)
        while stale and datetime.now(UTC) < deadline:
            stale = any(hidden.canary in a.text for a in ask_everything(other, hidden))
        assert_nothing_tells(other, hidden)
        # Nor does one without any cache.
        redis.Redis.from_url(stack.cache_url).flushdb()
    with another_process(stack) as fresh:
        assert_nothing_tells(fresh, hidden)
        assert_like_nobody(fresh, hidden)


def test_a_hidden_post_s_slug_is_refused_to_editors_alone(client: httpx.Client) -> None:
    post = draft(client).json()
    taken = client.post("/v1/editor/posts", json=as_written(post, lang="ko"))
    free = client.post("/v1/editor/posts", json=as_written(post, lang="ko", slug=unique("s")))
    assert described(taken) == described(free)
    assert taken.status_code == 401


def test_an_edition_in_preparation_never_reaches_the_cache(client: httpx.Client) -> None:
    post = published(client)
    canary = unique("canary")
    edited = ok(edit(client, post, title=canary))
    preview = client.get(f"/v1/editor/posts/{post['id']}/preview", headers=EDITOR)
    assert canary in preview.text
    assert preview.headers["Cache-Control"] == "no-store"
    assert "ETag" not in preview.headers
    # The same addresses, asked by an editor, are answered as to anybody.
    for path in (f"/v1/posts/{post['id']}", "/v1/posts?limit=100", f"/v1/search?q={canary}"):
        assert canary not in client.get(path, headers=EDITOR).text
    ok(act(client, edited, "archive"))
