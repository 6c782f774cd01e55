"""`familycorp up`: everything on this machine, with one command, until Ctrl-C.

This process only supervises. What needs more than the standard library and Rich runs in children, so that it
is fast, can be stopped at any moment, and leaves one log each.
"""

import asyncio
import fcntl
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from shutil import copyfile, rmtree
from types import FrameType
from typing import IO, TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from familycorp_ops import output
from familycorp_ops.admin.db import is_current
from familycorp_ops.environment import DATABASE, LOCK, SETTINGS, STATE
from familycorp_ops.messages import marked
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import CLIENT_ID, PEOPLE
from familycorp_ops.servers.process import (
    LOOPBACK,
    Process,
    ServerError,
    clean_environment,
    free_port,
    http_ok,
    port_is_free,
    stop_all,
    take_port,
)
from familycorp_ops.servers.valkey import Valkey

if TYPE_CHECKING:
    from app.core.settings import Settings

ROLE_GROUPS = "admins=admin,editors=editor,viewers=viewer"
"""What the groups of the people at the local login provider make them."""

LOG_BYTES = 16 * 1024 * 1024
"""Size beyond which a process's log is begun anew."""

READY_WITHIN_S = 300.0
"""Seconds that any one step may take. The slowest, loading demonstration content, takes a few on an idle machine."""

ANEW = marked("`make clean`, then `make up` installs everything anew")
ELSEWHERE = marked("`make up STATE=DIR` keeps the data in another directory")


class StartError(Exception):
    """What keeps it from running, as one sentence for a person with the mend."""


def load_demo(__: "Settings") -> None:
    """Load the demonstration content; called on the first start, when all stores are there."""
    from familycorp_ops.content import load_demo as load  # noqa: PLC0415

    load()


def restore(__: "Settings") -> None:
    """Write to the emulator what it lost because it was killed: snapshots and markers, from the database."""
    from app.functions.drain import restore as restore_all  # noqa: PLC0415

    asyncio.run(restore_all())


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


def up(state: Path, port: int, *, as_json: bool = False) -> int:
    """Run everything until Ctrl-C and return the exit status; messages go to the terminal.

    Args:
        state: directory of database, emulator state and logs.
        port: where the API listens on 127.0.0.1.
        as_json: whether standard output gets one line, when everything is there, and the rest goes to the other.
    """
    console, errors = Console(highlight=False, stderr=as_json), Console(stderr=True, highlight=False)
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            state = _directory(state)
            stopped = stack.enter_context(_signals())
            stack.enter_context(_foreground())
            running = stack.enter_context(_lock(state, port))
            if running:
                output.show({"already": running}, running, as_json=as_json)
                return 0
            _check(state, port)
            services = _Services(state, port)
            stack.callback(services.stop, console)
            if not _start(services.steps(), console, stopped):
                return 0
            services.finish()
            seconds = time.monotonic() - began
            if as_json:
                print(output.document(services.places() | {"seconds": round(seconds, 1)}), flush=True)
            else:
                _welcome(console, state, port, services.staff_url, seconds)
            return _watch(services, errors, stopped)
    except StartError as error:
        problem = str(error)
    except ServerError as error:
        problem = f"{error} {_(ANEW)}."
    except OSError as error:
        problem = _("{file} can't be used ({reason}): {mend}.").format(
            file=error.filename or state, reason=error.strerror, mend=_(ELSEWHERE)
        )
    if as_json:
        sys.exit(problem)
    errors.print(f"[red]✗[/] {escape(problem)}", soft_wrap=True)
    return 1


def reset(state: Path, *, as_json: bool = False) -> None:
    """Delete the state directory after saying so; leave with a sentence where that can't be."""
    told = {"directory": str(state.resolve()), "deleted": state.exists()}
    if not state.exists():
        nothing = _("There is nothing to delete: {state} doesn't exist.").format(state=state)
        output.show(told, nothing, as_json=as_json)
        return
    if not (state / LOCK).is_file():
        sys.exit(_("{state} isn't a directory that `make up` made; nothing was deleted.").format(state=state))
    with _lock(state, 0) as running:
        if running:
            sys.exit(_("{running} Stop it first; nothing was deleted.").format(running=running))
        said = _("Deleting {state}: database, emulator state and logs.").format(state=state.resolve())
        if not as_json:
            print(said, flush=True)
        rmtree(state)
        if as_json:
            print(output.document(told))


