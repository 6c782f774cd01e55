"""Things that break: each is done to a stack so that a threshold is crossed, and returns its lines."""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from app.auth.cookies import REFRESH
from app.core.aws import dynamodb
from familycorp_ops.deploy.alarms import Line
from familycorp_ops.servers.loopback import LoopbackServer
from support.contract import at_once, unique
from support.failing_front import FAILED, Front
from support.stack import EDITOR, Application, Stack, draft, json_lines, published
from support.staff import Person

NOBODYS = "mysql+aiomysql://nobody@127.0.0.1:1/content"
"""A database that isn't there."""

FUNCTIONS = {
    "app.functions.drain": "drain",
    "app.functions.notices": "events",
    "app.functions.uploads": "uploads",
    "app.functions.rotation": "rotation",
}
"""Functions that events start, by the module of their entry point."""

OPERATOR = "app.functions.operator"
"""Module of the two functions that operators call."""


def told(log: Path, since: int = 0) -> list[Line]:
    """Return the metrics' lines of a log as Prod would write them; the environment's name alone is put right."""
    return [line | {"env": "prod"} for line in json_lines(log)[since:] if "_aws" in line]


@contextmanager
def asked(application: Application, requests: int, into: list[Line]) -> Iterator[None]:
    """Add the lines of the requests that the block makes, and of nothing before."""
    before = len(json_lines(application.log))
    yield
    deadline = time.monotonic() + 120  # A line may be written after its answer.
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
    """Searches fail."""
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


def a_caller_who_may_not(
    stack: Stack, threshold: float, caller: str = EDITOR["X-Test-Subject"]
) -> list[Line]:
    """A viewer tries what only editors may, again and again."""
    (application, *_), lines, times = stack.processes, list[Line](), int(threshold) + 1
    with stack.client() as client, asked(application, times, lines):
        for _ in range(times):
            headers = EDITOR | {"X-Test-Role": "viewer", "X-Test-Subject": caller}
            assert client.post("/v1/editor/categories", json={}, headers=headers).status_code == 403
    return lines


def a_table_that_fails_behind_the_cache(stack: Stack) -> None:
    """DynamoDB fails, and a visitor gets an answer of before."""
    with Front(stack.ministack.port) as front:
        url = f"http://127.0.0.1:{front.port}"
        behind = stack.start(TEST_CACHE_HOLD_S="0", FAMILYCORP_AWS_ENDPOINT_URL=url)
        with stack.client(behind) as client:
            assert client.get("/v1/posts").status_code == 200
            published(client)
            front.fault = FAILED
            assert client.get("/v1/posts").status_code == 200


class _Refusing(BaseHTTPRequestHandler):
    """AWS, which refuses every request; S3 in its own format."""

    error = ""

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()

    def do_POST(self) -> None:
        if self.headers["Content-Type"].startswith("application/x-www-form-urlencoded"):  # SNS
            body = f"<ErrorResponse><Error><Code>{self.error}</Code></Error></ErrorResponse>"
        else:
            body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{self.error}", "message": "no"})
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_PUT(self) -> None:
        self.do_HEAD()

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


@contextmanager
def refusing(error: str) -> Iterator[str]:
    """Serve as an AWS that answers this error to everything; yield its address."""
    handler = type("Handler", (_Refusing,), {"error": error})
    with LoopbackServer(handler) as server:
        yield server.url


def _refused(stack: Stack, error: str, times: int) -> list[Line]:
    """Have DynamoDB answer an error, send several requests at once, and return what was logged."""
    lines: list[Line] = []
    with refusing(error) as url:
        refused = stack.start(FAMILYCORP_AWS_ENDPOINT_URL=url)
        with stack.client(refused) as client, asked(refused, times, lines):
            answers = at_once(times, lambda _: client.get(f"/v1/posts/{unique()}").status_code)
            assert all(status >= 500 for status in answers)
    return lines


def a_policy_without_a_line(stack: Stack, _: float) -> list[Line]:
    """DynamoDB says that the function may not."""
    return _refused(stack, "AccessDeniedException", 1)


