"""`make bench`: what we claim about speed, measured against peers in one run, as ratios.

Machines differ and are noisy, so every figure stands beside a peer's from the same run: the programs take turns,
round by round, and the median of the rounds' ratios counts. Exits with 1 when a bar is missed.
"""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import shares
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from familycorp_ops.local.provision import provision
from familycorp_ops.markdown import with_part
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.process import LOOPBACK, Process, clean_environment, free_port, http_ok
from familycorp_ops.servers.valkey import Valkey

HERE = Path(__file__).parent
PATH = "/v1/posts?lang=ko&limit=20"
CONNECTIONS = (1, 8, 16)
"""How many connections ask at once; a bar holds only if it does at each."""
POSTS = 200
PEER_KEY = "bench:list"


class Sample(NamedTuple):
    """One round of one program."""

    per_second: float
    cpu_us: float
    kernel: float
    """The kernel's share of the processor time."""


Samples = Mapping[int, Mapping[str, Sequence[Sample]]]
"""The rounds of each program, by the number of connections."""


class Bar(NamedTuple):
    """A claim: a ratio that must not pass its limit; and the ratio that we aim at, where that is another one."""

    claim: str
    ratio: float
    limit: float
    at_least: bool
    aim: float | None = None

    @property
    def held(self) -> bool:
        """Whether the claim holds."""
        return self.ratio >= self.limit if self.at_least else self.ratio <= self.limit


def _serve(name: str, target: str, environment: Mapping[str, str], directory: Path) -> tuple[Process, int]:
    port = free_port()
    options = ["--app-dir", str(HERE), "--port", str(port), "--no-access-log", "--log-level", "warning"]
    process = Process(
        name,
        [sys.executable, "-m", "uvicorn", target, *options],
        environment=clean_environment(**CREDENTIALS, **environment),
        log=directory / f"{name}.log",
        ready=lambda: http_ok(port, PATH),
    )
    process.start()
    return process, port


def _load(port: int, connections: int, seconds: float) -> tuple[int, float]:
    command = [sys.executable, str(HERE / "load.py"), str(port), PATH, str(connections), str(seconds)]
    count, took = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, timeout=10 * seconds + 30
    ).stdout.split()
    return int(count), float(took)


def _sample(process: Process, port: int, connections: int, seconds: float) -> Sample:
    watched = psutil.Process(process.pid)
    before = watched.cpu_times()
    count, took = _load(port, connections, seconds)
    after = watched.cpu_times()
    kernel = after.system - before.system
    # The system counts CPU in ticks, and a short turn may be less than one.
    cpu = max(after.user - before.user + kernel, 1 / os.sysconf("SC_CLK_TCK"))
    return Sample(count / took, cpu / count * 1e6, kernel / cpu)


async def _fill(number_of_posts: int) -> None:
    # Imported here, once the environment names this run's stores.
    from app.auth.subject import SYSTEM
    from app.categories import service as categories
    from app.categories.schemas import CategoryCreate, LocalisedName
    from app.posts import commands as posts
    from app.posts.schemas import PostCreate

    await categories.create(CategoryCreate(slug="news", name=LocalisedName(ko="소식", en="News")), SYSTEM)
    for number in track(range(number_of_posts), description="Publishing posts"):
        made = await posts.create(
            PostCreate(
                lang="ko",
                category="news",
                slug=f"post-{number}",
                title=f"{number}번째 소식: 올해의 실적과 내년의 계획",
                excerpt="매출과 영업이익이 함께 늘었고, 내년에는 새 공장을 짓습니다. " * 3,
                body="## 요약\n\n매출이 **늘었습니다**. 자세한 내용은 아래 표와 같습니다.\n\n" * 10,
                tags=["실적", "IR"],
            ),
            None,
            SYSTEM,
        )
        await posts.publish(made.id, made.version, SYSTEM)


