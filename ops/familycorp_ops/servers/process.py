"""A child process that is started, watched, broken on purpose and surely stopped."""

import atexit
import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from gettext import gettext as _
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import IO, Self

LOOPBACK = "127.0.0.1"


class ServerError(Exception):
    """A server couldn't be started; the message is a sentence for a person, lines of its log may follow."""


class NotInstalledError(ServerError):
    """The server's program isn't on this machine; the message names it."""


def free_port() -> int:
    """Return a loopback TCP port that nothing listens on, and that no other process gets from here.

    It lies below the ranges from which Linux and macOS take the local ports of outgoing connections, because
    a stopped server's port could else be taken by a client's connection before the server is started again.
    """
    while True:
        # Not from the generator that a test may have seeded: every test would try the same ports first.
        port = random.SystemRandom().randint(20_000, 32_000)
        if take_port(port):
            return port


def take_port(port: int) -> bool:
    """Take a free loopback port for as long as this process lives; return whether nobody has it.

    Between the choice of a port and a server that listens on it lies a second, in which another process that
    starts servers must not choose it as well. A byte of one file is locked for each port.
    """
    try:
        fcntl.lockf(_ports(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return port_is_free(port)


@cache
def _ports() -> int:
    """Return the open file of the taken ports; it is never closed, for POSIX drops a process's locks with that."""
    return os.open(
        Path(tempfile.gettempdir()) / f"familycorp-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT, 0o600
    )


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on the loopback port; `PermissionError` for a privileged one."""
    with socket.socket() as probe:
        # As servers do: connections that linger in TIME_WAIT don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError:
            raise
        except OSError:
            return False
    return True


def clean_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without AWS's variables or proxies for loopback, with `extra`.

    A developer's own AWS profile must be out of reach of everything that runs locally.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    for name in ("no_proxy", "NO_PROXY"):
        environment[name] = ",".join(filter(None, [environment.get(name), LOOPBACK, "localhost"]))
    return environment | extra


class _Guardian:
    """The program that stops what this process leaves behind; see `guardian.py`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._program: subprocess.Popen[bytes] | None = None

    def notify(self, sign: str, pid: int) -> None:
        """Say that a process group now needs (`+`) or no longer needs (`-`) the guardian."""
        with self._lock:
            if self._program is None:
                self._program = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py"))],
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                atexit.register(self._release)
            assert self._program.stdin is not None  # noqa: S101 - it was opened as a pipe above.
            # Without its guardian a server still runs and stops; only the safety net is gone.
            with contextlib.suppress(BrokenPipeError):
                self._program.stdin.write(f"{sign}{pid}\n".encode())

    def _release(self) -> None:
        with self._lock:
            if self._program is not None:
                # From now on the kernel buries children by itself: nobody here waits for them any more.
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
                self._program.communicate()
                self._program = None


_guardian = _Guardian()


def execute(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path | None,
    output: IO[bytes],
    errors: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, without input, and with its output in files, or in one."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors or subprocess.STDOUT,
        start_new_session=True,
    )


class Process:
    """A child process in a session of its own, so that the terminal's Ctrl-C doesn't reach it.

    It ends when this process ends, even by SIGKILL. As a context manager it runs for the length of the block.

    Args:
        name: what a person calls it.
        command: program and arguments.
        environment: its whole environment; `None` is `clean_environment()`.
        log: file that its output is appended to.
        cwd: its working directory.
        ready: returns whether it can serve; `None` means that running is enough.
        ready_within_s: seconds it may take to become ready.
        grace_s: seconds between SIGTERM and SIGKILL when it is stopped.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], bool] | None = None,
        ready_within_s: float = 180.0,
        grace_s: float = 15.0,
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._cwd = cwd
        self._ready = ready
        self._ready_within_s = ready_within_s
        self._grace_s = grace_s
        self._child: subprocess.Popen[bytes] | None = None
        self._group: int | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, which is also its group's, while it runs."""
        return self._child.pid if self.running and self._child else None

    @property
    def running(self) -> bool:
        """Whether it was started and hasn't ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit status of its last run, negative for a signal; `None` while it runs or before it did."""
        return self._child.poll() if self._child else None

    def is_ready(self) -> bool:
        """Return whether it can serve."""
        return self._ready is None or self._ready()

    def spawn(self) -> None:
        """Start the program and don't wait until it is ready; `ServerError` if it can't be executed."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                environment = clean_environment() if self._environment is None else self._environment
                self._child = self._execute(self._command, environment, self._cwd, log)
            except OSError as error:
                raise ServerError(
                    _("{name} can't be executed ({reason}).").format(name=self.name, reason=error.strerror)
                ) from error
        self._group = self._child.pid
        _guardian.notify("+", self._group)

    def _execute(
        self, command: Sequence[str], environment: Mapping[str, str], cwd: Path | None, output: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        return execute(command, environment, cwd, output)

    def wait_ready(self) -> None:
        """Wait until it serves; stop it and raise `ServerError` if it ends or isn't ready in time."""
        deadline = time.monotonic() + self._ready_within_s
        while not (self.running and self.is_ready()):
            if not self.running:
                self.stop()
                raise ServerError(
                    _("{name} stopped while it was starting:\n{tail}").format(
                        name=self.name, tail=self.tail()
                    )
                )
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(
                    _("{name} wasn't ready after {seconds:g} s:\n{tail}").format(
                        name=self.name, seconds=self._ready_within_s, tail=self.tail()
                    )
                )
            time.sleep(0.01)

    def start(self) -> None:
        """Start the program and wait until it serves; nothing happens where it runs already."""
        self.spawn()
        self.wait_ready()

    def wait(self, timeout_s: float) -> int:
        """Return its exit status once it has ended; `ServerError` if that takes longer than `timeout_s`."""
        if self._child is None:
            raise ServerError(f"{self.name} was never started")
        try:
            status = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ServerError(f"{self.name} still ran after {timeout_s:g} s") from None
        self.kill()  # Its children end with it, and nobody signals its group later, when the number is another's.
        return status

    def terminate(self) -> None:
        """Ask it to end, without waiting."""
        if self.running and self._child:
            self._child.terminate()
            self.resume()

    def stop(self) -> None:
        """End it: SIGTERM, so that it can save what it has, and after the grace period SIGKILL."""
        self.terminate()
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(self._grace_s)
        self.kill()

    def kill(self) -> None:
        """End it and its children as a crash would: by SIGKILL."""
        if self._child is not None and self._group is not None:
            self._signal(signal.SIGKILL)
            self._child.wait()
            _guardian.notify("-", self._group)
            self._group = None

    def suspend(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)
        # The signal is on its way: threads on other cores go on for a moment.
        deadline = time.monotonic() + 30
        while self.pid and not _stopped(self.pid) and time.monotonic() < deadline:
            time.sleep(0.001)

    def resume(self) -> None:
        """Let it go on after `suspend` (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of its log."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-lines:])

    def _signal(self, number: int) -> None:
        if self._group is not None:
            # macOS reports a group of which only a zombie is left as PermissionError.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class Server(Process, ABC):
    """A server on a loopback port. Stopped or killed and started again, it has the same port and data.

    Args:
        name: what a person calls it.
        port: where it listens; by default a free one.
        directory: where it works and keeps its data; by default a temporary one, gone when the block ends.
        log: file for its output; by default `server.log` in its directory.
        grace_s: seconds between SIGTERM and SIGKILL when it is stopped.
    """

    def __init__(
        self,
        name: str,
        *,
        port: int | None = None,
        directory: Path | None = None,
        log: Path | None = None,
        grace_s: float = 15.0,
    ) -> None:
        self.port = port or free_port()
        self._temporary = directory is None
        # Short on purpose: a Unix socket's path has about a hundred bytes.
        self.directory = directory or Path(tempfile.mkdtemp(prefix="fc-"))
        super().__init__(
            name,
            (),
            log=log or self.directory / "server.log",
            cwd=self.directory,
            grace_s=grace_s,
        )

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where there is none."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Return whether it answers."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    def environment(self) -> dict[str, str]:
        """Return the environment of its process."""
        return clean_environment()

    def spawn(self) -> None:
        """Start the program and don't wait until it is ready; `ServerError` if it can't be executed."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._command = self.command()
        self._environment = self.environment()
        super().spawn()

    def close(self) -> None:
        """Stop it; where its directory is temporary, remove that, and don't wait for it to save anything."""
        if self._temporary:
            self.kill()
            rmtree(self.directory, ignore_errors=True)
        else:
            self.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _stopped(pid: int) -> bool:
    """Return whether every thread of a process is stopped; true where that is unknown (proc_pid_stat(5))."""
    try:
        states = [
            task.joinpath("stat").read_text().rpartition(")")[2].split()[0]
            for task in Path(f"/proc/{pid}/task").iterdir()
        ]
    except OSError:
        return True
    return set(states) <= {"T", "t"}


def stop_all(processes: Iterable[Process]) -> None:
    """Stop several processes at the same time, each within its own grace period."""
    several = list(processes)
    for process in several:
        process.terminate()
    for process in several:
        process.stop()


def exchange(port: int, request: bytes = b"") -> bytes:
    """Return the first bytes that a loopback server answers to `request` within three seconds, if any."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=3.0) as connection:
            connection.sendall(request)
            return connection.recv(4096)
    except OSError:
        return b""


def http_ok(port: int, path: str) -> bool:
    """Return whether a loopback server answers GET `path` with 200."""
    answer = exchange(port, f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}:{port}\r\n\r\n".encode())
    return answer.split(b"\r\n", 1)[0].split(b" ")[1:2] == [b"200"]


def http_post(port: int, path: str, headers: Mapping[str, str] | None = None) -> None:
    """POST nothing to a loopback server; raise `ServerError` where it doesn't respond with success."""
    from http.client import HTTPConnection  # noqa: PLC0415 - not needed by `familycorp up`.

    with contextlib.closing(HTTPConnection(LOOPBACK, port, timeout=120.0)) as connection:
        connection.request("POST", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        if not 200 <= answer.status < 300:
            raise ServerError(f"POST {path} was answered with {answer.status}: {answer.read().decode()}")
