"""What a rehearsal shows: its progress, and in the end what was seen and what wasn't."""

import re
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

BAR: Final = 2.5
"""How much longer than Terraform's apply and destroy a rehearsal may take."""
ONLY_AWS: Final = (
    (
        "the official base images, and the binary of the Lambda Web Adapter",
        "stand-ins, where the release is images; the conformance suite compares the adapter's",
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
    (
        "limits of memory, payload and concurrency; throttling; SnapStart",
        "a container has its function's memory, an archive hasn't; the rest isn't enforced here",
    ),
    (
        "Lambda's copy of an image, its freezing and its scaling",
        "podman starts a container for each execution environment, and keeps it",
    ),
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


class Stopwatch:
    """Adds up how long Terraform applies, by what it writes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began: float | None = None

    def read(self, line: str) -> None:
        """Take note of a line as it is written."""
        if self._began is None and re.search(r": (?:Creating|Modifying|Destroying)\.\.\.", line):
            self._began = time.monotonic()
        elif self._began is not None and line.startswith("Apply complete!"):
            self.seconds += time.monotonic() - self._began
            self._began = None


@dataclass
class Report:
    """Rows as they come, shown as they happen."""

    console: Console
    rows: list[Row] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    terraform: Stopwatch = field(default_factory=Stopwatch)

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

    def pace(self) -> str:
        """Return how long it took, and how many times as long as Terraform's apply and destroy in the same run."""
        alone = self.terraform.seconds
        if not alone:
            return f"{self.seconds:.0f} s"
        return (
            f"{self.seconds:.0f} s, {self.seconds / alone:.1f} times Terraform's apply and destroy alone"
            f" ({alone:.0f} s; bar: {BAR})"
        )

    def document(self) -> dict[str, Any]:
        """Return the whole report for programs."""
        return {
            "seconds": round(self.seconds, 1),
            "terraformSeconds": round(self.terraform.seconds, 1),
            "steps": [asdict(row) for row in self.rows],
            "onlyAws": [{"what": what, "instead": instead} for what, instead in ONLY_AWS],
        }

    def markdown(self) -> str:
        """Return the whole report."""
        lines = ["# Rehearsal of a deployment", "", "| rehearsed | held | seen | s |", "|---|---|---|---|"]
        for row in self.rows:
            seen = row.seen.replace("|", "\\|")
            lines.append(f"| {row.title} | {'yes' if row.held else '**no**'} | {seen} | {row.seconds:.0f} |")
        lines += ["", self.pace(), "", "| only AWS can show | here |", "|---|---|"]
        lines += [f"| {what} | {instead} |" for what, instead in ONLY_AWS]
        return "\n".join([*lines, ""])

    def write(self, file: Path) -> None:
        """Write it down."""
        file.write_text(self.markdown(), encoding="utf-8")