def _import_ratio(runs: int) -> tuple[float, float, float]:
    """Return the CPU milliseconds of importing FastAPI and ours, and the median ratio of their pairs."""
    clock = "import time; t = time.process_time(); import {}; print((time.process_time() - t) * 1000)"
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = bytecode

        def took(module: str) -> float:
            command = [sys.executable, "-c", clock.format(module)]
            return float(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)

        for module in ("fastapi", "app.main"):
            took(module)  # The first import compiles.
        pairs = [(took("fastapi"), took("app.main")) for _ in track(range(runs), description="Importing")]
    return (
        statistics.median(p[0] for p in pairs),
        statistics.median(p[1] for p in pairs),
        statistics.median(p[1] / p[0] for p in pairs),
    )


def _measure(
    rounds: int, seconds: float, number_of_posts: int, directory: Path
) -> tuple[Samples, Mapping[str, Mapping[str, float]]]:
    """Return the rounds of each program, and what the time of ours is made of."""
    with MiniStack() as ministack, Valkey() as valkey:
        database = f"sqlite+aiosqlite:///{directory}/bench.db"
        ours = {
            "FAMILYCORP_ENV": "test",
            "FAMILYCORP_RATE_VISITORS": "1000000",  # One address asks what a crowd would.
            "FAMILYCORP_DATABASE_URL": database,
            "FAMILYCORP_AWS_ENDPOINT_URL": ministack.url,
        }
        cached = ours | {"FAMILYCORP_CACHE_URL": valkey.url}
        os.environ |= {**CREDENTIALS, **cached}
        from app.core.settings import settings

        provision(settings())
        subprocess.run(
            [sys.executable, "-m", "familycorp_ops", "db", "upgrade"], check=True, capture_output=True
        )
        asyncio.run(_fill(number_of_posts))
        for name in cached:
            del os.environ[name]  # Each server gets its own.

        servers: dict[str, tuple[Process, int]] = {}
        try:
            servers["ours, cached"] = _serve("cached", "app.main:app", cached, directory)
            servers["ours, uncached"] = _serve("uncached", "app.main:app", ours, directory)
            body = httpx.get(f"http://{LOOPBACK}:{servers['ours, cached'][1]}{PATH}", trust_env=False).content
            (directory / "body.json").write_bytes(body)
            _put(valkey.url, PEER_KEY, body)
            peer = {
                "BENCH_BODY": str(directory / "body.json"),
                "BENCH_REDIS": valkey.url,
                "BENCH_KEY": PEER_KEY,
                "BENCH_DATABASE": database,
            }
            servers["Starlette, bytes"] = _serve("bare", "peers:bare", peer, directory)
            servers["Starlette, GZipMiddleware"] = _serve("gzip", "peers:gzipped", peer, directory)
            servers["Starlette, one Redis GET"] = _serve("redis", "peers:from_redis", peer, directory)
            servers["FastAPI + SQLAlchemy list"] = _serve("plain", "peers:plain", peer, directory)
            for process, port in servers.values():
                _sample(process, port, CONNECTIONS[-1], seconds / 4)
            samples: dict[int, dict[str, list[Sample]]] = {
                n: {name: [] for name in servers} for n in CONNECTIONS
            }
            for connections in track(CONNECTIONS * rounds, description="Measuring"):
                for name, (process, port) in servers.items():
                    samples[connections][name].append(_sample(process, port, connections, seconds))
            parts = {}
            for name in ("ours, cached", "ours, uncached"):
                process, port = servers[name]
                load = partial(_load, port, CONNECTIONS[1], 4 * seconds)
                parts[name] = shares.measured(psutil.Process(process.pid).pid, load, 4 * seconds)
        finally:
            for process, _ in servers.values():
                process.stop()
    return samples, parts


def _put(url: str, peer_key: str, body: bytes) -> None:
    import redis

    with redis.Redis.from_url(url) as client:
        client.set(peer_key, body)


def _ratio(of: Sequence[Sample], to: Sequence[Sample], field: str) -> float:
    ratios: list[float] = [getattr(a, field) / getattr(b, field) for a, b in zip(of, to, strict=True)]
    return statistics.median(ratios)


