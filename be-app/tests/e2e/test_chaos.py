"""Faults in each dependency while people read and write: what they see, and that no promise breaks.

Every row puts the same traffic on a process, breaks something, repairs it, and then checks what was accepted. `make
chaos` runs all rows and writes down what was seen; the suite runs some, shorter.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pymysql  # type: ignore[import-untyped]
import pytest
import redis

from app.core.read_path import public_cache
from familycorp_ops.markdown import table
from familycorp_ops.servers.mariadb import MariaDB
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import Person as Account
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.servers.valkey import Valkey
from familycorp_ops.testing.servers import missing
from support.failing_front import (
    FAILED,
    OFTEN_THROTTLED,
    THROTTLED,
    Answered,
    Fault,
    Front,
    Hung,
    Refused,
    Slow,
)
from support.long_runs import SECONDS, record
from support.stack import Application, Stack, json_lines, make_category, published
from support.staff import ACCESS, CSRF, Person, at_browser
from support.traffic import LOST, Traffic, Write
from support.uploading import photo

HEAD = [
    *("fault", "visitors served", "of them stale", "slowest visitor s"),
    *("staff's reads", "writes accepted", "slowest s", "back after s"),
]
RATE = 10
MIX = {"read": 60, "staff": 15, "write": 12, "closed": 10, "login": 3}
FILES = {**MIX, "upload": 20}
BEFORE_S, DURING_S, AFTER_S = 2, 5, 7
SERVED = 0.95
"""The share of visitors who must be served under every fault; all of them read pages that the cache has had."""
RECOVERY_S = 5
"""After this everything must be as before."""
DATABASE_DEADLINE_S = 8
AWS_S = 6
"""What one call of AWS may take: two attempts, each of a second to connect and two to be answered."""
AS_DEPLOYED: dict[str, Any] = {"TEST_PATIENCE_S": str(public_cache.PATIENCE_S)}
"""How long a visitor waits where there is a stale answer."""
BUSY = Answered(503, b"<Error><Code>SlowDown</Code></Error>", "text/xml")


class Site:
    """A stack behind fronts that tests break, and people who are logged in."""

    respawning: Application
    """The process that `kill_often` kills."""

    def __init__(self, directory: Path, opened: ExitStack) -> None:
        self.directory, self._opened = directory, opened
        self.ministack = opened.enter_context(MiniStack(persist=True))
        self.valkey = opened.enter_context(Valkey())
        self.database = opened.enter_context(MariaDB())
        self.provider = opened.enter_context(NanoIDP())
        self.database.create_database("chaos")
        self.admin("CREATE USER app@'127.0.0.1'", "GRANT ALL ON chaos.* TO app@'127.0.0.1'")
        fronts = (self.ministack, self.ministack, self.valkey, self.database)
        self.dynamodb, self.s3, self.cache, self.sql = (
            opened.enter_context(Front(server.port)) for server in fronts
        )
        settings: dict[str, Any] = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.dynamodb.port}",
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{self.s3.port}",
            "CACHE_URL": f"redis://127.0.0.1:{self.cache.port}/0",
            "DATABASE_DEADLINE_S": str(DATABASE_DEADLINE_S),
            "RATE_VISITORS": "1000000",
            "RATE_STAFF": "1000000",
        }
        url = f"mysql+aiomysql://app@127.0.0.1:{self.sql.port}/chaos"
        self.stack = opened.enter_context(
            Stack(directory, self.ministack, self.valkey, url, provider=self.provider, **settings)
        )
        self.process = self.stack.prepare().start(**AS_DEPLOYED)
        self.person = self._log_in(opened, "editor")
        ended = self._log_in(opened, "admin")
        access = ended.cookie(ACCESS)
        assert ended.post("/v1/auth/logout").status_code == 200
        self.closed = [
            {},
            {"Cookie": f"{ACCESS}={access}"},
            {"Cookie": f"{ACCESS}={str(access)[:-8]}AAAAAAAA"},
        ]
        with self.stack.client() as client:
            make_category(client, "news")
            posts = [published(client) for _ in range(4)]
        self.paths = [
            *("/v1/posts", "/v1/categories", "/v1/feed.rss"),
            *(f"/v1/posts/{post['slug']}" for post in posts),
            *(f"/v1/posts?limit={n}" for n in range(1, 30)),
        ]

    def _log_in(self, opened: ExitStack, group: str) -> Person:
        self.provider.admit(Account(group, group, group, f"{group}@familycorp.example", (f"{group}s",)))
        person = opened.enter_context(at_browser(self.stack, group))
        person.log_in()
        return person

    def staff(self) -> dict[str, str]:
        """Return what an editor's browser sends, with a token that was made just now."""
        assert self.person.refresh().status_code == 204
        return {"Cookie": "; ".join(f"{c.name}={c.value}" for c in self.person.client.cookies.jar), **CSRF}

    def connect(self) -> pymysql.Connection:
        """Connect as the database's administrator."""
        return pymysql.connect(host="127.0.0.1", port=self.database.port, user="root", autocommit=True)

    def admin(self, *statements: str) -> None:
        """Run statements as the database's administrator."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fail_over(self) -> None:
        """Make the database read-only, as a writer is that became a reader; its copy is to be the writer."""
        self.admin("SET GLOBAL read_only = 1")
        self.sql.cut()
        self.database.suspend()
        copy = MariaDB(directory=self.directory / "copy")
        shutil.copytree(self.database.data, copy.data)
        self.database.resume()
        self._opened.callback(copy.close)
        self.database = copy

    def promote(self) -> None:
        """Have names lead to the copy; connections that are open stay where they are."""
        self.database.start()
        self.admin("SET GLOBAL read_only = 0")
        self.sql.target = self.database.port

    def signal_on_insert(self, errno: int, state: str = "HY000") -> None:
        """Have the database answer an error of this number to every insert into the outbox."""
        signal = f"SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {errno}"
        self.admin(f"CREATE TRIGGER chaos.fault BEFORE INSERT ON chaos.outbox FOR EACH ROW {signal}")

    def lock(self) -> None:
        """Lock the outbox against all other writers."""
        self.locker = self.connect()
        self.locker.query("LOCK TABLES chaos.outbox WRITE")

    def set_clock(self, ahead: float) -> None:
        with self.stack.client(self.process) as client:
            assert client.post("/test/clock", params={"ahead": ahead}).status_code == 200

    def configure_valkey(self, **options: str) -> None:
        with redis.Redis(port=self.valkey.port) as client:
            for name, value in options.items():
                client.config_set(name.replace("_", "-"), value)

    def start(self, **environment: Any) -> Application:
        """Start one more process, which the next traffic goes to."""
        return self.stack.start(**AS_DEPLOYED, **environment)


class Row(NamedTuple):
    """A fault: how it comes and goes, within what everything must be answered, and what else is special."""

    name: str
    inject: Callable[[Site], Any]
    heal: Callable[[Site], Any]
    budget_s: float
    short: bool = False
    """Whether the suite runs it."""
    during_s: float = DURING_S
    mix: Mapping[str, float] = MIX
    also: frozenset[int] = frozenset()
    """What else may be answered."""
    process: Callable[[Site], Application] = lambda site: site.process


def front(which: str, fault: Fault | None) -> Callable[[Site], None]:
    return lambda site: setattr(getattr(site, which), "fault", fault)


def faulty(name: str, which: str, fault: Fault, budget_s: float, **more: Any) -> Row:
    return Row(name, front(which, fault), front(which, None), budget_s, **more)


def drop_fault(site: Site) -> None:
    site.admin("DROP TRIGGER chaos.fault")


def without_names(site: Site) -> Application:
    """Start a process that knows its stores by names, which it resolves by threads of its own."""
    local = {
        name: value.replace("127.0.0.1", "localhost")
        for name, value in site.stack.environment.items()
        if name.endswith(("DATABASE_URL", "CACHE_URL", "ENDPOINT_URL"))
    }
    return site.start(UVICORN_LOOP="asyncio", TEST_DNS_HANGS=str(site.directory / "dns-hangs"), **local)


def hang_names(site: Site) -> None:
    (site.directory / "dns-hangs").touch()
    for one in (site.dynamodb, site.s3, site.cache, site.sql):
        one.cut()  # Who is connected needs no name.


def kill_often(site: Site) -> None:
    """Kill the process again and again, wherever it is."""
    import psutil

    (serving,) = [p for p in site.stack.processes if p.port == site.respawning.port]
    for _ in range(int(DURING_S)):
        for child in psutil.Process(serving.pid).children():
            with suppress(psutil.NoSuchProcess):
                child.kill()
        time.sleep(0.7)


def respawning(site: Site) -> Application:
    site.respawning = site.stack.start(respawns=True, **AS_DEPLOYED)
    return site.respawning


def on_a_full_disk(site: Site) -> Application:
    application = Application(site.stack.environment | AS_DEPLOYED, site.directory)
    application.log = Path("/dev/full")
    application.start()
    return application


S_S3 = 2 * (1 + 10) + 1  # Two attempts, and the pause between them.
S_VALKEY, S_AWS, S_SQL = 3.0, 2.5 * AWS_S, DATABASE_DEADLINE_S + 1.5 * AWS_S
LONG = DATABASE_DEADLINE_S + 5

ROWS = [
    Row("Valkey killed", lambda s: s.valkey.kill(), lambda s: s.valkey.start(), S_VALKEY),
    Row("Valkey hung", lambda s: s.valkey.suspend(), lambda s: s.valkey.resume(), S_VALKEY),
    faulty("Valkey slow (0.2 s)", "cache", Slow(0.2), S_VALKEY),
    Row(
        "Valkey full",
        lambda s: s.configure_valkey(maxmemory_policy="noeviction", maxmemory="1"),
        lambda s: s.configure_valkey(maxmemory="0"),
        S_VALKEY,
    ),
    Row("database killed", lambda s: s.database.kill(), lambda s: s.database.start(), S_SQL),
    faulty("database hung", "sql", Hung(), S_SQL, during_s=LONG),
    faulty("database refuses connections", "sql", Refused(), S_SQL),
    faulty("database slow (0.3 s each time)", "sql", Slow(0.3), S_SQL),
    # What was the writer doesn't follow here, as Aurora's readers do: who is still connected to it finds less.
    Row("database failed over", Site.fail_over, Site.promote, S_SQL, short=True, also=frozenset({404})),
    Row("database: deadlock (1213)", lambda s: s.signal_on_insert(1213, "40001"), drop_fault, S_SQL),
    Row("database: lock wait", Site.lock, lambda s: s.locker.close(), S_SQL, during_s=LONG),
    Row("database: disk full (1021)", lambda s: s.signal_on_insert(1021), drop_fault, S_SQL),
    faulty("DynamoDB throttles everything", "dynamodb", THROTTLED, S_AWS, short=True),
    faulty("DynamoDB throttles a third", "dynamodb", OFTEN_THROTTLED, S_AWS),
    faulty("DynamoDB answers 500", "dynamodb", FAILED, S_AWS),
    faulty("DynamoDB slow (1 s)", "dynamodb", Slow(1), S_AWS),
    faulty("DynamoDB hung", "dynamodb", Hung(), S_AWS),
    faulty("S3 refuses connections", "s3", Refused(), S_AWS, mix=FILES),
    faulty("S3 answers 503", "s3", BUSY, S_AWS, mix=FILES),
    # A member with too many uploads under way may create no more.
    faulty("S3 hung", "s3", Hung(), S_S3 + 1, mix=FILES, during_s=S_S3 + 2, also=frozenset({409})),
    Row("login provider killed", lambda s: s.provider.kill(), lambda s: s.provider.start(), S_AWS),
    Row("login provider hung", lambda s: s.provider.suspend(), lambda s: s.provider.resume(), S_AWS),
    Row(
        "names don't resolve (DNS hangs)",
        hang_names,
        lambda s: (s.directory / "dns-hangs").unlink(),
        S_SQL,
        process=without_names,
        during_s=LONG,
    ),
    Row(
        "clock an hour ahead",
        lambda s: s.set_clock(3600),
        lambda s: s.set_clock(0),
        S_AWS,
        also=frozenset({401}),
    ),
    Row(
        "clock an hour behind",
        lambda s: s.set_clock(-3600),
        lambda s: s.set_clock(0),
        S_AWS,
        also=frozenset({401}),  # Tokens are then from the future.
    ),
    Row("the log's disk is full", lambda s: None, lambda s: None, S_AWS, process=on_a_full_disk),
    Row(
        "process killed, again and again",
        kill_often,
        lambda s: None,
        S_AWS,
        also=frozenset({LOST}),
        process=respawning,
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as opened:
        try:
            yield Site(tmp_path_factory.mktemp("chaos"), opened)
        except NotInstalledError as error:
            missing("mariadb", error)


@pytest.fixture(scope="module")
def seen() -> Iterator[list[list[str]]]:
    """What users saw, a line for each row."""
    rows: list[list[str]] = []
    yield rows
    if len(rows) == len(ROWS):  # A few rows don't replace the table of all.
        record("chaos", table(HEAD, rows, numbers=0), "chaos")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "row", [pytest.param(r, id=r.name, marks=() if r.short else pytest.mark.holds) for r in ROWS]
)
def test_a_fault_breaks_no_promise(site: Site, seen: list[list[str]], row: Row) -> None:
    process, staff = row.process(site), site.staff()
    people: Any = {"paths": site.paths, "staff": staff, "closed": site.closed, "image": photo()}
    people["files_to"] = site.ministack.port
    warm(site, process)
    seconds = BEFORE_S + row.during_s + AFTER_S
    with Traffic(process.port, seconds, rate=RATE, mix=row.mix, seed=ROWS.index(row), **people) as crowd:
        time.sleep(BEFORE_S)
        began = time.time()
        row.inject(site)
        time.sleep(max(0, row.during_s - (time.time() - began)))
        row.heal(site)
        healed = time.time()
    answers = [a for a in crowd.answers if a.kind != "s3"]
    during = [a for a in answers if began <= a.at < healed]
    bad = [a for a in answers if a.at >= healed and a.status in {LOST, 503}]
    back = max((a.at + a.ms / 1000 - healed for a in bad), default=0.0)
    slowest = max(a.ms for a in answers) / 1000

    def share(*kinds: str) -> str:
        those = [a.status for a in during if a.kind in kinds]
        return f"{sum(s in {200, 201} for s in those)} of {len(those)}"

    reads = [a for a in during if a.kind == "read"]
    waited = max(a.ms for a in reads) / 1000
    stale = served_stale(process, began, healed)
    accepted = share("write", "upload", "completion")
    visitors = [row.name, share("read"), str(stale), f"{waited:.1f}"]
    seen.append([*visitors, share("staff"), accepted, f"{slowest:.1f}", f"{back:.1f}"])
    print("\n" + table(HEAD, seen[-1:], numbers=0))

    allowed = {200, 201, 503, *row.also}
    surprising = {
        (a.kind, a.status) for a in answers if a.kind not in {"closed", "login"} and a.status not in allowed
    }
    assert surprising == set()
    assert {a.status for a in answers if a.kind == "closed"} <= {401, 503, *allowed} - {200, 201}
    assert {a.status for a in answers if a.kind == "login"} <= {302, 303, *allowed}
    assert all(a.retry_after for a in answers if a.status == 503)
    if SECONDS:  # Of a machine that others keep busy, `make test` asks no seconds: `make chaos` does.
        assert slowest < row.budget_s
        answered = [a for a in reads if a.status not in row.also]
        assert sum(a.status == 200 for a in answered) >= SERVED * len(answered)
        late = [a for a in bad if a.at > healed + RECOVERY_S]
        assert late == []
    nothing_is_lost_or_done_twice(site, crowd.writes)
    if process is not site.process:
        process.kill()


def served_stale(process: Application, since: float, until: float) -> int:
    """Count the stale answers of a time in the process's log."""
    if not process.log.is_file():
        return 0
    lines = (line for line in json_lines(process.log) if "cache_stale" in line)
    return sum(since <= line["_aws"]["Timestamp"] / 1000 < until for line in lines)


