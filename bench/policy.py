"""The second half of `make bench`: what a decision of the policy costs, alone and as part of a request.

There is no peer to compare with, so the bars are times, which hold on two shared cores. They are times of the CPU and
medians of rounds: none of this waits for anything, and what a neighbour takes of a core is not its doing.
Exits with 1 when a bar is missed.
"""

import argparse
import asyncio
import logging
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import psutil
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from app.authz import policy, wasm
from app.core.observability.logging import configure
from familycorp_ops.local.provision import provision
from familycorp_ops.markdown import with_part
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack

NOW = 1_795_424_400
ROUNDS = 10
ID = "01900000-0000-7000-8000-000000000000"
POST = {"type": "post", "id": ID, "owner": ID, "draft": True}
QUESTIONS: tuple[tuple[str | None, str, dict[str, Any] | None], ...] = (
    ("viewer", "post:list", None),
    ("editor", "post:update", None),
    ("editor", "post:update", POST),
    ("editor", "inquiry:list", None),
    ("admin", "member:set-role", {"type": "member", "id": "other", "newRole": "editor"}),
    (None, "self:read", None),
)


class Bar(NamedTuple):
    """A claim: a figure that must not pass its limit."""

    claim: str
    figure: float
    limit: float
    unit: str

    @property
    def held(self) -> bool:
        """Whether the claim holds."""
        return self.figure <= self.limit


def _subject(role: str | None) -> dict[str, Any]:
    return {"authenticated": True, "id": ID, "role": role, "mfaAt": NOW - 60}


