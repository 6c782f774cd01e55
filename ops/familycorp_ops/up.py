"""`familycorp up`: everything on this machine, with one command, until Ctrl-C.

This process only supervises. What needs more than the standard library and Rich runs in children, so that it is
fast, can be stopped at any moment, and leaves one log each.
"""

import fcntl
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from types import FrameType
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.process import (
    LOOPBACK,
    NotInstalledError,
    Process,
    clean_environment,
    http_ok,
    port_is_free,
    stop_all,
)
from familycorp_ops.servers.valkey import Valkey

if TYPE_CHECKING:
    from app.core.settings import Settings

STATE = Path(".local")
"""Where the data is unless `--state` says otherwise."""

READY_WITHIN_S = 60.0
"""Seconds that any one step may take. The slowest, loading demonstration content, takes a few."""

AFRESH = "`make reset` deletes the local data so that `make up` starts afresh"


class Problem(Exception):
    """What keeps it from running, as one sentence for a person with the mend."""


class Stopped(Exception):
    """Ctrl-C, or a signal that means the same."""


def load_demo(settings: "Settings") -> None:
    """Load the demonstration content; called on the first start, when all stores are there."""
    try:
        from familycorp_ops.content import import_directory  # noqa: PLC0415
    except ImportError:
        return
    import_directory(settings)


def restore(settings: "Settings") -> None:
    """Write to the emulator what it lost because it was killed: snapshots and markers, from the database."""


@dataclass
class Step:
    """One process of the start, and what has to be done before it.

    A step that `ends` is done when its process has ended well, any other when its server answers.
    """

    title: str
    process: Process
    after: Sequence["Step"] = ()
    ends: bool = False
    done: bool = False
    started_at: float = field(default=0.0)


def up(state: Path, port: int) -> int:
    """Run everything until Ctrl-C and return the exit status; messages go to the terminal.

    Args:
        state: directory of database, emulator state and logs.
        port: where the API listens on 127.0.0.1.
    """
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            state = _directory(state)
            stopped = stack.enter_context(_signals())
            running = stack.enter_context(_lock(state, port))
            if running:
                console.print(running)
                return 0
            _check(state, port)
            services = _Services(state, port)
            stack.callback(services.stop, console)
            _start(services.steps(), console, stopped)
            services.finish()
            _welcome(console, state, port, time.monotonic() - began)
            return _watch(services, errors, stopped)
    except Stopped:
        return 0
    except Problem as problem:
        errors.print(f"[red]✗[/] {escape(str(problem))}", soft_wrap=True)
    except NotInstalledError as problem:
        errors.print(
            f"[red]✗[/] {escape(str(problem))} `make clean`, then `make up` installs everything again.",
            soft_wrap=True,
        )
    return 1


def reset(state: Path) -> int:
    """Delete the state directory after saying so, and return the exit status."""
    console = Console(highlight=False)
    if not state.exists():
        console.print(f"There is nothing to delete: {state} doesn't exist.", soft_wrap=True)
        return 0
    if not (state / "lock").is_file():
        console.print(
            f"[red]✗[/] {state} isn't a directory that `make up` made; nothing was deleted.", soft_wrap=True
        )
        return 1
    with _lock(state, 0) as running:
        if running:
            console.print(f"{running} Stop it first; nothing was deleted.", soft_wrap=True)
            return 1
        console.print(f"Deleting {state.resolve()}: database, emulator state and logs.", soft_wrap=True)
        rmtree(state)
    return 0


