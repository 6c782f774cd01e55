"""Fixtures of the application's tests: stacks of real servers, one per database and worker."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import Person as Account
from familycorp_ops.servers.valkey import Valkey
from support.stack import Stack, make_category
from support.staff import Person, at_browser

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
            url = (
                None if database == "sqlite" else request.getfixturevalue(database).create_database("content")
            )
            directory = tmp_path_factory.mktemp(database)
            stack = Stack(directory, ministack, valkey, url).prepare()
            stack.start()
            with stack.client() as client:
                make_category(client, "news")
            running[database] = stack
        return running[database]

    yield get
    for stack in running.values():
        stack.close()


@pytest.fixture(scope="session")
def staff_stack(
    ministack: MiniStack, valkey: Valkey, nanoidp: NanoIDP, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The worker's stack on SQLite that people log in to, through NanoIDP."""
    directory = tmp_path_factory.mktemp("staff")
    with Stack(directory, ministack, valkey, provider=nanoidp) as stack:
        stack.prepare().start()
        with stack.client() as client:
            make_category(client, "news")
        yield stack


@pytest.fixture
def somebody(staff_stack: Stack, nanoidp: NanoIDP) -> Iterator[Callable[..., Person]]:
    """Return a maker of people whom nobody knows yet, each at a browser: `somebody("editors")`."""
    with ExitStack() as opened:

        def make(*groups: str) -> Person:
            name = f"p{uuid.uuid4().hex[:10]}"
            nanoidp.admit(Account(name, name, f"이름 {name}", f"{name}@familycorp.example", groups))
            return opened.enter_context(at_browser(staff_stack, name))

        yield make


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
def each_stack(request: pytest.FixtureRequest, stacks: Callable[[str], Stack]) -> Stack:
    """The worker's stack on each database in turn."""
    return stacks(request.param)


@pytest.fixture
def each_client(each_stack: Stack) -> Iterator[httpx.Client]:
    """A client of the stack on each database in turn."""
    with each_stack.client() as client:
        yield client


@pytest.fixture(scope="module")
def new_stack(
    request: pytest.FixtureRequest,
    ministack: MiniStack,
    valkey: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Stack]]:
    """Return a maker of stacks on a database that one test module has to itself; the servers are shared."""
    made: list[Stack] = []

    def make(database: str, **settings: Any) -> Stack:
        server = None if database == "sqlite" else request.getfixturevalue(database)
        url = server and server.create_database(f"stack_{uuid.uuid4().hex[:8]}")
        directory = tmp_path_factory.mktemp(database)
        made.append(Stack(directory, ministack, valkey, url, **settings).prepare())
        return made[-1]

    yield make
    for stack in made:
        stack.close()


@pytest.fixture(scope="module")
def own_stack(new_stack: Callable[..., Stack]) -> Stack:
    """A stack on SQLite that one test module has to itself, running."""
    stack = new_stack("sqlite")
    stack.start()
    with stack.client() as client:
        make_category(client, "news")
    return stack