def _decide(took: "array[float]") -> tuple[float, float]:
    """Ask all questions in turn; return p50 and p99 of the microseconds that a decision took."""
    asked = [(_subject(role), action, resource) for role, action, resource in QUESTIONS]
    clock, decide = time.thread_time_ns, policy.decide
    for i, (subject, action, resource) in zip(range(len(took)), cycle(asked), strict=False):
        before = clock()
        decide(subject, action, resource, now=NOW)
        took[i] = (clock() - before) / 1000
    ordered = sorted(took)
    return ordered[len(took) // 2], ordered[len(took) * 99 // 100]


def _decisions(evaluations: int) -> tuple[list[Bar], list[tuple[str, float, float]]]:
    """Measure decisions with their line in the log and without, and whether memory grows by them."""
    logger = logging.getLogger("app.authz")
    resident = psutil.Process().memory_info
    table, grown = [], 0
    for name, level, number in (
        ("written", logging.INFO, evaluations // 10),
        ("dropped", logging.WARNING, evaluations),
    ):
        logger.setLevel(level)
        took = array("d", bytes(8 * number // ROUNDS))
        _decide(took)
        before = resident().rss
        rounds = [_decide(took) for _ in track(range(ROUNDS), description=f"Deciding, line {name}")]
        grown = resident().rss - before
        table.append((name, statistics.median(r[0] for r in rounds), statistics.median(r[1] for r in rounds)))
    logger.setLevel(logging.INFO)
    _, p50, p99 = table[-1]
    bars = [
        Bar("a decision without its line in the log, p50", p50, 60, "µs"),
        Bar("the same, p99", p99, 200, "µs"),
        Bar(f"memory grown by {evaluations:,} decisions", grown / 2**20, 1, "MB"),
    ]
    return bars, table


def _loads(runs: int) -> tuple[float, float]:
    """Return the milliseconds of CPU that it takes to load the bundle, precompiled and compiling."""

    def took(directory: str) -> float:
        policy._load.cache_clear()  # noqa: SLF001 - a process loads it once; here it is to be timed.
        before = time.process_time()
        policy._load(directory)  # noqa: SLF001
        return (time.process_time() - before) * 1000

    with tempfile.TemporaryDirectory() as made:
        bundle = Path(made, "bundle")
        place = str(bundle)
        shutil.copytree(policy.BUILT, bundle, ignore=shutil.ignore_patterns("policy.cwasm", "policy.json"))
        compiling = statistics.median(took(place) for _ in range(runs))
        wasm.precompile(bundle / "policy.wasm")
        return statistics.median(took(place) for _ in range(runs)), compiling


async def _answer(app: Any, path: str, headers: list[tuple[bytes, bytes]]) -> None:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"{path} answered {message['status']}")

    await app(scope, receive, send)


async def _cpu(number: int, ask: Callable[[], Awaitable[None]]) -> float:
    """Return the milliseconds of CPU, of all threads, that one request takes."""
    before = time.process_time()
    for _ in range(number):
        await ask()
    return (time.process_time() - before) * 1000 / number


async def _requests(app: Any, number: int) -> tuple[float, float, float]:
    """Return the CPU of an anonymous request, of an authenticated one, and of one whose session is looked up."""
    # Imported here, once the environment names this run's emulator.
    from app.auth import access, cookies, sessions

    identity = sessions.Identity("https://idp.example", "bench", "", "김하늘", "editor", "")
    made = await sessions.create(identity, second_factor_at=int(time.time()), device="bench")
    cookie = [(b"cookie", f"{cookies.ACCESS}={made.access}".encode())]

    async def anonymous() -> None:
        await _answer(app, "/health", [])

    async def authenticated() -> None:
        await _answer(app, "/v1/auth/me", cookie)

    async def looked_up() -> None:
        access.forget()
        await authenticated()

    for ask in (anonymous, authenticated, looked_up):
        await _cpu(50, ask)
    rounds = [
        (
            await _cpu(number, anonymous),
            await _cpu(number, authenticated),
            await _cpu(number // 20, looked_up),
        )
        for _ in track(range(ROUNDS), description="Asking")
    ]
    return (
        statistics.median(r[0] for r in rounds),
        statistics.median(r[1] for r in rounds),
        statistics.median(r[2] for r in rounds),
    )


def _report(share: int, nowhere: TextIO) -> tuple[str, bool]:
    with redirect_stdout(nowhere):
        configure("bench", "INFO")
    evaluations = 1_000_000 // share
    bars, decisions = _decisions(evaluations)
    precompiled, compiling = _loads(max(1, 50 // share))
    bars.append(Bar(f"loading the precompiled policy (compiling: {compiling:.0f} ms)", precompiled, 5, "ms"))
    with MiniStack() as ministack:
        os.environ |= {
            **CREDENTIALS,
            "FAMILYCORP_ENV": "test",
            "FAMILYCORP_AWS_ENDPOINT_URL": ministack.url,
        }
        from app.core.settings import settings

        settings.cache_clear()  # The log has read them, before they named the emulator.
        provision(settings())
        with redirect_stdout(nowhere):  # Importing the application configures its log.
            from app import main as application
        asked = _requests(application.app, max(20, 1_000 // share))
        anonymous, authenticated, looked_up = asyncio.run(asked)
    bars.append(
        Bar("CPU of an authenticated request beyond an anonymous one", authenticated - anonymous, 0.5, "ms")
    )
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench`: Python {platform.python_version()},",
        f"{os.cpu_count()} cores ({platform.machine()}); medians of {ROUNDS} rounds, in which {len(QUESTIONS)}",
        "questions take turns. The log is written as JSON, to nowhere; all times are CPU, of all threads.",
        "",
        "| a decision | p50 µs | p99 µs |",
        "|---|---:|---:|",
        *(f"| its log line is {name} | {p50:.0f} | {p99:.0f} |" for name, p50, p99 in reversed(decisions)),
        "",
        "| a request, in process | CPU ms |",
        "|---|---:|",
        f"| anonymous: `GET /health` | {anonymous:.2f} |",
        f"| authenticated: `GET /v1/auth/me`, session remembered | {authenticated:.2f} |",
        f"| the same, session looked up in DynamoDB (once a second) | {looked_up:.2f} |",
        "",
        "| claim | figure | bar | held |",
        "|---|---:|---:|---|",
    ]
    for bar in bars:
        told = "yes" if bar.held else "**no**"
        lines.append(f"| {bar.claim} | {bar.figure:.2f} {bar.unit} | ≤ {bar.limit:g} {bar.unit} | {told} |")
    return "\n".join(lines), all(bar.held for bar in bars)


def main() -> int:
    """Measure, print the tables, and write them into `docs/reference/performance.md` when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a tenth of the evaluations, for a quick look")
    parser.add_argument("--smoke", action="store_true", help="only show that it works; no bar counts")
    parser.add_argument("--write", type=Path, help="document whose part on the policy is replaced")
    chosen = parser.parse_args()
    with Path(os.devnull).open("w") as nowhere:
        table, held = _report(1_000 if chosen.smoke else 10 if chosen.short else 1, nowhere)
    if chosen.write:
        chosen.write.write_text(with_part(chosen.write, "policy", table))
    console = Console()
    console.print(Markdown(table) if console.is_terminal else table)
    return 0 if held or chosen.smoke else 1


if __name__ == "__main__":
    sys.exit(main())
