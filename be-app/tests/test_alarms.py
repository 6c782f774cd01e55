"""What breaks makes its alarm ring: the application's own lines, against thresholds and periods of Terraform's plan.

Each test breaks one thing and asks. The lines of that minute or so stand for one period, and for as many as the alarm
wants: a fault that lasts. What the application can't tell of (AWS's own metrics) is listed, each with who tells.
"""

from collections.abc import Callable

import pytest

import faults
from familycorp_ops import infra
from familycorp_ops.alarms import Alarm, Line
from familycorp_ops.infra import Terraform
from familycorp_ops.pytest_servers import missing
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.process import NotInstalledError
from stack import Stack, published
from staff import Person

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


BREAKS: dict[str, Break] = {
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
    """What an ordinary minute tells, a caller's mistakes included."""
    lines: list[Line] = []
    with stack.client() as client, faults.asked(stack.processes[0], 12, lines):
        published(client)
        for path in ("/v1/posts", "/v1/posts?limit=0", "/v1/categories", "/nowhere", "/v1/editor/posts"):
            client.get(path)
            client.get(path)
    return lines + faults.drained(stack)


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
    """Refusals are counted, not searched for: whoever names a request AccessDenied is not one."""
    lines: list[Line] = []
    with stack.client() as client, faults.asked(stack.processes[0], 2, lines):
        client.get("/v1/posts", headers={"X-Request-ID": "AccessDeniedException"})
        client.get("/AccessDenied?access_denied=1", headers={"access_denied": "1"})
    assert not alarms["permission-errors"].crossed(lines)
