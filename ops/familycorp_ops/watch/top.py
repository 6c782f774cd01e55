"""`familycorp top`: what the local application is doing right now, from its own log."""

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from gettext import gettext as _
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from familycorp_ops.environment import STATE, nothing_runs
from familycorp_ops.figures import percentile
from familycorp_ops.messages import marked
from familycorp_ops.output import AsJson, document
from familycorp_ops.watch.logs import EVERY_S, State, Tail, files

Line = dict[str, Any]

SAMPLE_S: Final = 1.0
"""Seconds between two samples for a program."""

ROUTES = 12
"""Routes that are shown, the most asked first."""


class Traffic:
    """The requests of the last seconds."""

    def __init__(self, window_s: int) -> None:
        self._window_s = window_s
        self._lines: deque[tuple[float, Line]] = deque()

    def add(self, texts: Iterable[str]) -> None:
        """Take lines of the log; lines that aren't of requests are left out."""
        for text in texts:
            with suppress(ValueError, KeyError, TypeError):
                line = json.loads(text)
                if line["message"] == "request":
                    self._lines.append((datetime.fromisoformat(line["timestamp"]).timestamp(), line))

    def sample(self) -> dict[str, dict[str, float | None]]:
        """Return the values by route, the most asked first; those of all requests are under `all`."""
        oldest = time.time() - self._window_s
        while self._lines and self._lines[0][0] < oldest:
            self._lines.popleft()
        lines = [line for _, line in self._lines]
        by_route: dict[str, list[Line]] = {}
        for line in lines:
            by_route.setdefault(line["route"], []).append(line)
        busiest = sorted(by_route.items(), key=lambda pair: -len(pair[1]))
        return {name: self._values(asked) for name, asked in [("all", lines), *busiest[:ROUTES]]}

    def shown(self) -> Group:
        """Return the screen."""
        columns = (Column(_(value.title), justify="right") for value in VALUES.values())
        table = Table(_("route"), *columns, box=None, pad_edge=False)
        for route, values in self.sample().items():
            row = (
                "-" if (found := values[name]) is None else value.shape.format(found)
                for name, value in VALUES.items()
            )
            everything = route == "all"
            table.add_row(_("all") if everything else route, *row, style="bold" if everything else None)
        title = Text(_("The last {seconds} s; Ctrl-C ends.").format(seconds=self._window_s), "dim")
        return Group(title, table)

    def _values(self, lines: list[Line]) -> dict[str, float | None]:
        return {name: value.of(lines, self._window_s) for name, value in VALUES.items()}


class Value(NamedTuple):
    """A column of the table: its heading, its format, and how lines make its value."""

    title: str
    shape: str
    of: Callable[[list[Line], int], float | None]


def _percentile(percent: int) -> Callable[[list[Line], int], float | None]:
    def value(lines: list[Line], __: int) -> float | None:
        return round(percentile([line["latency"] for line in lines], percent), 1) if lines else None

    return value


def _hits(lines: list[Line], __: int) -> float | None:
    hits, misses = (sum(line.get(name, 0) for line in lines) for name in ("cache_hit", "cache_miss"))
    return round(100 * hits / (hits + misses), 1) if hits + misses else None


VALUES: Mapping[str, Value] = {
    "requestsPerSecond": Value(
        marked("requests/s"), "{:.1f}", lambda lines, window: round(len(lines) / window, 2)
    ),
    "p50Ms": Value(marked("p50 ms"), "{:.1f}", _percentile(50)),
    "p99Ms": Value(marked("p99 ms"), "{:.1f}", _percentile(99)),
    "cacheHitsPercent": Value(marked("cache hits"), "{:.0f} %", _hits),
    "errors": Value(marked("errors"), "{:.0f}", lambda lines, __: sum(line["errors"] for line in lines)),
}


def top(
    window: Annotated[int, typer.Option(help="Seconds to look back.", min=1, max=3600)] = 60,
    once: Annotated[bool, typer.Option(help="Print once and exit.")] = False,
    as_json: AsJson = False,
    state: State = STATE,
) -> None:
    """Show rate, latency, cache hits and errors of the local application; with --json, a line each second."""
    tails = [Tail(file) for file in files(state) if file.name.startswith("api.")]
    if not tails:
        sys.exit(nothing_runs(state))
    console, traffic = Console(highlight=False), Traffic(window)

    def look() -> Traffic:
        for tail in tails:
            traffic.add(tail.new())
        return traffic

    if as_json:
        with suppress(KeyboardInterrupt, BrokenPipeError):
            while True:
                at = datetime.now(UTC).isoformat(timespec="milliseconds")
                line = {"at": at, "windowSeconds": window, "routes": look().sample()}
                print(document(line), flush=True)
                if once:
                    return
                time.sleep(SAMPLE_S)
    if once or not console.is_terminal:
        console.print(look().shown())
        return
    with suppress(KeyboardInterrupt), Live(look().shown(), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(EVERY_S)
            live.update(look().shown(), refresh=True)
