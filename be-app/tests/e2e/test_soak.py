"""One process at its knee, beyond it, and below it: under the traffic of a busy day no error and no growth.

`make soak` finds the knee of this machine, offers half of it for ten minutes and two thirds for two, and writes down
what it found; the suite offers little for seconds.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import psutil
import pytest
from rich.progress import track

from familycorp_ops.drawing import plot
from familycorp_ops.figures import percentile
from familycorp_ops.markdown import table
from familycorp_ops.servers.mariadb import MariaDB
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import Person as Account
from familycorp_ops.servers.valkey import Valkey
from support.long_runs import DOCUMENT, SECONDS, record, slope
from support.stack import Stack, json_lines
from support.staff import CSRF, at_browser
from support.traffic import Answer, Traffic
from support.uploading import photo

RATE = 12
"""What the suite offers, a second, where nobody has looked for the knee."""
LONG = SECONDS >= 300
EDITING = {"write": 0.1, "revise": 0.5, "upload": 0.4} if LONG else {"write": 2, "revise": 2, "upload": 2}
MIX = {"read": 90, "staff": 8, **EDITING}
"""To write or revise is two requests, an upload two and one to S3: of a hundred two write; more in a short run.

Most are revised rather than new: the emulator's queries take longer the more posts there are, which DynamoDB's don't.
"""
POSTS = 40 if SECONDS else 8
STEPS = (10, 20, 40, 60, 80, 100, 120, 150, 180, 220, 270, 330, 400)
BEYOND = 3
"""Steps that are still offered when one was too much."""
KINDS = {
    "reads": ("read",),
    "authenticated": ("staff",),
    "writes": ("write",),
    "uploads announced": ("upload",),
    "uploads completed": ("completion",),
    "all": ("read", "staff", "write", "upload", "completion"),
}
READS = ("/v1/posts", "/v1/categories", "/v1/feed", "/v1/search")
MIB = 1024 * 1024
DRAWING = DOCUMENT.with_suffix(".svg")


@pytest.fixture(scope="module")
def stack(
    mariadb: MariaDB,
    ministack: MiniStack,
    nanoidp: NanoIDP,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """A stack whose one process is what is deployed."""
    url = mariadb.create_database("soak")
    with Valkey() as valkey:
        limits: dict[str, Any] = {"RATE_VISITORS": "1000000", "RATE_STAFF": "1000000"}
        directory = tmp_path_factory.mktemp("soak")
        with Stack(directory, ministack, valkey, url, provider=nanoidp, **limits) as made:
            made.prepare().start(deployed=True)
            yield made


@pytest.fixture(scope="module")
def staff(stack: Stack, nanoidp: NanoIDP) -> Iterator[dict[str, str]]:
    """Headers of an admin who logged in."""
    nanoidp.admit(Account("soak", "soak", "soak", "soak@familycorp.example", ("admins",)))
    with at_browser(stack, "soak") as person:
        person.log_in()
        cookies = "; ".join(f"{c.name}={c.value}" for c in person.client.cookies.jar)
        yield {"Cookie": cookies, **CSRF}


@pytest.fixture(scope="module")
def posts(stack: Stack, staff: dict[str, str]) -> list[str]:
    """Ids of posts that were published."""
    ids = []
    with stack.client(headers=staff) as client:
        name = {"ko": "소식", "en": "News"}
        assert client.post("/v1/editor/categories", json={"slug": "news", "name": name}).status_code == 201
        for number in range(POSTS):
            body = {"lang": "ko", "category": "news", "title": f"{number}번째 소식", "slug": f"n-{number}"}
            post = client.post("/v1/editor/posts", json={**body, "body": "본문입니다. " * 200}).json()
            public = client.post(f"/v1/editor/posts/{post['id']}/publish", headers={"If-Match": '"1"'})
            assert public.status_code == 200
            ids.append(post["id"])
    return ids


@pytest.fixture(scope="module")
def plan(stack: Stack, staff: dict[str, str], posts: list[str]) -> Callable[[], dict[str, Any]]:
    """What a crowd does: the posts as they are now, and lists of them."""
    lists = ["/v1/posts?lang=ko&limit=20", "/v1/posts?category=news", "/v1/categories", "/v1/feed.rss"]
    search = "/v1/search?" + urlencode({"q": "소식"})
    paths = [*lists * (POSTS // 4), search, *(f"/v1/posts/n-{n}" for n in range(POSTS))]

    def planned() -> dict[str, Any]:
        with stack.client(headers=staff) as client:
            now = [client.get(f"/v1/editor/posts/{post_id}").json() for post_id in posts]
        return {"mix": MIX, "paths": paths, "posts": now, "staff": staff, "image": photo()}

    return planned


def spread(answers: list[Answer], *kinds: str) -> list[str]:
    """Return the figures of answers of some kinds, as `figures` does."""
    return figures([a.ms for a in answers if a.kind in kinds])


def figures(times: list[float]) -> list[str]:
    """Return how many times there are, their p50, p99 and the ratio of both, as a table's cells."""
    p50, p99 = percentile(times, 50), percentile(times, 99)
    return [str(len(times)), f"{p50:.1f}", f"{p99:.1f}", f"{p99 / p50:.1f}" if p50 else "-"]


