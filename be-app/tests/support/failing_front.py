"""A front before a server on loopback, which passes everything on until a test sets a fault."""

import asyncio
import json
import random
import re
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

from familycorp_ops.servers.process import LOOPBACK, free_port

_REQUEST = re.compile(rb"[A-Z]+ /")
_RESET = struct.pack("ii", 1, 0)
"""Closing such a socket resets its connection (SO_LINGER of socket(7))."""


class Refused(NamedTuple):
    """Connections are reset, those that are open as well as new ones: a server that crashed."""


class Hung(NamedTuple):
    """Connections are accepted, and nothing comes back."""


class Slow(NamedTuple):
    """Everything that comes back is late."""

    seconds: float


class Answered(NamedTuple):
    """HTTP requests are answered here, or a share of them."""

    status: int
    body: bytes
    content_type: str = "application/x-amz-json-1.0"
    share: float = 1.0


Fault = Refused | Hung | Slow | Answered

# As DynamoDB words them ("Error handling with DynamoDB", developer guide).
_THROTTLED = {
    "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
    "message": "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
    "provisioning level with the UpdateTable API.",
}
_FAILED = {
    "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError",
    "message": "The request processing has failed because of an unknown error, exception or failure.",
}
THROTTLED = Answered(400, json.dumps(_THROTTLED).encode())
OFTEN_THROTTLED = THROTTLED._replace(share=0.3)
FAILED = Answered(500, json.dumps(_FAILED).encode())


class Front:
    """Listens on a port of its own, for the length of the block, and passes on to `port`.

    `fault` may be set at any time; where connections lead is decided when they are opened.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = free_port()
        self._fault: Fault | None = None
        self._random = random.Random(1)
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def fault(self) -> Fault | None:
        """How it fails now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        healed = isinstance(self._fault, Hung)
        self._fault = fault
        if isinstance(fault, Refused) or healed:  # What was swallowed meanwhile is missing from what is open.
            self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in self._writers:
            _reset(writer)

    def __enter__(self) -> Self:
        self._thread.start()
        start: Coroutine[Any, Any, asyncio.Server] = asyncio.start_server(self._serve, LOOPBACK, self.port)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(120)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._fault, Refused):
            _reset(writer)
            return
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            upstream = await asyncio.open_connection(LOOPBACK, self.target)
            self._writers.add(upstream[1])
            there = asyncio.ensure_future(self._there(reader, upstream[1], writer))
            back = asyncio.ensure_future(self._back(upstream[0], writer))
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            for half in (there, back):
                half.cancel()
                with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    await half
            upstream[1].close()
            self._writers.discard(upstream[1])
        writer.close()
        self._writers.discard(writer)

    async def _there(
        self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        while chunk := await reader.read(65536):
            fault = self._fault
            if isinstance(fault, Hung):
                continue
            # A body may come apart from its head, and belongs to the request that got it.
            begins = isinstance(fault, Answered) and _REQUEST.match(chunk)
            if isinstance(fault, Answered) and begins and self._random.random() < fault.share:
                head, _, body = chunk.partition(b"\r\n\r\n")
                lengths = [h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")]
                missing = (int(lengths[0].partition(b":")[2]) if lengths else 0) - len(body)
                if missing > 0:
                    await reader.readexactly(missing)
                about = f"Content-Type: {fault.content_type}\r\nContent-Length: {len(fault.body)}"
                writer.write(f"HTTP/1.1 {fault.status} Told\r\n{about}\r\n\r\n".encode() + fault.body)
                continue
            upstream.write(chunk)
            await upstream.drain()

    async def _back(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await upstream.read(65536):
            if isinstance(self._fault, Hung):
                continue
            if isinstance(self._fault, Slow):
                await asyncio.sleep(self._fault.seconds)
            writer.write(chunk)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
