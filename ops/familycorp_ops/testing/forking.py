"""Starts Python programs by forking a process that has imported the libraries which they all need.

A test run starts hundreds of commands and applications, and each would import these libraries for a second of a
processor. Modules of the repository aren't imported before a program starts, so what these read at their import
(settings, languages) and what they import lazily stays the program's own.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import socket
import subprocess
import sys
import time
import types
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from runpy import run_module
from typing import IO, Any

LIBRARIES = (
    "aiomysql", "aiosqlite", "alembic.command", "botocore.auth", "botocore.client", "botocore.regions",
    "botocore.retryhandler", "botocore.session", "botocore.signers", "cryptography.hazmat.primitives.asymmetric.ec",
    "fastapi", "httpx", "redis.asyncio", "rich.console", "rich.table", "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.sqlite.aiosqlite", "sqlalchemy.ext.asyncio", "sqlalchemy.orm", "typer", "uvicorn.main",
    "uvicorn.protocols.http.auto",
)  # fmt: skip

_HARMLESS = frozenset({"PYTHONPATH", "PYTHONUNBUFFERED"})
"""Variables of the interpreter that a forked program follows, or that change nothing for it."""


class Forked(subprocess.Popen[bytes]):
    """A program that was forked: what `subprocess.Popen` is of one that was executed, without its pipes."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], cwd: Path | None, *outputs: int
    ) -> None:
        self.args, self.returncode = words, None
        self.stdin = self.stdout = self.stderr = None
        self._report, reporting = os.pipe()
        request = {"words": words, "environment": dict(environment), "cwd": str(cwd or Path.cwd())}
        socket.send_fds(_server(), [json.dumps(request).encode()], [*outputs, reporting])
        os.close(reporting)
        self.pid = int(self._line())

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n") and (byte := os.read(self._report, 1)):
            line += byte
        return line

    def poll(self) -> int | None:
        """Return its exit status, negative for a signal, once it has ended."""
        if self.returncode is None and select.select([self._report], [], [], 0)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(self._line()))
            os.close(self._report)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status; `TimeoutExpired` where that takes longer than `timeout` seconds."""
        if self.returncode is None and not select.select([self._report], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        status = self.poll()
        assert status is not None  # noqa: S101 - the monitor reports it as one line.
        return status

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path | None,
    output: IO[bytes],
    errors: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Do what `servers.process.execute` does, for a Python program.

    It is executed, not forked, where its variables are the interpreter's own or the system isn't Linux.
    """
    program, *words = command
    own = any(name.startswith("PYTHON") and name not in _HARMLESS for name in environment)
    if sys.platform == "linux" and program == sys.executable and words[0] in {"-c", "-m"} and not own:
        return Forked(words, environment, cwd, output.fileno(), (errors or output).fileno())
    from familycorp_ops.servers.process import execute  # noqa: PLC0415 - a forked program imports it itself.

    return execute(command, environment, cwd, output, errors)


@cache
def _server() -> socket.socket:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        number = its.fileno()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(number)],
            pass_fds=[number],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


# -- the server ---------------------------------------------------------------------------------------------------


def _serve(requests: socket.socket) -> None:
    """Fork a monitor for each request, which forks the program; return in the program alone."""
    while True:
        message, fds, *_ = socket.recv_fds(requests, 1 << 20, 3)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not message:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            if (program := os.fork()) == 0:
                _become(json.loads(message), *fds)
                return
            *outputs, report = fds
            for fd in outputs:
                os.close(fd)
            os.write(report, f"{os.waitpid(program, 0)[1]}\n".encode())
            os._exit(0)
        for fd in fds:
            os.close(fd)


def _become(request: dict[str, Any], output: int, errors: int, report: int) -> None:
    """Run the requested program in this process."""
    os.setsid()
    os.write(report, f"{os.getpid()}\n".encode())
    os.close(report)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.close(output)
    os.close(errors)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    kind, program, *arguments = request["words"]
    sys.argv = [program if kind == "-m" else kind, *arguments]
    more = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:0] = [request["cwd"] if kind == "-m" else "", *more]
    if kind == "-m":
        run_module(program, run_name="__main__", alter_sys=True)
    else:
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), vars(main))  # noqa: S102 - what `python -c` does.


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        _serve(listening)
