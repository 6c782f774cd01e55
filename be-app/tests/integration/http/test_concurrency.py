"""Editors, processes and threads at once: one of two wins, the other gets 412, and nothing is lost."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import cycle, islice
from typing import Any, NamedTuple

import httpx
import pytest

from app.core.read_path.read_model import SHARDS
from support.contract import edit, ok, own_category, read, unique
from support.stack import EDITOR, Application, Stack, act, draft, published

THREADS = 8
"""In each of the two processes' clients."""
ROUNDS = 3

Post = dict[str, Any]


class Pair(NamedTuple):
    """Two processes of the application on the same stores."""

    stack: Stack
    processes: tuple[Application, Application]

    def crowd(self, work: Callable[[httpx.Client, int], Any], size: int = 2 * THREADS) -> list[Any]:
        """Do work many times at once, half of it in each process; return the results."""
        barrier = threading.Barrier(size)
        with ExitStack() as opened, ThreadPoolExecutor(size) as pool:
            clients = [opened.enter_context(self.stack.client(process)) for process in self.processes]

            def run(number: int, client: httpx.Client) -> Any:
                client.get("/health")  # Connects.
                barrier.wait()
                return work(client, number)

            return list(pool.map(run, range(size), islice(cycle(clients), size)))


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "mysql"])
def pair(request: pytest.FixtureRequest, stacks: Callable[[str], Stack]) -> Pair:
    stack: Stack = stacks(request.param)
    return Pair(stack, (stack.processes[0], stack.start()))


@pytest.fixture
def client(pair: Pair) -> Iterator[httpx.Client]:
    with pair.stack.client() as client:
        yield client


def statuses(answers: list[httpx.Response]) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


def test_of_two_editors_with_the_same_version_one_wins(pair: Pair, client: httpx.Client) -> None:
    def take(step: str, post: Post, client: httpx.Client, _: int) -> httpx.Response:
        return act(client, post, step)

    def retitle(titles: list[str], post: Post, client: httpx.Client, number: int) -> httpx.Response:
        return edit(client, post, title=titles[number])

    for step in ("publish", "unpublish", "archive"):
        assert statuses(pair.crowd(partial(take, step, published(client)), 2)) == {200: 1, 412: 1}
    for _ in range(3):
        post = published(client)
        contents = [unique("제목 "), unique("제목 ")]
        answers = pair.crowd(partial(retitle, contents, post), 2)
        assert statuses(answers) == {200: 1, 412: 1}
        won = [answer.status_code for answer in answers].index(200)
        assert read(client, post)["title"] == contents[won]
        assert read(client, post)["revision"] == 2


def test_of_two_who_change_an_inquiry_or_the_categories_one_wins(pair: Pair, client: httpx.Client) -> None:
    form = {"name": "a", "email": "a@example.com", "subject": "b", "message": "c", "consent": True}
    inquiry = ok(client.post("/v1/inquiries", json=form), 201)["id"]
    answers = pair.crowd(
        lambda c, n: c.put(
            f"/v1/editor/inquiries/{inquiry}",
            json={"status": "done", "note": str(n)},
            headers={**EDITOR, "If-Match": '"1"'},
        ),
        2,
    )
    assert statuses(answers) == {200: 1, 412: 1}

    slug = own_category(client)
    tag = client.get("/v1/editor/categories", headers=EDITOR).headers["ETag"]
    answers = pair.crowd(
        lambda c, n: c.put(
            f"/v1/editor/categories/{slug}",
            json={"name": {"ko": str(n), "en": str(n)}},
            headers={**EDITOR, "If-Match": tag},
        ),
        2,
    )
    assert statuses(answers) == {200: 1, 412: 1}


