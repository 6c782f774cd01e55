"""Valkey, the database or DynamoDB crashes or hangs, and comes back: what works, and what waits."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import httpx
import pytest
import redis
import uvloop

from app.core.read_path import cache
from familycorp_ops.servers.mariadb import MariaDB
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.process import Server
from familycorp_ops.servers.valkey import Valkey
from familycorp_ops.testing.servers import _running
from support.contract import edit, ok, problem, read, unique
from support.failing_front import Front
from support.stack import EDITOR, Application, Stack, act, draft, make_category, published

TTL_S = 2
LOCAL_S = 1
"""How long a process may answer from its own copy."""
DATABASE_DEADLINE_S = 5
HANGS_S = 120
"""What nothing takes, however busy the machine is, unless it waits for what is broken."""
PUBLIC = (
    "/v1/categories",
    "/v1/posts",
    "/v1/posts?lang=en",
    "/v1/posts?category=news&limit=5",
    "/v1/feed.rss",
    "/v1/feed.atom?category=news",
    "/v1/sitemap.xml",
)

Post = dict[str, Any]


class Site(NamedTuple):
    """A stack on servers of its own, which tests break."""

    stack: Stack
    database: MariaDB
    ministack: MiniStack
    valkey: Valkey
    impatient: Application
    """Its cached answers live two seconds."""
    patient: Application
    """Its cached answers, which the other one doesn't see, live a minute."""


@pytest.fixture(scope="module")
def own_mariadb() -> Iterator[MariaDB]:
    yield from _running(MariaDB(), "mariadb")


