"""Where a fresh answer can't be had, visitors get the last good one, and never one that an invalidation has ended."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import psutil
import pytest

from app.core.aws import dynamodb
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.valkey import Valkey
from support.contract import at_once, edit, ok, problem, unique
from support.failing_front import FAILED, THROTTLED, Fault, Front, Hung, Refused
from support.stack import EDITOR, Application, Stack, act, draft, json_lines, make_category, published

TTL_S, STALE_S = 60, 86_400
"""How long answers are fresh, and for how long after that they may be served stale, unless settings say otherwise."""
SOON: dict[str, Any] = {"TEST_PATIENCE_S": "0.3"}
"""Far less than it takes to give a hung DynamoDB up."""

Post = dict[str, Any]


class Site(NamedTuple):
    """Processes that share tables and cache; some of them reach both through fronts that tests break."""

    stack: Stack
    elsewhere: Application
    """It passes no front: editors go on working there."""
    dynamodb: Front
    cache: Front

    def start(self, **environment: Any) -> Application:
        """Start a process behind the fronts, whose entries are fresh as soon as something was published."""
        behind: dict[str, Any] = {
            "FAMILYCORP_AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.dynamodb.port}",
            "FAMILYCORP_CACHE_URL": f"redis://127.0.0.1:{self.cache.port}/{self.stack.cache_url.rpartition('/')[2]}",
        }
        return self.stack.start(TEST_CACHE_HOLD_S="0", **behind, **environment)

    def editor(self) -> httpx.Client:
        return httpx.Client(base_url=self.elsewhere.url, trust_env=False, timeout=120)


@pytest.fixture(scope="module")
def whole_site(new_stack: Callable[..., Stack], ministack: MiniStack, valkey: Valkey) -> Iterator[Site]:
    stack = new_stack("sqlite")
    with Front(ministack.port) as store, Front(valkey.port) as cache:
        elsewhere = stack.start(TEST_CACHE_HOLD_S="0")
        with stack.client() as client:
            make_category(client, "news")
        yield Site(stack, elsewhere, store, cache)


@pytest.fixture
def site(whole_site: Site) -> Iterator[Site]:
    yield whole_site
    whole_site.dynamodb.fault = whole_site.cache.fault = None


@pytest.fixture(scope="module")
def patient(whole_site: Site) -> Application:
    """A process that waits for a fresh answer until DynamoDB is given up."""
    return whole_site.start()


@pytest.fixture(scope="module")
def impatient(whole_site: Site) -> Application:
    return whole_site.start(**SOON)


@pytest.fixture
def client(site: Site, patient: Application) -> Iterator[httpx.Client]:
    with site.stack.client(patient) as client:
        yield client
        set_clock(client, 0)


@pytest.fixture
def hurried(site: Site, impatient: Application) -> Iterator[httpx.Client]:
    with site.stack.client(impatient) as client:
        yield client


def warm(client: httpx.Client, *paths: str) -> dict[str, httpx.Response]:
    """Read pages until the cache has them, and return their answers."""
    found = {}
    for path in paths:
        while (answer := client.get(path)).headers["X-Count-DynamoDB"] != "0":
            assert answer.status_code == 200, answer.text
        found[path] = answer
    return found


def age(client: httpx.Client) -> Post:
    """Make every entry stale: something is published that was not there before."""
    return published(client)


def set_clock(client: httpx.Client, ahead: float) -> None:
    assert client.post("/test/clock", params={"ahead": ahead}).status_code == 200


def line(site: Site, answer: httpx.Response) -> dict[str, Any]:
    """Return the access line of an answer, which may be written after it."""
    wanted = answer.headers["X-Request-ID"]
    while True:
        for logged in (row for process in site.stack.processes for row in json_lines(process.log)):
            if logged.get("correlation_id") == wanted and logged["message"] == "request":
                return logged
        time.sleep(0.01)


def informed(site: Site, client: httpx.Client, path: str) -> httpx.Response:
    """Return an answer for which Valkey was asked: no copy of the process's own, as a busy Valkey would lead to."""
    while True:
        answer = client.get(path)
        told = line(site, answer)
        if "cache_ms" in told and not told.keys() & {"cache_hit", "cache_errors"}:
            return answer


