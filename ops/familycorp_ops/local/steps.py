"""The steps in which `familycorp up` starts, and how they are taken."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from gettext import gettext as _

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from familycorp_ops.local.state import StartError, start_over
from familycorp_ops.messages import marked
from familycorp_ops.servers.process import Process

READY_WITHIN_S = 300.0
"""Seconds that any one step may take. The slowest, loading demonstration content, takes a few on an idle machine."""

REINSTALL = marked("`make clean`, then `make up` installs everything again")


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


class _Seconds(ProgressColumn):
    """How long a step has taken."""

    def render(self, task: Task) -> Text:
        """Show tenths of a second."""
        elapsed = task.finished_time if task.finished else task.elapsed
        return Text(f"{elapsed:4.1f} s" if elapsed is not None else "", style="dim")


def start(steps: Sequence[Step], console: Console, stopped: Callable[[], bool]) -> bool:
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
        fix = (
            start_over(process.log.parents[1])
            if step.ends and "No module named" not in last
            else _(REINSTALL)
        )
        if "SettingsError" in last:
            fix = _("set that variable right, or unset it")
        what = what.format(step=step.title) + (f" ({last})" if last else "")
        raise StartError(_("{what}, see {log}: {fix}.").format(what=what, log=process.log, fix=fix))
    return not step.ends and process.is_ready()
