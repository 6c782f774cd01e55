"""`familycorp content`: a folder of Markdown files becomes posts, and posts become such a folder."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from familycorp_ops import up as local

if TYPE_CHECKING:
    from familycorp_ops.content.importing import Summary

DEMO = Path(__file__).parents[1] / "demo"

app = typer.Typer(help="Move content in and out as Markdown files.", no_args_is_help=True)

State = Annotated[Path, typer.Option(help="Directory of what `familycorp up` runs.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


@app.command("import")
def import_command(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, metavar="DIR")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change; change nothing.")
    ] = False,
    as_json: AsJson = False,
    state: State = local.STATE,
) -> None:
    """Make posts of the Markdown files in DIR; run again, it changes only what the files changed."""
    from app.core.errors import Unavailable  # noqa: PLC0415
    from app.core.settings import SettingsError  # noqa: PLC0415
    from familycorp_ops.content import importing, report  # noqa: PLC0415
    from familycorp_ops.content.environment import enter, settled  # noqa: PLC0415

    summary = importing.Summary(dry_run)
    try:
        enter(state)
        with report.Progress(quiet=as_json) as listener:
            settled(importing.run(directory, summary, listener))
    except (local.StartError, SettingsError, Unavailable) as error:
        sys.exit(f"The import stopped: {error} What was imported stays; run it again to go on.")
    if as_json:
        sys.stdout.write(json.dumps(_as_json(summary), ensure_ascii=False) + "\n")
    else:
        report.imported(summary)
    sys.exit(1 if summary.faults else 0)


@app.command("export")
def export_command(
    directory: Annotated[Path, typer.Argument(file_okay=False, metavar="DIR")],
    force: Annotated[
        bool, typer.Option("--force", help="Write even among files that no export wrote.")
    ] = False,
    as_json: AsJson = False,
    state: State = local.STATE,
) -> None:
    """Write all posts and categories to DIR, of which an import makes the same posts."""
    from app.core.errors import Unavailable  # noqa: PLC0415
    from app.core.settings import SettingsError  # noqa: PLC0415
    from familycorp_ops.content import exporting, report  # noqa: PLC0415
    from familycorp_ops.content.environment import enter, settled  # noqa: PLC0415

    summary = exporting.Summary()
    try:
        enter(state)
        with report.Progress(quiet=as_json) as listener:
            settled(exporting.run(directory, summary, listener, force=force))
    except exporting.Occupied:
        sys.exit(f"{directory} holds files that no export wrote: choose another directory, or add --force.")
    except OSError as error:
        sys.exit(f"{error.filename or directory} can't be written: {error.strerror}.")
    except (local.StartError, SettingsError, Unavailable) as error:
        sys.exit(f"The export stopped: {error}")
    if as_json:
        sys.stdout.write(json.dumps(vars(summary)) + "\n")
    else:
        report.exported(summary, directory)


def load_demo() -> None:
    """Import the demonstration content; the environment names the stores."""
    from familycorp_ops.content import importing  # noqa: PLC0415
    from familycorp_ops.content.environment import settled  # noqa: PLC0415

    summary = importing.Summary(dry_run=False)
    settled(importing.run(DEMO, summary, importing.Listener()))
    if summary.faults:
        sys.exit(f"The demonstration content has errors: {summary.faults}")


def _as_json(summary: "Summary") -> dict[str, object]:
    return {
        "dryRun": summary.dry_run,
        "requestId": summary.request_id,
        "categories": summary.categories,
        "ignoredFiles": summary.ignored,
        "complete": not summary.owes,
        "files": [
            {"file": o.file, "slug": o.slug, "result": o.result, "changes": list(o.changes)}
            for o in summary.outcomes
        ],
        "errors": [{"file": name, **fault._asdict()} for name, fault in summary.faults],
    }