class _Services:
    """The processes behind `familycorp up` and the order in which they start."""

    def __init__(self, state: Path, port: int) -> None:
        self._state = state
        logs = state / "logs"
        rmtree(logs, ignore_errors=True)  # Logs are of one run.
        logs.mkdir()
        self.valkey = Valkey(directory=state / "valkey", log=logs / "valkey.log")
        self.emulator = MiniStack(directory=state / "emulator", log=logs / "emulator.log", persist=True)
        self._environment = clean_environment(
            **CREDENTIALS,
            FAMILYCORP_ENV="local",
            FAMILYCORP_DATABASE_URL=f"sqlite+aiosqlite:///{state / 'familycorp.db'}",
            FAMILYCORP_CACHE_URL=self.valkey.url,
            FAMILYCORP_AWS_ENDPOINT_URL=self.emulator.url,
        )
        api = (
            "uvicorn", "app.main:app", "--host", LOOPBACK, "--port", str(port), "--no-access-log", "--no-server-header",
            "--timeout-graceful-shutdown", "1",
        )  # fmt: skip
        self.api = self._python("The API", "api", "-m", *api, ready=lambda: http_ok(port, "/health"))
        self.worker = self._python("The worker", "worker", "-m", "app.worker")
        self._setup: list[Process] = []
        self._loaded = state / "demo-loaded"
        self._unsaved = state / "emulator-unsaved"

    def steps(self) -> list[Step]:
        """Return what to start, each after the steps it needs."""
        valkey = Step("Cache (Valkey)", self.valkey)
        emulator = Step("AWS emulator (MiniStack)", self.emulator)
        schema = self._call("Database schema", "schema", "from familycorp_ops.db import upgrade; upgrade()")
        with_settings = "from app.core.settings import settings; from familycorp_ops.{} import {} as step; step(settings())"
        tables = self._call(
            "Tables and bucket", "tables", with_settings.format("provision", "provision"), emulator
        )
        stores = [valkey, tables, schema]
        if self._unsaved.exists():
            restored = self._call(
                "What the emulator lost", "restore", with_settings.format("up", "restore"), *stores
            )
            stores.append(restored)
        self._unsaved.touch()
        if not self._loaded.exists():
            demo = self._call(
                "Demonstration content", "demo", with_settings.format("up", "load_demo"), *stores
            )
            stores.append(demo)
        api, worker = Step("API", self.api, stores), Step("Worker", self.worker, stores)
        return [valkey, emulator, schema, *stores[1:2], *stores[3:], api, worker]

    def finish(self) -> None:
        """Note that the first start is over."""
        self._loaded.touch()

    def lasting(self) -> list[Process]:
        """Return the processes that run until the end."""
        return [self.valkey, self.emulator, self.api, self.worker]

    def stop(self, console: Console) -> None:
        """Stop every process: first those that use the stores, then the stores."""
        was_running = self.emulator.running
        if was_running:
            console.print("Stopping ...")
        stop_all([*self._setup, self.api, self.worker])
        stop_all([self.emulator, self.valkey])
        if was_running and self.emulator.returncode == 0:
            self._unsaved.unlink(missing_ok=True)
        if was_running:
            console.print(f"Stopped. The data stays in {escape(str(self._state))}.", soft_wrap=True)

    def _call(self, title: str, name: str, code: str, *after: Step) -> Step:
        process = self._python(title, name, "-c", code)
        self._setup.append(process)
        return Step(title, process, after, ends=True)

    def _python(
        self, name: str, log: str, *arguments: str, ready: Callable[[], bool] | None = None
    ) -> Process:
        return Process(
            name,
            [sys.executable, *arguments],
            log=self._state / "logs" / f"{log}.log",
            environment=self._environment,
            ready=ready,
        )


def _directory(state: Path) -> Path:
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / "lock").touch()
    except OSError as error:
        raise Problem(
            f"The state directory {state} can't be written ({error.strerror}); "
            "`make up STATE=DIR` uses another one."
        ) from None
    return state.resolve()


@contextmanager
def _lock(state: Path, port: int) -> Iterator[str]:
    """Hold the state directory; yields a sentence about who holds it where somebody else does, else nothing."""
    # Never truncated before the lock is held: another process's note is in it.
    with (state / "lock").open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield _holder(file)
            return
        file.truncate()
        json.dump({"pid": os.getpid(), "port": port}, file)
        file.flush()
        yield ""


def _holder(file: IO[str]) -> str:
    try:
        note = json.load(file)
        where = f" at http://{LOOPBACK}:{note['port']} (process {note['pid']})"
    except (ValueError, KeyError, TypeError):
        where = ""  # It was started a moment ago.
    return f"FamilyCorp is running already{where}: Ctrl-C in its terminal stops it."


