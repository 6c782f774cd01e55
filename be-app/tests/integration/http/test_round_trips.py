"""How many round trips a request takes, store by store."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from app.core.read_path import cache
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.process import LOOPBACK
from support.contract import edit, ok, own_category
from support.failing_front import FAILED, Front
from support.stack import EDITOR, Stack, act, draft, published
from support.uploading import photo, uploaded

NOWHERE: dict[str, Any] = {
    "FAMILYCORP_DATABASE_URL": "mysql+aiomysql://nobody@127.0.0.1:1/nothing",
    "FAMILYCORP_CACHE_URL": "redis://127.0.0.1:1/0",
    "FAMILYCORP_AWS_ENDPOINT_URL": "http://127.0.0.1:1",
}


class Trips(NamedTuple):
    """Round trips to each store."""

    sql: int = 0
    dynamodb: int = 0
    valkey: int = 0


def trips(answer: httpx.Response, status: int = 200) -> Trips:
    """Return the round trips that an answer took."""
    assert answer.status_code == status, answer.text
    return Trips(*(int(answer.headers[f"X-Count-{store}"]) for store in ("SQL", "DynamoDB", "Valkey")))


class Site(NamedTuple):
    """Two processes that share stores, and a post that visitors can read."""

    one: httpx.Client
    other: httpx.Client
    post: dict[str, Any]

    def paths(self) -> dict[str, int]:
        """Return what visitors read, and how many DynamoDB calls it takes to compose it."""
        category = self.post["category"]
        return {
            "/v1/categories": 1,
            "/v1/posts": 1,
            f"/v1/posts?lang=ko&category={category}&limit=1": 1,
            f"/v1/posts/{self.post['id']}": 2,  # The post and its translations.
            f"/v1/posts/{self.post['slug']}": 3,  # And, the first time in a process, whose address it is.
            "/v1/feed.rss": 1,
            f"/v1/feed.atom?category={category}": 1,
            "/v1/sitemap.xml": 2,  # One for each language and hundred posts.
        }


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[str], Stack]) -> Stack:
    stack = new_stack("sqlite")
    for _ in range(2):
        stack.start(TEST_CACHE_HOLD_S="0")
    return stack


@pytest.fixture
def site(stack: Stack) -> Iterator[Site]:
    with stack.client(stack.processes[0]) as one, stack.client(stack.processes[1]) as other:
        # Each process forgets its own copies when it changes something itself.
        category = own_category(other)
        yield Site(one, other, published(one, category=category))


def test_an_uncached_read_asks_dynamodb_alone(site: Site) -> None:
    for path, calls in site.paths().items():
        # Two commands to Valkey: one finds nothing, one keeps the answer.
        assert trips(site.one.get(path)) == Trips(dynamodb=calls, valkey=2), path
    next_page = ok(site.one.get("/v1/posts", params={"limit": 1}))["nextCursor"]
    if next_page:
        answer = site.one.get("/v1/posts", params={"limit": 1, "cursor": next_page})
        assert trips(answer) == Trips(dynamodb=1, valkey=2)


def test_a_cached_read_asks_valkey_once_and_then_nobody(site: Site) -> None:
    for path in site.paths():
        rendered = site.one.get(path)
        assert trips(rendered).valkey == 2
        cached = site.other.get(path)
        assert trips(cached) == Trips(valkey=1), path
        at_hand = site.other.get(path)
        assert trips(at_hand) == Trips(), path
        assert rendered.content == cached.content == at_hand.content
        assert rendered.headers["ETag"] == cached.headers["ETag"] == at_hand.headers["ETag"]


def test_a_former_address_is_cached_until_its_post_moves_again(site: Site) -> None:
    post, path = site.post, f"/v1/posts/{site.post['slug']}"
    for name in (f"{post['slug']}-2", f"{post['slug']}-3"):
        post = ok(act(site.one, ok(edit(site.one, post, slug=name)), "publish"))
        rendered = site.one.get(path)
        # The index of slugs, and the post.
        assert trips(rendered, 308) == Trips(dynamodb=2, valkey=2)
        time.sleep(cache.LOCAL_TTL_S)  # Until then, the other process may answer from its own copy.
        cached = site.other.get(path)
        assert trips(cached, 308) == Trips(valkey=1)
        assert trips(site.other.get(path), 308) == Trips()
        assert {answer.headers["Location"] for answer in (rendered, cached)} == {f"/v1/posts/{name}"}


def test_valkey_that_is_away_is_asked_once_a_second(stack: Stack) -> None:
    alone = stack.start(FAMILYCORP_CACHE_URL=NOWHERE["FAMILYCORP_CACHE_URL"])
    with stack.client(alone) as client:
        for _ in range(2):
            assert [trips(client.get("/v1/categories")).valkey for _ in range(3)] == [1, 0, 0]
            time.sleep(1.1)
    alone.kill()


def test_what_a_visitor_has_already_is_not_sent_again(site: Site) -> None:
    for path, calls in site.paths().items():
        tag = site.one.get(path).headers["ETag"]
        for client, expected in ((site.other, Trips(valkey=1)), (site.other, Trips())):
            answer = client.get(path, headers={"If-None-Match": tag})
            assert trips(answer, 304) == expected, path
            assert answer.content == b""
            assert answer.headers["ETag"] == tag
        assert trips(site.other.get(path, headers={"If-None-Match": '"other"'})) == Trips(), path
        ok(act(site.one, published(site.one, category=site.post["category"], lang="en"), "archive"))
        answer = site.one.get(path, headers={"If-None-Match": tag})  # Rendered again, and still the same.
        known = path.endswith(site.post["slug"])
        assert trips(answer, 304) == Trips(dynamodb=calls - known, valkey=2), path


def test_a_page_that_was_found_before_is_asked_for_at_once(
    stack: Stack, site: Site, ministack: MiniStack
) -> None:
    path = f"/v1/posts/{site.post['slug']}"
    with Front(ministack.port) as front:
        endpoint = f"http://{LOOPBACK}:{front.port}"
        process = stack.start(**NOWHERE | {"FAMILYCORP_AWS_ENDPOINT_URL": endpoint})
        with stack.client(process) as client:
            assert [trips(client.get(path)).dynamodb for _ in range(2)] == [3, 2]
            front.fault = FAILED
            # Each call is tried twice; were one of them the other's condition, that would be all.
            assert trips(client.get(path), 503).dynamodb > 2
        process.kill()


def test_a_view_is_looked_up_and_counted(site: Site) -> None:
    assert trips(site.one.post(f"/v1/posts/{site.post['id']}/views"), 204) == Trips(dynamodb=2)


def test_search_is_one_statement_and_then_none(site: Site) -> None:
    path = f"/v1/search?q={site.post['title']}"
    assert trips(site.one.get(path)) == Trips(sql=1, valkey=2)
    assert trips(site.other.get(path)) == Trips(valkey=1)


def test_a_draft_is_never_read_from_the_database(site: Site) -> None:
    written = ok(draft(site.one, category=site.post["category"]), 201)
    for name, calls in ((written["id"], 1), (written["slug"], 1)):
        assert trips(site.one.get(f"/v1/posts/{name}"), 404) == Trips(dynamodb=calls, valkey=1)


@pytest.fixture(params=["sqlite", "mariadb", "mysql"])
def editor(request: pytest.FixtureRequest, stacks: Callable[[str], Stack]) -> Iterator[httpx.Client]:
    with stacks(request.param).client() as client:
        yield client


def test_editing_takes_few_statements(editor: httpx.Client) -> None:
    answer = draft(editor)
    assert trips(answer, 201) == Trips(sql=4)
    written = ok(answer, 201)
    answer = edit(editor, written, title="새 제목")
    assert trips(answer) == Trips(sql=5)  # One drops the editor's working copy.
    assert trips(editor.get(f"/v1/editor/posts/{written['id']}", headers=EDITOR)) == Trips(sql=1)

    # The database reads the post, changes it and its search text, keeps an audit entry and an outbox row; the
    # outbox is read and emptied. DynamoDB takes a marker, the snapshot and the event, and drops the marker.
    expected = Trips(sql=6, dynamodb=4, valkey=1)
    for step in ("publish", "publish", "unpublish"):
        answer = act(editor, ok(editor.get(f"/v1/editor/posts/{written['id']}", headers=EDITOR)), step)
        assert trips(answer) == expected, step

    # A new slug takes a look at the former ones, a row in them, and an outbox row with its effects.
    post = ok(answer)
    renamed = ok(edit(editor, post, slug=f"{post['slug']}-2"))
    assert trips(act(editor, renamed, "publish")) == Trips(sql=9, dynamodb=6, valkey=1)


def test_ten_pictures_cost_what_one_does(site: Site) -> None:
    statements = set()
    for number in (1, 10):
        files = [
            ok(uploaded(site.one, photo(60 + n, 40), f"{n}.jpg", "image/jpeg", who=EDITOR))
            for n in range(number)
        ]
        body = "\n\n".join(f"![사진](upload:{file['id']})" for file in files)
        written = ok(draft(site.one, category=site.post["category"], body=body), 201)
        statements.add(trips(act(site.one, written, "publish")).sql)
        page = site.one.get(f"/v1/posts/{written['id']}")
        assert trips(page) == Trips(dynamodb=2, valkey=2)
        assert len(page.json()["pictures"]) == number
    # Two more than without pictures: they are read, and once they are copied, what the post shows by then.
    assert statements == {8}


def test_health_touches_nothing(stack: Stack) -> None:
    lost = stack.start(**NOWHERE)
    with stack.client(lost) as client:
        answer = client.get("/health")
        assert trips(answer) == Trips()
        assert answer.json()["status"] == "ok"
    lost.kill()


def test_public_reads_never_open_a_database_connection(stack: Stack, site: Site) -> None:
    without = stack.start(TEST_CACHE_HOLD_S="0", FAMILYCORP_DATABASE_URL=NOWHERE["FAMILYCORP_DATABASE_URL"])
    with stack.client(without) as client:
        for path, calls in site.paths().items():
            assert trips(client.get(path)) == Trips(dynamodb=calls, valkey=2), path
        assert client.post(f"/v1/posts/{site.post['id']}/views").status_code == 204
        assert client.get("/v1/posts/no-such-post").status_code == 404
        assert client.get("/v1/editor/posts", headers=EDITOR).status_code == 503  # This one would have.
    without.kill()
