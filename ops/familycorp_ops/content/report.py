"""What an import or export tells a person: progress on a terminal, and a table at the end."""

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from familycorp_ops.content import exporting, importing
from familycorp_ops.content.importing import Listener, Outcome
from familycorp_ops.content.yamltext import Fault


class Progress(Listener):
    """Shows a bar for each step on a terminal, and every error as it is found."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Bars(*columns, console=self._console, disable=quiet or not self._console.is_terminal)
        self._tasks: dict[str, TaskID] = {}
        self._quiet = quiet

    def progress(self, title: str, done: int, total: int) -> None:
        """Move the bar of a step."""
        if title not in self._tasks:
            self._tasks[title] = self._bars.add_task(title)
        self._bars.update(self._tasks[title], completed=done, total=total)

    def fault(self, file: str, fault: Fault) -> None:
        """Print an error where an editor can jump to it."""
        if not self._quiet:
            about = f"{fault.field}: " if fault.field else ""
            said = escape(f"{file}:{fault.line}: {about}{fault.message} ({fault.rule})")
            self._console.print(f"[red]✗[/] {said}", soft_wrap=True)

    def outcome(self, outcome: Outcome) -> None:
        """Results are counted at the end."""

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()


def imported(summary: importing.Summary) -> None:
    """Print what became of the files."""
    console = Console(highlight=False)
    if summary.dry_run:
        for outcome in summary.outcomes:
            if outcome.result not in {"unchanged", "failed"}:
                changes = f": {', '.join(outcome.changes)}" if outcome.changes else ""
                console.print(escape(f"{outcome.result}  {outcome.file}{changes}"), soft_wrap=True)
    table = Table("would be" if summary.dry_run else "files", "number", title="Import")
    for result in ("created", "changed", "unchanged", "failed"):
        table.add_row(result, str(summary.count(result)))
    console.print(table)
    for change in summary.categories:
        console.print(escape(f"Category {change}."))
    if summary.ignored:
        console.print(
            f"{summary.ignored} files are neither Markdown nor categories.yaml; they were left out."
        )
    if summary.owes:
        console.print("Some posts aren't visible yet; the scheduled job will finish that within minutes.")


def exported(summary: exporting.Summary, directory: Path) -> None:
    """Print what was written, and what files can't carry."""
    console = Console(highlight=False)
    written = f"{summary.posts} posts and {summary.categories} categories are in {directory}."
    console.print(escape(written), soft_wrap=True)
    for number, what in (
        (summary.with_uploads, "have thumbnails or attachments"),
        (summary.with_earlier_revisions, "have earlier revisions"),
        (summary.with_unpublished_edits, "have edits that aren't published"),
    ):
        if number:
            console.print(f"Not carried: {number} posts {what}.")
    console.print("View counts are never carried.")