def work(line: dict[str, Any]) -> str:
    """Return what a process had to do for a request, by its line in the log."""
    route = str(line.get("route"))
    if line["method"] != "GET" or not route.startswith(READS):
        return f"{line['method']} {route}"
    if line.get("dynamodb_ms") or line.get("sql_ms"):
        return "a visitor's read, rendered"
    return "a visitor's read, from Valkey" if line.get("cache_ms") else "a visitor's read, from its own copy"


def by_work(log: Path, since: float) -> list[list[str]]:
    """Return, for each kind of work that was done since then, a table's row of the process's own times."""
    times: dict[str, list[float]] = {}
    for line in json_lines(log):
        if line["message"] == "request" and datetime.fromisoformat(line["timestamp"]).timestamp() > since:
            times.setdefault(work(line), []).append(line["latency"])
    return [[name, *figures(times[name])] for name in sorted(times, key=lambda name: -len(times[name]))]


class Step(NamedTuple):
    """A rate that was offered, with the answers to it."""

    rate: int
    answers: list[Answer]

    @property
    def served(self) -> list[Answer]:
        """The answers that were no refusals."""
        return [a for a in self.answers if 200 <= a.status < 300]

    @property
    def shed(self) -> float:
        """The share that was refused."""
        return sum(a.status == 503 for a in self.answers) / len(self.answers)

    @property
    def served_per_s(self) -> float:
        """How many were served a second, up to the last answer."""
        return len(self.served) / (max(a.at + a.ms / 1000 for a in self.served) - self.answers[0].at)

    @property
    def kept_up(self) -> bool:
        """Whether nothing was refused, and nothing waited for longer than a twentieth of the time."""
        due = self.answers[-1].at - self.answers[0].at
        return (
            not self.shed and max(a.at - self.answers[0].at + a.ms / 1000 for a in self.answers) <= 1.05 * due
        )


@pytest.fixture(scope="module")
def steps(stack: Stack, plan: Callable[[], dict[str, Any]]) -> list[Step]:
    """What happened at each rate, from little up to some steps beyond what the process keeps up with."""
    found: list[Step] = []
    for rate in track(STEPS, description="Looking for the knee"):
        if sum(not step.kept_up for step in found) > BEYOND:
            continue
        with Traffic(stack.processes[0].port, max(5, SECONDS / 30), rate=rate, **plan()) as crowd:
            pass
        found.append(Step(rate, [a for a in crowd.answers if a.kind != "s3"]))
        time.sleep(2)
    return found


def knee(steps: list[Step]) -> int:
    """Return the highest rate that the process kept up with before the first that it didn't."""
    below = [step.rate for step in takewhile(lambda step: step.kept_up, steps)]
    assert below, "The process doesn't keep up with the least rate"
    return below[-1]


@pytest.mark.holds
@pytest.mark.timeout(SECONDS + 300)
def test_beyond_the_knee_requests_are_shed(steps: list[Step]) -> None:
    rows = []
    lines: dict[str, list[tuple[float, float]]] = {"p50, ms": [], "p99, ms": [], "shed, %": []}
    for step in steps:
        shed = [a for a in step.answers if a.status == 503]
        assert len(step.served) + len(shed) == len(step.answers), {(a.kind, a.status) for a in step.answers}
        assert all(a.retry_after for a in shed)
        _, p50, p99, ratio = spread(step.served, *KINDS["all"])
        rows.append([step.rate, f"{step.served_per_s:.0f}", p50, p99, ratio, f"{step.shed:.1%}"])
        for line, figure in zip(
            lines.values(), (float(p50), float(p99), max(0.1, step.shed * 100)), strict=True
        ):
            line.append((step.rate, figure))
    head = ["requests/s offered", "served/s", "p50 ms", "p99 ms", "p99 / p50", "shed"]
    DRAWING.write_text(plot(lines, "requests a second that were offered", "ms, and % that were shed"))
    told = f"{table(head, rows, numbers=0)}\n\nThe knee is at {knee(steps)} requests/s."
    record("knee", f"{told}\n\n![the same as a drawing]({DRAWING.name})", "soak")


