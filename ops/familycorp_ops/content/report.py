"""Reports of imports and exports: bars on a terminal, plain lines elsewhere, a table at the end."""

from gettext import gettext as _
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from app.content.importing import Outcome
from familycorp_ops.content import differences, exporting, importing
from familycorp_ops.content.importing import Listener
from familycorp_ops.content.sites.kinds import Kind
from familycorp_ops.content.yamltext import Fault
from familycorp_ops.messages import marked


class _Rate(ProgressColumn):
    """How many files a second are done."""

    def render(self, task: Task) -> Text:
        """Return the rate, once there is one."""
        return Text(f"{task.speed:.0f}/s" if task.speed else "")


class Progress(Listener):
    """Shows how it goes: bars on a terminal, a line for each changed post elsewhere, and every error.

    Args:
        quiet: whether to show nothing at all.
        shows_files: whether a terminal, too, shows a line for each changed post.
    """

    def __init__(self, *, quiet: bool, shows_files: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False)
        bars = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        columns = (*bars, _Rate(), TimeRemainingColumn(compact=True, elapsed_when_finished=True))
        self._bars = Bars(*columns, console=self._console, disable=quiet or not self._console.is_terminal)
        self._shows_files = not quiet and (shows_files or not self._console.is_terminal)
        # Above the bars where there are bars; standard output, like any line, where there are none.
        self._lines = self._console if self._console.is_terminal else Console(highlight=False)
        self._tasks: dict[str, TaskID] = {}

    def progress(self, title: str, done: int, total: int) -> None:
        """Move the bar of a step."""
        if title not in self._tasks:
            self._tasks[title] = self._bars.add_task(_(title), total=total)
        self._bars.update(self._tasks[title], completed=done)

    def fault(self, file: str, fault: Fault) -> None:
        """Print an error where an editor can jump to it."""
        if not self._quiet:
            about = f"{fault.field}: " if fault.field else ""
            said = escape(f"{file}:{fault.line}: {about}{fault.message} ({fault.rule})")
            self._console.print(f"[red]✗[/] {said}", soft_wrap=True)

    def outcome(self, outcome: Outcome) -> None:
        """Print what changed, or would; what didn't is counted at the end."""
        if self._shows_files and outcome.result in {"created", "changed"}:
            changes = f": {', '.join(outcome.changes)}" if outcome.changes else ""
            self._lines.print(escape(f"{_(outcome.result)}  {outcome.file}{changes}"), soft_wrap=True)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()


def imported(summary: importing.Summary, problem: str | None) -> None:
    """Print what became of the files."""
    console = Console(highlight=False)
    table = Table(_("would be") if summary.dry_run else _("files"), _("number"), title=_("Import"))
    for result in (marked("created"), marked("changed"), marked("unchanged"), marked("failed")):
        table.add_row(_(result), str(summary.count(result)))
    if summary.outcomes or not problem:
        console.print(table)
    for change in summary.categories:
        sentence = (
            _("Category: {change} (not yet: dry run).") if summary.dry_run else _("Category: {change}.")
        )
        console.print(escape(sentence.format(change=change)))
    if summary.kind is not Kind.familycorp:
        known = _("The site was made with {kind} ({by}).")
        console.print(escape(known.format(kind=summary.kind, by=summary.recognised_by)), soft_wrap=True)
    _differences(summary, console)
    if summary.files_sent or summary.files_there:
        sentence = (
            _("{sent} pictures and files would be uploaded, {there} are there already.")
            if summary.dry_run
            else _("{sent} pictures and files were uploaded, {there} were there already.")
        )
        console.print(sentence.format(sent=summary.files_sent, there=summary.files_there))
    if summary.redirects:
        sentence = (
            _("Redirects: {created} would be created, {changed} changed, {unchanged} are as they are.")
            if summary.dry_run
            else _("Redirects: {created} created, {changed} changed, {unchanged} unchanged.")
        )
        results = {result: summary.redirects[result] for result in ("created", "changed", "unchanged")}
        console.print(sentence.format(**results))
    if summary.ignored:
        left = _("{number} files are neither Markdown nor categories.yaml; they were left out.")
        console.print(left.format(number=summary.ignored))
    if not summary.dry_run and (summary.count("created") or summary.redirects["created"]):
        sentence = _("This import is job {job}: `familycorp content undo {job}` takes it back.")
        console.print(sentence.format(job=summary.request_id), soft_wrap=True)
    if summary.pending:
        console.print(_("Some posts aren't visible yet; the scheduled job will finish that within minutes."))
    _show(problem)


def _differences(summary: importing.Summary, console: Console) -> None:
    """Print what was changed and what was left out; single places only of what was left out."""
    if changed := differences.groups(summary, "changed"):
        table = Table(_("changed"), _("files"), _("first place"), _("before"), _("after"), title=_("Changed"))
        for group in changed:
            file, note = group.places[0]
            table.add_row(
                *map(
                    escape,
                    (
                        f"{group.subject}: {group.why}",
                        str(group.files),
                        f"{file}:{note.line}",
                        note.before,
                        note.after,
                    ),
                )
            )
        console.print(table)
    if keys := differences.groups(summary, "no_counterpart"):
        listed = ", ".join(f"{group.subject} ({group.files})" for group in keys)
        sentence = _("Keys without a counterpart, and the number of files: {keys}.").format(keys=listed)
        console.print(escape(sentence), soft_wrap=True)
    for omitted in summary.omitted:
        sign = "[dim]-[/]" if omitted.settled else "[yellow]![/]"
        console.print(f"{sign} {escape(f'{omitted.file}: {omitted.why}')}", soft_wrap=True)
    for group in differences.groups(summary, "left_out"):
        for file, note in group.places:
            what = f"{file}:{note.line}: {note.subject}: {note.before or '-'}: {note.why}"
            console.print(f"[yellow]![/] {escape(what)}", soft_wrap=True)
    if summary.proposal:
        console.print(_("A mapping file (--map) that settles what was left out; change it to what is meant:"))
        console.print(escape(summary.proposal.toml()), soft_wrap=True)


def exported(summary: exporting.Summary, directory: Path, problem: str | None) -> None:
    """Print the written files, and the data that files can't have."""
    if problem is None:
        console = Console(highlight=False)
        written = _("{posts} posts and {categories} categories are in {directory}.").format(
            posts=summary.posts, categories=summary.categories, directory=directory
        )
        console.print(escape(written), soft_wrap=True)
        for number, sentence in (
            (summary.removed, _("{number} files of an earlier export were removed.")),
            (summary.files, _("{number} pictures and attachments are in files/.")),
            (summary.redirects, _("{number} redirects are in redirects.csv.")),
            (
                summary.missing_files,
                _("Not carried: {number} pictures and attachments aren't in the storage."),
            ),
            (summary.with_earlier_revisions, _("Not carried: {number} posts have earlier revisions.")),
            (
                summary.with_unpublished_edits,
                _("Not carried: {number} posts have edits that aren't published."),
            ),
        ):
            if number:
                console.print(sentence.format(number=number))
        console.print(_("View counts are never carried."))
    _show(problem)


def _show(problem: str | None) -> None:
    if problem:
        Console(stderr=True, highlight=False).print(f"[red]✗[/] {escape(problem)}", soft_wrap=True)