def is_stale(site: Site, answer: httpx.Response, reason: str) -> bool:
    """Return whether an answer is a stale one, as its line says and its `Age` shows."""
    told = line(site, answer)
    assert answer.status_code in {200, 304}, answer.text[:500]
    assert answer.headers["Cache-Control"] == "public, no-cache"
    assert int(answer.headers["Age"]) >= 0
    assert told.get("stale_reason", reason) == reason
    return told.get("cache_stale") == 1


def all_of(post: Post) -> tuple[str, ...]:
    page = f"/v1/posts/{post['slug']}"
    lists = ("/v1/posts", "/v1/posts?limit=3", "/v1/feed.rss", "/v1/feed.atom", "/v1/sitemap.xml")
    return (page, f"/v1/posts/{post['id']}", "/v1/categories", *lists)


# -- what is served stale ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [FAILED, THROTTLED, Refused()], ids=str)
def test_where_dynamodb_fails_visitors_get_the_last_good_answer(
    site: Site, client: httpx.Client, fault: Fault
) -> None:
    post = published(client)
    before = warm(client, *all_of(post))
    added = age(client)
    site.dynamodb.fault = fault
    for path, last in before.items():
        for headers in ({}, {"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip"}):
            answer = client.get(path, headers=headers)
            assert is_stale(site, answer, "503"), path
            assert answer.content == last.content
            for name in ("ETag", "Content-Type", "Vary", "Cache-Control"):
                assert answer.headers[name] == last.headers[name]
            assert answer.headers.get("Content-Encoding") == ("gzip" if "gzip" in str(headers) else None) or (
                not headers and "Content-Encoding" in answer.headers
            )
        known = client.get(path, headers={"If-None-Match": last.headers["ETag"]})
        assert is_stale(site, known, "503")
        assert (known.status_code, known.content) == (304, b"")
        head = client.head(path)
        assert is_stale(site, head, "503")
        assert (head.content, head.headers["ETag"]) == (b"", last.headers["ETag"])
    # What was never asked for can't be had.
    problem(client.get(f"/v1/posts?category={unique()}"), 503, "store_unavailable")
    problem(client.get(f"/v1/posts/{added['slug']}"), 503, "store_unavailable")

    # No stale answer was kept as a fresh one.
    site.dynamodb.fault = None
    again = client.get("/v1/posts")
    assert added["slug"] in again.text
    assert "Age" not in again.headers
    assert "cache_stale" not in line(site, again)
    assert "Age" in client.get("/v1/posts").headers


def test_where_dynamodb_hangs_nobody_waits_for_it(site: Site, hurried: httpx.Client) -> None:
    post = published(hurried)
    before = warm(hurried, *all_of(post))
    age(hurried)
    site.dynamodb.fault = Hung()
    answers = at_once(60, lambda n: hurried.get(list(before)[n % len(before)]))
    assert all(is_stale(site, answer, "slow") for answer in answers)
    assert {a.content for a in answers} == {a.content for a in before.values()}
    for path in before:
        assert is_stale(site, hurried.get(path), "slow")
    site.dynamodb.fault = None


def test_what_comes_late_is_kept_for_the_next(site: Site, hurried: httpx.Client) -> None:
    warm(hurried, "/v1/posts")
    added = age(hurried)
    site.dynamodb.fault = Hung()
    assert is_stale(site, hurried.get("/v1/posts"), "slow")
    site.dynamodb.fault = None  # It cuts what hangs, and botocore tries again.
    while added["slug"] not in hurried.get("/v1/posts").text:
        pass


def test_a_hung_store_keeps_few_threads(site: Site, impatient: Application, hurried: httpx.Client) -> None:
    paths = [f"/v1/posts?limit={n}" for n in range(1, 61)]
    warm(hurried, *paths)
    age(hurried)
    site.dynamodb.fault = Hung()
    for _ in range(3):
        answers = at_once(60, lambda n: hurried.get(paths[n]))
        assert all(line(site, answer)["cache_stale"] for answer in answers)
    assert psutil.Process(impatient.pid).num_threads() < 60
    assert hurried.get("/v1/editor/posts", headers=EDITOR).status_code == 200  # It needs no DynamoDB.