def _check(state: Path, port: int) -> None:
    """Raise `Problem` for what can be known to go wrong before anything is started."""
    try:
        free = port_is_free(port)
    except PermissionError:
        raise Problem(
            f"Port {port} is reserved for the system: `make up PORT=8000` uses another one."
        ) from None
    if not free:
        other = next((p for p in range(port + 1, port + 100) if p < 65536 and port_is_free(p)), 8000)
        raise Problem(f"Port {port} is in use by another program: `make up PORT={other}` uses another one.")
    _check_database(state / "familycorp.db")
    for file in sorted((state / "emulator" / "state").glob("*.json")):
        # The emulator itself would go on without what it can't read, and then save that.
        try:
            json.loads(file.read_bytes())
        except (OSError, ValueError):
            raise Problem(f"The emulator's state in {file} is damaged: {AFRESH}.") from None


def _check_database(file: Path) -> None:
    if not file.exists() or not file.stat().st_size:
        return
    try:
        with closing(sqlite3.connect(file)) as connection:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        verdict = str(error)
    if verdict != "ok":
        raise Problem(f"The database in {file} is damaged ({verdict.splitlines()[0]}): {AFRESH}.")


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Catch what asks to stop, a closed terminal included, and yield a function that says whether it came."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        received.append(number)

    before = {
        number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Seconds(ProgressColumn):
    """How long a step has taken."""

    def render(self, task: Task) -> Text:
        """Show tenths of a second."""
        elapsed = task.finished_time if task.finished else task.elapsed
        return Text(f"{elapsed:4.1f} s" if elapsed is not None else "", style="dim")


def _start(steps: Sequence[Step], console: Console, stopped: Callable[[], bool]) -> None:
    """Take the steps, those that need nothing of each other at the same time, and show how it goes."""
    columns = (SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"), _Seconds())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bars = {
            step.title: progress.add_task(step.title, total=1, start=False, visible=False) for step in steps
        }
        while not all(step.done for step in steps):
            if stopped():
                raise Stopped
            for step in steps:
                if not step.started_at and all(before.done for before in step.after):
                    step.started_at = time.monotonic()
                    step.process.spawn()
                    progress.start_task(bars[step.title])
                    progress.update(bars[step.title], visible=True)
                elif step.started_at and not step.done and _is_done(step):
                    step.done = True
                    progress.update(bars[step.title], completed=1)
                    if not console.is_terminal:
                        console.print(f"✓ {step.title} ({time.monotonic() - step.started_at:.1f} s)")
            time.sleep(0.01)


def _is_done(step: Step) -> bool:
    """Return whether the step is done; raise `Problem` if it never will be."""
    process = step.process
    if step.ends and process.returncode == 0:
        return True
    if not process.running:
        last = process.tail(1)
        raise Problem(f"{step.title} failed{f' ({last})' if last else ''}: see {process.log}; {AFRESH}.")
    if time.monotonic() - step.started_at > READY_WITHIN_S:
        raise Problem(f"{step.title} wasn't ready after {READY_WITHIN_S:g} s: see {process.log}; {AFRESH}.")
    return not step.ends and process.is_ready()


def _welcome(console: Console, state: Path, port: int, seconds: float) -> None:
    url = f"http://{LOOPBACK}:{port}"
    with suppress(ValueError):
        state = state.relative_to(Path.cwd())
    console.print(
        f"""
[bold green]FamilyCorp is running[/]  [dim]started in {seconds:.1f} s[/]

  API       [cyan]{url}/v1/posts[/]
  Docs      [cyan]{url}/docs[/]
  Health    [cyan]{url}/health[/]
  Feed      [cyan]{url}/v1/feed.atom[/]

[bold]Try[/]
  curl '{url}/v1/posts?lang=ko'
  curl '{url}/v1/search?q=%EC%A0%9C%ED%92%88'
  curl '{url}/v1/categories'

  Data      {escape(str(state))}
  Logs      {escape(str(state / "logs"))}

[dim]Ctrl-C stops everything; the data stays.[/]""",
        soft_wrap=True,
    )


def _watch(services: _Services, errors: Console, stopped: Callable[[], bool]) -> int:
    """Wait until somebody asks to stop, or a process ends on its own; return the exit status."""
    while not stopped():
        for process in services.lasting():
            if not process.running:
                errors.print(
                    f"[red]✗[/] {process.name} ended on its own (exit status {process.returncode}), so everything "
                    f"else is stopped. The last lines of {escape(str(process.log))}:",
                    soft_wrap=True,
                )
                errors.print(escape(process.tail()), soft_wrap=True, style="dim")
                return 1
        time.sleep(0.1)
    return 0
