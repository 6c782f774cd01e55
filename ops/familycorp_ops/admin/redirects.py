"""`familycorp redirects`: where the addresses of an earlier site lead, taken from a file."""

import csv
import sys
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from familycorp_ops import environment, messages
from familycorp_ops.admin import operator
from familycorp_ops.admin.operator import Env, State
from familycorp_ops.output import AsJson, document

HEADING = ["path", "target"]
TOGETHER = 100
"""How many redirects one call writes."""

app = typer.Typer(help="Lead the addresses of an earlier site to this one's.", no_args_is_help=True)


class Fault(NamedTuple):
    """Why a line isn't imported."""

    line: int
    path: str
    message: str


@app.callback()
def redirects() -> None:
    """Have its commands named, though there is but one."""


@app.command("import")
def import_command(
    file: Annotated[
        Path,
        typer.Argument(
            help="The file: CSV in UTF-8, a path and its target in each line.",
            metavar="FILE",
            exists=True,
            dir_okay=False,
        ),
    ],
    env: Env = None,
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Have each path in FILE lead to its target; a second run applies only the changes of the file."""
    with operator.reported():
        wanted, faults = _read(file)
        results = dict.fromkeys(("created", "changed", "unchanged"), 0)
        lines = list(wanted)
        for start in range(0, len(lines), TOGETHER):
            part = lines[start : start + TOGETHER]
            outcomes = operator.order("redirects.import", env, state, items=[wanted[line] for line in part])
            for line, outcome in zip(part, outcomes, strict=True):
                if outcome["result"] == "failed":
                    faults.append(Fault(line, wanted[line]["path"], outcome["message"]))
                else:
                    results[outcome["result"]] += 1
    faults.sort()
    if as_json:
        found = {**results, "failed": len(faults), "errors": [fault._asdict() for fault in faults]}
        sys.stdout.write(f"{document(found)}\n")
    else:
        for fault in faults:
            sys.stderr.write(f"{file}:{fault.line}: {fault.message}\n")
        said = _("{created} created, {changed} changed, {unchanged} unchanged, {failed} failed.")
        sys.stdout.write(said.format(**results, failed=len(faults)) + "\n")
    sys.exit(1 if faults else 0)


def _read(file: Path) -> tuple[dict[int, dict[str, Any]], list[Fault]]:
    """Return the redirects of a file by their lines, and the lines that break a rule."""
    from pydantic import ValidationError  # noqa: PLC0415 - `--help` needn't wait for it.

    from app.core.http.problems import ValidationFailed  # noqa: PLC0415
    from app.redirects.schemas import RedirectCreate  # noqa: PLC0415

    wanted, faults = dict[int, dict[str, Any]](), list[Fault]()
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text)
            for row in reader:
                if not row or row == HEADING:
                    continue
                if len(row) != len(HEADING):
                    faults.append(Fault(reader.line_num, row[0], _("The line needs a path and a target.")))
                    continue
                try:
                    RedirectCreate(path=row[0], target=row[1])
                except ValidationError as error:
                    broken = ValidationFailed.of(error.errors(include_url=False, include_input=False))
                    faults.append(Fault(reader.line_num, row[0], broken.told(messages.chosen())))
                else:
                    wanted[reader.line_num] = {"path": row[0], "target": row[1]}
    except (UnicodeDecodeError, csv.Error) as error:
        raise environment.CommandError(
            _("{file} is no CSV in UTF-8: {reason}.").format(file=file, reason=error)
        ) from None
    return wanted, faults