def a_table_that_is_throttled(stack: Stack, threshold: float) -> list[Line]:
    """DynamoDB says that it is asked too often, to retries, too."""
    return _refused(stack, "ThrottlingException", int(threshold) + 1)


def invoked(
    stack: Stack, module: str, event: Any = None, handler: str = "handler", **environment: str
) -> list[Line]:
    """Have Lambda's entry point of a module take an event, well or not, and return what it logged."""
    function = f"operator-{handler}" if module == OPERATOR else FUNCTIONS[module]
    log = stack.directory / f"{function}-{unique()}.jsonl"
    script = f"""
import contextlib, sys
sys.stdout = open({str(log)!r}, "w")
from {module} import {handler}
with contextlib.suppress(Exception):
    {handler}({event or {}!r}, None)
"""
    stack.run_as(function, script, **environment)
    return told(log)


def operated(
    stack: Stack, handler: str, command: str, arguments: dict[str, Any], **environment: str
) -> list[Line]:
    """Have an operator call a function, and return what it logged."""
    event = {
        "requestContext": {"authorizer": {"iam": {"userArn": "arn:aws:iam::000000000000:user/operator"}}},
        "body": json.dumps({"command": command, "arguments": arguments}),
    }
    return invoked(stack, OPERATOR, event, handler, **environment)


def an_admin_who_is_made(stack: Stack, _: float) -> list[Line]:
    member, at = uuid.uuid4(), "2026-11-24 00:00:00.000000"
    stack.sql(
        "INSERT INTO members (id, issuer, subject, email, name, seen_at, version, created_at, updated_at) "
        "VALUES (:id, 'https://login.example', :id, '', 'x', :at, 1, :at, :at)",
        id=member.hex,
        at=at,
    )
    return operated(stack, "write", "members.grant-role", {"who": str(member), "role": "admin"})


def drained(stack: Stack, **environment: str) -> list[Line]:
    """Run the scheduler, and return what it logged."""
    return invoked(stack, "app.functions.drain", **environment)


@contextmanager
def due(stack: Stack, seconds: float) -> Iterator[None]:
    """Have something been due for so long while the block runs."""
    at = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="microseconds")
    marker = dynamodb.encode({"aggregate": "due", "sequence": f"{at.removesuffix('+00:00')}Z#fault"})
    stack.dynamodb.put_item(TableName=stack.settings.events_table, Item=marker)
    yield
    stack.dynamodb.delete_item(TableName=stack.settings.events_table, Key=marker)


@contextmanager
def stuck(stack: Stack) -> Iterator[None]:
    """Have the outbox hold a row that DynamoDB won't take (above 400 KB) while the block runs."""
    snapshot = {"key": "stuck", "attributes": {"page": "x" * 410_000}, "absent": []}
    stack.sql(
        "INSERT INTO outbox (aggregate, version, kind, data, snapshot, correlation_id) "
        "VALUES ('test:stuck', 1, 'test.owed', '{}', :snapshot, 'test')",
        snapshot=json.dumps(snapshot),
    )
    yield
    stack.sql("DELETE FROM outbox")


def a_change_that_is_refused(stack: Stack, threshold: float) -> list[Line]:
    """A change that can't be delivered, a while after its commit."""
    with stuck(stack), due(stack, threshold + 60):
        return drained(stack)


def a_refresh_token_that_comes_again(stack: Stack, person: Person) -> list[Line]:
    """Somebody has a copy of a refresh token, and uses it after its owner did."""
    person.log_in()
    stolen = person.cookie(REFRESH) or ""
    assert person.refresh().status_code == 204
    member, session, _ = stolen.split(".")
    before = int((time.time() - 60) * 1000)
    stack.rewrite(f"member#{member}", f"session#{session}", rotatedAt=before)
    lines: list[Line] = []
    with asked(stack.processes[0], 1, lines):
        person.plant(REFRESH, stolen, "/v1/auth")
        assert person.refresh().status_code == 401
    return lines
