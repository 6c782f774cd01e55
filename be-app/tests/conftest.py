"""Fixtures of the application's tests: stacks of real servers, one per database and worker."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.valkey import Valkey

sys.path.insert(0, str(Path(__file__).parent))

from stack import Stack, make_category  # noqa: E402

DATABASES = ("sqlite", "mariadb", "mysql")


@pytest.fixture(scope="session")
def stacks(
    request: pytest.FixtureRequest,
    ministack: MiniStack,
    valkey: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Stack]]:
    """Return the worker's running stack on a database, started when first asked for."""
    running: dict[str, Stack] = {}

    def get(database: str) -> Stack:
        if database not in running:
            url = None if database == "sqlite" else request.getfixturevalue(database).create_database("content")
            directory = tmp_path_factory.mktemp(database)
            stack = Stack(directory, ministack, valkey, url, DATABASES.index(database)).prepare()
            stack.start()
            with stack.client() as client:
                make_category(client, "news")
            running[database] = stack
        return running[database]

    yield get
    for stack in running.values():
        stack.close()


@pytest.fixture
def stack(stacks: Callable[[str], Stack]) -> Stack:
    """The worker's stack on SQLite."""
    return stacks("sqlite")


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    """A visitor's client of the stack on SQLite."""
    with stack.client() as client:
        yield client


@pytest.fixture(params=DATABASES)
def each_client(request: pytest.FixtureRequest, stacks: Callable[[str], Stack]) -> Iterator[httpx.Client]:
    """A client of the stack on each database in turn."""
    with stacks(request.param).client() as client:
        yield client


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Return a maker of stacks whose servers the test may stop and kill; the servers are its own, too."""
    opened: list[Stack | MiniStack | Valkey] = []

    def make(database_url: str | None = None) -> Stack:
        ministack, valkey = MiniStack(), Valkey()
        for server in (ministack, valkey):
            server.spawn()
            opened.append(server)
        for server in (ministack, valkey):
            server.wait_ready()
        stack = Stack(tmp_path, ministack, valkey, database_url).prepare()
        opened.append(stack)
        return stack

    yield make
    for thing in reversed(opened):
        thing.close()
