"""Scheduled posts appear at their time, once, without anyone calling; and an idle minute asks nothing."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from familycorp_ops.servers.process import Process
from support.contract import ok, read
from support.stack import Stack, act, draft, make_unrenderable

FAR = "2099-01-01T00:00:00Z"

Post = dict[str, Any]

IDLE_MINUTE = """
import asyncio, sys
from app.functions import drain as jobs
from app.core.aws import clients as aws

calls = []
aws.client("dynamodb").meta.events.register(
    "before-send.dynamodb", lambda request, **_: calls.append(request.headers["X-Amz-Target"].decode())
)
assert asyncio.run(jobs.run_due()) is False
assert calls == ["DynamoDB_20120810.Query"], calls
loaded = {"sqlalchemy", "aiosqlite", "aiomysql", "redis"} & set(sys.modules)
assert not loaded, loaded
"""


@pytest.fixture(scope="module")
def stack(own_stack: Stack) -> Stack:
    return own_stack


@contextmanager
def workers(stack: Stack, number: int = 1) -> Iterator[list[Process]]:
    """Run the worker, which is the scheduler on a developer's machine."""
    with ExitStack() as running:
        programs = [stack.program("-m", "app.functions.worker") for _ in range(number)]
        for program in programs:
            running.enter_context(program)
        yield programs
        assert all(program.running for program in programs), programs[0].tail()


def scheduled(client: httpx.Client, at: datetime | str, post: Post | None = None) -> Post:
    """Schedule a post, by default a new one."""
    when = at if isinstance(at, str) else at.isoformat()
    found: Post = ok(act(client, post or ok(draft(client), 201), "schedule", {"publishAt": when}))
    return found


def seconds_from_now(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def wait_until(at: datetime) -> None:
    time.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))


def appears(client: httpx.Client, post: Post) -> datetime:
    """Wait until visitors can read a post; return when that was."""
    deadline = time.monotonic() + 120
    while client.get(f"/v1/posts/{post['id']}").status_code == 404:
        assert time.monotonic() < deadline, "the post never appeared"
        time.sleep(0.02)
    return datetime.now(UTC)


def test_a_scheduled_post_appears_at_its_time(stack: Stack, client: httpx.Client) -> None:
    with workers(stack):
        at = seconds_from_now(5)
        post = scheduled(client, at)
        assert appears(client, post) >= at
    page = ok(client.get(f"/v1/posts/{post['slug']}"))
    assert datetime.fromisoformat(page["publishedAt"]) == at
    listed = ok(client.get("/v1/posts", params={"limit": 100}))["items"]
    assert post["id"] in [card["id"] for card in listed]
    assert stack.events(f"post:{post['id']}") == ["3 post.published"]


def test_a_post_whose_time_came_while_nobody_worked_appears_afterwards(
    stack: Stack, client: httpx.Client
) -> None:
    at = seconds_from_now(4)
    post = scheduled(client, at)
    wait_until(at)
    assert client.get(f"/v1/posts/{post['id']}").status_code == 404
    with workers(stack):
        appears(client, post)
    assert stack.events(f"post:{post['id']}") == ["3 post.published"]


def test_what_was_scheduled_otherwise_or_no_more_does_not_appear(stack: Stack, client: httpx.Client) -> None:
    at = seconds_from_now(10)
    later, withdrawn, early, kept = (scheduled(client, at) for _ in range(4))
    later = scheduled(client, FAR, later)
    ok(act(client, withdrawn, "unpublish"))
    ok(act(client, early, "publish"))
    assert appears(client, early) < at
    with workers(stack):
        appears(client, kept)
        wait_until(at + timedelta(seconds=1.5))  # The workers have looked again.
    assert read(client, later)["state"] == "scheduled"
    assert read(client, withdrawn)["state"] == "draft"
    for post in (later, withdrawn):
        assert client.get(f"/v1/posts/{post['id']}").status_code == 404
        assert stack.events(f"post:{post['id']}") == []
    assert stack.events(f"post:{early['id']}") == ["3 post.published"]
    assert stack.events(f"post:{kept['id']}") == ["3 post.published"]
    due = datetime.now(UTC).isoformat()
    assert [marker for marker in stack.items("due") if marker["sequence"] <= due] == []


def test_a_post_that_cannot_be_rendered_keeps_no_other_back(stack: Stack, client: httpx.Client) -> None:
    at = seconds_from_now(6)
    stuck, kept = scheduled(client, at), scheduled(client, at)
    make_unrenderable(stack, stuck)
    with workers(stack) as (worker,):
        appears(client, kept)
    assert "post_stuck" in worker.log.read_text()
    assert read(client, stuck)["state"] == "scheduled"
    assert client.get(f"/v1/posts/{stuck['id']}").status_code == 404


def test_two_workers_publish_a_post_once(stack: Stack, client: httpx.Client) -> None:
    at = seconds_from_now(10)
    posts = [scheduled(client, at) for _ in range(6)]
    with workers(stack, 2):
        for post in posts:
            appears(client, post)
        wait_until(at + timedelta(seconds=1.5))
    for post in posts:
        assert read(client, post)["version"] == 3
        assert stack.events(f"post:{post['id']}") == ["3 post.published"]


def on_its_way(marker: dict[str, Any]) -> bool:
    """Return whether a marker is of work that was begun; that of the day's end is always there."""
    due: str = marker["sequence"]
    return due < FAR[:10] and not due.endswith("#day-end")


def test_an_idle_minute_asks_dynamodb_once_and_nothing_else(stack: Stack, client: httpx.Client) -> None:
    scheduled(client, FAR)  # That something is due one day makes no difference.
    deadline = time.monotonic() + 120
    while left := list(filter(on_its_way, stack.items("due"))):
        assert time.monotonic() < deadline, left
        client.post("/test/run-due", params={"ahead": 61})
    # Executed, not forked: what it imports counts.
    executed = {
        "PYTHONHASHSEED": "0",
        "FAMILYCORP_DATABASE_URL": "mysql+aiomysql://nobody@127.0.0.1:1/nothing",
    }
    stack.run("-c", IDLE_MINUTE, **executed)
