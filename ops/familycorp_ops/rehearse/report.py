"""What a rehearsal shows: its progress, and in the end what was seen and what wasn't."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

ONLY_AWS: Final = (
    (
        "image functions behind the Lambda Web Adapter",
        "the conformance suite runs the same application three ways",
    ),
    (
        "canary shifting by CodeDeploy, alarms that roll back",
        "the emulator has neither: the update is all at once",
    ),
    (
        "reachability inside the VPC, security groups, endpoints",
        "names that a function can't reach don't resolve here",
    ),
    (
        "how Aurora sleeps, wakes and fails over; RDS Proxy",
        "a real server behind a front that asks for tokens",
    ),
    (
        "how the Data API wakes Aurora, and its plugin of IAM logins",
        "the same statements on a real server",
    ),
    (
        "whether AWS takes an IAM token's signature",
        "everything else of a token is checked, on every connection",
    ),
    (
        "a session with a second factor, as Prod demands it of operators",
        "Dev's policies, which ask for none; the plan's tests read Prod's",
    ),
    (
        "that a function URL asks for two permissions, and names its caller",
        "the emulator checks the signature; the rest is added to it, as AWS documents it",
    ),
    ("Cognito's pages", "another OpenID provider, with the second factor of ours"),
    ("limits of memory, payload and concurrency; throttling; SnapStart", "not enforced here"),
    ("how fast it is there", "nothing here says anything about latency or cold starts in AWS"),
)
"""What only AWS can show, and what stands in for it."""


@dataclass
class Row:
    """One step: what was promised, whether it held, and what was seen."""

    title: str
    held: bool = False
    seen: str = ""
    seconds: float = 0.0


@dataclass
class Report:
    """Rows as they come, shown as they happen."""

    console: Console
    rows: list[Row] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, title: str) -> Iterator[Row]:
        """Show a step while it runs; it held if the block ends without an exception."""
        row = Row(title)
        self.rows.append(row)
        began = time.monotonic()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        try:
            with Progress(
                *columns, console=self.console, transient=True, disable=not self.console.is_terminal
            ) as bar:
                bar.add_task(title, total=None)
                yield row
            row.held = True
        except BaseException as error:
            row.seen = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise
        finally:
            row.seconds = time.monotonic() - began
            mark = "[green]✓[/]" if row.held else "[red]✗[/]"
            self.console.print(
                f"{mark} {escape(title)} [dim]({row.seconds:.0f} s)[/] {escape(row.seen)}", soft_wrap=True
            )

    def tables(self) -> Iterator[Table]:
        """Yield what was rehearsed and what wasn't, as tables for a terminal."""
        rehearsed = Table("rehearsed", "held", "seen", "s", box=SIMPLE)
        for row in self.rows:
            rehearsed.add_row(
                escape(row.title), "yes" if row.held else "no", escape(row.seen), f"{row.seconds:.0f}"
            )
        yield rehearsed
        unseen = Table("only AWS can show", "here", box=SIMPLE)
        for what, instead in ONLY_AWS:
            unseen.add_row(what, instead)
        yield unseen

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self.began

    def document(self) -> dict[str, Any]:
        """Return the whole report for programs."""
        return {
            "seconds": round(self.seconds, 1),
            "steps": [asdict(row) for row in self.rows],
            "onlyAws": [{"what": what, "instead": instead} for what, instead in ONLY_AWS],
        }

    def markdown(self) -> str:
        """Return the whole report."""
        lines = ["# Rehearsal of a deployment", "", "| rehearsed | held | seen | s |", "|---|---|---|---|"]
        for row in self.rows:
            seen = row.seen.replace("|", "\\|")
            lines.append(f"| {row.title} | {'yes' if row.held else '**no**'} | {seen} | {row.seconds:.0f} |")
        lines += ["", "| only AWS can show | here |", "|---|---|"]
        lines += [f"| {what} | {instead} |" for what, instead in ONLY_AWS]
        return "\n".join([*lines, ""])

    def write(self, file: Path) -> None:
        """Write it down."""
        file.write_text(self.markdown(), encoding="utf-8")
