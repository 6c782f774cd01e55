"""`make bench-cold`: a cold start of what is deployed, as images and as archives, against a bare FastAPI.

Both run under Lambda's own Runtime Interface Emulator, packed alike, with the same locked and compiled dependencies,
and take turns. The first request is the first of all that an environment gets, without its INIT, which Lambda does
beforehand. Every figure has its bar as a ratio to the bare INIT of the same run and packing, since machines differ by
three. Exits with 1 when a bar is missed.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

sys.path.insert(0, str(Path(__file__).parents[1] / "be-app" / "tests"))

from familycorp_ops.markdown import with_part
from familycorp_ops.servers.function import ROOT, Function, ImageFunction, Request, packaged, pulled
from familycorp_ops.servers.mariadb import MariaDB
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
INIT_BAR = (1.5, 1.4)
BARS = {
    (ME, "on-demand"): (0.35, 0.35),
    (EDITOR, "on-demand"): (2.1, 0.9),
    (EDITOR, "provisioned-concurrency"): (0.35, 0.35),
}
"""Of the bare INIT: what may not be passed, and what we aim at (docs/reference/performance.md)."""
Start = Callable[[Path, dict[str, str], str], Function]
"""Makes a function of a directory for its log, settings, and a program: the application's, or else `bare`."""


@contextmanager
def staff(directory: Path) -> Iterator[tuple[Stack, Person]]:
    """Run the stores, and somebody who is logged in."""
    with MiniStack() as ministack, Valkey() as valkey, NanoIDP() as provider, MariaDB() as mariadb:
        stack = Stack(directory, ministack, valkey, mariadb.create_database("cold"), provider=provider)
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


def archives(directory: Path, bare: Path) -> Start:
    """Pack the application as archives; return what starts a function of them, behind Mangum."""
    task, layer = packaged(directory)
    package.policy(directory / "bundle", "arm64" if platform.machine() == "aarch64" else "x86_64")

    def start(log: Path, settings: dict[str, str], program: str) -> Function:
        if program == "bare":
            return Function(settings, log, task=bare, layers=[layer], handler="bare.handler")
        settings = settings | {"OPA_BUNDLE_PATH": str(directory / "bundle")}
        return Function(settings, log, task=task, layers=[layer])

    return start


def images(_: Path, bare: Path) -> Start:
    """Return what starts a function of the image of `make image`, by uvicorn behind the Web Adapter."""
    image = pulled("http")

    def start(log: Path, settings: dict[str, str], program: str) -> Function:
        if program == "bare":
            served = ["python", "-m", "uvicorn", "bare:app", "--no-access-log", "--no-proxy-headers"]
            return ImageFunction(
                image, settings, log, command=served, options=["--volume", f"{bare}:/var/task:ro"]
            )
        return ImageFunction(image, settings, log)

    return start


def measure(
    start: Start, directory: Path, stack: Stack, person: Person, rounds: int
) -> tuple[Sequence[str], bool]:
    """Return the rows of a table, and whether every bar is held."""
    inits: dict[str, list[float]] = {"bare": [], "auth": [], "backend": []}
    first: dict[tuple[str, str], list[float]] = {kind: [] for kind in KINDS}
    warm: dict[tuple[str, str], list[float]] = {kind: [] for kind in KINDS}
    settings = {**CREDENTIALS, **stack.environment}
    cookies = "; ".join(f"{c.name}={c.value}" for c in person.client.cookies.jar if c.path == "/")
    for number in range(rounds):
        with start(directory / f"b{number}", {}, "bare") as function:
            timed(function, Request("GET", "/health"))
            inits["bare"].append(function.init_ms())
        for place, kind in enumerate(KINDS):
            path, begun = kind
            asked = Request("GET", path, [("Cookie", cookies)])
            name = "auth" if path == ME else "backend"
            chosen = settings | {
                "AWS_LAMBDA_INITIALIZATION_TYPE": begun,
                "AWS_LAMBDA_FUNCTION_NAME": f"familycorp-dev-{name}",
            }
            with start(directory / f"o{number}{place}", chosen, name) as function:
                took = timed(function, asked)
                if begun == "on-demand":
                    inits[name].append(function.init_ms())
                first[kind].append(took - function.init_ms())
                warm[kind] += [timed(function, asked) for _ in range(10)]
    median = statistics.median
    bare = median(inits["bare"])
    bars = [(f"INIT of the function `{n}`", median(inits[n]), INIT_BAR) for n in ("backend", "auth")]
    bars += [(f"first `GET {k[0]}`, {k[1]}: {what}", median(first[k]), BARS[k]) for k, what in KINDS.items()]
    rows = [f"| INIT of a bare FastAPI | {bare:.0f} | 1 | | | |"]
    rows += [
        f"| warm `GET {k[0]}`, {k[1]} | {median(warm[k]):.0f} | {median(warm[k]) / bare:.2f} | | | |"
        for k in KINDS
    ]
    rows += [
        f"| {name} | {ms:.0f} | {ms / bare:.2f} | ≤ {bar} | {'yes' if ms <= bar * bare else '**no**'} | ≤ {aim} |"
        for name, ms, (bar, aim) in bars
    ]
    return rows, all(ms <= bar * bare for _, ms, (bar, _) in bars)


def compare(directory: Path, rounds: int) -> tuple[str, bool]:
    """Return the tables of both ways to pack the application, and whether every bar is held."""
    bare = directory / "bare"
    bare.mkdir()
    (bare / "bare.py").write_text(BARE)
    package.compile_all(bare)
    tables, held = [], True
    with staff(directory) as (stack, person):
        for name, packed in (("image", images), ("archives", archives)):
            work = directory / name
            work.mkdir()
            rows, well = measure(packed(work, bare), work, stack, person, rounds)
            head = [
                f"| a cold start, {name} | ms | of bare INIT | bar | held | aim |",
                "|---|---:|---:|---:|---|---:|",
            ]
            tables.append("\n".join([*head, *rows]))
            held &= well
    return "\n\n".join(tables), held


def main() -> int:
    """Measure, print the table, and write it into `docs/reference/performance.md` when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", type=Path, help="document whose part on cold starts is replaced")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fc-cold-") as directory:
        table, held = compare(Path(directory), chosen.rounds)
    if chosen.write:
        chosen.write.write_text(with_part(chosen.write, "cold", table))
    console = Console()
    console.print(Markdown(table) if console.is_terminal else table, soft_wrap=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
