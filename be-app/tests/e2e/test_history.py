"""A random history of editors and visitors in two processes, one of which dies now and then.

It is held against docs/backend.md: who publishes sees it at once in that process, everybody within a second more
than the cache's lifetime; what a reader sees of a post never goes back; what was withdrawn stays so. `HOLDS_SEED`
repeats a history.
"""

import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import psutil

from support.contract import edit, read
from support.long_runs import SECONDS
from support.stack import EDITOR, Stack, act, make_category, published

SEED = int(os.environ.get("HOLDS_SEED", "0")) or random.SystemRandom().randrange(10**6)
TTL_S = 1
STALE_S = TTL_S + 1 + 1.5
"""An answer's lifetime in Valkey and in the process, and slack for a busy machine."""
GONE = 0


def title_number(answer: httpx.Response) -> int:
    """Return the number that a public answer's title carries; a post that isn't there has none."""
    return int(answer.json()["title"]) if answer.status_code == 200 else GONE


class Story:
    """A post, the processes that serve it, and what became of both."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.chance = stack, random.Random(SEED)
        self.sound, self.mortal = stack.start(), stack.start(respawns=True)
        with stack.client(self.sound) as client:
            make_category(client, "news")
            self.post = published(client, title="1")
        # What was public from when on, as the database says; about the time of an entry either may be seen.
        self.history: list[tuple[float, int]] = [(time.monotonic(), 1)]
        self.seen: list[list[tuple[float, int]]] = [[], []]
        self.done = threading.Event()

    @property
    def path(self) -> str:
        return f"/v1/posts/{self.post['slug']}"

    def look(self, reader: int) -> None:
        """Read all the time, in one process."""
        with self.stack.client((self.sound, self.mortal)[reader]) as visitor:
            while not self.done.wait(0.02):
                with suppress(httpx.TransportError):
                    asked = time.monotonic()
                    answer = visitor.get(self.path)
                    if answer.status_code in {200, 404}:
                        self.seen[reader].append((asked, title_number(answer)))

    def step(self, number: int) -> None:
        """Publish something new or withdraw the post, in a process that may die; note what became public."""
        process, killer = self.chance.choice((self.sound, self.mortal)), None
        if process is self.mortal and self.chance.random() < 0.5:
            (child,) = psutil.Process(process.pid).children()
            killer = threading.Timer(self.chance.uniform(0, 0.08), child.kill)
            killer.start()
        with self.stack.client(process) as editor, suppress(httpx.TransportError):
            now, public = read(editor, self.post), GONE
            if self.chance.random() < 0.7:
                changed = edit(editor, now, title=str(number))
                assert changed.status_code == 200, changed.text
                answer, public = act(editor, changed.json(), "publish"), number
            else:
                answer = act(editor, now, "unpublish")
            assert answer.status_code in {200, 409}, answer.text
            # Who withdraws what is withdrawn changes nothing, and may see for a second what another process withdrew.
            if answer.status_code == 200 and (public or now["state"] == "published"):
                assert title_number(editor.get(self.path)) == public, SEED
        with self.stack.client(self.sound) as client:
            if killer:
                killer.join()
                # The scheduler runs.
                assert client.post("/test/run-due", params={"ahead": 61}).status_code == 200
            now, public = read(client, self.post), GONE
            if now["state"] == "published":
                path = f"/v1/editor/posts/{now['id']}/revisions/{now['publishedRevision']}"
                public = int(client.get(path, headers=EDITOR).json()["title"])
        if self.history[-1][1] != public:
            self.history.append((time.monotonic(), public))

    def check(self) -> None:
        """Hold what readers saw against what was public."""
        ends = [at for at, _ in self.history[1:]] + [time.monotonic()]
        for seen in self.seen:
            assert len(seen) > 20
            for asked, number in seen:
                until = [end for end, (_, public) in zip(ends, self.history, strict=True) if public == number]
                assert until, (number, self.history, SEED)
                assert max(until) >= asked - STALE_S, (asked, number, self.history, SEED)
            numbers = [number for _, number in seen if number != GONE]
            assert numbers == sorted(numbers), (numbers, SEED)


def test_no_reader_sees_a_broken_promise(new_stack: Callable[..., Stack]) -> None:
    print(f"HOLDS_SEED={SEED}")
    story = Story(new_stack("sqlite", CACHE_TTL_S=str(TTL_S)))
    readers = [threading.Thread(target=story.look, args=(n,)) for n in range(2)]
    for reader in readers:
        reader.start()
    number, deadline = 1, time.monotonic() + (60 if SECONDS else 8)
    try:
        while time.monotonic() < deadline or len(story.history) < 6:
            number += 1
            story.step(number)
            time.sleep(story.chance.uniform(0, 0.3))
    finally:
        story.done.set()
        for reader in readers:
            reader.join()
    story.check()
    time.sleep(STALE_S)
    for process in (story.sound, story.mortal):
        with story.stack.client(process) as client:
            assert title_number(client.get(story.path)) == story.history[-1][1], SEED
    assert story.stack.sql("SELECT * FROM outbox") == []