class Burden:
    """How much of a processor each program takes for the length of the block, with its children.

    Args:
        programs: their process ids, by name.
    """

    def __init__(self, **programs: int | None) -> None:
        self._programs = {name: psutil.Process(pid) for name, pid in programs.items() if pid}

    def __enter__(self) -> Self:
        self._began, self._before = time.monotonic(), self._spent()
        return self

    def __exit__(self, *_: object) -> None:
        took = time.monotonic() - self._began
        self.shares = {name: (spent - self._before[name]) / took for name, spent in self._spent().items()}

    def _spent(self) -> dict[str, float]:
        return {name: self._seconds(program) for name, program in self._programs.items()}

    @staticmethod
    def _seconds(program: psutil.Process) -> float:
        # Of children that ended too, as those that decode pictures.
        spent: float = sum(program.cpu_times()[:4])
        for process in program.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                spent += sum(process.cpu_times()[:2])
        return spent

    def told(self) -> str:
        """Return the shares as a sentence."""
        shares = ", ".join(f"{name} {share:.2f}" for name, share in self.shares.items())
        return f"Processors that were busy, of {psutil.cpu_count()}: {shares}."


@pytest.fixture
def burden(stack: Stack, ministack: MiniStack, mariadb: MariaDB) -> Burden:
    """What the application, and the servers beside it, take of the processors."""
    pids = {
        "the application": stack.processes[0].pid,
        "emulator of AWS": ministack.pid,
        "MariaDB": mariadb.pid,
    }
    return Burden(**pids)


def soak(
    stack: Stack, plan: Callable[[], dict[str, Any]], burden: Burden, *, rate: int, seconds: int, part: str
) -> tuple[float, list[list[str]]]:
    """Offer a rate; return by how many MB a minute the process grew, and rows of figures. No request may fail."""
    warm_up = min(120, seconds // 3)
    process = psutil.Process(stack.processes[0].pid)
    memory = []
    with burden, Traffic(stack.processes[0].port, seconds, rate=rate, **plan()) as crowd:
        for second in track(range(seconds), description="Soaking", disable=not SECONDS):
            memory.append((second / 60, process.memory_info().rss / MIB))
            time.sleep(1)
    answers = [a for a in crowd.answers if a.kind != "s3"]
    warm = [a for a in answers if a.at > answers[0].at + warm_up]
    rows = [[title, *spread(warm, *kinds)] for title, kinds in KINDS.items()]
    if LONG or not SECONDS:  # By chance a run of some seconds at a low rate has no upload.
        assert {a.kind for a in answers} >= {"read", "write", "upload", "completion"}
    grown, failed = slope(memory[warm_up:]), sum(a.status >= 500 or not a.status for a in answers)
    head = ["number", "p50 ms", "p99 ms", "p99 / p50"]
    worked = by_work(stack.processes[0].log, warm[0].at)
    told = table(["what people saw", *head], rows, numbers=0)
    told += "\n\n" + table(["what the process did", *head], worked, numbers=0)
    told += (
        f"\n\n{rate} requests/s for {seconds} s, the first {warm_up} s not counted: {failed} answered 5xx or lost.\n"
        f"Then the process had {memory[warm_up][1]:.0f} MB, at the end {memory[-1][1]:.0f} MB:"
        f" {grown:+.2f} MB a minute. {burden.told()}"
    )
    record(part, told, "soak")
    assert failed == 0, {(a.kind, a.status) for a in answers}
    assert {a.status for a in answers} <= {200, 201}, {(a.kind, a.status) for a in answers}
    return grown, [*worked, *rows]


@pytest.mark.timeout(2 * SECONDS + 500)
def test_mixed_traffic_meets_no_error_and_no_growth(
    request: pytest.FixtureRequest, stack: Stack, plan: Callable[[], dict[str, Any]], burden: Burden
) -> None:
    rate = knee(request.getfixturevalue("steps")) // 2 if SECONDS else RATE
    grown, rows = soak(stack, plan, burden, rate=rate, seconds=SECONDS or 10, part="soak")
    if LONG:  # In less a process doesn't come to rest.
        assert grown < 1
        assert all(float(row[-1]) <= 10 for row in rows), rows


@pytest.mark.holds
@pytest.mark.timeout(2 * SECONDS + 500)
def test_at_two_thirds_of_the_knee_no_request_fails(
    steps: list[Step], stack: Stack, plan: Callable[[], dict[str, Any]], burden: Burden
) -> None:
    soak(stack, plan, burden, rate=knee(steps) * 2 // 3, seconds=max(10, SECONDS // 5), part="soak-more")
