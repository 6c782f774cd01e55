"""`familycorp top`: what the local application is doing right now, from its own log."""

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from familycorp_ops.figures import percentile
from familycorp_ops.logs import EVERY_S, State, Tail, files
from familycorp_ops.up import STATE

Line = dict[str, Any]

ROUTES = 12
"""Routes that are shown, the most asked first."""


class Traffic:
    """The requests of the last seconds."""

    def __init__(self, window_s: int) -> None:
        self._window_s = window_s
        self._lines: deque[tuple[float, Line]] = deque()

    def add(self, texts: Iterable[str]) -> None:
        """Take lines of the log; what is no request is left out."""
        for text in texts:
            with suppress(ValueError, KeyError, TypeError):
                line = json.loads(text)
                if line["message"] == "request":
                    self._lines.append((datetime.fromisoformat(line["timestamp"]).timestamp(), line))

    def shown(self) -> Group:
        """Return the screen."""
        oldest = time.time() - self._window_s
        while self._lines and self._lines[0][0] < oldest:
            self._lines.popleft()
        lines = [line for _, line in self._lines]
        by_route: dict[str, list[Line]] = {}
        for line in lines:
            by_route.setdefault(line["route"], []).append(line)
        busiest = sorted(by_route.items(), key=lambda pair: -len(pair[1]))
        columns = (Column(name, justify="right") for name in ("requests/s", *VALUES))
        table = Table("route", *columns, box=None, pad_edge=False)
        table.add_row("all", *self._row(lines), style="bold")
        for route, asked in busiest[:ROUTES]:
            table.add_row(route, *self._row(asked))
        title = Text(f"The last {self._window_s} s; Ctrl-C ends.", "dim")
        return Group(title, table)

    def _row(self, lines: list[Line]) -> list[str]:
        return [f"{len(lines) / self._window_s:.1f}", *(value(lines) for value in VALUES.values())]


def _percentile(percent: int) -> Callable[[list[Line]], str]:
    def value(lines: list[Line]) -> str:
        return f"{percentile([line['latency'] for line in lines], percent):.1f}" if lines else "-"

    return value


def _hits(lines: list[Line]) -> str:
    hits, misses = (sum(line.get(name, 0) for line in lines) for name in ("cache_hit", "cache_miss"))
    return f"{100 * hits / (hits + misses):.0f} %" if hits + misses else "-"


def _errors(lines: list[Line]) -> str:
    return str(sum(line["errors"] for line in lines))


VALUES: Mapping[str, Callable[[list[Line]], str]] = {
    "p50 ms": _percentile(50),
    "p99 ms": _percentile(99),
    "cache hits": _hits,
    "errors": _errors,
}


def top(
    window: Annotated[int, typer.Option(help="Seconds to look back.", min=1, max=3600)] = 60,
    once: Annotated[bool, typer.Option(help="Print it once instead of going on.")] = False,
    state: State = STATE,
) -> None:
    """Show rate, latency, cache hits and errors of the local application."""
    tails = [Tail(file) for file in files(state) if file.name.startswith("api.")]
    if not tails:
        sys.exit(f"There are no logs in {state}: `make up` starts the application.")
    console, traffic = Console(highlight=False), Traffic(window)

    def look() -> Group:
        for tail in tails:
            traffic.add(tail.new())
        return traffic.shown()

    if once or not console.is_terminal:
        console.print(look())
        return
    with suppress(KeyboardInterrupt), Live(look(), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(EVERY_S)
            live.update(look(), refresh=True)