def _worst(samples: Samples, of: str, to: str, field: str, *, at_least: bool) -> float:
    """Return the worst ratio of two programs at any number of connections."""
    ratios = [_ratio(found[of], found[to], field) for found in samples.values()]
    return min(ratios) if at_least else max(ratios)


def _report(samples: Samples, imports: tuple[float, float, float]) -> tuple[str, bool]:
    cached, uncached, bare = "ours, cached", "ours, uncached", "Starlette, bytes"
    first = samples[CONNECTIONS[0]]
    every = ", ".join(map(str, CONNECTIONS))
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench`: Python {platform.python_version()},",
        f"{os.cpu_count()} cores ({platform.machine()}), one worker, {every} connections, {POSTS} posts on",
        f"SQLite; medians of {len(first[bare])} rounds in which the programs took turns.",
        "",
        f"| the list of 20 posts, {every} connections | requests/s | of bare | CPU µs/request | the kernel's |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in first:
        rates = (f"{statistics.median(s.per_second for s in found[name]):,.0f}" for found in samples.values())
        of_bare = (f"{_ratio(found[name], found[bare], 'per_second'):.2f}" for found in samples.values())
        spent = (f"{statistics.median(s.cpu_us for s in found[name]):,.0f}" for found in samples.values())
        kernel = statistics.median(s.kernel for rounds in samples.values() for s in rounds[name])
        lines.append(
            f"| {name} | {' / '.join(rates)} | {' / '.join(of_bare)} | {' / '.join(spent)} | {kernel:.0%} |"
        )
    plain, redis = "FastAPI + SQLAlchemy list", "Starlette, one Redis GET"
    bars = [
        Bar(claim, _worst(samples, of, to, field, at_least=at_least), limit, at_least, aim)
        for claim, of, to, field, limit, at_least, aim in (
            ("cached: requests/s, of bare Starlette", cached, bare, "per_second", 0.35, True, 0.6),
            (
                "cached: requests/s, of Starlette with one Redis GET",
                cached,
                redis,
                "per_second",
                0.8,
                True,
                None,
            ),
            ("cached: requests/s, of the plain list", cached, plain, "per_second", 15, True, None),
            ("uncached: CPU per request, of the plain list's", uncached, plain, "cpu_us", 1.25, False, 0.4),
        )
    ]
    imported = f"`import app.main` ({imports[1]:.0f} ms), of `import fastapi` ({imports[0]:.0f} ms)"
    bars.append(Bar(imported, imports[2], 1.6, at_least=False, aim=1.4))
    lines += [
        "",
        "| claim, at the worst number of connections | ratio | bar | held | aim |",
        "|---|---:|---:|---|---:|",
    ]
    for bar in bars:
        sign = "≥" if bar.at_least else "≤"
        aim = "" if bar.aim is None else f"{sign} {bar.aim:g}"
        held = "yes" if bar.held else "**no**"
        lines.append(f"| {bar.claim} | {bar.ratio:.2f} | {sign} {bar.limit:g} | {held} | {aim} |")
    return "\n".join(lines), all(bar.held for bar in bars)


def main() -> int:
    """Measure, print the table, and write it into `docs/reference/performance.md` when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one program's turn")
    parser.add_argument("--smoke", action="store_true", help="only show that it works; no bar counts")
    parser.add_argument("--write", type=Path, help="document whose measured part is replaced")
    chosen = parser.parse_args()
    rounds, seconds, posts = (1, 0.2, 20) if chosen.smoke else (chosen.rounds, chosen.seconds, POSTS)
    with tempfile.TemporaryDirectory() as directory:
        samples, parts = _measure(rounds, seconds, posts, Path(directory))
    table, held = _report(samples, _import_ratio(1 if chosen.smoke else max(5, 2 * rounds)))
    table += f"\n\n{shares.table(parts)}"
    if chosen.write:
        chosen.write.write_text(with_part(chosen.write, "measured", table))
    console = Console()
    console.print(Markdown(table) if console.is_terminal else table)
    return 0 if held or chosen.smoke else 1


if __name__ == "__main__":
    sys.exit(main())
