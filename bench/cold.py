"""`make bench-cold`: a cold start of what is deployed, against a bare FastAPI + Mangum handler in the same run.

Both run under Lambda's own Runtime Interface Emulator, with the same locked and compiled dependencies and nothing
else on the path, and take turns. The first authenticated request is the first of all that an environment gets,
without its INIT, which Lambda does beforehand. Exits with 1 when a bar is missed, but for one that is known not to be
met (`NOT_MET`).
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

sys.path.insert(0, str(Path(__file__).parents[1] / "be-app" / "tests"))

from familycorp_ops.markdown import with_part
from familycorp_ops.servers.function import ROOT, Function, Request, packaged
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import Person as Account
from familycorp_ops.servers.valkey import Valkey
from support.stack import Stack, make_category
from support.staff import Person, at_browser

sys.path.insert(0, str(ROOT / "scripts"))
import package

BARE = """
from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


handler = Mangum(app, lifespan="off")
"""
INIT_BAR = 1.5
FIRST_FACTOR, FIRST_MORE_MS = 2, 150
EDITOR = "/v1/editor/posts"
ME = "/v1/auth/me"
KINDS = {
    (ME, "on-demand"): "session and policy",
    (EDITOR, "on-demand"): "and the relational database",
    (EDITOR, "provisioned-concurrency"): "the same, initialised before the request",
}
"""What is asked, and how Lambda began the environment (`AWS_LAMBDA_INITIALIZATION_TYPE`).

As in AWS, the function `auth` answers for the first and `backend` for the others; both are the same application.

The emulator can't restore a snapshot, so SnapStart, for which the application does the same, can't be measured here.
"""
NOT_MET = (EDITOR, "on-demand")
"""Importing SQLAlchemy takes longer; at start it would break the bar of INIT (docs/reference/performance.md)."""


@contextmanager
def staff(directory: Path) -> Iterator[tuple[Stack, Person]]:
    """Run the stores, and somebody who is logged in."""
    with MiniStack() as ministack, Valkey() as valkey, NanoIDP() as provider:
        stack = Stack(directory, ministack, valkey, provider=provider)
        with stack.prepare():
            with stack.client(stack.start()) as client:
                make_category(client, "news")
            provider.admit(Account("editor", "editor", "Editor", "e@familycorp.example", ("editors",)))
            with at_browser(stack, "editor") as person:
                person.log_in()
                yield stack, person


def timed(function: Function, request: Request) -> float:
    """Return the milliseconds that a request took; it must be answered with 200."""
    event = request.event()
    before = time.perf_counter()
    answer = function.invoke(event)
    took = (time.perf_counter() - before) * 1000
    assert answer["statusCode"] == 200, json.dumps(answer)[:500]
    return took


def measure(directory: Path, rounds: int) -> tuple[str, bool]:
    """Return the table, and whether every bar is held."""
    task, layer = packaged(directory)
    package.policy(directory / "bundle", "arm64" if platform.machine() == "aarch64" else "x86_64")
    bare = directory / "bare"
    bare.mkdir()
    (bare / "bare.py").write_text(BARE)
    package.compile_all(bare)
    inits: dict[str, list[float]] = {"bare": [], "auth": [], "backend": []}
    first: dict[tuple[str, str], list[float]] = {kind: [] for kind in KINDS}
    warm: dict[tuple[str, str], list[float]] = {kind: [] for kind in KINDS}
    with staff(directory) as (stack, person):
        settings = {**CREDENTIALS, **stack.environment, "OPA_BUNDLE_PATH": str(directory / "bundle")}
        cookies = "; ".join(f"{c.name}={c.value}" for c in person.client.cookies.jar if c.path == "/")
        for number in range(rounds):
            with Function(
                {}, directory / f"b{number}", task=bare, layers=[layer], handler="bare.handler"
            ) as function:
                timed(function, Request("GET", "/health"))
                inits["bare"].append(function.init_ms())
            for place, kind in enumerate(KINDS):
                path, start = kind
                asked = Request("GET", path, [("Cookie", cookies)])
                name = "auth" if path == ME else "backend"
                chosen = settings | {
                    "AWS_LAMBDA_INITIALIZATION_TYPE": start,
                    "AWS_LAMBDA_FUNCTION_NAME": f"familycorp-dev-{name}",
                }
                with Function(chosen, directory / f"o{number}{place}", task=task, layers=[layer]) as function:
                    took = timed(function, asked)
                    if start == "on-demand":
                        inits[name].append(function.init_ms())
                    first[kind].append(took - function.init_ms())
                    warm[kind] += [timed(function, asked) for _ in range(10)]
    median = statistics.median
    lines = ["| a cold start | ms | bar | held |", "|---|---:|---:|---|"]
    lines.append(f"| INIT of a bare FastAPI + Mangum | {median(inits['bare']):.0f} | | |")
    most = INIT_BAR * median(inits["bare"])
    bars = [(f"INIT of the function `{n}`", median(inits[n]), most, True) for n in ("backend", "auth")]
    for kind, what in KINDS.items():
        path, start = kind
        lines.append(f"| warm `GET {path}`, {start} | {median(warm[kind]):.0f} | | |")
        limit = FIRST_FACTOR * median(warm[kind]) + FIRST_MORE_MS
        bars.append((f"first `GET {path}`, {start}: {what}", median(first[kind]), limit, kind != NOT_MET))
    lines += [f"| {n} | {f:.0f} | ≤ {b:.0f} | {'yes' if f <= b else '**no**'} |" for n, f, b, _ in bars]
    return "\n".join(lines), all(figure <= bar for _, figure, bar, binding in bars if binding)


def main() -> int:
    """Measure, print the table, and write it into `docs/reference/performance.md` when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", type=Path, help="document whose part on cold starts is replaced")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fc-cold-") as directory:
        table, held = measure(Path(directory), chosen.rounds)
    if chosen.write:
        chosen.write.write_text(with_part(chosen.write, "cold", table))
    console = Console()
    console.print(Markdown(table) if console.is_terminal else table, soft_wrap=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
