"""What breaks makes its alarm ring: the application's own lines, against thresholds and periods of Terraform's plan.

Each test breaks one thing and asks. The lines of that minute or so stand for one period, and for as many as the alarm
wants: a fault that lasts. Metrics that aren't the application's (AWS's own) are listed, each with its source.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from app.core.observability import metrics
from familycorp_ops.deploy import infra
from familycorp_ops.deploy.alarms import Alarm, Line, on_dashboard
from familycorp_ops.deploy.infra import Terraform
from support import faults, uploading
from support.contract import ok
from support.stack import Stack, published
from support.staff import CSRF, Person

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
"""Alarms on AWS's own metrics: that they exist by these names is checked in test_terraform_alarms.py."""

Break = Callable[[Stack, float], list[Line]]


@pytest.fixture(scope="module")
def plan(terraform: Terraform) -> list[dict[str, Any]]:
    """All that Prod would have."""
    return list(infra.resources(terraform.plan(*infra.options("prod", "terraform"))))


@pytest.fixture(scope="module")
def alarms(plan: list[dict[str, Any]]) -> dict[str, Alarm]:
    metric_alarms = (r["values"] for r in plan if r["type"] == "aws_cloudwatch_metric_alarm")
    return {alarm.name: alarm for alarm in map(Alarm.of_plan, metric_alarms)}


@pytest.fixture(scope="module")
def stack(own_stack: Stack) -> Stack:
    return own_stack


BREAKS: dict[str, Break] = {
    "admin-granted": faults.an_admin_who_is_made,
    "error-rate": faults.some_requests_that_fail,
    "most-requests-fail": faults.a_database_that_is_away,
    "stores-fail": faults.a_database_that_is_away,
    "latency-p95": faults.a_database_that_is_locked,
    "latency-p99": faults.a_database_that_is_locked,
    "denied": faults.a_caller_who_may_not,
    "permission-errors": faults.a_policy_without_a_line,
    "outbox-failed": faults.a_change_that_is_refused,
    "outbox-lag": faults.a_change_that_is_refused,
}


def assert_rings(alarm: Alarm, fault: list[Line], healthy: list[Line]) -> None:
    took = (fault[-1]["_aws"]["Timestamp"] - fault[0]["_aws"]["Timestamp"]) / 1000
    assert took < alarm.period_s, "the lines would be spread over several periods"
    assert alarm.rings([fault] * alarm.of), (alarm, alarm.value(fault))
    assert not alarm.rings([fault] * (alarm.times - 1)), "one period less isn't enough"
    assert not alarm.rings([fault] * alarm.of + [healthy] * alarm.of), "it ends with the fault"


@pytest.fixture(scope="module")
def healthy(stack: Stack) -> list[Line]:
    """The lines of an ordinary minute, a caller's mistakes included."""
    lines: list[Line] = []
    with stack.client() as client, faults.asked(stack.processes[0], 12, lines):
        published(client)
        for path in ("/v1/posts", "/v1/posts?limit=0", "/v1/categories", "/nowhere", "/v1/editor/posts"):
            client.get(path)
            client.get(path)
    return lines + faults.drained(stack)


def test_each_alarm_is_triggered_here_or_measured_by_aws(alarms: dict[str, Alarm]) -> None:
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
    lines = faults.a_refresh_token_that_comes_again(staff_stack, somebody("editors"))
    assert_rings(alarms["refresh-reuse"], lines, healthy)


def test_a_table_that_is_throttled_counts_as_a_store_that_fails(
    alarms: dict[str, Alarm], stack: Stack, healthy: list[Line]
) -> None:
    alarm = alarms["stores-fail"]
    assert_rings(alarm, faults.a_table_that_is_throttled(stack, alarm.threshold), healthy)


def test_nobody_can_make_an_alarm_ring_by_what_they_send(
    alarms: dict[str, Alarm], stack: Stack, healthy: list[Line]
) -> None:
    """Refusals are counted, not searched for: a request ID `AccessDenied` is not one."""
    lines: list[Line] = []
    with stack.client() as client, faults.asked(stack.processes[0], 2, lines):
        client.get("/v1/posts", headers={"X-Request-ID": "AccessDeniedException"})
        client.get("/AccessDenied?access_denied=1", headers={"access_denied": "1"})
    assert not alarms["permission-errors"].crossed(lines)


@pytest.mark.timeout(1200)  # It starts a dozen processes.
def test_every_watched_metric_is_really_logged(
    plan: list[dict[str, Any]],
    alarms: dict[str, Alarm],
    stack: Stack,
    staff_stack: Stack,
    somebody: Callable[..., Person],
) -> None:
    """Each metric of the application on an alarm or the dashboard comes from that service, by these dimensions."""
    (body,) = [r["values"]["dashboard_body"] for r in plan if r["type"] == "aws_cloudwatch_dashboard"]
    watched = [s for alarm in alarms.values() for s in alarm.series] + list(on_dashboard(json.loads(body)))
    make_an_admin(somebody("admins"), somebody("editors"))
    lines = [*everything(stack), *failed_logins(staff_stack, somebody("editors"))]
    untold = {
        (s.metric, s.dimensions["service"])
        for s in watched
        if s.namespace == metrics.NAMESPACE and not s.values(lines)
    }
    # It takes more clients at once than a process bears: test_shedding.py.
    assert untold <= {("shed", "familycorp-backend")}


