"""`familycorp up`: everything on this machine, with one command, until Ctrl-C.

This process only supervises. Work that needs more than the standard library and Rich runs in children, so that it
is fast, can be stopped at any moment, and leaves one log each.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from gettext import gettext as _
from pathlib import Path
from shutil import copyfile, rmtree

from rich.console import Console
from rich.markup import escape

from familycorp_ops import output
from familycorp_ops.environment import LOCK
from familycorp_ops.local.services import Services
from familycorp_ops.local.state import DEFAULT_PORT, ELSEWHERE, StartError, check, directory, first_free, lock
from familycorp_ops.local.steps import REINSTALL, start
from familycorp_ops.local.terminal import foreground, signals
from familycorp_ops.local.welcome import welcome
from familycorp_ops.servers.process import ServerError

LOG_BYTES = 16 * 1024 * 1024
"""Size beyond which a process's log is rotated."""


def up(state: Path, port: int | None, *, as_json: bool = False) -> int:
    """Run everything until Ctrl-C and return the exit status; messages go to the terminal.

    Args:
        state: directory of database, emulator state and logs.
        port: where the API listens on 127.0.0.1; None for 8000, or the next that is free, as for a second checkout.
        as_json: whether standard output gets one line, when everything is there, and the rest goes to the other.
    """
    console, errors = Console(highlight=False, stderr=as_json), Console(stderr=True, highlight=False)
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            state, port = directory(state), port or first_free(DEFAULT_PORT)
            stopped = stack.enter_context(signals())
            stack.enter_context(foreground())
            running = stack.enter_context(lock(state, port))
            if running:
                output.show({"already": running}, running, as_json=as_json)
                return 0
            check(state, port)
            services = Services(state, port)
            stack.callback(services.stop, console)
            if not start(services.steps(), console, stopped):
                return 0
            services.finish()
            seconds = time.monotonic() - began
            if as_json:
                print(output.document(services.places() | {"seconds": round(seconds, 1)}), flush=True)
            else:
                welcome(console, state, port, services.console_url, seconds)
            return _watch(services, errors, stopped)
    except StartError as error:
        problem = str(error)
    except ServerError as error:
        problem = f"{error} {_(REINSTALL)}."
    except OSError as error:
        problem = _("{file} can't be used ({reason}): {fix}.").format(
            file=error.filename or state, reason=error.strerror, fix=_(ELSEWHERE)
        )
    if as_json:
        sys.exit(problem)
    errors.print(f"[red]✗[/] {escape(problem)}", soft_wrap=True)
    return 1


def reset(state: Path, *, as_json: bool = False) -> None:
    """Delete the state directory after saying so; leave with a sentence where that can't be."""
    summary = {"directory": str(state.resolve()), "deleted": state.exists()}
    if not state.exists():
        nothing = _("There is nothing to delete: {state} doesn't exist.").format(state=state)
        output.show(summary, nothing, as_json=as_json)
        return
    if not (state / LOCK).is_file():
        sys.exit(_("{state} isn't a directory that `make up` made; nothing was deleted.").format(state=state))
    with lock(state, 0) as running:
        if running:
            sys.exit(_("{running} Stop it first; nothing was deleted.").format(running=running))
        said = _("Deleting {state}: database, emulator state and logs.").format(state=state.resolve())
        if not as_json:
            print(said, flush=True)
        rmtree(state)
        if as_json:
            print(output.document(summary))


def _watch(services: Services, errors: Console, stopped: Callable[[], bool]) -> int:
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
    """Rotate a log when it is large: copy it, then truncate it, since processes keep it open and append.

    Lines written between the copy and the cut are lost, one or two of 16 MB.
    """
    if log.stat().st_size > LOG_BYTES:
        copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)
