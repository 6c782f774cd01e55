"""Logs: JSON lines, one for each request, with the correlation id and without people's data."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.core.observability import metrics
from app.core.observability.logging import JsonFormatter
from support.contract import NOBODY, at_once, log_lines, logged, problem, unique
from support.stack import EDITOR, Stack, published

FIELDS = {"timestamp", "level", "message", "location", "service"}
ACCESS = FIELDS | {"correlation_id", "env", "method", "route", "status", "bytes", "latency", "errors", "_aws"}
"""What every request's line has; what it did adds fields."""
MORE = {
    *metrics.BY_SERVICE,
    "policy_evaluations",
    "cause",
    "subject",
    "decision",
    "rate",
    "trace_id",
    "xray_trace_id",
}


def test_every_line_is_json_with_the_common_fields(client: httpx.Client, stack: Stack) -> None:
    published(client)
    lines = log_lines(stack)
    assert len(lines) > 5
    for line in lines:
        assert set(line) >= FIELDS
        assert line["service"] == "familycorp-backend"
        assert line["level"] in {"INFO", "WARNING", "ERROR"}
        assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC
    # The server's own lines are no exception.
    assert any(line["location"].startswith("uvicorn") for line in lines)


def test_each_request_is_one_line_of_access(client: httpx.Client, stack: Stack) -> None:
    post = published(client)
    for method, path, route, status, headers in (
        ("GET", "/health", "/health", 200, {}),
        ("GET", f"/v1/posts/{post['slug']}", "/v1/posts/{id_or_slug}", 200, {}),
        ("GET", f"/v1/posts/{post['slug']}", "/v1/posts/{id_or_slug}", 200, {}),  # from the cache, this time
        ("HEAD", f"/v1/posts/{post['slug']}", "/v1/posts/{id_or_slug}", 200, {}),
        ("GET", f"/v1/posts/{post['slug']}", "/v1/posts/{id_or_slug}", 304, {"If-None-Match": "*"}),
        ("GET", "/v1/posts?limit=0", "/v1/posts", 422, {}),
        ("GET", "/v1/search?q=%EC%8B%A4%EC%A0%81", "/v1/search", 200, {}),
        ("POST", f"/v1/posts/{NOBODY}/views", "/v1/posts/{post_id}/views", 404, {}),
        ("GET", f"/v1/editor/posts/{NOBODY}", "/v1/editor/posts/{post_id}", 401, {}),
        ("GET", f"/v1/editor/posts/{NOBODY}", "/v1/editor/posts/{post_id}", 404, EDITOR),
        ("GET", "/secret/path", "-", 404, {}),
        (
            "OPTIONS",
            "/v1/posts",
            "-",
            400,
            {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"},
        ),
    ):
        request_id = unique("asked-")
        client.request(method, path, headers=headers | {"X-Request-ID": request_id})
        *decisions, line = logged(stack, request_id)
        assert [d["message"] for d in decisions] == ["policy_decided"] * (headers is EDITOR)
        assert set(line) >= ACCESS
        assert set(line) - ACCESS <= MORE
        assert (line["method"], line["route"], line["status"]) == (method, route, status)
        assert 0 < line["latency"] < 10_000


def test_what_was_asked_for_is_not_logged(client: httpx.Client, stack: Stack) -> None:
    secret = unique("secret")
    headers = {"Cookie": secret, "Authorization": f"Bearer {secret}", "User-Agent": secret, "Referer": secret}
    client.get(f"/v1/search?q={secret}", headers=headers)
    client.get(f"/v1/posts/{secret}", headers=headers | {"X-Forwarded-For": secret, "If-None-Match": secret})
    client.get(f"/{secret}", headers=headers)
    problem(client.post("/v1/inquiries", json={"name": secret, "email": secret}), 422, "validation_failed")
    answer = client.get("/health", headers={"X-Request-ID": f"{secret} {secret}"})
    logged(stack, answer.headers["X-Request-ID"])
    assert secret not in stack.processes[0].log.read_text()


def test_lines_of_requests_at_once_keep_their_ids(client: httpx.Client, stack: Stack) -> None:
    """A request's id is on its lines alone, in every thread."""
    posts = [published(client) for _ in range(8)]
    ids = [unique("asked-") for _ in posts]

    def archive(i: int) -> int:
        headers = EDITOR | {"If-Match": f'"{posts[i]["version"]}"', "X-Request-ID": ids[i]}
        return client.post(f"/v1/editor/posts/{posts[i]['id']}/archive", headers=headers).status_code

    assert at_once(8, archive) == [200] * 8
    for request_id in ids:
        lines = logged(stack, request_id)
        assert [line["message"] for line in lines if line["message"] == "request"] == ["request"]
    # Audit entries and events carry it, too.
    kept = stack.sql("SELECT target, correlation_id FROM audit_entries WHERE action = 'post.archived'")
    assert {(f"post:{p['id']}", i) for p, i in zip(posts, ids, strict=True)} <= {tuple(row) for row in kept}


@pytest.mark.parametrize(
    "odd", [{1: {2}}, "half \ud800 a pair", object(), b"\xff", float("nan"), {("a",): 1}, 2**70]
)
def test_a_line_survives_any_value(odd: Any) -> None:
    record = logging.makeLogRecord(
        {"msg": "a\nb %s", "args": ("\x00\u2028",), "levelname": "INFO", "odd": odd}
    )
    line = JsonFormatter("service").format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert found["message"] == "a\nb \x00\u2028"
    assert set(found) == FIELDS | {"odd"}


def test_a_line_is_not_lost_for_what_is_nested_too_deeply() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    line = JsonFormatter("service").format(logging.makeLogRecord({"msg": "it happened", "odd": deep}))
    assert json.loads(line)["message"] == "it happened"
    assert json.loads(line)["odd"] == "a list nested too deeply"


@pytest.mark.parametrize(
    ("level", "rate", "least", "most"), [("INFO", "1", 60, 60), ("WARNING", "0.5", 8, 52)]
)
def test_a_share_of_requests_is_logged_in_full(
    stack: Stack, level: str, rate: str, least: int, most: int
) -> None:
    """Of a request either all lines are there or, of those below the level, none."""
    process = stack.start(FAMILYCORP_LOG_LEVEL=level, FAMILYCORP_LOG_SAMPLE_RATE=rate)
    ids = [unique("asked-") for _ in range(60)]
    with stack.client(process) as client:
        for request_id in ids:
            client.get(f"/v1/posts/{unique()}", headers={"X-Request-ID": request_id})
        client.get("/health")
    process.stop()
    stack.processes.remove(process)
    found: dict[str, list[dict[str, Any]]] = {}
    for line in map(json.loads, process.log.read_text().splitlines()):
        found.setdefault(line.get("correlation_id", ""), []).append(line)
    full = [found[request_id] for request_id in ids if request_id in found]
    assert least <= len(full) <= most
    for lines in full:
        steps = [line for line in lines if line["level"] == "DEBUG"]
        assert {"dynamodb", "cache"} <= {step["part"] for step in steps}
        assert "query" in {step["operation"] for step in steps}
        assert lines[-1]["message"] == "request"
    assert not [line for line in found.get("", ()) if line["level"] == "DEBUG"]


def test_without_a_rate_nothing_is_logged_below_the_level(client: httpx.Client, stack: Stack) -> None:
    client.get("/v1/posts")
    assert {line["level"] for line in log_lines(stack)} <= {"INFO", "WARNING", "ERROR"}


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("half \ud800 a pair\nand a second line")
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "levelname": "ERROR", "exc_info": sys.exc_info()})
    line = JsonFormatter("service").format(record)
    assert "\n" not in line
    assert json.loads(line)["exception_name"] == "ValueError"
    assert "test_logging.py" in json.loads(line)["exception"]
