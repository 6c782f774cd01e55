"""`familycorp content`: a folder of Markdown files becomes posts, and posts become such a folder."""

import sys
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from familycorp_ops import environment
from familycorp_ops.admin import operator
from familycorp_ops.admin.operator import Env, Operator, RefusedError, State
from familycorp_ops.content.sites.kinds import Kind
from familycorp_ops.output import AsJson, document

if TYPE_CHECKING:
    from familycorp_ops.content import exporting, importing

DEMO = Path(__file__).parents[1] / "local" / "demo"

app = typer.Typer(help="Import and export content as Markdown files.", no_args_is_help=True)


@app.command("import")
def import_command(  # noqa: PLR0917 - Typer takes them by name.
    directory: Annotated[
        Path,
        typer.Argument(
            help="The folder of the site or of its content, or a file that WordPress or Ghost exported.",
            exists=True,
            metavar="SOURCE",
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    kind: Annotated[
        Kind | None, typer.Option("--from", help="What the site was made with; else it is recognised.")
    ] = None,
    zone: Annotated[
        str, typer.Option("--timezone", help="Time zone of dates without an offset.", metavar="ZONE")
    ] = "Asia/Seoul",
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--map", help="TOML file that settles what differs.", exists=True, dir_okay=False, metavar="FILE"
        ),
    ] = None,
    report_file: Annotated[
        Path | None,
        typer.Option(
            "--report", help="Write the report as an HTML page, too.", dir_okay=False, metavar="FILE"
        ),
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Import the pages of SOURCE as posts; a second run applies only the changes of the files."""
    from familycorp_ops.content import importing, report  # noqa: PLC0415

    summary, problem, status = importing.Summary(dry_run), None, 0
    with report.Progress(quiet=as_json, shows_files=dry_run) as listener:
        try:
            manner = _manner(kind, zone, mapping)
            if env is None:
                environment.choose(state, writes=not dry_run)
                environment.run(importing.run(directory, summary, listener, manner))
            else:
                importing.run_there(directory, summary, listener, Operator(env), manner)
            status = 1 if summary.left_out else 0
        except (environment.CommandError, RefusedError) as error:
            problem, status = str(error), 1
        except importing.NothingToImport:
            problem, status = (
                _(
                    "Nothing was imported: {directory} holds no *.md or *.markdown file and no categories.yaml."
                ).format(directory=directory),
                1,
            )
        except KeyboardInterrupt:
            problem, status = (
                _("Interrupted: imported posts stay; run the same command again for the rest."),
                130,
            )
    if as_json:
        sys.stdout.write(f"{document(_imported(summary, problem))}\n")
    else:
        report.imported(summary, problem)
    if report_file is not None:
        from familycorp_ops.content import html_report  # noqa: PLC0415

        report_file.write_text(html_report.page(summary, directory, problem), "utf-8")
    sys.exit(status)


@app.command("export")
def export_command(  # noqa: PLR0917 - Typer takes them by name.
    directory: Annotated[Path, typer.Argument(help="The folder.", file_okay=False, metavar="DIR")],
    force: Annotated[
        bool, typer.Option("--force", help="Write even among files that no export wrote.")
    ] = False,
    site: Annotated[
        str | None,
        typer.Option(
            "--wxr",
            help="Write wordpress.xml, too, for WordPress to import; URL is where it finds DIR on the web.",
            metavar="URL",
        ),
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Export all posts and categories to DIR; an import makes the same posts of them."""
    from familycorp_ops.content import exporting, report  # noqa: PLC0415

    summary, problem, status = exporting.Summary(), None, 1
    with report.Progress(quiet=as_json) as listener:
        try:
            if env is None:
                environment.choose(state, writes=False)
            source = exporting.Source() if env is None else exporting.Remote(Operator(env))
            environment.run(exporting.run(directory, summary, listener, source, force=force, site=site))
            status = 0
        except (environment.CommandError, RefusedError) as error:
            problem = str(error)
        except exporting.Occupied:
            problem = _(
                "{directory} holds files that no export wrote: choose another folder, or add --force."
            ).format(directory=directory)
        except OSError as error:
            problem = _("{file} can't be written: {reason}.").format(
                file=error.filename or directory, reason=error.strerror
            )
        except KeyboardInterrupt:
            problem, status = _("Interrupted: the same command does the rest."), 130
    if as_json:
        sys.stdout.write(f"{document(_exported(summary, problem))}\n")
    else:
        report.exported(summary, directory, problem)
    sys.exit(status)


@app.command("undo")
def undo_command(
    job: Annotated[UUID, typer.Argument(help="Id of the import, which it prints at its end.", metavar="JOB")],
    env: Env = None,
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Archive what an import created and nobody has changed since, and delete its redirects."""
    withdrawn, kept, redirects, remaining = list[str](), list[str](), 0, 1
    with operator.reported():
        while remaining:
            part = operator.order("content.undo", env, state, job=str(job))
            withdrawn += part["withdrawn"]
            kept, redirects, remaining = part["kept"], redirects + part["redirects"], part["remaining"]
    if as_json:
        found = {"withdrawn": withdrawn, "kept": kept, "redirects": redirects}
        sys.stdout.write(f"{document(found)}\n")
    else:
        for slug in kept:
            sys.stdout.write(_("{slug} was changed since, and stays as it is.").format(slug=slug) + "\n")
        done = _("{posts} posts were archived, {redirects} redirects deleted.")
        sys.stdout.write(done.format(posts=len(withdrawn), redirects=redirects) + "\n")
    sys.exit(1 if kept else 0)


def _manner(kind: Kind | None, zone: str, mapping: Path | None) -> "importing.Manner":
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    from familycorp_ops.content import importing  # noqa: PLC0415
    from familycorp_ops.content.sites.mapping import Mapping  # noqa: PLC0415

    try:
        known = ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        raise environment.CommandError(
            _("{zone} isn't a time zone; one is called Asia/Seoul.").format(zone=zone)
        ) from None
    return importing.Manner(kind, known, Mapping.read(mapping) if mapping else Mapping())


def load_demo() -> None:
    """Import the demonstration content; the environment names the stores."""
    from familycorp_ops.content import importing  # noqa: PLC0415

    summary = importing.Summary(dry_run=False)
    try:
        environment.run(importing.run(DEMO, summary, importing.Listener()))
    except environment.CommandError as error:
        sys.exit(str(error))
    if summary.faults:
        sys.exit("\n".join(f"{file}:{fault.line}: {fault.message}" for file, fault in summary.faults))


def _imported(summary: "importing.Summary", problem: str | None) -> dict[str, object]:
    return {
        "dryRun": summary.dry_run,
        "requestId": summary.request_id,
        "problem": problem,
        **{result: summary.count(result) for result in ("created", "changed", "unchanged", "failed")},
        "categories": summary.categories,
        "ignoredFiles": summary.ignored,
        "uploads": {"sent": summary.files_sent, "there": summary.files_there},
        "redirects": {result: summary.redirects[result] for result in ("created", "changed", "unchanged")},
        "complete": not (summary.pending or problem),
        "from": summary.kind,
        "recognisedBy": summary.recognised_by,
        "leftOut": summary.left_out,
        "notes": [{"file": name, **note._asdict()} for name, note in summary.notes],
        "omittedFiles": [omitted._asdict() for omitted in summary.omitted],
        "proposedMap": summary.proposal.toml(),
        "files": [
            {"file": o.file, "slug": o.slug, "result": o.result, "changes": list(o.changes)}
            for o in summary.outcomes
        ],
        "errors": [{"file": name, **fault._asdict()} for name, fault in summary.faults],
    }


def _exported(summary: "exporting.Summary", problem: str | None) -> dict[str, object]:
    return {
        "problem": problem,
        "posts": summary.posts,
        "categories": summary.categories,
        "files": summary.files,
        "redirects": summary.redirects,
        "removedFiles": summary.removed,
        "notCarried": {
            "files": summary.missing_files,
            "earlierRevisions": summary.with_earlier_revisions,
            "unpublishedEdits": summary.with_unpublished_edits,
            "viewCounts": summary.posts,
        },
    }
