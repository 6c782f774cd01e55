"""What breaks makes its alarm ring: the application's own lines, against thresholds and periods of Terraform's plan.

Each test breaks one thing and asks. The lines of that minute or so stand for one period, and for as many as the alarm
wants: a fault that lasts. What the application can't tell of (AWS's own metrics) is listed, each with who tells.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.auth.cookies import REFRESH
from app.core import dynamodb
from contract import unique
from familycorp_ops import infra
from familycorp_ops.alarms import Alarm, Line
from familycorp_ops.infra import Terraform
from familycorp_ops.pytest_servers import missing
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.process import NotInstalledError, free_port
from stack import EDITOR, Application, Stack, draft, published
from staff import Person

NOBODYS = f"mysql+aiomysql://nobody@127.0.0.1:{free_port()}/content?connect_timeout=1"
"""A database that isn't there."""

TOLD_BY_AWS = {
    "api-errors": "API Gateway counts what it answers",
    "api-latency": "API Gateway measures what it answers",
    "cache-evictions": "ElastiCache counts them",
    "cache-memory": "ElastiCache measures it",
    "database-connections": "Aurora counts them",
    "database-full": "Aurora measures ACU",
    "dead-letters": "SQS counts its messages",
    "drain-silent": "Lambda counts calls; a function that isn't called says nothing",
    "events-behind": "Lambda measures its stream",
    "function-errors": "Lambda counts crashes",
    "function-throttles": "Lambda counts what it refuses",
    "most-calls-fail": "Lambda counts crashes and what it refuses",
    "notices-failed": "SNS counts them",
    "table-throttles": "DynamoDB counts what it refuses",
}
"""Alarms on AWS's own metrics: that they exist by these names is checked in ops/tests/test_terraform_alarms.py."""

Break = Callable[[Stack, float], list[Line]]
"""Breaks something on a stack so that a threshold is crossed, and returns what was told."""


@pytest.fixture(scope="module")
def alarms(ministack: MiniStack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Alarm]:
    try:
        terraform = Terraform(tmp_path_factory.mktemp("alarms"), ministack.url)
    except NotInstalledError as error:
        missing("terraform", error)
    plan = terraform.plan(*infra.options("prod", "terraform"))
    found = (
        Alarm.of_plan(r["values"])
        for r in infra.resources(plan)
        if r["type"] == "aws_cloudwatch_metric_alarm"
    )
    return {alarm.name: alarm for alarm in found}


@pytest.fixture(scope="module")
def stack(own_stack: Stack) -> Stack:
    return own_stack


def told(log: Path, since: int = 0) -> list[Line]:
    """Return the metrics' lines of a log as Prod would write them; the environment's name alone is put right."""
    lines = [json.loads(line) for line in log.read_text().splitlines()[since:]]
    return [line | {"env": "prod"} for line in lines if "_aws" in line]


@contextmanager
def asked(application: Application, requests: int, into: list[Line]) -> Iterator[None]:
    """Add the lines of the requests that the block makes, and of nothing before."""
    before = len(application.log.read_text().splitlines())
    yield
    deadline = time.monotonic() + 5  # A line may be written after its answer.
    while len(lines := told(application.log, before)) < requests:
        assert time.monotonic() < deadline, lines
        time.sleep(0.02)
    into += lines


def search(stack: Stack, application: Application, times: int) -> list[Line]:
    lines: list[Line] = []
    with stack.client(application) as client, asked(application, times, lines):
        for _ in range(times):
            client.get("/v1/search", params={"q": unique()})
    return lines


def a_database_that_is_away(stack: Stack, threshold: float) -> list[Line]:
    """Whoever searches gets an error."""
    return search(stack, stack.start(FAMILYCORP_DATABASE_URL=NOBODYS), int(threshold) + 1)


def some_requests_that_fail(stack: Stack, threshold: float) -> list[Line]:
    """A few of fifty requests need the database that isn't there; the others are served."""
    away, failing = stack.start(FAMILYCORP_DATABASE_URL=NOBODYS), int(50 * threshold) + 1
    lines = search(stack, away, failing)
    with stack.client(away) as client, asked(away, 50 - failing, lines):
        for _ in range(50 - failing):
            assert client.get("/v1/posts").status_code == 200
    return lines


def a_database_that_is_locked(stack: Stack, threshold: float) -> list[Line]:
    """Somebody holds the database for a while; who writes meanwhile waits, and succeeds."""
    (application, *_), lines = stack.processes, list[Line]()
    with stack.client() as client, asked(application, 4, lines), ThreadPoolExecutor(4) as pool:
        with closing(sqlite3.connect(stack.directory / "content.db", isolation_level=None)) as held:
            held.execute("BEGIN IMMEDIATE")
            waiting = [pool.submit(draft, client) for _ in range(4)]
            time.sleep(threshold / 1000 + 0.2)
        assert [answer.result().status_code for answer in waiting] == [201] * 4
    return lines


def a_caller_who_may_not(stack: Stack, threshold: float) -> list[Line]:
    """A viewer tries what only editors may, again and again."""
    (application, *_), lines, times = stack.processes, list[Line](), int(threshold) + 1
    with stack.client() as client, asked(application, times, lines):
        for _ in range(times):
            headers = EDITOR | {"X-Test-Role": "viewer"}
            assert client.post("/v1/editor/categories", json={}, headers=headers).status_code == 403
    return lines


class Refusing(BaseHTTPRequestHandler):
    """DynamoDB, to somebody whose policy misses a line."""

    def do_POST(self) -> None:
        body = json.dumps(
            {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "not yours"}
        )
        self.send_response(400)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


