"""The last part of `make bench`: what hostile input costs, against valid input of the same size on the same route.

The bar is the promise of docs/explanation/security.md: nothing that fits into 1 MiB costs more than three times the
CPU of a valid body of 1 MiB. Markdown and differences, which only members send, run beside the event loop; their bar
is an ordinary text of the same length. All runs in this process, in turns, and medians of the rounds count.
Exits with 1 when a bar is missed.
"""

import argparse
import asyncio
import logging
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "be-app" / "tests"))

from app.core.http.problems import ValidationFailed
from app.core.rate_limits import fixed_window, gcra
from app.inquiries import service
from app.inquiries.schemas import InquiryCreate, InquiryReceipt
from app.main import app
from app.posts.text import diff, markup
from support.fuzzed import passkeys
from support.hostile_bodies import BODIES, LONGEST, MARKDOWN, VALID

MOST = 3.0
ORDINARY = (
    "## 요약\n\n본문 **굵게** [링크](https://www.familycorp.example) 그리고 `코드`.\n\n- 하나\n- 둘\n\n"
)
JSON = {"Content-Type": "application/json"}


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _ratios(
    base: Callable[[], object], others: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, float]:
    """Return the median of the rounds' ratios of what each costs to what the base does."""
    base()
    found: dict[str, list[float]] = {name: [] for name in others}
    for _ in range(rounds):
        cost = _cpu(base)
        for name, work in others.items():
            found[name].append(_cpu(work) / cost)
    return {name: statistics.median(ratios) for name, ratios in found.items()}


def _bodies(rounds: int) -> dict[str, float]:
    """Send bodies to the application in this process, with neither stores nor counters behind it."""

    async def nothing(*_: object) -> None:
        pass

    async def receive(request: InquiryCreate, key: str | None) -> InquiryReceipt:  # noqa: ARG001
        return InquiryReceipt(id="01900000-0000-7000-8000-000000000000")

    fixed_window.consume = gcra.count = nothing  # type: ignore[assignment]
    service.receive = receive
    runner = asyncio.Runner()
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bench")

    def sent(body: bytes, status: set[int]) -> Callable[[], None]:
        def send() -> None:
            answer = runner.run(client.post("/v1/inquiries", content=body, headers=JSON))
            if answer.status_code not in status:
                raise SystemExit(f"unexpected {answer.status_code}: {answer.text[:200]}")

        return send

    hostile = {f"body: {name}": sent(body(), {400, 422}) for name, body in BODIES.items()}
    hostile |= {f"passkey: {data[:5].hex(' ')} …": partial(passkeys.check, data) for data in passkeys.seeds()}
    found = _ratios(sent(VALID["one long text"](), {201}), hostile, rounds)
    runner.run(client.aclose())
    runner.close()
    return found


def _rendered(text: str) -> Callable[[], None]:
    def render() -> None:
        markup.to_html.cache_clear()
        try:
            markup.to_html(text)
        except ValidationFailed:
            return

    return render


def _texts(rounds: int) -> dict[str, float]:
    ordinary = ORDINARY * (LONGEST // len(ORDINARY))
    rendered = {f"Markdown: {name}": _rendered(text()) for name, text in MARKDOWN.items()}
    return _ratios(_rendered(ordinary), rendered, rounds)


def _differences(rounds: int) -> dict[str, float]:
    lines = [str(number) for number in range(20_000)]
    pairs = {
        "blank lines": (["a"] * 40_000, ["a", ""] * 20_000),
        "two lines in turn": (["a", "b"] * 20_000, ["b", "a"] * 20_000),
        "many small gaps": (
            [line for i in range(8_000) for line in (str(i), "a", "b", "a")],
            [line for i in range(8_000) for line in (str(i), "b", "a", "b")],
        ),
    }
    hostile = {
        f"difference: {name}": partial(diff.unified, before, after, "a", "b")
        for name, (before, after) in pairs.items()
    }
    # An ordinary text may be rendered in the time that its comparison takes at the worst.
    assert diff.unified(lines, lines, "a", "b") == ""
    return _ratios(_rendered(ORDINARY * (LONGEST // len(ORDINARY))), hostile, rounds)


def main() -> int:
    """Measure, report, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="only show that it works; no bar counts")
    chosen = parser.parse_args()
    rounds = 1 if chosen.smoke else chosen.rounds
    logging.disable(logging.INFO)
    found = _bodies(rounds) | _texts(max(1, rounds // 3)) | _differences(rounds)
    table = Table(
        "hostile input", "CPU, of valid input's", "", title=f"At most {MOST:.0f} times as much as valid input"
    )
    for name, ratio in found.items():
        table.add_row(name, f"{ratio:.2f}", "" if ratio <= MOST else "missed")
    Console().print(table)
    return int(not chosen.smoke and any(ratio > MOST for ratio in found.values()))


if __name__ == "__main__":
    sys.exit(main())
