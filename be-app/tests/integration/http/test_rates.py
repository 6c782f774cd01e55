"""Rate limits: exact across processes, reported in headers, and never a reason to be down."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
import redis

from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.process import clean_environment
from familycorp_ops.servers.valkey import Valkey
from support.contract import ok, problem
from support.stack import BE_APP, Stack

VISITORS, STAFF = 40, 60
EDITOR = {"X-Test-Subject": "ed"}

MANY = """
import asyncio, json, sys, time
from app.core.read_path import cache; from app.core.rate_limits import gcra as rates
from app.core.http.problems import TooManyRequests

# So slow to come back that nothing does meanwhile.
RATE = rates.Rate("test", 100, 1_000_000)

async def ask():
    try:
        await rates.count({}, RATE, "somebody", 1)
    except TooManyRequests:
        return 0
    return 1

async def run():
    # On a busy machine an answer may come late; asked again, it would be counted twice.
    cache.client().connection_pool.connection_kwargs.update(socket_timeout=10, socket_connect_timeout=10)
    await cache.ping()
    time.sleep(max(0, float(sys.argv[1]) - time.time()))
    together = await asyncio.gather(*(ask() for _ in range(25)))
    return sum(together) + sum([await ask() for _ in range(25)])

print(json.dumps(asyncio.run(run())))
"""


def unread() -> str:
    """Return the address of a page that no cache holds."""
    return f"/v1/posts/{uuid.uuid4()}"


def until_refused(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until the answer is 429, and return that; on a slow machine units come back meanwhile."""
    for _ in range(4 * STAFF):
        if (answer := ask()).status_code == 429:
            return answer
    pytest.fail("nothing was refused")


@pytest.fixture(scope="module")
def stack(new_stack: Callable[..., Stack]) -> Stack:
    stack = new_stack("sqlite", RATE_VISITORS=str(VISITORS), RATE_STAFF=str(STAFF))
    stack.start(TEST_LIMITS="1")
    return stack


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with redis.Redis.from_url(stack.cache_url) as valkey:
        valkey.flushdb()  # All counters are empty again.
    with stack.client() as client:
        yield client


def test_eight_processes_let_pass_exactly_what_one_may_ask(stack: Stack, client: httpx.Client) -> None:
    environment = clean_environment(**CREDENTIALS, **stack.environment)
    start = str(time.time() + 4)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, start],
            cwd=BE_APP,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    allowed = [json.loads(process.communicate(timeout=300)[0].splitlines()[-1]) for process in processes]
    assert sum(allowed) == 100, allowed


def test_a_visitor_reads_the_remaining_quota_and_then_when_to_retry(client: httpx.Client) -> None:
    for left in range(VISITORS - 1, -1, -1):
        answer = client.get(unread())
        assert answer.status_code == 404, answer.text
        assert answer.headers["ratelimit-policy"] == f'"visitors";q={VISITORS};w=60'
        name, r, t = answer.headers["ratelimit"].split(";")
        # What has come back since the first request is there again.
        assert name == '"visitors"'
        assert left <= int(r.removeprefix("r=")) < VISITORS
        assert 0 < int(t.removeprefix("t=")) <= 60
        if int(r.removeprefix("r=")) == 0:
            break
    while (answer := client.get(unread())).status_code == 404:
        pass
    problem(answer, 429, "rate_limited")
    assert answer.headers["ratelimit"].startswith('"visitors";r=0;t=')
    wait = int(answer.headers["retry-after"])
    assert 1 <= wait <= 3
    time.sleep(wait)
    assert client.get(unread()).status_code == 404


def test_work_that_costs_more_counts_for_more(client: httpx.Client) -> None:
    def left(answer: httpx.Response) -> int:
        return int(answer.headers["ratelimit"].split(";")[1].removeprefix("r="))

    first = left(client.get(unread()))
    assert left(client.get("/v1/search?q=anything&lang=ko")) in range(first - 5, first - 3)
    assert left(client.get(unread())) in range(first - 6, first - 4)


def test_what_the_cache_answers_is_not_counted(client: httpx.Client) -> None:
    ok(client.get("/v1/categories"))
    for _ in range(2 * VISITORS):
        answer = client.get("/v1/categories")
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
    assert client.get("/health").status_code == 200


def test_staff_are_counted_by_member_not_by_address(client: httpx.Client) -> None:
    while client.get(unread()).status_code != 429:
        pass
    answer = client.get("/v1/editor/posts", headers=EDITOR)
    assert answer.headers["ratelimit-policy"] == f'"staff";q={STAFF};w=60'
    problem(until_refused(lambda: client.get("/v1/editor/posts", headers=EDITOR)), 429, "rate_limited")
    assert client.get("/v1/editor/posts", headers={"X-Test-Subject": "another"}).status_code == 200


def test_made_up_tokens_are_counted_by_address(client: httpx.Client) -> None:
    cookie = {"Cookie": "__Host-access=made-up"}
    assert client.get("/v1/editor/posts", headers=cookie).status_code == 401
    until_refused(lambda: client.get("/v1/editor/posts", headers=cookie))


def test_a_client_cant_choose_its_address(client: httpx.Client) -> None:
    numbers = count()

    def ask() -> httpx.Response:
        claimed = f"203.0.113.{next(numbers)}"
        return client.get(unread(), headers={"X-Forwarded-For": claimed, "Forwarded": f"for={claimed}"})

    until_refused(ask)


def test_without_valkey_each_process_counts_for_itself(ministack: MiniStack, tmp_path: Path) -> None:
    own = Valkey()
    with own, Stack(tmp_path, ministack, own, RATE_VISITORS=str(VISITORS)) as stack:
        stack.prepare().start(TEST_LIMITS="1")
        with stack.client() as client:
            assert client.get(unread()).status_code == 404
            own.kill()
            assert client.get(unread()).status_code == 404, "a visitor is answered nevertheless"
            until_refused(lambda: client.get(unread()))  # Nothing is without limits.
            assert client.get("/v1/editor/posts", headers=EDITOR).status_code == 200
        assert '"cache_unavailable"' in stack.logs()
