"""Two runs at once: of migrations the second waits or names the first, and drains may run side by side.

Lambda reserves no concurrency for either, because a new account has none to spare.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.core.aws import dynamodb
from familycorp_ops.servers.process import Process
from support.stack import Stack, act, draft, make_category

DATABASES = ("sqlite", "mariadb", "mysql")
SERVERS = ("mariadb", "mysql")

HALTED = """
import pathlib, sys, time
from alembic import op
from app.functions.migrations import upgrade

reached, go, create = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), op.create_table

def create_table(*arguments, **options):
    reached.touch()
    while not go.exists():
        time.sleep(0.02)
    return create(*arguments, **options)

op.create_table = create_table
upgrade()
"""
"""A migration that stops before its first table until a file is there."""

SECOND = """
import logging, sys
logging.basicConfig(level="INFO", stream=sys.stdout)
from app.functions import migrations
migrations.LOCK_WAIT_S = int(sys.argv[1])
migrations.handler({}, None)
"""
"""The migration function's program."""

DRAIN = """
import asyncio, pathlib, sys, time
from app.functions import drain as jobs
from app.core.write_path import outbox
from app.posts.publication import scheduler

deliver, publish = outbox._deliver_all, scheduler.publish

async def meet(step):
    mine, other = (pathlib.Path(f"{place}-{step}") for place in sys.argv[1:])
    mine.touch()
    while not other.exists():
        await asyncio.sleep(0.01)

async def deliver_all(rows, stuck):
    await meet("deliver")  # Both have read the same rows before either delivers one.
    return await deliver(rows, stuck)

async def publish_both(*arguments, **options):
    await meet("publish")  # Both have found the same post due before either publishes it.
    await publish(*arguments, **options)

outbox._deliver_all, scheduler.publish = deliver_all, publish_both
jobs.handler({}, None)
"""
"""The scheduler's program, which waits at two points for another one."""


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 300
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Pair:
    """A migration that was halted half-way, on an empty database, and the way to start another."""

    def __init__(self, stack: Stack, url: str, directory: Path) -> None:
        self.stack, self.url, self.go = stack, url, directory / "go"
        self.programs: list[Process] = []
        reached = directory / "reached"
        self.first = self.program(HALTED, str(reached), str(self.go))
        self.first.spawn()
        wait_for(reached.exists)

    def program(self, script: str, *arguments: str) -> Process:
        program = self.stack.program("-c", script, *arguments, FAMILYCORP_DATABASE_URL=self.url)
        program.log = self.go.with_name(f"{time.monotonic_ns()}.log")
        self.programs.append(program)
        return program

    def second(self, wait_s: int) -> Process:
        program = self.program(SECOND, str(wait_s))
        program.spawn()
        return program


@pytest.fixture(params=DATABASES)
def pair(request: pytest.FixtureRequest, stacks: Callable[[str], Stack], tmp_path: Path) -> Iterator[Pair]:
    url = f"sqlite+aiosqlite:///{tmp_path}/migrated.db"
    if request.param in SERVERS:
        url = request.getfixturevalue(request.param).create_database("migrated")
    made = Pair(stacks(request.param), url, tmp_path)
    yield made
    for program in made.programs:
        program.kill()


def test_of_two_migrations_at_once_the_second_waits_and_finds_nothing_to_do(pair: Pair) -> None:
    second = pair.second(60)
    wait_for(lambda: "migration_lock_awaited" in second.tail(40) or not second.running)
    assert second.running, second.tail(40)
    pair.go.touch()
    assert pair.first.wait(300) == 0, pair.first.tail(40)
    assert second.wait(300) == 0, second.tail(40)
    # A third one meets no lock that was left behind.
    third = pair.second(0)
    assert third.wait(300) == 0, third.tail(40)
    assert "migration_lock_awaited" not in third.tail(40)


def test_a_migration_that_another_one_keeps_waiting_says_who_runs(pair: Pair) -> None:
    second = pair.second(0)
    assert second.wait(300) != 0
    server = not pair.url.startswith("sqlite")
    by = r"by \w+ from [\w.:]+ on connection \d+" if server else "by another process on this machine"
    told = rf"MigrationRunningError: Another migration of this database is running {by}\. Wait until it ends"
    assert re.search(told, second.tail(80)), second.tail(40)
    pair.go.touch()
    assert pair.first.wait(300) == 0, pair.first.tail(40)


@pytest.mark.timeout(400)  # It starts a server, a stack and two functions of its own.
@pytest.mark.parametrize("database", SERVERS)
def test_two_drains_at_once_deliver_everything_once_and_in_order(
    new_stack: Callable[[str], Stack], database: str, tmp_path: Path
) -> None:
    """Decision 0002: each finds the same outbox, and neither waits for the other."""
    stack = new_stack(database)
    stack.start()
    with stack.client() as client:
        make_category(client, "news")
        post = act(client, draft(client).json(), "schedule", {"publishAt": "2099-01-01T00:00:00Z"}).json()
    # Its time has come, and a process that died left changes of other posts behind.
    past = datetime.now(UTC) - timedelta(seconds=5)
    stack.sql("UPDATE posts SET scheduled_at = :past", past=past.replace(tzinfo=None))
    stack.sql(
        "INSERT INTO outbox (aggregate, version, kind, data, snapshot, correlation_id) VALUES "
        + ", ".join(
            f"('test:{number}', {version}, 'test.owed', '{{}}', "
            f"JSON_OBJECT('key', 'owed-{number}', 'attributes', JSON_OBJECT('title', '{version}'), "
            "'absent', JSON_ARRAY()), 'test')"
            for version in (1, 2)
            for number in range(60)
        )
    )
    marker = dynamodb.encode({"aggregate": "due", "sequence": f"{past.isoformat()[:26]}Z#test"})
    stack.dynamodb.put_item(TableName=stack.settings.events_table, Item=marker)
    places = [tmp_path / "one", tmp_path / "other"]
    with ExitStack() as running:
        drains = [stack.program("-c", DRAIN, *map(str, pair)) for pair in (places, places[::-1])]
        for number, drain in enumerate(drains):
            drain.log = tmp_path / f"{number}.log"
            drain.spawn()
            running.callback(drain.kill)
        assert [drain.wait(300) for drain in drains] == [0, 0], [drain.tail(20) for drain in drains]
    assert stack.sql("SELECT * FROM outbox") == []
    for number in range(60):
        assert stack.events(f"test:{number}") == ["1 test.owed", "2 test.owed"]
        snapshot = stack.snapshot(f"owed-{number}")
        assert snapshot is not None
        assert (snapshot["title"], snapshot["version"]) == ("2", 2)
    assert stack.events(f"post:{post['id']}") == ["3 post.published"]
    due = datetime.now(UTC).isoformat()
    assert [item for item in stack.items("due") if item["sequence"] <= due] == []
