"""`familycorp rehearse`: a whole deployment on loopback, without AWS and without Docker; `plan.py` has its steps."""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

from familycorp_ops.rehearse.variant import Variant

KEPT = 5
"""Rehearsals whose logs are kept."""


def run(state: Path, variant: Variant, *, as_json: bool) -> int:
    """Rehearse, print each step, and keep logs and report below `state`; return the exit status."""
    from rich.console import Console  # noqa: PLC0415 - `--help` needn't wait for it.
    from rich.markup import escape  # noqa: PLC0415

    from familycorp_ops.output import document  # noqa: PLC0415
    from familycorp_ops.rehearse.plan import Rehearsal  # noqa: PLC0415
    from familycorp_ops.rehearse.promise import BrokenPromiseError  # noqa: PLC0415
    from familycorp_ops.rehearse.report import Report  # noqa: PLC0415
    from familycorp_ops.servers.process import ServerError  # noqa: PLC0415

    os.environ["LANGUAGE"] = (
        "en"  # It reads what the commands of a deployment say; its report is English, too.
    )
    console = Console(highlight=False, stderr=as_json)
    directory = (state / "rehearsals" / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")).resolve()
    directory.mkdir(parents=True)
    for old in sorted(directory.parent.iterdir())[:-KEPT]:
        rmtree(old, ignore_errors=True)
    report = Report(console)
    # `kill`, and a closed terminal, must stop every server as Ctrl-C does. A shell starts what is in the background
    # with Ctrl-C ignored, and so would be the commands that the rehearsal interrupts.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    problem = ""
    try:
        Rehearsal(directory, report, variant).run()
    except (BrokenPromiseError, ServerError) as error:
        problem = str(error)
    except KeyboardInterrupt:
        problem = "It was stopped."
    report.write(directory / "report.md")
    if as_json:
        summary = {"held": not problem, "problem": problem or None, "directory": str(directory)}
        sys.stdout.write(f"{document(summary | report.document())}\n")
        return 1 if problem else 0
    console.print()
    for table in report.tables():
        console.print(table)
    console.print(f"{report.pace()}; logs and report: {escape(str(directory))}", soft_wrap=True)
    if problem:
        console.print(f"[red]✗[/] {escape(problem)}", soft_wrap=True)
    return 1 if problem else 0