class _Services:
    """The processes behind `familycorp up` and the order in which they start."""

    def __init__(self, state: Path, port: int) -> None:
        self._state = state
        api_url, staff_port = f"http://localhost:{port}", _port_beside(port)
        self.staff_url = f"http://localhost:{staff_port}"
        (state / SETTINGS).unlink(missing_ok=True)
        logs = state / "logs"
        rmtree(logs, ignore_errors=True)  # Logs are of one run.
        logs.mkdir(exist_ok=True)
        self.valkey = Valkey(directory=state / "valkey", log=logs / "valkey.log")
        self.provider = NanoIDP(
            api_urls=[api_url],
            port=_provider_port(state),
            directory=state / "provider",
            log=logs / "provider.log",
        )
        # Somebody who works on pages of their own names their origin.
        named = os.environ.get("FAMILYCORP_CORS_ORIGINS", "").split(",")
        origins = [*filter(None, map(str.strip, named)), self.staff_url]
        self.emulator = MiniStack(
            directory=state / "emulator",
            log=logs / "emulator.log",
            persist=True,
            origins=[*origins, api_url],
        )
        settings = {
            **CREDENTIALS,
            "FAMILYCORP_ENV": "local",
            "FAMILYCORP_DATABASE_URL": f"sqlite+aiosqlite:///{state / DATABASE}",
            "FAMILYCORP_CACHE_URL": self.valkey.url,
            "FAMILYCORP_AWS_ENDPOINT_URL": self.emulator.url,
            "FAMILYCORP_API_URL": api_url,
            "FAMILYCORP_CORS_ORIGINS": ",".join(origins),
            "FAMILYCORP_OIDC_ISSUER": self.provider.url,
            "FAMILYCORP_OIDC_CLIENT_ID": CLIENT_ID,
            "FAMILYCORP_OIDC_POST_LOGOUT_URI": f"{self.staff_url}/",
            "FAMILYCORP_ROLE_GROUPS": ROLE_GROUPS,
        }
        self._environment = clean_environment(**settings)
        api = ["uvicorn", "app.main:app", "--host", LOOPBACK, "--port", str(port), "--no-access-log"]
        # Nothing stands before it, so whoever says that they speak for another address invents it.
        api += ["--no-proxy-headers", "--no-server-header", "--timeout-graceful-shutdown", "1"]
        self.api = self._python(_("The API"), "api", "-m", *api, ready=lambda: http_ok(port, "/health"))
        self.worker = self._python(_("The worker"), "worker", "-m", "app.functions.worker")
        staff = ["familycorp_ops.local.staff", str(staff_port), api_url, self.emulator.url]
        self.staff = self._python(
            _("The staff page"), "staff", "-m", *staff, ready=lambda: http_ok(staff_port, "/")
        )
        self._setup: list[Process] = []
        self._loaded = state / "demo-loaded"
        self._unsaved = state / "emulator-unsaved"
        self._lost = self._unsaved.exists()

    def steps(self) -> list[Step]:
        """Return what to start, each after the steps it needs."""
        valkey = Step(_("Cache (Valkey)"), self.valkey)
        emulator = Step(_("AWS emulator (MiniStack)"), self.emulator)
        tables = self._call(_("Tables, bucket and keys"), "tables", "local.provision", "provision", emulator)
        stores = [valkey, emulator, tables]
        # To ask Alembic takes two seconds.
        current = is_current(self._state / DATABASE)
        if not current:
            stores.append(self._call(_("Database schema"), "schema", "admin.db", "upgrade"))
        # On a later start everything is in place, and the API needn't wait for the tables to be looked at.
        complete = current and self._loaded.exists() and not self._lost
        if self._lost:
            stores.append(self._call(_("What the emulator lost"), "restore", "local.up", "restore", *stores))
        self._unsaved.touch()
        if not self._loaded.exists():
            stores.append(self._call(_("Demonstration content"), "demo", "local.up", "load_demo", *stores))
        api = Step("API", self.api, [valkey, emulator] if complete else stores)
        # The API asks the provider when the first person logs in, so it needn't wait for it.
        pages = [Step(_("Login provider (NanoIDP)"), self.provider), Step(_("Staff page"), self.staff)]
        return [*stores, *pages, api, Step(_("Worker"), self.worker, stores)]

    def finish(self) -> None:
        """Note that every step is done, and with which settings."""
        variables = {k: v for k, v in self._environment.items() if k.startswith("FAMILYCORP_")}
        (self._state / SETTINGS).write_text(json.dumps(variables))
        self._loaded.touch()
        self._lost = False

    def places(self) -> dict[str, str]:
        """Return where everything is, for programs."""
        return {
            "url": self._environment["FAMILYCORP_API_URL"],
            "staffUrl": self.staff_url,
            "loginUrl": self.provider.url,
            "awsUrl": self.emulator.url,
            "cacheUrl": self.valkey.url,
            "state": str(self._state),
            "settings": str(self._state / SETTINGS),
        }

    def lasting(self) -> list[Process]:
        """Return the processes that run until the end."""
        return [self.valkey, self.emulator, self.provider, self.api, self.worker, self.staff]

    def stop(self, console: Console) -> None:
        """Stop every process: first those that use the stores, then the stores."""
        console.print(_("Stopping ..."))
        stop_all([*self._setup, self.api, self.worker, self.staff])
        stop_all([self.emulator, self.valkey, self.provider])
        if self.emulator.returncode in {0, None} and not self._lost:
            self._unsaved.unlink(missing_ok=True)
        console.print(
            _("Stopped. The data stays in {state}.").format(state=escape(str(self._state))), soft_wrap=True
        )

    def _call(self, title: str, log: str, module: str, function: str, *after: Step) -> Step:
        """Return the step in which a process calls a function of this package with the settings."""
        call = f"from familycorp_ops.{module} import {function} as step; step(settings())"
        process = self._python(title, log, "-c", f"from app.core.settings import settings; {call}")
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
            # Python looks for modules where it is started, and a person may stand anywhere.
            cwd=self._state,
            ready=ready,
        )


