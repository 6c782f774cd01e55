"""`make fuzz`: searches for inputs that break what the targets in be-app/tests/support/fuzzed promise.

libFuzzer mutates inputs, guided by what they reach in the Python code below (what is native, as the HTML sanitiser or
the policy's WebAssembly, it can't see into). What it learnt stays in build/fuzz/TARGET/corpus, for the next run; an
input that broke a promise stays beside it, and is printed in Base64 with the command that repeats it.
"""

import argparse
import base64
import logging
import os
import re
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "be-app" / "tests"
ATHERIS = (
    Path(__file__).parent
    / ".venv"
    / "lib"
    / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    / "site-packages"
)
RUNS = ROOT / "build" / "fuzz"
AT_ONCE = 2
MEMORY_MB = 1024
HANGS_AFTER_S = 20
INSTRUMENTED = [
    *(
        "app",
        "familycorp_ops.content",
        "support.fuzzed",
        "imagesize",
        "jwt",
        "markdown_it",
        "mdurl",
        "olefile",
    ),
    *("starlette.requests", "yaml"),
]


@dataclass
class Run:
    """One target's run."""

    name: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    began: float = field(default_factory=time.monotonic)

    @property
    def directory(self) -> Path:
        """Where its corpus, its log and its finds are."""
        return RUNS / self.name

    def told(self) -> str:
        """Return what it has said so far."""
        return (self.directory / "log").read_text("utf-8", "replace")

    def executions(self) -> int:
        """Return how many inputs it has reported as tried."""
        numbers = re.findall(r"^(?:#|stat::number_of_executed_units: )(\d+)", self.told(), re.MULTILINE)
        return int(numbers[-1]) if numbers else 0

    def reached(self) -> int:
        """Return how many edges of the code it has reached."""
        numbers = re.findall(r" cov: (\d+)", self.told())
        return int(numbers[-1]) if numbers else 0

    def finds(self) -> list[Path]:
        """Return the inputs that broke a promise: its own, not those of earlier runs."""
        return [path for path in self.directory.glob("*-*") if path.stat().st_mtime >= self.log_began()]

    def log_began(self) -> float:
        """Return when it was started, by the clock of the file system."""
        return (self.directory / "started").stat().st_mtime


def start(name: str, seconds: int) -> Run:
    """Start fuzzing a target for so many seconds."""
    directory = RUNS / name
    (directory / "corpus").mkdir(parents=True, exist_ok=True)
    (directory / "started").touch()
    log = (directory / "log").open("wb")
    command = [sys.executable, __file__, "--child", name, "--seconds", str(seconds)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(ROOT / "be-app")])}
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, env=environment)
    return Run(name, process, log)


def fuzz(name: str, seconds: int) -> None:
    """Fuzz a target in this process, until it is over or a promise is broken; libFuzzer ends the process."""
    os.nice(19)
    sys.path += [str(TESTS), str(ATHERIS)]
    logging.disable(logging.CRITICAL)
    import atheris  # noqa: PLC0415

    with atheris.instrument_imports(include=INSTRUMENTED):
        from support.fuzzed import LONGEST, target  # noqa: PLC0415

        fuzzed: Any = target(name)
    directory = RUNS / name
    seeds = directory / "seeds"
    seeds.mkdir(exist_ok=True)
    for number, seed in enumerate(fuzzed.seeds()):
        (seeds / str(number)).write_bytes(seed)
    words = directory / "words"
    words.write_text(
        "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in fuzzed.WORDS)
    )

    def within(data: bytes) -> None:
        began = time.process_time()
        fuzzed.check(data)
        took = time.process_time() - began
        assert took < fuzzed.WITHIN_S, f"took {took:.2f} s"  # noqa: S101 - a target's way to fail

    options = [
        *(f"-max_total_time={seconds}", f"-artifact_prefix={directory}/", f"-dict={words}"),
        *(
            f"-max_len={getattr(fuzzed, 'LONGEST', LONGEST)}",
            f"-timeout={HANGS_AFTER_S}",
            f"-rss_limit_mb={MEMORY_MB}",
        ),
        *("-print_final_stats=1", str(directory / "corpus"), str(seeds)),
    ]
    atheris.Setup([name, *options], within)
    atheris.Fuzz()


def main() -> int:
    """Run what the command line says; return the exit status: 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--reproduce", help="an input in Base64, for the one target")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*")
    chosen = parser.parse_args()
    if chosen.child:
        fuzz(chosen.child, chosen.seconds)
    sys.path.append(str(TESTS))
    from support.fuzzed import NAMES, target  # noqa: PLC0415

    if unknown := set(chosen.targets) - set(NAMES):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if chosen.reproduce is not None:
        for name in chosen.targets:
            target(name).check(base64.b64decode(chosen.reproduce))
        return 0
    return report(everything(chosen.targets or NAMES, chosen.seconds))


def everything(names: list[str], seconds: int) -> list[Run]:
    """Run targets, two at a time, and show how far they are."""
    waiting, running, done = deque(names), list[Run](), list[Run]()
    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars = {name: progress.add_task(name, total=seconds, start=False, said="") for name in names}
        try:
            while waiting or running:
                while waiting and len(running) < AT_ONCE:
                    running.append(start(waiting.popleft(), seconds))
                    progress.start_task(bars[running[-1].name])
                time.sleep(0.5)
                for run in list(running):
                    ended = run.process.poll() is not None
                    spent = seconds if ended else min(time.monotonic() - run.began, seconds)
                    said = f"{run.executions():,} inputs, {run.reached():,} edges"
                    progress.update(bars[run.name], completed=spent, said=said)
                    if ended:
                        progress.stop_task(bars[run.name])
                        running.remove(run)
                        done.append(run)
        finally:
            for run in running:
                run.process.kill()
                run.process.wait()
    return done


def report(runs: list[Run]) -> int:
    """Print what came of it; return the exit status."""
    console = Console(highlight=False)
    table = Table("target", "inputs", "edges", "finds")
    for run in runs:
        table.add_row(run.name, f"{run.executions():,}", f"{run.reached():,}", str(len(run.finds())))
    console.print(table)
    failed = [run for run in runs if run.finds() or run.process.returncode]
    for run in failed:
        console.print(f"\n[red]✗[/] {run.name}, as {run.directory / 'log'} tells:")
        print("\n".join(run.told().splitlines()[-40:]))
        for find in run.finds():
            encoded = base64.b64encode(find.read_bytes()).decode()
            print(f"\nmake fuzz TARGET={run.name} REPRODUCE={encoded}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