@pytest.fixture(scope="module")
def whole_site(own_mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # Stopped, this emulator keeps what it had, as DynamoDB does.
    with MiniStack(persist=True) as ministack, Valkey() as valkey:
        url = own_mariadb.create_database("outages")
        with Stack(tmp_path_factory.mktemp("outages"), ministack, valkey, url).prepare() as stack:
            common: dict[str, Any] = {"FAMILYCORP_DATABASE_DEADLINE_S": str(DATABASE_DEADLINE_S)}
            impatient = stack.start(FAMILYCORP_CACHE_TTL_S=str(TTL_S), **common)
            patient = stack.start(FAMILYCORP_CACHE_URL=valkey.new_database(), **common)
            with stack.client() as client:
                make_category(client, "news")
            yield Site(stack, own_mariadb, ministack, valkey, impatient, patient)


@pytest.fixture
def site(whole_site: Site) -> Iterator[Site]:
    yield whole_site
    for server in (whole_site.database, whole_site.ministack, whole_site.valkey):
        server.resume()
        server.start()
    with whole_site.stack.client() as client:
        eventually(lambda: client.get("/ready").status_code == 200)


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with site.stack.client(site.impatient) as client:
        yield client


def eventually(holds: Callable[[], Any]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + HANGS_S
    while not holds():
        assert time.monotonic() < deadline, "it never held"
        time.sleep(0.05)


def all_at_once(*requests: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Send several requests at the same time."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return [sent.result() for sent in [pool.submit(request) for request in requests]]


def titles(client: httpx.Client) -> list[str]:
    return [card["title"] for card in ok(client.get("/v1/posts", params={"limit": 100}))["items"]]


def refused(answer: httpx.Response, code: str) -> None:
    """Check that an answer says to try again later, and when."""
    problem(answer, 503, code)
    assert int(answer.headers["Retry-After"]) > 0


def stop(server: Server, how: str) -> None:
    """Take a server away: `suspend` leaves it hanging, `kill` crashes it, `stop` ends it in good order."""
    getattr(server, how)()


def bring_back(server: Server) -> None:
    server.resume()
    server.start()


# -- Valkey --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "suspend"])
def test_without_valkey_everything_works_slower(site: Site, client: httpx.Client, how: str) -> None:
    def dependencies() -> dict[str, Any]:
        found: dict[str, Any] = client.get("/ready").json()["dependencies"]
        return found

    before = published(client)
    eventually(lambda: before["title"] in titles(client))
    eventually(lambda: client.get("/v1/categories").headers["X-Count-DynamoDB"] == "0")

    stop(site.valkey, how)
    for _ in range(3):  # Longer than the pause between two attempts to reach Valkey.
        for path in (*PUBLIC, f"/v1/posts/{before['slug']}", f"/v1/search?q={unique()}"):
            assert client.request("GET", path).status_code == 200, path
    answers = all_at_once(*(lambda: client.request("GET", "/v1/posts") for _ in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert client.request("POST", f"/v1/posts/{before['id']}/views").status_code == 204
    during = ok(draft(client), 201)
    headers = {**EDITOR, "If-Match": f'"{during["version"]}"'}
    path = f"/v1/editor/posts/{during['id']}/publish"
    assert client.request("POST", path, headers=headers).status_code == 200
    assert during["title"] in titles(client)
    eventually(lambda: dependencies()["cache"]["status"] == "down")

    bring_back(site.valkey)
    # What Valkey may have kept from before lives no longer than the stated time.
    eventually(lambda: during["title"] in titles(client))
    eventually(lambda: dependencies()["cache"]["status"] == "ok")
    eventually(lambda: client.get("/v1/categories").headers["X-Count-DynamoDB"] == "0")
    for _ in range(10):
        assert during["title"] in titles(client)


def test_an_invalidation_that_valkey_never_got_is_made_up_for_by_the_lifetime(
    site: Site, client: httpx.Client
) -> None:
    first = published(client)
    eventually(lambda: first["title"] in titles(client))
    eventually(lambda: client.get("/v1/posts", params={"limit": 100}).headers["X-Count-DynamoDB"] == "0")

    cut_off = site.stack.start(FAMILYCORP_CACHE_URL="redis://127.0.0.1:1/0")  # Nothing listens there.
    with site.stack.client(cut_off) as elsewhere:
        eventually(lambda: client.get("/v1/posts", params={"limit": 100}).headers["X-Count-DynamoDB"] == "0")
        second = published(elsewhere)
        assert second["title"] in titles(elsewhere)
    eventually(lambda: second["title"] in titles(client))
    cut_off.kill()


# -- the database --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "suspend"])
def test_without_the_database_visitors_read_on(site: Site, client: httpx.Client, how: str) -> None:
    post, written = published(client), ok(draft(client), 201)
    form = {"name": "a", "email": "a@example.com", "subject": "b", "message": "c", "consent": True}
    match = {**EDITOR, "If-Match": f'"{written["version"]}"'}
    editor = f"/v1/editor/posts/{written['id']}"

    def ask(method: str, path: str, **request: Any) -> Callable[[], httpx.Response]:
        return lambda: client.request(method, path, **request)

    stop(site.database, how)
    for answer in all_at_once(
        ask("GET", "/v1/editor/posts", headers=EDITOR),
        ask("GET", editor, headers=EDITOR),
        ask("GET", "/v1/editor/categories", headers=EDITOR),
        ask("GET", "/v1/editor/inquiries", headers=EDITOR),
        ask("POST", f"{editor}/publish", headers=match),
        ask("POST", f"{editor}/schedule", headers=match, json={"publishAt": "2099-01-01T00:00:00Z"}),
        ask(
            "POST",
            "/v1/editor/categories",
            headers=EDITOR,
            json={"slug": "x", "name": {"ko": "x", "en": "x"}},
        ),
        ask("POST", "/v1/inquiries", json=form),
        ask("GET", f"/v1/search?q={unique()}"),
    ):
        refused(answer, "database_unavailable")
    for path in (*PUBLIC, f"/v1/posts/{post['slug']}", f"/v1/posts/{post['id']}"):
        answer = client.request("GET", path)
        assert answer.status_code == 200, path
        assert answer.headers["X-Count-SQL"] == "0"
    assert client.request("POST", f"/v1/posts/{post['id']}/views").status_code == 204
    eventually(lambda: client.request("GET", "/ready").status_code == 503)
    dependencies = client.request("GET", "/ready").json()["dependencies"]
    assert {name: dependencies[name]["status"] for name in ("database", "dynamodb")} == {
        "database": "down",
        "dynamodb": "ok",
    }

    bring_back(site.database)
    eventually(lambda: client.get(editor, headers=EDITOR).status_code == 200)
    assert read(client, written) == written  # Nothing that was refused has happened.
    assert act(client, written, "publish").status_code == 200
    assert site.stack.events(f"post:{written['id']}") == ["2 post.published"]


# -- DynamoDB ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["stop", "suspend"])
def test_without_dynamodb_cached_reads_go_on_and_nothing_is_half_accepted(site: Site, how: str) -> None:
    with site.stack.client(site.patient) as client:
        post, written = published(client), ok(draft(client), 201)
        cached = (*PUBLIC, f"/v1/posts/{post['slug']}", f"/v1/posts/{post['id']}")

        def is_cached(path: str) -> bool:
            return client.get(path).headers["X-Count-DynamoDB"] == "0"

        for path in cached:
            eventually(partial(is_cached, path))
        form = {"name": "a", "email": "a@example.com", "subject": unique(), "message": "c", "consent": True}
        match = {**EDITOR, "If-Match": f'"{written["version"]}"'}
        editor = f"/v1/editor/posts/{written['id']}"

        def ask(method: str, path: str, **request: Any) -> Callable[[], httpx.Response]:
            return lambda: client.request(method, path, **request)

        stop(site.ministack, how)
        for path in cached:
            assert client.request("GET", path).status_code == 200, path
        for answer in all_at_once(
            ask("GET", f"/v1/posts/{unique()}"),
            ask("GET", f"/v1/posts?category={unique()}"),
            ask("GET", f"/v1/feed.rss?category={unique()}"),
            ask("POST", f"/v1/posts/{post['id']}/views"),
            ask("POST", f"{editor}/publish", headers=match),
            ask("POST", "/v1/inquiries", json=form),
        ):
            refused(answer, "store_unavailable")
        for path in cached:
            assert client.request("GET", path).status_code == 200, path
        assert read(client, written) == written
        changed = ok(edit(client, written, title="고침"))  # Needs no DynamoDB, so it works.
        eventually(lambda: client.get("/ready").json()["dependencies"]["dynamodb"]["status"] == "down")

        bring_back(site.ministack)
        eventually(lambda: client.get(f"/v1/posts?category={unique()}").status_code == 200)
        listed = client.get("/v1/editor/inquiries", params={"limit": 100}, headers=EDITOR).json()["items"]
        assert form["subject"] not in [card["subject"] for card in listed]
        assert site.stack.events(f"post:{written['id']}") == []
        assert ok(client.get(editor, headers=EDITOR)) == changed
        assert act(client, changed, "publish").status_code == 200
        assert client.get(f"/v1/posts/{written['slug']}").json()["title"] == "고침"
        assert site.stack.events(f"post:{written['id']}") == ["3 post.published"]


# -- all of them ---------------------------------------------------------------------------------------------


def test_connections_that_died_meanwhile_are_replaced_unnoticed(site: Site) -> None:
    # As a function that was frozen finds them, or any process after a failover.
    with site.stack.client(site.patient) as client:
        post = published(client)
        eventually(lambda: client.get("/v1/posts").headers["X-Count-DynamoDB"] == "0")
        eventually(lambda: client.get("/v1/posts").headers["X-Count-Valkey"] == "1")  # Asked, and had it.
        time.sleep(LOCAL_S)
        others = "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()"
        for (session,) in site.stack.sql(others):
            site.stack.sql(f"KILL {session}")
        with closing(redis.Redis(port=site.valkey.port)) as valkey:
            assert valkey.client_kill_filter(_type="normal", skipme=True)

        answer = client.get("/v1/posts")
        assert (answer.headers["X-Count-Valkey"], answer.headers["X-Count-DynamoDB"]) == ("1", "0")
        for _ in range(5):
            assert read(client, post) == post


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_connection_that_valkey_reset_raises_a_connection_error(
    valkey: Valkey, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    # Lambda's runtime has the one loop, the image the other, and each raises an error of its own.
    async def ask() -> None:
        connection = cache._Connection(host="127.0.0.1", port=front.port)
        await connection.connect()  # type: ignore[no-untyped-call] # redis-py has no types for it.
        await connection.send_command("PING")
        assert await connection.read_response() == b"PONG"
        front.cut()
        await asyncio.sleep(0.1)
        with pytest.raises(redis.ConnectionError):
            await connection.send_command("PING")

    with Front(valkey.port) as front:
        run(ask())


@pytest.mark.parametrize("store", ["SQL", "DynamoDB", "Valkey"])
def test_what_was_accepted_just_before_an_outage_is_not_lost(
    site: Site, client: httpx.Client, store: str
) -> None:
    server: Server = {"SQL": site.database, "DynamoDB": site.ministack, "Valkey": site.valkey}[store]
    steps = act(client, ok(draft(client), 201), "publish").headers["X-Test-Steps"].split()
    point = steps.index(store, steps.index("commit")) + 1
    post = ok(draft(client), 201)
    headers = {**EDITOR, "If-Match": f'"{post["version"]}"', "X-Test-Signal": f"{point} STOP {server.pid}"}
    answer = client.request("POST", f"/v1/editor/posts/{post['id']}/publish", headers=headers)
    assert answer.status_code == 200, answer.text  # It is committed, so it is accepted.

    bring_back(server)
    eventually(lambda: client.get("/ready").status_code == 200)
    assert client.post("/test/run-due", params={"ahead": 61}).status_code == 200
    assert read(client, post)["state"] == "published"
    assert client.get(f"/v1/posts/{post['slug']}").json()["title"] == post["title"]
    eventually(lambda: post["title"] in titles(client))
    assert site.stack.events(f"post:{post['id']}") == ["2 post.published"]
    assert site.stack.undone() == []
    assert site.stack.sql("SELECT * FROM outbox") == []
