"""The state directory of `familycorp up`: its lock, and problems that are known before anything is started."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from gettext import gettext as _
from pathlib import Path
from typing import IO

from familycorp_ops.environment import DATABASE, LOCK, STATE
from familycorp_ops.messages import marked
from familycorp_ops.servers.process import free_port, port_is_free, take_port

DEFAULT_PORT = 8000
ELSEWHERE = marked("`make up STATE=DIR` keeps the data in another directory")


class StartError(Exception):
    """What prevents it from running, in one sentence that says how to fix it."""


def directory(state: Path) -> Path:
    """Create the directory where there is none, and return its absolute path; raise `StartError` where that fails."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / LOCK).touch()
    except OSError as error:
        raise StartError(
            _("The directory {state} can't be written ({reason}): {fix}.").format(
                state=state, reason=error.strerror, fix=_(ELSEWHERE)
            )
        ) from None
    return state.resolve()


@contextmanager
def lock(state: Path, port: int) -> Iterator[str]:
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
            "FamilyCorp is running already at http://localhost:{port} (process {pid}): "
            "Ctrl-C in its terminal stops it."
        ).format(port=note["port"], pid=note["pid"])
    except (ValueError, KeyError, TypeError):  # It was started a moment ago.
        return _("FamilyCorp is running already: Ctrl-C in its terminal stops it.")


def check(state: Path, port: int) -> None:
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
            _("The database in {file} is damaged: {fix}.").format(
                file=state / DATABASE, fix=start_over(state)
            )
        )
    for file in sorted((state / "emulator" / "state").glob("*.json")):
        # The emulator itself would go on without data that it can't read, and then save that.
        try:
            json.loads(file.read_bytes())
        except (OSError, ValueError):
            raise StartError(
                _("The emulator's state in {file} is damaged: {fix}.").format(
                    file=file, fix=start_over(state)
                )
            ) from None


def provider_port(state: Path) -> int:
    """Return where the login provider of a state directory listens: its address is half of a member's identity."""
    return _kept_port(state / "provider", _("the login provider"))


def cdn_port(state: Path) -> int:
    """Return where the CDN of a state directory listens: published posts have its address."""
    return _kept_port(state / "cdn", _("the pictures' CDN"))


def _kept_port(directory: Path, service: str) -> int:
    """Return the port of a service that always listens at the same one."""
    note = directory / "port"
    with suppress(FileNotFoundError, ValueError):
        port = int(note.read_text())
        if not take_port(port):
            raise StartError(
                _(
                    "Port {port}, where {service} of this data listens, is in use by another program: "
                    "stop that one; or {fix}."
                ).format(port=port, service=service, fix=_(ELSEWHERE))
            )
        return port
    note.parent.mkdir(exist_ok=True)
    note.write_text(str(port := free_port()))
    return port


def first_free(port: int) -> int:
    """Take the first port from this one on that is free: two checkouts that start at once get different ones."""
    return next(filter(take_port, range(port, min(port + 100, 65535))), port)


def site_port(port: int) -> int:
    """Return where `make site` shows the site of an API: far from where other checkouts look for a port."""
    return port + 1000 if port + 1000 < 65536 else port - 1000


def _is_sound(database: Path) -> bool:
    """Return whether there is a sound SQLite file, or none yet."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error:
        return not database.exists()


def start_over(state: Path) -> str:
    """Return the end of a sentence that says how to begin with no data."""
    command = "make reset" if state == STATE.resolve() else f"make reset STATE={state}"
    return _("`{command}` deletes the local data, so that `make up` starts with new data").format(
        command=command
    )
