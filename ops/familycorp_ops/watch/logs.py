"""`familycorp logs`: the local application's log in readable lines; and the reader that `top` shares.

`familycorp up` keeps one file for each process, rotated when it is large; those of the application hold JSON lines.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from familycorp_ops.environment import STATE, nothing_runs
from familycorp_ops.output import AsJson

PROCESSES: Final = ("api", "worker")
"""Processes of the application, by the names of their logs."""

EVERY_S: Final = 0.2
"""Seconds between two reads for new lines."""

STYLES: Final = {"DEBUG": "dim", "INFO": "green", "WARNING": "yellow", "ERROR": "bold red"}
LEVELS: Final = tuple(STYLES)

_SHOWN_ELSEWHERE: Final = {
    *("timestamp", "level", "message", "location", "service", "correlation_id", "env", "_aws", "exception"),
    *("method", "route", "status", "latency"),
}

Line = Mapping[str, Any]
State = Annotated[Path, typer.Option(help="Directory that `up` was started with.", metavar="DIR")]


class Level(StrEnum):
    """The least level to show."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Tail:
    """A file that grows, and starts from zero when it is rotated."""

    def __init__(self, file: Path, *, from_end: bool = False) -> None:
        self._file, self._begun = file, b""
        self._at = file.stat().st_size if from_end and file.exists() else 0

    def new(self) -> list[str]:
        """Return the whole lines that came since the last call."""
        with suppress(FileNotFoundError), self._file.open("rb") as file:
            if file.seek(0, 2) < self._at:
                self._at, self._begun = 0, b""
            file.seek(self._at)
            *lines, self._begun = (self._begun + file.read()).split(b"\n")
            self._at = file.tell()
            return [line.decode("utf-8", "replace") for line in lines]
        return []


def files(state: Path) -> list[Path]:
    """Return the application's logs, rotated ones first; none where nothing was ever started."""
    logs = [state / "logs" / f"{name}.log" for name in PROCESSES]
    return [f for log in logs for f in (log.with_suffix(".log.1"), log) if f.exists()]


def parsed(text: str) -> Line:
    """Return a line's fields; what isn't JSON, as a traceback of the start, is a message without level."""
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict) and "timestamp" in found and "level" in found:
            return found
    return {"message": text}


def logs(  # noqa: PLR0917 - these are options of a command line.
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new lines too, until Ctrl-C.")
    ] = False,
    request: Annotated[
        str | None, typer.Option("--id", help="Only what belongs to this X-Request-ID.", metavar="ID")
    ] = None,
    level: Annotated[
        Level, typer.Option(help="Only this level and above.", case_sensitive=False)
    ] = Level.DEBUG,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Number of last lines.", min=0)] = 200,
    as_json: AsJson = False,
    state: State = STATE,
) -> None:
    """Show what the local application logs; with --json, the lines as they are."""
    found = files(state)
    if not found:
        sys.exit(nothing_runs(state))
    console = Console(highlight=False, soft_wrap=True)

    def show(texts: Sequence[str]) -> None:
        for text in texts:
            if as_json:
                sys.stdout.write(f"{text}\n")
            else:
                console.print(readable(parsed(text)))
        sys.stdout.flush()

    def wanted(texts: Sequence[str]) -> list[tuple[str, str]]:
        pairs = ((parsed(text), text) for text in texts)
        return [
            (str(line.get("timestamp", "")), text) for line, text in pairs if _is_wanted(line, request, level)
        ]

    tails = [Tail(file) for file in found]
    with suppress(KeyboardInterrupt, BrokenPipeError):
        first = [wanted(tail.new()) for tail in tails]
        # Lines without a time, such as a traceback, stay after the line that they followed.
        merged = sorted((pair for of_one in map(_timed, first) for pair in of_one), key=lambda pair: pair[0])
        show([text for __, text in merged][-lines or len(merged) :])
        while follow:
            time.sleep(EVERY_S)
            for tail, file in zip(tails, found, strict=True):
                if file.suffix == ".log":  # A rotated one was shown before.
                    show([text for __, text in wanted(tail.new())])


def _timed(pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    last = ""
    for at, text in pairs:
        last = at or last
        yield last, text


def _is_wanted(line: Line, request: str | None, level: Level) -> bool:
    if request is not None and request not in {line.get("correlation_id"), line.get("caused_by")}:
        return False
    return "level" not in line or LEVELS.index(_level(line)) >= LEVELS.index(level.value)


def _level(line: Line) -> str:
    return line["level"] if line["level"] in STYLES else "ERROR"


def readable(line: Line) -> Text:
    """Return a line for a person: time in UTC, level, what happened, and the correlation id."""
    if "level" not in line:
        return Text(_plain(line["message"]), style="dim")
    shown = Text()
    shown.append(
        datetime.fromisoformat(line["timestamp"]).astimezone(UTC).strftime("%H:%M:%S.%f")[:-3], "dim"
    )
    shown.append(f" {line['level']:<7} ", STYLES[_level(line)])
    shown.append(f"{str(line.get('service', '')).removeprefix('familycorp-'):<7} ", "dim")
    if line["message"] == "request":
        status = int(line["status"])
        shown.append(f"{line['method']} {line['route']} ", "bold")
        shown.append(f"{status}", "red" if status >= 500 else "yellow" if status >= 400 else "green")
        shown.append(f" {line['latency']} ms")
    else:
        shown.append(_plain(line["message"]), "bold")
    for name, value in line.items():
        if name not in _SHOWN_ELSEWHERE and not (name == "errors" and not value):
            shown.append(f" {name}=", "cyan").append(_plain(value))
    shown.append(f" {_plain(line.get('correlation_id', ''))}", "dim")
    if "exception" in line:
        shown.append(f"\n{_plain(line['exception'])}", "red")
    return shown


def _plain(value: Any) -> str:
    """Return a value as text that can't steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in str(value))
