"""Lines of requests and events that CloudWatch reads as metrics, with few dimensions, since each is billed."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from app.core.observability import metrics
from support.contract import log_lines, logged, ok, unique
from support.stack import EDITOR, Stack, draft, make_category, published


def series_of(line: dict[str, Any]) -> set[tuple[str, ...]]:
    """Return the metrics that CloudWatch makes of a line: names with the values of their dimensions.

    As the format's specification says: each directive names metrics and sets of dimensions, whose values are fields.
    """
    found = set()
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert directive["Namespace"] == "FamilyCorp"
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert isinstance(line[metric["Name"]], int | float), metric
            for dimensions in directive["Dimensions"]:
                assert all(isinstance(line[d], str) and line[d] for d in dimensions)
                found.add((metric["Name"], *(line[d] for d in dimensions)))
    return found


def asked(client: httpx.Client, stack: Stack, method: str, path: str, **options: Any) -> dict[str, Any]:
    """Ask, and return the request's line."""
    request_id = unique("asked-")
    headers = options.pop("headers", {}) | {"X-Request-ID": request_id}
    client.request(method, path, headers=headers, **options)
    found: dict[str, Any] = logged(stack, request_id)[-1]
    return found


def test_times_of_a_part_add_up_to_thousandths() -> None:
    with metrics.measured() as fields:
        for took in (0.1, 0.2):
            metrics.add("cache_ms", took)
    assert fields["cache_ms"] == 0.3


def test_a_line_says_where_the_time_went(client: httpx.Client, stack: Stack) -> None:
    post = published(client)
    first = asked(client, stack, "GET", f"/v1/posts?limit=1&category={post['category']}")
    assert first["cache_miss"] == 1
    assert 0 < first["dynamodb_ms"] < first["latency"]
    assert 0 < first["cache_ms"] < first["latency"]
    assert "sql_ms" not in first
    # For a second after a publication nothing is kept.
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        again = asked(client, stack, "GET", f"/v1/posts?limit=1&category={post['category']}")
        if "cache_hit" in again:
            break
    assert again["cache_hit"] == 1
    assert "dynamodb_ms" not in again
    assert again["bytes"] == first["bytes"] > 100
    staff = asked(client, stack, "POST", f"/v1/editor/posts/{post['id']}/unpublish", headers=EDITOR)
    assert staff["decision"].endswith(("allow", "deny"))
    assert staff["subject"] != EDITOR["X-Test-Subject"]
    assert staff["auth_ms"] >= 0 < staff["policy_ms"]
    assert {("latency", "test", "familycorp-backend")} < series_of(first)
    assert ("latency", "test", "familycorp-backend", "/v1/posts") in series_of(first)
    assert ("cache_hit", "test", "familycorp-backend") in series_of(again)


def test_traces_of_callers_are_joined(client: httpx.Client, stack: Stack) -> None:
    trace = uuid.uuid4().hex
    xray = "1-67891233-abcdef012345678912345678"
    headers = {
        "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        "X-Amzn-Trace-Id": f"Root={xray};Parent=53995c3f42cd8ad8;Sampled=1",
    }
    line = asked(client, stack, "GET", "/health", headers=headers)
    assert (line["trace_id"], line["xray_trace_id"]) == (trace, xray)
    forged = asked(client, stack, "GET", "/health", headers={"traceparent": f"00-{'g' * 32}-{'0' * 16}-01"})
    assert "trace_id" not in forged


def test_hostile_paths_make_no_metrics(client: httpx.Client, stack: Stack) -> None:
    """Each series costs; 1,000 made-up addresses of every shape make none."""
    routes = len(stack_routes(client))
    known = series(stack)
    for n in range(250):
        for path in (f"/{n}", f"/v1/posts/{n}/x{n}", f"/v1/posts/x-{n}", f"/v1/{n}?q={n}"):
            client.request("GET" if n % 2 else "BREW", path)
    after = series(stack)
    assert len(after - known) <= 2 * 4, sorted(after - known)
    assert len(after) <= 2 * (routes + 4) + len(metrics.BY_SERVICE)


