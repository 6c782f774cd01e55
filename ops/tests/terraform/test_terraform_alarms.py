"""Alarms and dashboards watch what is there: each notifies somebody, says what to do and names existing metrics."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.core.observability import metrics
from familycorp_ops.deploy import infra, templates
from familycorp_ops.deploy.alarms import Alarm, Series, on_dashboard
from familycorp_ops.deploy.infra import Terraform

APP = infra.ROOT / "be-app" / "app"
RUNBOOK = infra.ROOT / "docs" / "how-to" / "runbook.md"
CASES = {
    "prod": ("prod", "terraform", {}),
    "dev": ("dev", "sam", {}),
    "serverless": ("dev", "terraform", {"alarms": "all"}),
}

MADE_BY_AWS = {
    ("AWS/ApiGateway", "5xx"): {"ApiId"},
    ("AWS/ApiGateway", "Latency"): {"ApiId"},
    ("AWS/DynamoDB", "ReadThrottleEvents"): {"TableName"},
    ("AWS/DynamoDB", "WriteThrottleEvents"): {"TableName"},
    ("AWS/ElastiCache", "BytesUsedForCache"): {"clusterId"},
    ("AWS/ElastiCache", "DatabaseMemoryUsagePercentage"): {"CacheClusterId"},
    ("AWS/ElastiCache", "ThrottledCmds"): {"clusterId"},
    ("AWS/Lambda", "Duration"): {"FunctionName"},
    ("AWS/Lambda", "Errors"): {"FunctionName"},
    ("AWS/Lambda", "Invocations"): {"FunctionName"},
    ("AWS/Lambda", "IteratorAge"): {"FunctionName"},
    ("AWS/Lambda", "Throttles"): {"FunctionName"},
    ("AWS/RDS", "ACUUtilization"): {"DBClusterIdentifier"},
    ("AWS/RDS", "DatabaseConnections"): {"DBClusterIdentifier"},
    ("AWS/SNS", "NumberOfNotificationsFailed"): {"TopicName"},
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): {"QueueName"},
}
"""AWS's own metrics, each with dimensions by which its documentation says that it is kept.

Looked up in November 2026 in the user guides of each service. DynamoDB's `SystemErrors` isn't here: it is kept by
table *and* operation, so an alarm on a table's would never ring.
"""
NODES_OR_SERVERLESS = {("AWS/ElastiCache", "Evictions"): ({"CacheClusterId"}, {"clusterId"})}


@pytest.fixture(scope="module", params=CASES)
def plan(request: pytest.FixtureRequest, terraform: Terraform) -> dict[str, Any]:
    env, deployer, variables = CASES[request.param]
    return terraform.plan(*infra.options(env, deployer, **variables)) | {"env": env, "case": request.param}


def of_type(plan: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    return (r["values"] for r in infra.resources(plan) if r["type"] == kind)


def alarms(plan: Mapping[str, Any]) -> dict[str, Alarm]:
    return {alarm.name: alarm for alarm in map(Alarm.of_plan, of_type(plan, "aws_cloudwatch_metric_alarm"))}


def parts(plan: Mapping[str, Any]) -> set[str]:
    """Return the alarms that only a composite alarm notifies of."""
    prefix = f"familycorp-{plan['env']}-"
    rules = [v["alarm_rule"] for v in of_type(plan, "aws_cloudwatch_composite_alarm")]
    return {n.removeprefix(prefix) for rule in rules for n in re.findall(r'ALARM\("([^"]+)"\)', rule)}


def headings() -> set[str]:
    return set(re.findall(r"^##+ ([a-z0-9-]+)$", RUNBOOK.read_text(), re.MULTILINE))


def services() -> set[str]:
    """Return what the application's processes call themselves in their lines."""
    source = "\n".join(file.read_text() for file in APP.rglob("*.py"))
    served = {f"familycorp-{name}" for name in re.findall(r'serve\("([\w-]+)"', source)}
    return served | set(re.findall(r'\bconfigure\("([\w-]+)"', source))