def _directory(state: Path) -> Path:
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / LOCK).touch()
    except OSError as error:
        raise StartError(
            _("The directory {state} can't be written ({reason}): {mend}.").format(
                state=state, reason=error.strerror, mend=_(ELSEWHERE)
            )
        ) from None
    return state.resolve()


@contextmanager
def _lock(state: Path, port: int) -> Iterator[str]:
    """Hold the state directory; yields nothing, or where somebody else holds it a sentence about that."""
    # Never truncated before the lock is held: another process's note is in it.
    with (state / LOCK).open("r+") as file:
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
        return _(
            "FamilyCorp is running already at http://{host}:{port} (process {pid}): "
            "Ctrl-C in its terminal stops it."
        ).format(host=LOOPBACK, port=note["port"], pid=note["pid"])
    except (ValueError, KeyError, TypeError):  # It was started a moment ago.
        return _("FamilyCorp is running already: Ctrl-C in its terminal stops it.")


def _check(state: Path, port: int) -> None:
    """Raise `StartError` for what can be known to go wrong before anything is started."""
    try:
        free = port_is_free(port)
    except PermissionError:
        raise StartError(
            _("Port {port} is reserved for the system: try `make up PORT=8000`.").format(port=port)
        ) from None
    if not free:
        other = next((p for p in range(port + 1, port + 100) if p < 65536 and port_is_free(p)), 8000)
        raise StartError(
            _("Port {port} is in use by another program: try `make up PORT={other}`.").format(
                port=port, other=other
            )
        )
    if not _is_sound(state / DATABASE):
        raise StartError(
            _("The database in {file} is damaged: {mend}.").format(file=state / DATABASE, mend=_afresh(state))
        )
    for file in sorted((state / "emulator" / "state").glob("*.json")):
        # The emulator itself would go on without what it can't read, and then save that.
        try:
            json.loads(file.read_bytes())
        except (OSError, ValueError):
            raise StartError(
                _("The emulator's state in {file} is damaged: {mend}.").format(file=file, mend=_afresh(state))
            ) from None


def _provider_port(state: Path) -> int:
    """Return where the login provider of a state directory listens: always at the same port.

    Its address is half of every member's identity.
    """
    note = state / "provider" / "port"
    with suppress(FileNotFoundError, ValueError):
        port = int(note.read_text())
        if not take_port(port):
            raise StartError(
                _(
                    "Port {port}, where the login provider of this data listens, is in use by another program: "
                    "stop that one; or {mend}."
                ).format(port=port, mend=_(ELSEWHERE))
            )
        return port
    note.parent.mkdir(exist_ok=True)
    note.write_text(str(port := free_port()))
    return port


def _port_beside(port: int) -> int:
    """Return the port after another, or any that is free."""
    return port + 1 if port < 65535 and take_port(port + 1) else free_port()