def warm(site: Site, process: Application) -> None:
    """Have the cache know every page that visitors read; soon after an invalidation it takes none."""
    with site.stack.client(process) as client:
        for path in site.paths:
            while not (answer := client.get(path)).headers.get("Age"):
                assert answer.status_code == 200
                time.sleep(0.1)


def due_by_now(site: Site) -> list[dict[str, Any]]:
    """Return the markers that stand for a change; those of files name looks that come in minutes and in days."""
    latest = (datetime.now(UTC) + timedelta(seconds=61)).isoformat()
    return [marker for marker in site.stack.items("due") if marker["sequence"] < latest]


def nothing_is_lost_or_done_twice(site: Site, writes: list[Write]) -> None:
    """Check each post that an editor wrote, after a run of the scheduler."""
    with site.stack.client() as client:
        deadline = time.monotonic() + 120
        while owed := [*site.stack.sql("SELECT * FROM outbox"), *due_by_now(site)]:
            assert time.monotonic() < deadline, owed
            assert client.post("/test/run-due", params={"ahead": 61}).status_code in {200, 503}
            time.sleep(0.2)
        for write in writes:
            found = site.stack.sql(
                "SELECT p.version, p.state, COUNT(*) OVER () FROM posts p JOIN post_revisions r ON r.post_id = p.id"
                " WHERE r.title = :title",
                title=write.title,
            )
            assert len(found) == 1 if write.id else len(found) <= 1, (write, found)
            public = client.get(f"/v1/posts/p-{write.title}")
            if write.published:
                assert found[0][1] == "published", write
            told = bool(found) and found[0][1] == "published"
            assert public.status_code == (200 if told else 404), (write, found)
            if write.id:
                events = site.stack.events(f"post:{write.id}")
                assert events == (["2 post.published"] if told else []), (write, events)