def test_a_busy_process_serves_stale_answers_at_once(site: Site) -> None:
    process = site.start(FAMILYCORP_MAX_CONCURRENCY="1")
    with site.stack.client(process) as client, ThreadPoolExecutor(1) as pool:
        warm(client, "/v1/posts")
        age(client)
        site.dynamodb.fault = Hung()
        waiting = pool.submit(client.get, f"/v1/posts?category={unique()}")
        answer = client.get("/v1/posts")
        while waiting.done() or "shed" not in line(site, answer):
            if waiting.done():  # It didn't get the one place, or gave DynamoDB up before the other asked.
                waiting = pool.submit(client.get, f"/v1/posts?category={unique()}")
            answer = client.get("/v1/posts")
        assert is_stale(site, answer, "503")
        site.dynamodb.fault = None
        waiting.result()
    process.kill()


# -- what isn't ----------------------------------------------------------------------------------------------


def withdraw(client: httpx.Client, post: Post) -> None:
    assert act(client, post, "unpublish").status_code == 200


def rewrite(client: httpx.Client, post: Post) -> None:
    changed = ok(edit(client, post, title="고침"))
    assert act(client, changed, "publish").status_code == 200


@pytest.mark.parametrize("change", [withdraw, rewrite])
@pytest.mark.parametrize("here", [True, False], ids=["here", "elsewhere"])
def test_what_was_withdrawn_or_changed_does_not_come_back(
    site: Site, client: httpx.Client, change: Callable[[httpx.Client, Post], None], here: bool
) -> None:
    post = published(client)
    warm(client, *all_of(post))
    age(client)
    with site.editor() as elsewhere:
        change(client if here else elsewhere, post)
    site.dynamodb.fault = FAILED
    for path in all_of(post):
        problem(client.get(path) if here else informed(site, client, path), 503, "store_unavailable")


def test_what_is_withdrawn_while_somebody_waits_is_not_served_to_them(
    site: Site, client: httpx.Client
) -> None:
    post = published(client)
    page = f"/v1/posts/{post['slug']}"
    warm(client, page)
    age(client)
    site.dynamodb.fault = Hung()
    with site.editor() as elsewhere, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get, page)
        withdraw(elsewhere, post)
        early = waiting.done()
        site.dynamodb.fault = FAILED
        assert early or waiting.result().status_code in {404, 503}


def test_what_dynamodb_did_not_get_of_a_withdrawal_is_not_served_stale(
    site: Site, client: httpx.Client, impatient: Application, hurried: httpx.Client
) -> None:
    post = published(client)
    paths = all_of(post)
    warm(client, *paths)
    steps = act(client, published(client), "unpublish").headers["X-Test-Steps"].split()
    assert steps.index("DynamoDB") < steps.index("commit")  # The marker; what follows the commit may fail.
    warm(client, *paths)
    age(client)
    # The commit is the last that goes well: the process is suspended there until DynamoDB is away.
    headers: dict[str, Any] = {"X-Test-Signal": f"{steps.index('commit') + 1} STOP"}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(act, hurried, post, "unpublish", None, **headers)
        while psutil.Process(impatient.pid).status() != psutil.STATUS_STOPPED:
            pass
        site.dynamodb.fault = FAILED
        impatient.resume()
        assert waiting.result().status_code == 200
    problem(client.get(paths[0]), 503, "store_unavailable")
    site.dynamodb.fault = None
    with site.editor() as elsewhere:
        assert elsewhere.post("/test/run-due", params={"ahead": 61}).status_code == 200
    problem(client.get(paths[0]), 404, "not_found")


def test_an_invalidation_that_valkey_did_not_get_is_repeated(site: Site, client: httpx.Client) -> None:
    post = published(client)
    paths = all_of(post)
    warm(client, *paths)
    away = site.stack.start(FAMILYCORP_CACHE_URL="redis://127.0.0.1:1/0")  # Nothing listens there.
    with site.stack.client(away) as elsewhere:
        withdraw(elsewhere, post)
        assert [m for m in site.stack.items("due") if m["sequence"].endswith("#invalidation")]
    away.kill()
    with site.editor() as elsewhere:  # The scheduler, where Valkey can be reached.
        assert elsewhere.post("/test/run-due", params={"ahead": 61}).status_code == 200
    assert [m for m in site.stack.items("due") if m["sequence"].endswith("#invalidation")] == []
    site.dynamodb.fault = FAILED
    for path in paths:
        problem(informed(site, client, path), 503, "store_unavailable")