def exists(series: Series) -> bool:
    """Return whether the application, or AWS, keeps a metric by exactly these dimensions."""
    if series.namespace == metrics.NAMESPACE:
        names = {**metrics.BY_SERVICE, **metrics.BY_ROUTE}
        return (
            series.metric in names
            and series.dimensions.keys() == {"env", "service"}
            and series.dimensions["service"] in services()
        )
    known = series.namespace, series.metric
    either = NODES_OR_SERVERLESS.get(known) or (MADE_BY_AWS.get(known),)
    if series.namespace == "AWS/ApiGateway":  # Its id is known after the apply alone.
        return known in MADE_BY_AWS and not series.dimensions
    return set(series.dimensions) in either


def test_each_alarm_names_its_heading_in_the_runbook(plan: dict[str, Any]) -> None:
    known = headings()
    inside = parts(plan)
    for name, alarm in alarms(plan).items():
        assert name in known or name in inside, name
        assert alarm.description.endswith(f"docs/how-to/runbook.md#{'site-down' if name in inside else name}")
    for composite in of_type(plan, "aws_cloudwatch_composite_alarm"):
        assert composite["alarm_description"].endswith("docs/how-to/runbook.md#site-down")
    (rule,) = [r for r in of_type(plan, "aws_cloudwatch_event_rule") if r["name"].endswith("-failed")]
    assert rule["description"].endswith("docs/how-to/runbook.md#deployment-failed")
    for template in (templates.IMAGE, templates.ZIP):
        for resource in templates.load(template)["Resources"].values():
            if resource["Type"] == "AWS::CloudWatch::Alarm":
                name = resource["Properties"]["AlarmName"]["Fn::Sub"].partition("${Environment}-")[2]
                assert resource["Properties"]["AlarmDescription"].endswith(f"docs/how-to/runbook.md#{name}")
                assert name in known


def test_no_heading_of_the_runbook_is_left_over() -> None:
    named = set(
        re.findall(r"^ +([a-z0-9-]+) = \{$", (infra.SOURCE / "cloudwatch.tf").read_text(), re.MULTILINE)
    )
    elsewhere = {
        *("deployment-failed", "infrastructure-differs", "budget", "site-down"),
        *("backend-live-errors", "auth-live-errors"),
    }
    assert headings() <= named | elsewhere


def test_each_alarm_notifies_when_it_begins_and_ends(plan: dict[str, Any]) -> None:
    # The topic's address is known after the apply alone: its name is in the configuration.
    wired = {r["address"]: r.get("expressions") for r in plan["configuration"]["root_module"]["resources"]}
    for kind in ("metric_alarm.this", "composite_alarm.site_down"):
        expressions = wired[f"aws_cloudwatch_{kind}"]
        for actions in ("alarm_actions", "ok_actions"):
            assert "aws_sns_topic.alarms.arn" in expressions[actions]["references"]
    silent = {
        v["alarm_name"].removeprefix(f"familycorp-{plan['env']}-")
        for v in of_type(plan, "aws_cloudwatch_metric_alarm")
        if "alarm_actions" in v and not v["alarm_actions"]
    }
    assert silent == parts(plan)
    assert (
        "aws_sns_topic.alarms.arn"
        in wired["aws_cloudwatch_event_target.deployment_failed"]["arn"]["references"]
    )
    (budget,) = of_type(plan, "aws_budgets_budget")
    assert {n["notification_type"] for n in budget["notification"]} == {"ACTUAL", "FORECASTED"}


def test_each_alarm_watches_what_is_really_kept(plan: dict[str, Any]) -> None:
    for name, alarm in alarms(plan).items():
        assert alarm.series
        for series in alarm.series:
            assert exists(series), (name, series)
            if series.namespace == metrics.NAMESPACE:
                assert series.dimensions["env"] == plan["env"]


