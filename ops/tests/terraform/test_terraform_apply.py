"""Terraform applies for real, on two emulators: everything is made once, stays, changes alone, and goes.

Neither is AWS: what one can't make or forgets is named, each with its reason, and left out of its run; the other and
the plans cover it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from app.core.settings import Settings
from familycorp_ops.deploy import infra
from familycorp_ops.deploy.infra import Terraform, Timer
from familycorp_ops.rehearse.cloud import MiniStackWithoutGaps
from familycorp_ops.rehearse.plan import GAPS
from familycorp_ops.servers.ministack import MiniStack, client
from familycorp_ops.servers.moto import Moto
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.permissions import ask, needed
from familycorp_ops.testing.recorder import Recorder, checked, managed_policy
from familycorp_ops.testing.servers import missing

pytestmark = [pytest.mark.infra, pytest.mark.timeout(1500)]


class Gaps(NamedTuple):
    """What an emulator lacks."""

    variables: str
    """Values that leave a part out."""
    override: str
    """Terraform that overrides ours."""
    untold: Mapping[str, set[str]] = {}
    """Attributes that it doesn't return, by type of resource: each plan would set them again."""

    def changes(self, plan: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return a plan's changes, except those that only set again what isn't returned."""
        found = infra.changes(plan)
        for change in plan.get("resource_changes", ()):
            before, after = (change["change"][when] or {} for when in ("before", "after"))
            touched = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
            if found.get(change["address"]) == ["update"] and touched <= self.untold.get(
                change["type"], set()
            ):
                del found[change["address"]]
        return found


MOTO = Gaps(
    """
# ElastiCache CreateUserGroup isn't there: no user group, replication group or serverless cache.
cache_mode = "none"
# Dev has none, and AWS takes fewer characters in its descriptions than anywhere else.
waf = true
# An API's domain name never becomes AVAILABLE.
api_domain = null
api_url    = "https://api-dev.familycorp.example"
""",
    """
# DescribeSubscribersForNotification isn't there.
resource "aws_budgets_budget" "monthly" {
  count = 0
}

# PutQueryDefinition isn't there.
resource "aws_cloudwatch_query_definition" "this" {
  for_each = toset([])
}

# RotateSecret runs the function, and functions of images don't run there.
resource "aws_secretsmanager_secret_rotation" "signing_key" {
  count = 0
}

# It forgets these attributes, so that each plan would set them again.
resource "aws_kms_key" "data" {
  lifecycle {
    ignore_changes = [rotation_period_in_days]
  }
}

resource "aws_kms_key" "factors" {
  lifecycle {
    ignore_changes = [rotation_period_in_days]
  }
}

resource "aws_cognito_user_pool" "staff" {
  lifecycle {
    ignore_changes = [user_pool_tier]
  }
}

resource "aws_lambda_function" "this" {
  lifecycle {
    ignore_changes = [image_config, logging_config]
  }
}

resource "aws_lambda_event_source_mapping" "events" {
  lifecycle {
    ignore_changes = [function_name] # It answers with the version instead of the alias.
  }
}

resource "aws_s3_bucket_notification" "uploads" {
  lifecycle {
    ignore_changes = [eventbridge]
  }
}

resource "aws_vpc_security_group_ingress_rule" "flow" {
  lifecycle {
    ignore_changes = [description]
  }
}

resource "aws_vpc_security_group_egress_rule" "flow" {
  lifecycle {
    ignore_changes = [description]
  }
}

resource "aws_vpc_security_group_egress_rule" "gateway" {
  lifecycle {
    ignore_changes = [description]
  }
}

resource "aws_rds_cluster" "main" {
  lifecycle {
    ignore_changes = [engine_version, enable_http_endpoint, scaling_configuration] # The first is ours.
  }
}

resource "aws_rds_cluster_instance" "main" {
  lifecycle {
    ignore_changes = [performance_insights_enabled, performance_insights_kms_key_id]
  }
}
""",
)
# Those that the rehearsal meets, too, are in its own file.
MINISTACK = Gaps(
    "",
    GAPS.read_text()
    + """
# CancelRotateSecret isn't there, so a rotation can't be deleted.
resource "aws_secretsmanager_secret_rotation" "signing_key" {
  count = 0
}
""",
    # Ignored, they would be empty, which the provider refuses.
    {
        "aws_cloudwatch_metric_alarm": {
            "actions_enabled", "alarm_actions", "alarm_description", "dimensions", "extended_statistic", "ok_actions",
            "datapoints_to_alarm", "metric_query", "period", "statistic", "treat_missing_data",
        }
    },
)  # fmt: skip
EMULATORS = {"moto": MOTO, "ministack": MINISTACK}

HOLDS_DATA = {
    "aws_dynamodb_table", "aws_rds_cluster", "aws_rds_cluster_instance", "aws_s3_bucket", "aws_cognito_user_pool",
    "aws_kms_key", "aws_secretsmanager_secret", "aws_ecr_repository", "aws_vpc", "aws_subnet", "aws_iam_role",
}  # fmt: skip


def chosen(deployer: str, **more: Any) -> list[str]:
    return [*infra.options("dev", deployer, **more), "-var-file=gaps.tfvars"]


Emulator = Moto | MiniStack


@pytest.fixture(scope="module", params=EMULATORS)
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    try:
        with Moto() if request.param == "moto" else MiniStackWithoutGaps() as server:
            yield server
    except NotInstalledError as error:
        missing("terraform", error)


@pytest.fixture(scope="module")
def gaps(emulator: Emulator) -> Gaps:
    return EMULATORS["moto" if isinstance(emulator, Moto) else "ministack"]


@pytest.fixture(scope="module")
def recorder(emulator: Emulator) -> Iterator[Recorder]:
    with Recorder(emulator.url) as front:
        yield front


@pytest.fixture(scope="module")
def applied(
    emulator: Emulator, recorder: Recorder, gaps: Gaps, tmp_path_factory: pytest.TempPathFactory
) -> Terraform:
    try:
        terraform = Terraform(tmp_path_factory.mktemp("apply"), recorder.url)
    except NotInstalledError as error:
        missing("terraform", error)
    (terraform.directory / "gaps_override.tf").write_text(gaps.override)
    (terraform.directory / "gaps.tfvars").write_text(gaps.variables)
    # People make the boundary before the pipeline makes roles below it.
    below = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    client(emulator.url, "iam").create_policy(
        PolicyName="familycorp-dev-boundary", PolicyDocument=json.dumps(below)
    )
    with Timer() as timer:
        terraform.run("apply", "-auto-approve", "-input=false", *chosen("terraform"))
    made = terraform.run("state", "list").stdout.splitlines()
    print(f"\napply: {timer.seconds:.0f} s, {sum(not m.startswith('data.') for m in made)} resources")
    return terraform


@pytest.fixture(scope="module")
def second(applied: Terraform, recorder: Recorder) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A plan with nothing to do, and what it asks AWS for."""
    before = len(recorder.requests)
    with Timer() as timer:
        plan = applied.plan(*chosen("terraform"))
    print(f"\nsecond plan: {timer.seconds:.0f} s")
    return plan, recorder.requests[before:]


OWN_STATE = "arn:aws:s3:::familycorp-dev-state-000000000000"
LEFT_OUT = {
    "State", "Parameters", "Buckets", "Subscriptions", "UserPool", "Budget", "Api", "Functions", "Stream",
}  # fmt: skip
"""Statements of the plan's role for what SecurityAudit leaves out."""
WRITES = {"AlarmsAreEncrypted", "RaiseTheAlarm", "SavePlans"}
"""Statements of the plan's role for what follows a plan."""
ADDED_SINCE = {"s3:ListBucket", "sns:GetSubscriptionAttributes"}
"""SecurityAudit has these in its version 94 and lacked them before: the role doesn't rely on them."""


def reads(requests: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return each action and resource that a plan with its state in S3 needs."""
    found = {
        read
        for one, request in zip(checked(requests), requests, strict=True)
        if one["service"] != "sts"  # Whose credentials they are may be asked by anybody.
        for read in needed(one["service"], one["operation"], one["given"], request["path"])
    }
    # The emulator's state is a file.
    return found | {("s3:ListBucket", OWN_STATE), ("s3:GetObject", f"{OWN_STATE}/familycorp.tfstate")}


def denied(asked: set[tuple[str, str]], *policies: dict[str, Any]) -> set[tuple[str, str]]:
    """Return what policies of the plan's role don't allow."""
    requests: dict[str, dict[str, Any]] = {
        f"{action} {resource}": {
            "name": f"{action} {resource}",
            "account": "000000000000",
            "principal": "arn:aws:iam::000000000000:role/familycorp-dev-plan",
            "action": action,
            "resource": resource,
            "identityPolicies": policies,
        }
        for action, resource in sorted(asked)
    }
    results = ask(requests=list(requests.values()))["results"]
    return {(requests[n]["action"], requests[n]["resource"]) for n, it in results.items() if it != "Allowed"}


def test_the_plans_role_may_read_all_that_a_plan_reads(
    roles: Terraform, gaps: Gaps, second: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    """With the real text of AWS's policy; without one of our own statements a plan would fail."""
    (own,) = [
        json.loads(resource["values"]["policy"])
        for resource in infra.resources(roles.plan(*infra.options("dev", "terraform")))
        if resource["address"] == "aws_iam_role_policy.plan[0]"
    ]
    own["Statement"] = [statement for statement in own["Statement"] if statement["Sid"] not in WRITES]
    try:
        audit, asked = managed_policy("SecurityAudit"), reads(second[1])
        actions = {"Action": sorted({action for action, _ in asked}), "Resource": ["*"]}
        assert ask(statements=[{"where": "reads", "statement": actions}])["findings"] == []
        for statement in audit["Statement"]:
            statement["Action"] = [a for a in statement["Action"] if a not in ADDED_SINCE]
        left_out = denied(asked, audit)
        assert denied(left_out, own) == set()
        needless = {
            statement["Sid"]
            for statement in own["Statement"]
            if not denied(left_out, own | {"Statement": [s for s in own["Statement"] if s != statement]})
        }
    except NotInstalledError as error:
        missing("iam", error)
    assert len(asked) > 80
    assert {statement["Sid"] for statement in own["Statement"]} == LEFT_OUT
    # moto makes no budget, and no domain of an API.
    assert needless == (set() if gaps is MINISTACK else {"Budget"})


def test_a_second_plan_is_empty(second: tuple[dict[str, Any], list[dict[str, Any]]], gaps: Gaps) -> None:
    plan, _ = second
    assert gaps.changes(plan) == {}


def test_a_change_shows_alone(applied: Terraform, gaps: Gaps) -> None:
    changed = gaps.changes(applied.plan(*chosen("terraform", log_retention_days=30)))
    assert changed
    assert all(
        a.startswith("aws_cloudwatch_log_group.") and what == ["update"] for a, what in changed.items()
    )


def test_no_secret_is_in_the_state(applied: Terraform) -> None:
    state = json.loads(applied.run("state", "pull").stdout)
    for resource in state["resources"]:
        assert resource["type"] not in {"aws_secretsmanager_secret_version", "aws_iam_access_key"}
        for instance in resource["instances"]:
            for name, value in instance["attributes"].items():
                if "password" in name and isinstance(value, str) and value:
                    pytest.fail(f"{resource['type']} has {name} in the state")
                if name in {"client_secret", "auth_token", "secret_string"}:
                    assert not value, resource["type"]


def test_the_emulator_has_what_was_promised(applied: Terraform, emulator: Emulator) -> None:
    outputs = {k: v["value"] for k, v in json.loads(applied.run("output", "-json").stdout).items()}
    settings = Settings.model_validate({k.lower(): v for k, v in outputs["settings"].items()})
    dynamodb = client(emulator.url, "dynamodb")
    for table in (settings.posts_table, settings.sessions_table, settings.events_table):
        backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
        assert dynamodb.describe_table(TableName=table)["Table"]["SSEDescription"]["Status"] == "ENABLED"
    for table in (settings.sessions_table, settings.events_table):
        ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expiresAt")
    assert dynamodb.describe_table(TableName=settings.events_table)["Table"]["StreamSpecification"][
        "StreamEnabled"
    ]

    s3 = client(emulator.url, "s3")
    block = s3.get_public_access_block(Bucket=settings.uploads_bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    assert s3.get_bucket_versioning(Bucket=settings.uploads_bucket)["Status"] == "Enabled"
    assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=settings.uploads_bucket)["Policy"]

    parameters = client(emulator.url, "ssm").get_paginator("get_parameters_by_path")
    stored = {
        p["Name"].removeprefix("/familycorp/dev/settings/"): p["Value"]
        for page in parameters.paginate(Path="/familycorp/dev/settings", Recursive=True)
        for p in page["Parameters"]
    }
    assert stored.pop("MIGRATIONS_DATABASE_URL").startswith("mysql+aiomysql://familycorp_migrations@")
    assert Settings.model_validate({k.lower(): v for k, v in stored.items()}) == settings

    kms = client(emulator.url, "kms")
    assert kms.describe_key(KeyId=settings.factors_key)["KeyMetadata"]["Enabled"]
    repository = client(emulator.url, "ecr").describe_repositories()["repositories"][0]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    secret = client(emulator.url, "secretsmanager").describe_secret(SecretId=settings.signing_key_secret)
    assert secret["KmsKeyId"]

    functions = client(emulator.url, "lambda").list_functions()["Functions"]
    assert len(functions) == 9
    for function in functions:
        environment = function["Environment"]["Variables"]
        if not function["FunctionName"].endswith("migrations"):
            values = {
                k.removeprefix("FAMILYCORP_").lower(): v
                for k, v in environment.items()
                if k.startswith("FAMILYCORP_")
            }
            assert Settings.model_validate(values) == settings


def test_switching_the_deployer_touches_no_data(applied: Terraform, gaps: Gaps) -> None:
    """There and back; the application's owner changes, and nothing that holds data is even updated."""
    plan = applied.plan(*chosen("sam"))
    touched = gaps.changes(plan)
    kinds = {address.split(".")[0] for address in touched}
    assert not kinds & HOLDS_DATA, kinds & HOLDS_DATA
    assert "aws_lambda_function" in kinds
    assert "aws_apigatewayv2_api" in kinds
    applied.run("apply", "-input=false", "plan")
    back = applied.plan(*chosen("terraform"))
    assert not {address.split(".")[0] for address in gaps.changes(back)} & HOLDS_DATA
    applied.run("apply", "-input=false", "plan")
    assert gaps.changes(applied.plan(*chosen("terraform"))) == {}


def test_everything_goes(applied: Terraform) -> None:
    with Timer() as timer:
        applied.run("destroy", "-auto-approve", "-input=false", *chosen("terraform"))
    print(f"\ndestroy: {timer.seconds:.0f} s")
    assert applied.run("state", "list").stdout.split() == []


@pytest.mark.usefixtures("applied")
def test_aws_would_take_every_request(recorder: Recorder) -> None:
    """No emulator checks patterns, lengths, ranges and enumerations: AWS's service models have them.

    The last test: everything that was sent above, from the first apply to the destroy, is read back.
    """
    try:
        seen = checked(recorder.requests)
    except NotInstalledError as error:
        missing("terraform", error)
    refused = {
        f"{one['service']} {one['operation']}: {fault}" for one in seen for fault in one.get("faults", ())
    }
    assert refused == set()
    assert {one["unread"] for one in seen if "unread" in one} == set()
    made = {(one["service"], one["operation"]) for one in seen}
    print(f"\n{len(seen)} requests of {len(made)} operations")
    assert len(made) > 150