def test_a_process_makes_up_for_its_own_invalidation_before_it_reads(
    site: Site, client: httpx.Client
) -> None:
    post = published(client)
    page = f"/v1/posts/{post['slug']}"
    warm(client, page)
    site.cache.fault = Refused()
    withdraw(client, post)
    problem(client.get(page), 404, "not_found")
    site.cache.fault, site.dynamodb.fault = None, FAILED
    problem(informed(site, client, page), 503, "store_unavailable")


def test_without_both_stores_a_process_serves_its_own_copies_for_a_while(
    site: Site, client: httpx.Client
) -> None:
    post = published(client)
    before = warm(client, *all_of(post))
    age(client)
    site.cache.fault, site.dynamodb.fault = Refused(), FAILED
    for path, last in before.items():
        answer = client.get(path)
        assert is_stale(site, answer, "503")
        assert answer.content == last.content
    # It can't know for longer what was invalidated.
    for ahead in (TTL_S + 5, -TTL_S):
        set_clock(client, ahead)
        problem(client.get("/v1/posts"), 503, "store_unavailable")
    # What it withdrew itself it does know.
    set_clock(client, 0)
    assert client.get("/v1/posts").status_code == 200
    site.dynamodb.fault = None
    withdraw(client, post)
    site.dynamodb.fault = FAILED
    for path in before:
        problem(client.get(path), 503, "store_unavailable")


def test_a_stale_answer_has_an_end(site: Site, client: httpx.Client) -> None:
    before = warm(client, "/v1/posts", "/v1/categories")
    age(client)
    site.dynamodb.fault = FAILED
    for hours in (1, 12, 23):
        set_clock(client, 3600 * hours)
        for path, last in before.items():
            answer = client.get(path)
            assert is_stale(site, answer, "503")
            assert answer.content == last.content
            assert 3600 * hours <= int(answer.headers["Age"]) < 3600 * (hours + 1)
    for ahead in (TTL_S + STALE_S + 5, -3600):  # A clock that is wrong makes nothing last longer.
        set_clock(client, ahead)
        problem(client.get("/v1/posts"), 503, "store_unavailable")


def test_stale_answers_can_be_turned_off(site: Site) -> None:
    process = site.start(FAMILYCORP_CACHE_STALE_S="0")
    with site.stack.client(process) as client:
        warm(client, "/v1/posts")
        age(client)
        site.dynamodb.fault = FAILED
        problem(client.get("/v1/posts"), 503, "store_unavailable")
    process.kill()


def test_what_a_fresh_answer_denies_is_forgotten(site: Site, client: httpx.Client) -> None:
    post = published(client)
    page = f"/v1/posts/{post['id']}"
    warm(client, page)
    age(client)
    # As after an invalidation that never came.
    key = dynamodb.encode({"postId": post["id"]})
    site.stack.dynamodb.delete_item(TableName=site.stack.settings.posts_table, Key=key)
    problem(client.get(page), 404, "not_found")
    site.dynamodb.fault = FAILED
    problem(client.get(page), 503, "store_unavailable")


def test_a_visitor_over_the_limit_gets_429(site: Site) -> None:
    process = site.start(TEST_LIMITS="1", FAMILYCORP_RATE_VISITORS="20")
    with site.stack.client(process) as client:
        answer = client.get("/v1/posts")
        while answer.status_code != 429:  # What is fresh isn't counted, and units come back.
            assert "cache_stale" not in line(site, answer)
            age(client)
            while client.get(f"/v1/posts?category={unique()}").status_code != 429:
                pass
            answer = client.get("/v1/posts")
        problem(answer, 429, "rate_limited")
    process.kill()


def test_staff_and_writers_are_never_served_stale(site: Site, client: httpx.Client) -> None:
    post, written = published(client), ok(draft(client), 201)
    warm(client, *all_of(post))
    age(client)
    site.dynamodb.fault = FAILED
    problem(client.post(f"/v1/posts/{post['id']}/views"), 503, "store_unavailable")
    problem(act(client, written, "publish"), 503, "store_unavailable")
    assert "Age" not in client.get("/v1/editor/posts", headers=EDITOR).headers


def test_without_valkey_answers_come_from_dynamodb(site: Site, client: httpx.Client) -> None:
    warm(client, "/v1/posts")
    site.cache.fault = Refused()
    added = age(client)
    answer = client.get("/v1/posts")
    assert added["slug"] in answer.text
    assert "Age" not in answer.headers
    assert "cache_stale" not in line(site, answer)
