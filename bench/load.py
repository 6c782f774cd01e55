"""A small HTTP load generator: keep-alive connections that each send the next request when an answer is complete.

Run as a process of its own: `python load.py PORT PATH CONNECTIONS SECONDS` prints the number of answers and the
seconds that they took.
"""

import asyncio
import sys
import time
from functools import partial

import uvloop


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, deadline: float, done: "asyncio.Future[int]") -> None:
        self._request = request
        self._deadline = deadline
        self._done = done
        self._missing = 0
        self._head = b""
        self._answers = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            self._head += data
            head, separator, body = self._head.partition(b"\r\n\r\n")
            if not separator:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self._fail(f"unexpected answer: {head[:80]!r}")
                return
            self._head = b""
            lines = head.lower().split(b"\r\n")
            length = next(line for line in lines if line.startswith(b"content-length:"))
            self._missing, data = int(length.split(b":")[1]), body
        self._missing -= len(data)
        if self._missing == 0:
            self._answers += 1
            if time.perf_counter() < self._deadline:
                self._transport.write(self._request)
            else:
                self._done.set_result(self._answers)
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._fail(f"connection lost: {exc}")

    def _fail(self, reason: str) -> None:
        self._done.set_exception(RuntimeError(reason))
        self._transport.close()


async def _run(port: int, path: str, connections: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    started = time.perf_counter()
    answers = []
    for _ in range(connections):
        done: asyncio.Future[int] = loop.create_future()
        connect = partial(_Connection, request, started + seconds, done)
        await loop.create_connection(connect, "127.0.0.1", port)
        answers.append(done)
    total = sum(await asyncio.gather(*answers))
    print(total, time.perf_counter() - started)


if __name__ == "__main__":
    uvloop.run(_run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