def test_nothing_is_lost_when_a_crowd_works_on_one_post(pair: Pair, client: httpx.Client) -> None:
    post = ok(draft(client), 201)

    def insist(step: Callable[[Post], httpx.Response], client: httpx.Client) -> None:
        """Read and try again until nobody was faster."""
        for _ in range(500):
            answer = step(read(client, post))
            if answer.status_code == 200:
                return
            assert answer.status_code == 412, answer.text
        raise AssertionError("never got its turn")

    def work(client: httpx.Client, number: int) -> None:
        for turn in range(ROUNDS):
            title = f"{number}-{turn}"
            insist(partial(edit, client, title=title), client)
            if turn == ROUNDS - 1 or number % 4 == 0:
                insist(lambda now: act(client, now, "publish"), client)

    pair.crowd(work)
    steps = 2 * THREADS * (ROUNDS + 1) + THREADS // 2 * (ROUNDS - 1)
    final = read(client, post)
    assert final["version"] == 1 + steps
    assert final["revision"] == 1 + 2 * THREADS * ROUNDS
    history = ok(client.get(f"/v1/editor/posts/{post['id']}/revisions", headers=EDITOR))["items"]
    assert [revision["number"] for revision in history] == list(range(final["revision"], 0, -1))
    written = {f"{number}-{turn}" for number in range(2 * THREADS) for turn in range(ROUNDS)}
    assert {revision["title"] for revision in history} == {post["title"], *written}

    events = pair.stack.events(f"post:{post['id']}")
    assert len(events) == len(set(events)) == steps - 2 * THREADS * ROUNDS
    assert {event.split()[1] for event in events} == {"post.published"}
    snapshot = pair.stack.snapshot(post["id"])
    assert snapshot
    assert snapshot["version"] == int(events[-1].split()[0])
    public = history[final["revision"] - final["publishedRevision"]]
    assert snapshot["title"] == public["title"]
    for process in pair.processes:
        with pair.stack.client(process) as visitor:
            assert ok(visitor.get(f"/v1/posts/{post['slug']}"))["title"] == public["title"]
    assert pair.stack.sql("SELECT * FROM outbox") == []


def test_a_key_creates_one_post_however_often_it_is_sent(pair: Pair, client: httpx.Client) -> None:
    bodies = [
        {"lang": "ko", "category": "news", "title": unique("제목 "), "body": str(turn)} for turn in range(4)
    ]
    keys = [unique("key-") for _ in bodies]

    def create(body: dict[str, str], key: str, client: httpx.Client, _: int) -> httpx.Response:
        return client.post("/v1/editor/posts", json=body, headers={**EDITOR, "Idempotency-Key": key})

    for body, key in zip(bodies, keys, strict=True):
        answers = pair.crowd(partial(create, body, key))
        assert statuses(answers) == {201: 2 * THREADS}
        assert len({answer.json()["id"] for answer in answers}) == 1
    made = ok(client.get("/v1/editor/posts", params={"limit": 100}, headers=EDITOR))["items"]
    for body in bodies:
        assert [card["title"] for card in made].count(body["title"]) == 1


def test_a_key_keeps_one_inquiry_however_often_it_is_sent(pair: Pair, client: httpx.Client) -> None:
    subject, key = unique(), unique("key-")
    form = {"name": "a", "email": "a@example.com", "subject": subject, "message": "c", "consent": True}
    answers = pair.crowd(lambda c, _: c.post("/v1/inquiries", json=form, headers={"Idempotency-Key": key}))
    assert statuses(answers) == {201: 2 * THREADS}
    (inquiry,) = {answer.json()["id"] for answer in answers}
    listed = ok(client.get("/v1/editor/inquiries", params={"limit": 100}, headers=EDITOR))["items"]
    assert [card["id"] for card in listed if card["subject"] == subject] == [inquiry]
    assert pair.stack.events(f"inquiry:{inquiry}") == ["1 inquiry.received"]


def test_a_crowd_counts_every_view(pair: Pair, client: httpx.Client) -> None:
    post = published(client)
    answers = pair.crowd(lambda c, _: c.post(f"/v1/posts/{post['id']}/views"))
    assert statuses(answers) == {204: 2 * THREADS}
    counted = [(pair.stack.snapshot(f"{post['id']}#{n}") or {}).get("views", 0) for n in range(SHARDS)]
    assert pair.stack.counted(post["id"], "views") == 2 * THREADS
    assert max(counted) < 2 * THREADS, "one item takes them all, and would be hot"
    assert "views" not in (pair.stack.snapshot(post["id"]) or {}), "the large item is written for each view"
    ok(act(client, post, "publish"))  # A new snapshot keeps the count.
    assert ok(client.get(f"/v1/posts/{post['id']}"))["viewCount"] == 2 * THREADS
