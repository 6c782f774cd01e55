"""Slow, endless and oversized requests to the application as it is deployed: others are served, memory is bounded.

A process of its own, served by uvicorn as `make up` and the image do. In AWS the gateway takes requests in whole and
refuses what is too large before anything of it gets here (docs/explanation/security.md); these tests are about what
is left.
"""

import gzip
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from threading import Event, Thread
from typing import Any

import httpx
import psutil
import pytest

from support.contract import PROBLEM_TYPE
from support.stack import Application, Stack, json_lines

MB = 1_000_000
FORM = b"POST /v1/inquiries HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
READ = b"GET /v1/posts?lang=ko%s HTTP/1.1\r\nHost: a\r\n%s\r\n"
ADDRESSES = (f"127.0.{number // 200}.{number % 200 + 2}" for number in count())
"""Each client has an address of its own: requests are counted by it before their body is read."""
KEPT_MB = 60
"""What a process may have grown by: its caches and the allocator's reserve, not what a request holds."""


@pytest.fixture(scope="module")
def application(stacks: Callable[[str], Stack]) -> Iterator[Application]:
    stack = stacks("sqlite")
    application = stack.start(deployed=True, FAMILYCORP_RATE_VISITORS="100000")
    yield application
    application.kill()
    stack.processes.remove(application)


@pytest.fixture
def client(application: Application) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(local_address=next(ADDRESSES))
    with httpx.Client(base_url=application.url, trust_env=False, timeout=120, transport=transport) as client:
        assert client.get("/v1/categories").status_code == 200
        yield client


def connect(application: Application) -> socket.socket:
    return socket.create_connection(("127.0.0.1", application.port), 120, (next(ADDRESSES), 0))


def served(application: Application) -> int:
    """Count the connections that the application has with clients, not those that it keeps with stores."""
    return sum(
        connection.laddr.port == application.port and connection.status != psutil.CONN_LISTEN
        for connection in psutil.Process(application.pid).net_connections("tcp")
    )


def memory_mb(application: Application) -> float:
    return float(psutil.Process(application.pid).memory_info().rss / MB)


@contextmanager
def bounded_memory(application: Application) -> Iterator[None]:
    before = memory_mb(application)
    yield
    assert memory_mb(application) - before < KEPT_MB