def a_policy_without_a_line(stack: Stack, _: float) -> list[Line]:
    """DynamoDB refuses what the application asks."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lines: list[Line] = []
        refused = stack.start(FAMILYCORP_AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}")
        with stack.client(refused) as client, asked(refused, 1, lines):
            assert client.get(f"/v1/posts/{unique()}").status_code >= 500
        server.shutdown()
    return lines


def a_change_that_is_refused(stack: Stack, threshold: float) -> list[Line]:
    """A row of the outbox that DynamoDB won't take (above 400 KB), a while after its commit."""
    snapshot = {"key": "stuck", "attributes": {"page": "x" * 410_000}, "absent": []}
    stack.sql(
        "INSERT INTO outbox (aggregate, version, kind, data, snapshot, correlation_id) "
        "VALUES ('test:stuck', 1, 'test.owed', '{}', :snapshot, 'test')",
        snapshot=json.dumps(snapshot),
    )
    due = (datetime.now(UTC) - timedelta(seconds=threshold + 60)).isoformat(timespec="microseconds")
    marker = {"aggregate": "due", "sequence": f"{due.removesuffix('+00:00')}Z#stuck"}
    stack.dynamodb.put_item(TableName=stack.settings.events_table, Item=dynamodb.encode(marker))
    out = stack.directory / f"{unique()}.jsonl"
    stack.run_as(
        "drain",
        f"import sys; sys.stdout = open({str(out)!r}, 'w')\nfrom app.jobs import handler; handler({{}}, None)",
    )
    stack.dynamodb.delete_item(TableName=stack.settings.events_table, Key=dynamodb.encode(marker))
    stack.sql("DELETE FROM outbox")
    return told(out)


BREAKS: dict[str, Break] = {
    "error-rate": some_requests_that_fail,
    "most-requests-fail": a_database_that_is_away,
    "stores-fail": a_database_that_is_away,
    "latency-p95": a_database_that_is_locked,
    "latency-p99": a_database_that_is_locked,
    "denied": a_caller_who_may_not,
    "permission-errors": a_policy_without_a_line,
    "outbox-failed": a_change_that_is_refused,
    "outbox-lag": a_change_that_is_refused,
}


def assert_rings(alarm: Alarm, fault: list[Line], healthy: list[Line]) -> None:
    took = (fault[-1]["_aws"]["Timestamp"] - fault[0]["_aws"]["Timestamp"]) / 1000
    assert took < alarm.period_s, "the lines would be spread over several periods"
    assert alarm.rings([fault] * alarm.of), (alarm, alarm.value(fault))
    assert not alarm.rings([fault] * (alarm.times - 1)), "one period less isn't enough"
    assert not alarm.rings([fault] * alarm.of + [healthy] * alarm.of), "it ends with the fault"


@pytest.fixture(scope="module")
def healthy(stack: Stack) -> list[Line]:
    """What an ordinary minute tells, a caller's mistakes included."""
    lines: list[Line] = []
    with stack.client() as client, asked(stack.processes[0], 12, lines):
        published(client)
        for path in ("/v1/posts", "/v1/posts?limit=0", "/v1/categories", "/nowhere", "/v1/editor/posts"):
            client.get(path)
            client.get(path)
    out = stack.directory / f"{unique()}.jsonl"
    stack.run_as(
        "drain",
        f"import sys; sys.stdout = open({str(out)!r}, 'w')\nfrom app.jobs import handler; handler({{}}, None)",
    )
    return lines + told(out)


def test_each_alarm_is_broken_here_or_told_by_aws(alarms: dict[str, Alarm]) -> None:
    assert alarms.keys() == {*BREAKS, *TOLD_BY_AWS, "refresh-reuse"}
    for name, alarm in alarms.items():
        assert all((s.namespace == "FamilyCorp") is (name not in TOLD_BY_AWS) for s in alarm.series), name


def test_nothing_rings_while_all_is_well(alarms: dict[str, Alarm], healthy: list[Line]) -> None:
    ours = [alarm for name, alarm in alarms.items() if name not in TOLD_BY_AWS]
    assert [alarm.name for alarm in ours if alarm.rings([healthy] * alarm.of)] == []


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_rings(name: str, alarms: dict[str, Alarm], stack: Stack, healthy: list[Line]) -> None:
    assert_rings(alarms[name], BREAKS[name](stack, alarms[name].threshold), healthy)


def test_a_refresh_token_that_comes_again_rings(
    alarms: dict[str, Alarm], staff_stack: Stack, somebody: Callable[..., Person], healthy: list[Line]
) -> None:
    editor = somebody("editors")
    editor.log_in()
    stolen = editor.cookie(REFRESH) or ""
    assert editor.refresh().status_code == 204
    member, session, _ = stolen.split(".")
    before = int((time.time() - 60) * 1000)
    staff_stack.rewrite(f"member#{member}", f"session#{session}", rotatedAt=before)
    lines: list[Line] = []
    with asked(staff_stack.processes[0], 1, lines):
        editor.plant(REFRESH, stolen, "/v1/auth")
        assert editor.refresh().status_code == 401
    assert_rings(alarms["refresh-reuse"], lines, healthy)


def test_nobody_can_make_an_alarm_ring_by_what_they_send(
    alarms: dict[str, Alarm], stack: Stack, healthy: list[Line]
) -> None:
    """Refusals are counted, not searched for: whoever names a request AccessDenied is not one."""
    lines: list[Line] = []
    with stack.client() as client, asked(stack.processes[0], 2, lines):
        client.get("/v1/posts", headers={"X-Request-ID": "AccessDeniedException"})
        client.get("/AccessDenied?access_denied=1", headers={"access_denied": "1"})
    assert not alarms["permission-errors"].crossed(lines)
