"""`familycorp redirects`: where the addresses of an earlier site lead, taken from a file."""

import sys
from gettext import gettext as _
from pathlib import Path
from typing import Annotated

import typer

from familycorp_ops import environment, messages
from familycorp_ops.admin import operator
from familycorp_ops.admin.operator import Env, State
from familycorp_ops.output import AsJson, document

TOGETHER = 100
"""How many redirects one call writes."""

app = typer.Typer(help="Lead the addresses of an earlier site to this one's.", no_args_is_help=True)


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
    from familycorp_ops.content import redirects as files  # noqa: PLC0415 - `--help` needn't wait for it.
    from familycorp_ops.content.yamltext import Fault  # noqa: PLC0415

    with operator.reported():
        wanted, faults = files.read(file)
        language = messages.chosen()
        results = dict.fromkeys(("created", "changed", "unchanged"), 0)
        lines = list(wanted)
        for start in range(0, len(lines), TOGETHER):
            part = lines[start : start + TOGETHER]
            items = [wanted[number].model_dump() for number in part]
            outcomes = operator.order("redirects.import", env, state, items=items, language=language)
            for line, outcome in zip(part, outcomes, strict=True):
                if outcome["result"] == "failed":
                    faults.append(Fault(line, wanted[line].path, "redirect", outcome["message"]))
                else:
                    results[outcome["result"]] += 1
    faults.sort()
    if as_json:
        errors = [{"line": fault.line, "path": fault.field, "message": fault.message} for fault in faults]
        found = {**results, "failed": len(faults), "errors": errors}
        sys.stdout.write(f"{document(found)}\n")
    else:
        for fault in faults:
            sys.stderr.write(f"{file}:{fault.line}: {fault.message}\n")
        said = _("{created} created, {changed} changed, {unchanged} unchanged, {failed} failed.")
        sys.stdout.write(said.format(**results, failed=len(faults)) + "\n")
    sys.exit(1 if faults else 0)
