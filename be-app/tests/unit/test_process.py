"""What a process keeps: made once, closed once, made again after that."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from app.core.process import Process


def test_each_is_made_once_however_many_threads_ask_at_once() -> None:
    process, made, start = Process(), list[str](), Barrier(8)

    @process.keeps
    def client(service: str) -> object:
        made.append(service)
        return object()

    def ask(_: int) -> object:
        start.wait()
        return client("s3")

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1
    assert made == ["s3"]
    assert client("sns") is not client("s3")


def test_connections_are_closed_with_their_loop_and_the_rest_at_the_end() -> None:
    process, closed = Process(), list[str]()

    async def disconnect(what: str) -> None:
        closed.append(what)

    @process.connects(disconnect)
    def engine() -> str:
        return "engine"

    @process.connects(disconnect)
    def cache() -> str:
        return "cache"

    @process.closes(closed.append)
    def pool() -> str:
        return "pool"

    @process.keeps
    def memory() -> dict[str, int]:
        return {}

    asyncio.run(process.close())
    assert closed == []  # Nothing was opened.

    memory()["seen"] = 1
    assert (engine(), pool(), cache()) == ("engine", "pool", "cache")
    assert len(process.connected()) == 2
    asyncio.run(process.disconnect())
    assert (closed, process.connected()) == (["cache", "engine"], [])
    asyncio.run(process.disconnect())
    assert len(closed) == 2
    assert memory() == {"seen": 1}

    engine()
    asyncio.run(process.close())
    assert closed[2:] == ["engine", "pool"]
    assert memory() == {}


def test_a_connection_that_cannot_be_closed_keeps_no_other_open() -> None:
    process, closed = Process(), list[str]()

    async def disconnect(what: str) -> None:
        closed.append(what)
        raise OSError(what)

    @process.connects(disconnect)
    def opened(name: str) -> str:
        return name

    opened("a"), opened("b")
    with pytest.raises(OSError, match="a"):
        asyncio.run(process.disconnect())
    assert closed == ["b", "a"]
    assert process.connected() == []