def everything(stack: Stack) -> Iterator[Line]:
    """Have every function do well, be refused, and fail; yield what they logged."""
    with stack.client() as client:
        published(client)
        deadline = time.monotonic() + 120  # For a second after a publication nothing is kept.
        while client.get("/v1/categories").headers["X-Count-DynamoDB"] != "0":
            assert time.monotonic() < deadline
        file = uploading.photo()
        ok(uploading.uploaded(client, file, "a.jpg", "image/jpeg"))
        uploading.uploaded(client, b"no picture", "b.jpg", "image/jpeg")
        arrived = [uploading.sent(client, f, "c.jpg", "image/jpeg") for f in (file, b"neither")]
        for upload in arrived:
            yield from faults.invoked(stack, "app.functions.uploads", uploading.event(stack, upload))
        yield from settled_late(stack, client)
    faults.a_caller_who_may_not(stack, 1)
    faults.a_policy_without_a_line(stack, 1)
    yield from faults.an_admin_who_is_made(stack, 1)
    faults.a_database_that_is_away(stack, 1)
    faults.a_table_that_is_throttled(stack, 1)
    faults.a_table_that_fails_behind_the_cache(stack)
    with faults.stuck(stack), stack.client() as client:
        published(client)
    yield from faults.a_change_that_is_refused(stack, 0)
    nowhere: dict[str, Any] = {
        "FAMILYCORP_CACHE_URL": "redis://127.0.0.1:1",
        "FAMILYCORP_S3_ENDPOINT_URL": "http://127.0.0.1:1",
    }
    away = stack.start(TEST_LIMITS="1", FAMILYCORP_RATE_VISITORS="20", **nowhere)
    with stack.client(away) as client:
        uploading.complete(client, ok(uploading.announce(client, file, "d.jpg", "image/jpeg"), 201))
        for _ in range(25):
            client.get("/v1/posts")
    yield from refused_functions(stack, arrived[0])
    for process in stack.processes:
        yield from faults.told(process.log)


def settled_late(stack: Stack, client: httpx.Client) -> Iterator[Line]:
    """Create an upload that never arrives, and run the scheduler, first without access to S3."""
    ok(uploading.announce(client, b"never", "e.jpg", "image/jpeg"), 201)
    stack.sql("UPDATE uploads SET due_at = '2026-01-01 00:00:00.000000' WHERE state = 'pending'")
    with faults.refusing("AccessDenied") as url, faults.due(stack, 60):
        yield from faults.drained(stack, FAMILYCORP_S3_ENDPOINT_URL=url)
    stack.sql("UPDATE uploads SET due_at = '2026-01-01 00:00:00.000000' WHERE state = 'pending'")
    with faults.due(stack, 60):
        yield from faults.drained(stack)


def refused_functions(stack: Stack, upload: dict[str, Any]) -> Iterator[Line]:
    """Start each function that events start with a role that may do nothing."""
    happened = {"aggregate": "post:1", "kind": "post.published", "at": "2026-11-24T00:00:00Z", "data": "{}"}
    image = {name: {"S": value} for name, value in happened.items()}
    record = {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": image}}
    record["eventSourceARN"] = "arn:aws:dynamodb:ap-northeast-2:000000000000:table/familycorp-test-events"
    stack.sql("UPDATE uploads SET state = 'pending'")
    events: dict[str, Any] = {
        "app.functions.drain": {},
        "app.functions.notices": {"Records": [record]},
        "app.functions.uploads": uploading.event(stack, upload),
        "app.functions.rotation": {
            "Step": "createSecret",
            "SecretId": stack.settings.signing_key_secret,
            "ClientRequestToken": str(uuid.uuid4()),
        },
    }
    with faults.refusing("AccessDeniedException") as url:
        for module, event in events.items():
            yield from faults.invoked(stack, module, event, FAMILYCORP_AWS_ENDPOINT_URL=url)
        for handler, command, arguments in (
            ("read", "inquiries.export", {}),
            ("write", "content.import", {"name": "x"}),
        ):
            yield from faults.operated(stack, handler, command, arguments, FAMILYCORP_AWS_ENDPOINT_URL=url)


def make_an_admin(admin: Person, member: Person) -> None:
    """Have an admin make another, by the API."""
    for person in (admin, member):
        person.log_in()
        ok(person.client.get("/v1/audit"))
    path = f"/v1/members/{member.me().json()['id']}"
    version = ok(admin.client.get(path))["version"]
    headers = {**CSRF, "If-Match": f'"{version}"'}
    ok(admin.client.put(f"{path}/role", json={"role": "admin"}, headers=headers))


def failed_logins(stack: Stack, person: Person) -> Iterator[Line]:
    """Fail to log in with either factor, and have a refresh token stolen."""
    back = httpx.URL(person.visit_provider().headers["location"])
    person.client.get(back.copy_merge_params({"code": "made-up"}))
    assert person.first_factor() == "second-factor"
    person.enrol()
    assert person.first_factor() == "second-factor"
    assert person.prove("000000").status_code >= 400
    faults.a_refresh_token_that_comes_again(stack, person)
    yield from faults.told(stack.processes[0].log)