def _is_sound(database: Path) -> bool:
    """Return whether there is a sound SQLite file, or none yet."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error:
        return not database.exists()


def _afresh(state: Path) -> str:
    command = "make reset" if state == STATE.resolve() else f"make reset STATE={state}"
    return _("`{command}` deletes the local data, so that `make up` starts afresh").format(command=command)


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


@contextmanager
def _foreground() -> Iterator[None]:
    """Have the terminal send Ctrl-C to this process alone: `make` would complain and end as interrupted."""
    terminal, group = 0, os.getpgrp()
    if not os.isatty(terminal) or group == os.getpid() or os.tcgetpgrp(terminal) != group:
        yield  # Started by a shell itself, or without a terminal.
        return
    # To take the terminal back from the background is what SIGTTOU stops; Ctrl-Z would leave `make` hanging.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTOU, signal.SIGTSTP)}
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpid())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, group)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Seconds(ProgressColumn):
    """How long a step has taken."""

    def render(self, task: Task) -> Text:
        """Show tenths of a second."""
        elapsed = task.finished_time if task.finished else task.elapsed
        return Text(f"{elapsed:4.1f} s" if elapsed is not None else "", style="dim")


def _start(steps: Sequence[Step], console: Console, stopped: Callable[[], bool]) -> bool:
    """Take the steps, those that need nothing of each other at the same time, and show how it goes.

    Returns whether all are done: not if somebody asks to stop before.
    """
    columns = (SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"), _Seconds())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bars = {
            step.title: progress.add_task(step.title, total=1, start=False, visible=False) for step in steps
        }
        while not all(step.done for step in steps):
            if stopped():
                return False
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
    return True


def _is_done(step: Step) -> bool:
    """Return whether the step is done; raise `StartError` if it never will be."""
    process = step.process
    code = process.returncode
    if step.ends and code == 0:
        return True
    late = time.monotonic() - step.started_at > READY_WITHIN_S
    if code is not None or late:
        what = _("{step} takes too long") if late else _("{step} failed")
        last = process.tail(1)
        # A step that ends works on the data; one that serves is the first to suffer from a broken install.
        mend = _afresh(process.log.parents[1]) if step.ends and "No module named" not in last else _(ANEW)
        if "SettingsError" in last:
            mend = _("set that variable right, or unset it")
        what = what.format(step=step.title) + (f" ({last})" if last else "")
        raise StartError(_("{what}, see {log}: {mend}.").format(what=what, log=process.log, mend=mend))
    return not step.ends and process.is_ready()


def _welcome(console: Console, state: Path, port: int, staff_url: str, seconds: float) -> None:
    *others, last = (person.username for person in PEOPLE)
    url = f"http://{LOOPBACK}:{port}"
    with suppress(ValueError):
        state = state.relative_to(Path.cwd())
    running, began = _("FamilyCorp is running"), _("started in {seconds:.1f} s").format(seconds=seconds)
    people = _("as {others} or {last}; each one's password is the same word").format(
        others=", ".join(others), last=last
    )
    rows = {
        _("API"): f"[cyan]{url}/v1/posts[/]",
        _("Docs"): f"[cyan]{url}/docs[/]",
        _("Health"): f"[cyan]{url}/health[/]",
        _("Feed"): f"[cyan]{url}/v1/feed.atom[/]",
        _("Sign in"): f"[cyan]{staff_url}/[/]  {people}",
    }
    kept = {
        _("Data"): escape(str(state)),
        _("Logs"): _("{directory}; `familycorp logs -f` and `familycorp top` show them").format(
            directory=escape(str(state / "logs"))
        ),
    }
    width = max(map(cell_len, [*rows, *kept])) + 3

    def lines(of: Mapping[str, str]) -> str:
        return "\n".join(f"  {name}{' ' * (width - cell_len(name))}{what}" for name, what in of.items())

    console.print(
        f"""
[bold green]{running}[/]  [dim]{began}[/]

{lines(rows)}

[bold]{_("Try")}[/]
  curl '{url}/v1/posts?lang=ko'
  curl -G '{url}/v1/search' --data-urlencode 'q=제품'
  curl '{url}/v1/categories'

{lines(kept)}

[dim]{_("Ctrl-C stops everything; the data stays.")}[/]""",
        soft_wrap=True,
    )


def _watch(services: _Services, errors: Console, stopped: Callable[[], bool]) -> int:
    """Wait until somebody asks to stop, or a process ends on its own; return the exit status."""
    while not stopped():
        for process in services.lasting():
            if not process.running:
                ended = _(
                    "{name} ended on its own (exit status {status}), so the rest is stopped as well; "
                    "the last lines of {log}:"
                ).format(name=process.name, status=process.returncode, log=process.log)
                errors.print(f"[red]✗[/] {escape(ended)}", soft_wrap=True)
                errors.print(escape(process.tail()), soft_wrap=True, style="dim")
                return 1
            _rotate(process.log)
        time.sleep(0.1)
    return 0


def _rotate(log: Path) -> None:
    """Begin a log anew when it is large, keeping what was in it beside it; processes append, so they needn't know.

    What is written between the copy and the cut is lost, which is a line or two of 16 MB.
    """
    if log.stat().st_size > LOG_BYTES:
        copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