def test_names_of_dimensions_are_those_of_resources(plan: dict[str, Any]) -> None:
    """An alarm on a queue, table, topic or cluster that doesn't exist would be silent for ever."""
    named = {
        "TableName": {v["name"] for v in of_type(plan, "aws_dynamodb_table")},
        "QueueName": {v["name"] for v in of_type(plan, "aws_sqs_queue")},
        "TopicName": {v["name"] for v in of_type(plan, "aws_sns_topic")},
        "DBClusterIdentifier": {v["cluster_identifier"] for v in of_type(plan, "aws_rds_cluster")},
        "FunctionName": {
            v["name"].rpartition("/")[2]
            for v in of_type(plan, "aws_cloudwatch_log_group")
            if v["name"].startswith("/aws/lambda/")
        },
        "clusterId": {v["name"] for v in of_type(plan, "aws_elasticache_serverless_cache")},
        # Nodes get the group's name and a number ("Finding a node's endpoint", ElastiCache user guide).
        "CacheClusterId": {
            f"{v['replication_group_id']}-{n + 1:03d}"
            for v in of_type(plan, "aws_elasticache_replication_group")
            for n in range(v["num_cache_clusters"])
        },
    }
    for name, alarm in alarms(plan).items():
        for series in alarm.series:
            for dimension, value in series.dimensions.items():
                assert dimension not in named or value in named[dimension], (name, series)


def test_dev_has_few_alarms_and_prod_all(plan: dict[str, Any]) -> None:
    """AWS bills each series of an alarm (0.10 USD a month) and each composite alarm (0.50)."""
    found = alarms(plan)
    billed = sum(len(alarm.series) for alarm in found.values())
    marked = set(re.findall(r"^##+ ([a-z0-9-]+)\n\n° ", RUNBOOK.read_text(), re.MULTILINE))
    if plan["case"] == "dev":
        assert set(found) == marked
        assert billed <= 22
        assert parts(plan) == set()
    else:
        assert set(found) > marked
        assert len(parts(plan)) == 2
        assert billed <= 62


def test_the_dashboard_shows_what_is_really_kept(plan: dict[str, Any]) -> None:
    (found,) = of_type(plan, "aws_cloudwatch_dashboard")
    assert found["dashboard_name"] == f"familycorp-{plan['env']}"
    body = json.loads(found["dashboard_body"])
    alarming, *widgets = body["widgets"]
    shown = {arn.partition(f"familycorp-{plan['env']}-")[2] for arn in alarming["properties"]["alarms"]}
    assert shown - {"site-down"} == alarms(plan).keys()
    seen = list(on_dashboard(body))
    assert [series for series in seen if not exists(series)] == []
    # Authorisation is a part of each request's time that nobody reads alone; a new admin is for an alarm alone.
    told = {*metrics.BY_SERVICE, *metrics.BY_ROUTE}
    assert told - {series.metric for series in seen} == {"admin_granted", "auth_ms", "policy_ms"}
    searched = re.findall(
        r"SEARCH\('\{FamilyCorp,env,service,route\} MetricName=\"(\w+)\" env=\"(\w+)\"', '\w+'\)",
        " ".join(
            str(r[-1]["expression"]) for w in widgets for r in w["properties"]["metrics"] if len(r) == 1
        ),
    )
    assert dict(searched) == dict.fromkeys(metrics.BY_ROUTE, plan["env"])
    spots = [(w["x"], w["y"]) for w in widgets]
    assert len(spots) == len(set(spots))


def test_the_saved_queries_ask_every_function(plan: dict[str, Any]) -> None:
    found = {v["name"]: v for v in of_type(plan, "aws_cloudwatch_query_definition")}
    files = {f"familycorp-{plan['env']}/{f.stem}": f.read_text() for f in infra.SOURCE.glob("queries/*.txt")}
    assert {name: query["query_string"] for name, query in found.items()} == files
    groups = {
        v["name"] for v in of_type(plan, "aws_cloudwatch_log_group") if v["name"].startswith("/aws/lambda/")
    }
    assert all(set(query["log_group_names"]) == groups for query in found.values())


def test_the_runbook_asks_questions_that_are_saved() -> None:
    asked = {name.lower() for name in re.findall(r"(?<!\*)\*([A-Za-z][a-z ]+)\*(?!\*)", RUNBOOK.read_text())}
    saved = {file.stem.replace("-", " ") for file in infra.SOURCE.glob("queries/*.txt")}
    assert asked == saved