DRIPS: dict[str, tuple[bytes, bytes]] = {
    # How a request begins, and what is sent of it again and again, a piece each fifth of a second.
    "nothing": (b"", b""),
    "the request line": (b"GET /v1/posts?q=", b"a"),
    "a header's value": (b"GET /v1/posts HTTP/1.1\r\nHost: a\r\nX-A: ", b"a"),
    "headers": (b"GET /v1/posts HTTP/1.1\r\nHost: a\r\n", b"X-A: a\r\n"),
    "a body of declared length": (FORM + b"Content-Length: 1000000\r\n\r\n{", b" "),
    "a body in chunks": (FORM + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "an answer that is not read": (b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n", b""),
}


def test_slow_clients_keep_nobody_waiting(application: Application, client: httpx.Client) -> None:
    done = Event()
    with ExitStack() as opened, bounded_memory(application):
        slow: list[tuple[socket.socket, bytes]] = []
        for beginning, piece in DRIPS.values():
            for _ in range(40):
                connection = opened.enter_context(connect(application))
                connection.sendall(beginning)
                slow.append((connection, piece))

        def drip() -> None:
            while not done.wait(0.2):
                for connection, piece in slow:
                    with suppress(OSError):
                        connection.sendall(piece)

        dripping = Thread(target=drip)
        dripping.start()
        opened.callback(dripping.join)
        opened.callback(done.set)
        for _ in range(50):
            assert client.get("/v1/categories").status_code == 200
        assert served(application) > 5
        # Somebody who comes now is let in, too.
        assert httpx.get(f"{application.url}/v1/posts", trust_env=False, timeout=120).status_code == 200
    deadline = time.monotonic() + 120
    while served(application) > 5:
        assert time.monotonic() < deadline, "connections that clients closed stay open"
        time.sleep(0.1)


@pytest.mark.parametrize("path", ["/v1/inquiries", "/v1/auth/backchannel-logout", "/v1/auth/second-factor"])
def test_a_client_that_leaves_within_its_body_is_no_error_of_ours(
    application: Application, path: str
) -> None:
    name = f"leaving-{path.rpartition('/')[2]}"
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nX-CSRF-Protection: 1\r\nX-Request-ID: {name}\r\nContent-Length: 99"
    with connect(application) as leaving:
        leaving.sendall(head.encode() + b"\r\n\r\n{")
    deadline = time.monotonic() + 120
    lines: list[dict[str, Any]] = []
    while not any(line["message"] == "request" for line in lines):
        assert time.monotonic() < deadline, "the request has no line in the log"
        time.sleep(0.05)
        lines = [line for line in json_lines(application.log) if line.get("correlation_id") == name]
    assert [line["message"] for line in lines if line["level"] == "ERROR"] == []
    assert lines[-1]["status"] in {400, 401}


def numbered(piece: str, count: int, between: str) -> bytes:
    return between.join(piece.format(i) for i in range(count)).encode()


def read(query: bytes = b"", headers: bytes = b"") -> bytes:
    return READ % (query, headers)


def form(body: bytes, *headers: bytes) -> bytes:
    return FORM + b"".join(headers) + b"Content-Length: %d\r\n\r\n" % len(body) + body


OVERSIZED: dict[str, tuple[Callable[[], bytes], set[int]]] = {
    "a header of 64 KB": (lambda: read(headers=b"X-A: " + b"a" * 65_536 + b"\r\n"), {431}),
    "a header of 5 MB": (lambda: read(headers=b"X-A: " + b"a" * 5 * MB + b"\r\n"), {431}),
    "100,000 headers": (lambda: read(headers=numbered("X-{}: a", 100_000, "\r\n") + b"\r\n"), {431}),
    "100,000 cookies": (
        lambda: read(headers=b"Cookie: " + numbered("c{}=a", 100_000, "; ") + b"\r\n"),
        {431},
    ),
    "10,000 headers of cookies": (
        lambda: read(headers=numbered("Cookie: __Host-access=a", 10_000, "\r\n") + b"\r\n"),
        {431},
    ),
    "an access token of 1 MB": (lambda: read(headers=b"Cookie: __Host-access=" + b"e" * MB + b"\r\n"), {431}),
    "60,000 bytes of address": (lambda: read(b"&q=" + b"a" * 60_000), {414}),
    "1 MB of address": (lambda: read(b"&q=" + b"a" * MB), {400, 414}),
    "10,000 keys of a query": (lambda: read(numbered("&k{}=1", 10_000, "")[:65_000]), {414}),
    "the same key 10,000 times": (lambda: read(b"&lang=ko" * 8_000), {414}),
    "JSON 100,000 levels deep": (lambda: form(b"[" * 100_000 + b"]" * 100_000), {400, 422}),
    "JSON of 1,000,000 keys": (
        lambda: form(json.dumps({f"k{i}": 1 for i in range(1_000_000)}).encode()),
        {413},
    ),
    "JSON of as many keys as there is room for": (
        lambda: form(json.dumps({f"k{i}": 1 for i in range(75_000)}).encode()[: MB - 1] + b"}"),
        {400, 422},
    ),
    "an integer of 1,000,000 digits": (lambda: form(b'{"name": 1' + b"0" * MB + b"}"), {400, 422}),
    "a fraction of 1,000,000 digits": (lambda: form(b'{"name": 0.' + b"1" * MB + b"e-9}"), {400, 422}),
    "a gzip bomb": (
        lambda: form(gzip.compress(bytes(200 * MB)), b"Content-Encoding: gzip\r\n"),
        {400, 415, 422},
    ),
    "10 MB of body": (lambda: form(b" " * 10 * MB), {413}),
}


@pytest.mark.parametrize("name", OVERSIZED)
def test_an_oversized_request_is_answered_soon_and_leaves_nothing(
    application: Application, client: httpx.Client, name: str
) -> None:
    make, expected = OVERSIZED[name]
    request = make()
    busy, logged = psutil.Process(application.pid).cpu_times(), application.log.stat().st_size
    with bounded_memory(application), connect(application) as connection:
        with suppress(
            ConnectionError
        ):  # The answer may precede the end of the request, and the connection may then be closed.
            connection.sendall(request)
        status, head = answer(connection)
        assert status in expected, head
    after = psutil.Process(application.pid).cpu_times()
    assert after.user + after.system - busy.user - busy.system < 3
    if status >= 400 and b"Invalid HTTP" not in head:
        assert PROBLEM_TYPE.encode() in head
    assert client.get("/v1/categories").status_code == 200
    assert b'"level":"ERROR"' not in application.log.read_bytes()[logged:]


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """Return the status and the beginning of an answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65_536)
        assert part, received
        received += part
    found = re.match(rb"HTTP/1.1 (\d{3}) ", received)
    assert found, received
    return int(found[1]), received[:4000]


ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "a body of 10 GB": (FORM + b"Content-Length: 10000000000\r\n\r\n", b" " * 65_536),
    "a body without an end": (
        FORM + b"Transfer-Encoding: chunked\r\n\r\n",
        b"10000\r\n" + b" " * 65_536 + b"\r\n",
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_body_without_an_end_is_refused_when_it_is_too_large(
    application: Application, client: httpx.Client, name: str
) -> None:
    beginning, piece = ENDLESS[name]
    with bounded_memory(application), connect(application) as connection:
        connection.sendall(beginning)
        with suppress(ConnectionError, TimeoutError):
            for _ in range(200 * MB // len(piece)):
                connection.sendall(piece)
        assert answer(connection)[0] == 413
    assert client.get("/v1/categories").status_code == 200