def stack_routes(client: httpx.Client) -> set[str]:
    """Return the templates of all routes, those of the documentation included."""
    return {*client.get("/openapi.json").json()["paths"], "/openapi.json", "/docs", "/docs/{name}", "-"}


def series(stack: Stack) -> set[tuple[str, ...]]:
    return {s for line in log_lines(stack) if "_aws" in line for s in series_of(line)}


def test_functions_that_events_start_measure_too(stack: Stack) -> None:
    out = stack.directory / "out.jsonl"
    stack.run(
        "-c",
        f"import sys; sys.stdout = open({str(out)!r}, 'w')\n"
        "from app.functions.drain import handler; handler({}, 0)",
    )
    line = json.loads(out.read_text().splitlines()[-1])
    assert (line["message"], line["service"], line["errors"]) == ("invocation", "familycorp-drain", 0)
    assert {
        ("cold_start", "test", "familycorp-drain"),
        ("dynamodb_ms", "test", "familycorp-drain"),
    } < series_of(line)


CANARY = "canary"


@pytest.fixture(scope="module", params=[{"LOG_LEVEL": "DEBUG"}, {"LOG_SAMPLE_RATE": "1"}], ids=str)
def own(request: pytest.FixtureRequest, new_stack: Callable[..., Stack]) -> Stack:
    stack = new_stack("sqlite", **request.param)
    stack.start()
    with stack.client() as client:
        make_category(client, "news")
    return stack


def test_nothing_that_people_enter_reaches_the_log(own: Stack) -> None:
    """Each input holds a word of its own, and all logs, at their most talkative, are searched for all of them."""
    planted: list[str] = []

    def word() -> str:
        planted.append(f"{CANARY}{uuid.uuid4().hex}")
        return planted[-1]

    def fields() -> Iterator[tuple[str, Any]]:
        yield "name", word()
        yield "email", f"{word()}@example.com"
        yield "phone", "010-" + word()
        yield "company", word()
        yield "subject", word()
        yield "message", word()

    with own.client() as client:
        inquiry = dict(fields()) | {"consent": True}
        for body in (
            inquiry,
            {k: v for k, v in inquiry.items() if k in {"name", "email", "subject", "message"}},
        ):
            client.post("/v1/inquiries", json=body | {"consent": True}, headers={"Idempotency-Key": word()})
        client.post(
            "/v1/inquiries", content=f'{{"name": "{word()}', headers={"Content-Type": "application/json"}
        )
        ok(draft(client, title=word(), body=word()), 201)
        client.post("/v1/editor/posts", json={"title": word(), word(): word()}, headers=EDITOR)
        client.post("/v1/uploads", json={"name": f"{word()}.jpg", "sha256": word()}, headers=EDITOR)
        client.get(f"/v1/search?q={word()}&lang={word()}&cursor={word()}")
        client.get(f"/v1/posts/{word()}", headers={"If-None-Match": word(), "User-Agent": word()})
        client.get(
            f"/{word()}?{word()}={word()}", headers={"Cookie": f"__Host-access={word()}; {word()}={word()}"}
        )
        client.get("/v1/editor/posts", headers={"Cookie": f"__Host-access={word()}.{word()}.{word()}"})
        client.get(
            "/v1/auth/callback", params={"state": word(), "code": word(), "error": word(), "iss": word()}
        )
        client.post(
            "/v1/auth/second-factor/totp", json={"code": word()}, headers={"X-CSRF-Protection": word()}
        )
        client.get(
            "/health",
            headers={name: word() for name in ("Authorization", "Referer", "X-Forwarded-For", "Forwarded")},
        )
        client.get(
            "/health",
            headers={
                "traceparent": word(),
                "X-Request-ID": f"{word()} x",
                "Origin": f"https://{word()}.example",
            },
        )
    assert len(own.logs().splitlines()) > 15
    assert '"level":"DEBUG"' in own.logs(), "it is at its most talkative"
    leaks = [line for line in own.logs().splitlines() if CANARY in line.lower()]
    assert leaks == []
