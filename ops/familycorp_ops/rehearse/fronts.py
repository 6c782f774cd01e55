"""What stands before the real servers, so that a function finds what it would find in AWS.

Aurora asks for an IAM token inside TLS, ElastiCache and the login provider speak TLS under a name of their own. The
open servers on loopback do neither, so each gets a front: it ends TLS with a certificate of the rehearsal's authority
and hands on what it reads, unchanged. Only the database's takes part in the conversation: it asks for the token, and
then logs in at the real server as the same user.

Of a token everything is checked but its signature, which AWS alone can verify.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from familycorp_ops.servers.process import LOOPBACK

_CHUNK: Final = 65_536

# MySQL's protocol: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
_CONNECT_WITH_DB: Final = 0x8
_PROTOCOL_41: Final = 0x200
_SSL: Final = 0x800
_SECURE_CONNECTION: Final = 0x8000
_PLUGIN_AUTH: Final = 0x80000
_CONNECT_ATTRIBUTES: Final = 0x100000
_LENGTH_ENCODED: Final = 0x200000
_SERVER: Final = 0x0000_A70D | _SSL | _SECURE_CONNECTION | _PLUGIN_AUTH | _LENGTH_ENCODED | _PROTOCOL_41
_CLEAR: Final = b"mysql_clear_password"
_SSL_REQUEST: Final = 32
_DENIED: Final = b"\xff\x15\x04#28000Access denied"


@dataclass(frozen=True)
class Front:
    """A name of the outside world, and the server on loopback that stands in for it.

    Args:
        address: loopback address on which it listens.
        port: where it listens; that of the real service.
        target: port of the server on 127.0.0.1.
        endpoint: `host:port` that a token must be made for, where it speaks MySQL; else nothing is looked at.
    """

    address: str
    port: int
    target: int
    endpoint: Callable[[], str] | None = None


class Fronts:
    """Fronts that listen for the length of the block, in a thread of their own.

    Args:
        context: certificate and key.
        fronts: what to listen for.
    """

    def __init__(self, context: ssl.SSLContext, *fronts: Front) -> None:
        self._context, self._fronts = context, fronts
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fronts", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Future[None]] = set()
        self.logins: list[str] = []
        """Database users that showed a valid token."""
        self.refused: list[str] = []
        """Why others were sent away."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen()).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._call(self._close()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, work: Awaitable[None]) -> "Future[None]":
        async def run() -> None:
            await work

        return asyncio.run_coroutine_threadsafe(run(), self._loop)

    async def _listen(self) -> None:
        for front in self._fronts:
            if front.endpoint is None:
                server = await asyncio.start_server(
                    self._served(front, self._relay), front.address, front.port, ssl=self._context
                )
                self._servers.append(server)
            else:
                listening = socket.create_server((front.address, front.port))
                listening.setblocking(False)
                self._tasks.add(asyncio.ensure_future(self._accept(front, listening)))

    def _served(
        self,
        front: Front,
        speak: Callable[[Front, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Either side may go away at any moment; the other learns it by the end of its connection.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await speak(front, reader, writer)
            writer.close()

        return serve

    async def _accept(self, front: Front, listening: socket.socket) -> None:
        with listening:
            while True:
                connection, _ = await self._loop.sock_accept(listening)
                task = asyncio.ensure_future(self._greet(front, connection))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _greet(self, front: Front, connection: socket.socket) -> None:
        """Speak MySQL in the clear until the client asks for TLS, then go on inside it.

        On the bare socket, because a stream would have read the beginning of the TLS handshake already.
        """
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.ExitStack() as opened:
            opened.callback(connection.close)
            salt = b"a" * 8 + b"\0"
            greeting = b"\x0a8.0.0-front\0" + b"\1\0\0\0" + salt + (_SERVER & 0xFFFF).to_bytes(2, "little")
            greeting += b"\x2d\2\0" + (_SERVER >> 16).to_bytes(2, "little") + b"\x15" + b"\0" * 10
            greeting += b"a" * 12 + b"\0" + b"mysql_native_password\0"
            await self._loop.sock_sendall(connection, _framed(0, greeting))
            length = int.from_bytes((await self._exactly(connection, 4))[:3], "little")
            if length != _SSL_REQUEST:
                self.refused.append("a connection without TLS")  # Aurora's users are made with REQUIRE SSL.
                await self._loop.sock_sendall(connection, _framed(2, _DENIED))
                return
            await self._exactly(connection, length)
            opened.pop_all()  # From here on it is the transport's.
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._context
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
            await self._served(front, self._authenticate)(reader, writer)

    async def _exactly(self, connection: socket.socket, length: int) -> bytes:
        content = b""
        while len(content) < length:
            more = await self._loop.sock_recv(connection, length - len(content))
            if not more:
                raise ConnectionResetError
            content += more
        return content

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _relay(self, front: Front, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(LOOPBACK, front.target)
        await _both_ways(reader, writer, there_reader, there_writer)

    async def _authenticate(
        self, front: Front, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Do MySQL's connection phase with both sides, then hand on what they say."""
        there_reader, there_writer = await asyncio.open_connection(LOOPBACK, front.target)
        try:
            await _packet(there_reader)
            hello = await _packet(reader)
            user, database, flags = _hello(hello)
            _send(writer, 3, b"\xfe" + _CLEAR + b"\0")
            token = (await _packet(reader)).rstrip(b"\0").decode()
            assert front.endpoint is not None  # noqa: S101 - this is the front of a database.
            problem = _problem(token, front.endpoint(), user)
            if problem:
                self.refused.append(f"{user}: {problem}")
                _send(writer, 5, _DENIED)
                return
            self.logins.append(user)
            login = (
                (flags & ~_SSL & ~_CONNECT_ATTRIBUTES).to_bytes(4, "little")
                + hello[4:32]
                + user.encode()
                + b"\0"
                + b"\0"
            )
            login += (database + b"\0" if flags & _CONNECT_WITH_DB else b"") + b"mysql_native_password\0"
            _send(there_writer, 1, login)
            answer = await _packet(there_reader)
            if answer[:1] == b"\xfe":  # It would rather ask another way: there is no password either way.
                _send(there_writer, 3, b"")
                answer = await _packet(there_reader)
            _send(writer, 5, answer)
            await _both_ways(reader, writer, there_reader, there_writer)
        finally:
            there_writer.close()


def _problem(token: str, endpoint: str, user: str) -> str | None:
    """Return what is wrong with a token of IAM, or nothing."""
    parts = urlsplit(f"https://{token}")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    scope = query.get("X-Amz-Credential", "").split("/")
    checks = {
        "it is for another endpoint": parts.netloc == endpoint,
        "it is for another user": query.get("DBUser") == user,
        "it isn't for connecting": query.get("Action") == "connect",
        "it isn't for this service": scope[-2:] == ["rds-db", "aws4_request"],
        "it isn't of a role's session": scope[0].startswith("ASIA") and "X-Amz-Security-Token" in query,
        "it is valid for more than 15 minutes": query.get("X-Amz-Expires") == "900",
        "it isn't signed": len(query.get("X-Amz-Signature", "")) == 64,
    }
    return next((problem for problem, holds in checks.items() if not holds), None)


def _hello(packet: bytes) -> tuple[str, bytes, int]:
    """Return user, database and capabilities of a HandshakeResponse41."""
    flags = int.from_bytes(packet[:4], "little")
    user, _, rest = packet[32:].partition(b"\0")
    # What it answers to the method that was proposed first: not what is asked for.
    width = 2 if rest[0] == 0xFC else 0
    length = int.from_bytes(rest[1 : 1 + width], "little") if width else rest[0]
    rest = rest[1 + width + length :]
    database = rest.partition(b"\0")[0] if flags & _CONNECT_WITH_DB else b""
    return user.decode(), database, flags


async def _packet(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return await reader.readexactly(int.from_bytes(head[:3], "little"))


def _framed(number: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "little") + bytes([number]) + content


def _send(writer: asyncio.StreamWriter, number: int, content: bytes) -> None:
    writer.write(_framed(number, content))


async def _both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    there_reader: asyncio.StreamReader,
    there_writer: asyncio.StreamWriter,
) -> None:
    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()

    ways = [asyncio.ensure_future(copy(*way)) for way in ((reader, there_writer), (there_reader, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        there_writer.close()
