"""The pipeline applies the plan that was approved, and no other: Terraform itself, on an emulator that enforces IAM.

The configuration is a small one; the roles' policies are the real ones of terraform/bootstrap.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from familycorp_ops.deploy import bootstrap, infra
from familycorp_ops.deploy.infra import Terraform
from familycorp_ops.lifecycle.configuration import taken
from familycorp_ops.lifecycle.pipeline import stop_where_data_goes
from familycorp_ops.rehearse.cloud import MiniStackWithoutGaps
from familycorp_ops.servers.ministack import CREDENTIALS, REGION, client
from familycorp_ops.servers.process import NotInstalledError, clean_environment
from familycorp_ops.testing.commands import Ran, familycorp
from familycorp_ops.testing.servers import missing

ACCOUNT = "000000000000"
ENV = "stage"
NAME = f"familycorp-{ENV}"
STATE = f"{NAME}-state-{ACCOUNT}"
BACKEND = """
terraform {
  backend "s3" {
    key                     = "familycorp.tfstate"
    encrypt                 = true
    use_lockfile            = true
    use_path_style          = true
    skip_metadata_api_check = true
    skip_region_validation  = true
  }
}
"""
PROVIDER = """
provider "aws" {
  region            = var.region
  s3_use_path_style = true
  max_retries       = 2
}
"""
THING = """
resource "terraform_data" "it" {
  input = "%s"
}
"""
TABLE = """
resource "aws_dynamodb_table" "this" {
  name         = "familycorp-${var.env}-posts"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "%s"

  attribute {
    name = "%s"
    type = "S"
  }
}
"""
WIDENED = """
resource "aws_iam_role_policy" "own" {
  name = "own"
  role = "familycorp-stage-infra"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })
}
"""


class Pipeline:
    """An account on an emulator with the pipeline's roles, and a configuration in a checkout of its own."""

    def __init__(self, url: str, roles: Mapping[str, Mapping[str, Any]], directory: Path) -> None:
        self.url, self.directory = url, directory
        iam = client(url, "iam")
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
        for role in ("plan", "infra"):
            document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
            iam.create_role(RoleName=f"{NAME}-{role}", AssumeRolePolicyDocument=document)
            policy = roles[f"aws_iam_role_policy.{role}[0]"]["policy"]
            iam.put_role_policy(RoleName=f"{NAME}-{role}", PolicyName=role, PolicyDocument=policy)
        # What the plan's role has of AWS's own policy: to look at tables.
        looks = {
            "Effect": "Allow",
            "Action": ["dynamodb:Describe*", "dynamodb:List*", "iam:Get*"],
            "Resource": "*",
        }
        iam.put_role_policy(
            RoleName=f"{NAME}-plan",
            PolicyName="SecurityAudit",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [looks]}),
        )
        topic = client(url, "sns").create_topic(Name=f"{NAME}-alarms")["TopicArn"]
        client(url, "ssm").put_parameter(
            Name=f"/familycorp/{ENV}/events/alarms-topic", Value=topic, Type="String"
        )
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:heard"
        allowed = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self._queue = client(url, "sqs").create_queue(QueueName="heard", Attributes={"Policy": policy})[
            "QueueUrl"
        ]
        client(url, "sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def checkout(self, name: str, *parts: str) -> "Checkout":
        """Return a checkout with a configuration of these parts, and an empty state."""
        directory = self.directory / name / "terraform"
        (directory / "envs").mkdir(parents=True)
        pinned = ("versions.tf", ".terraform.lock.hcl") if PROVIDER in parts else ()
        for file in ("variables.tf", "hosts.tf", f"envs/{ENV}.tfvars", *pinned):
            (directory / file).write_bytes((infra.SOURCE / file).read_bytes())
        s3 = client(self.url, "s3")
        for version in s3.list_object_versions(Bucket=STATE).get("Versions", ()) if self._has(STATE) else ():
            s3.delete_object(Bucket=STATE, Key=version["Key"], VersionId=version["VersionId"])
        checkout = Checkout(self, directory)
        checkout.commit("Begin", *parts)
        return checkout

    def _has(self, bucket: str) -> bool:
        return bucket in [b["Name"] for b in client(self.url, "s3").list_buckets()["Buckets"]]

    def as_role(self, role: str) -> dict[str, str]:
        """Return variables with a session of one of the pipeline's roles."""
        arn = f"arn:aws:iam::{ACCOUNT}:role/{NAME}-{role}"
        keys = client(self.url, "sts").assume_role(RoleArn=arn, RoleSessionName="42")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }

    def heard(self) -> list[str]:
        """Return the alarms since the last call."""
        messages = client(self.url, "sqs").receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
        return [json.loads(m["Body"])["Subject"] for m in messages.get("Messages", ())]


class Checkout:
    """A commit of a configuration, and the commands of the workflow on it."""

    def __init__(self, pipeline: Pipeline, directory: Path) -> None:
        self._pipeline, self._directory = pipeline, directory
        self._environment = clean_environment(
            **CREDENTIALS,
            AWS_ENDPOINT_URL=pipeline.url,
            AWS_MAX_ATTEMPTS="1",
            CHECKPOINT_DISABLE="1",
            TF_CLI_CONFIG_FILE=os.devnull,
            GITHUB_OUTPUT=str(directory.parent / "outputs"),
        )
        subprocess.run(["git", "init", "-q"], cwd=directory, check=True)
        self._run("bootstrap")

    def commit(self, message: str, *parts: str) -> None:
        """Replace the configuration."""
        (self._directory / "main.tf").write_text("\n".join((BACKEND, *parts)))
        identity = ("-c", "user.name=x", "-c", "user.email=x@familycorp.example")
        command = ["git", *identity, "commit", "-q", "--allow-empty", "-m", message]
        subprocess.run(command, cwd=self._directory, check=True)

    def _run(self, *words: str, role: str = "") -> Ran:
        command, *options = words
        keys = self._pipeline.as_role(role) if role else {}
        where = ("--directory", str(self._directory))
        return familycorp("infra", command, ENV, *options, *where, environment=self._environment, **keys)

    def plan(self) -> Ran:
        return self._run("save", "--json", role="plan")

    def saved(self) -> str:
        """Plan, and return the digest; an empty string where there is nothing to apply."""
        ran = self.plan()
        assert ran.returncode == 0, ran.stderr
        digest = json.loads(ran.stdout)["plan"] or ""
        outputs = (self._directory.parent / "outputs").read_text().splitlines()
        assert outputs[-1] == f"plan={digest}"
        return digest

    def apply(self, digest: str) -> Ran:
        return self._run("apply", "--plan", digest, role="infra")

    def applied(self, digest: str) -> None:
        ran = self.apply(digest)
        assert ran.returncode == 0, ran.stderr

    def drift(self) -> Ran:
        return self._run("drift", "--json", role="plan")


@pytest.fixture(scope="module")
def pipeline(roles: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    plan = roles.plan(*infra.options(ENV, "sam"))
    made = {resource["address"]: resource["values"] for resource in infra.resources(plan)}
    try:
        with MiniStackWithoutGaps() as server:
            yield Pipeline(server.url, made, tmp_path_factory.mktemp("pipeline"))
    except NotInstalledError as error:
        missing("ministack", error)


def test_the_plan_that_was_approved_is_applied_and_no_other(pipeline: Pipeline) -> None:
    checkout = pipeline.checkout("approved", THING % "first")
    first = checkout.saved()
    s3, kept = client(pipeline.url, "s3"), f"{bootstrap.KEPT}{first}"
    assert s3.head_object(Bucket=STATE, Key=kept)["ServerSideEncryption"] == "aws:kms"
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=STATE)["Rules"]
    assert (rule["Filter"], rule["Expiration"]) == ({"Prefix": bootstrap.KEPT}, {"Days": 1})
    # A pull request's run could write there, but not choose what is applied.
    other = (infra.SOURCE / "main.tf").read_bytes()
    mine = s3.get_object(Bucket=STATE, Key=kept)["Body"].read()
    s3.put_object(Bucket=STATE, Key=kept, Body=other)
    ran = checkout.apply(first)
    assert (ran.returncode, "somebody replaced it" in ran.stderr) == (1, True), ran.stderr
    ran = checkout.apply("0" * 64)
    assert (ran.returncode, "isn't there: plans are kept for a day" in ran.stderr) == (1, True), ran.stderr
    s3.put_object(Bucket=STATE, Key=kept, Body=mine, Metadata={"serial": "0", "lineage": "none"})
    ran = checkout.apply(first)
    assert (ran.returncode, "Applied 1 changes." in ran.stdout) == (0, True), ran.stderr
    assert checkout.saved() == ""
    # Of two plans of one state, the second is stale once the first is applied.
    checkout.commit("Change", THING % "second")
    second, third = checkout.saved(), checkout.saved()
    checkout.applied(second)
    ran = checkout.apply(third)
    assert (ran.returncode, "The plan is stale: it was made on serial 1" in ran.stderr) == (1, True), (
        ran.stderr
    )


def test_two_runs_never_apply_at_once_and_the_second_reads_whose_the_first_is(pipeline: Pipeline) -> None:
    checkout = pipeline.checkout("locked", THING % "first")
    digest, s3 = checkout.saved(), client(pipeline.url, "s3")
    held = {
        "ID": "3f0c9d2e-4f1c-4a52-8d57-0c64f0a2b8b1", "Operation": "OperationTypeApply", "Who": "haneul@laptop",
        "Created": "2026-11-24T03:00:00Z", "Version": "1.11.4", "Info": "", "Path": "",
    }  # fmt: skip
    s3.put_object(Bucket=STATE, Key="familycorp.tfstate.tflock", Body=json.dumps(held))
    ran = checkout.apply(digest)
    assert (ran.returncode, "haneul@laptop holds the lock of Terraform's state" in ran.stderr) == (1, True)
    s3.delete_object(Bucket=STATE, Key="familycorp.tfstate.tflock")
    ours = {
        "id": "x", "command": "environment create stage", "by": "arn:aws:iam::000000000000:user/haneul",
        "host": "laptop.example", "pid": 7, "since": "2026-11-24T03:00:00Z",
    }  # fmt: skip
    s3.put_object(Bucket=STATE, Key="environment.lock", Body=json.dumps(ours))
    ran = checkout.apply(digest)
    assert (ran.returncode, "started by arn:aws:iam::000000000000:user/haneul" in ran.stderr) == (1, True)
    s3.delete_object(Bucket=STATE, Key="environment.lock")
    checkout.applied(digest)


@pytest.mark.infra
@pytest.mark.timeout(900)
def test_data_goes_where_the_commit_names_it_alone(pipeline: Pipeline) -> None:
    checkout = pipeline.checkout("data", PROVIDER, TABLE % ("a", "a"))
    checkout.applied(checkout.saved())
    checkout.commit("Look posts up by b", PROVIDER, TABLE % ("b", "b"))
    ran = checkout.plan()
    assert (ran.returncode, "Destroys: aws_dynamodb_table.this" in ran.stderr) == (1, True), ran.stderr
    message = "Look posts up by b\n\nThe table is empty.\n\nDestroys: aws_dynamodb_table.this"
    checkout.commit(message, PROVIDER, TABLE % ("b", "b"))
    checkout.applied(checkout.saved())
    # Below the denials of its own role, also after an approval.
    checkout.commit("Widen", PROVIDER, TABLE % ("b", "b"), WIDENED)
    ran = checkout.apply(checkout.saved())
    assert (ran.returncode, "explicit deny" in ran.stderr or "AccessDenied" in ran.stderr) == (1, True), (
        ran.stderr
    )


@pytest.mark.infra
def test_drift_raises_the_alarm_until_it_is_gone(pipeline: Pipeline) -> None:
    checkout = pipeline.checkout("drift", THING % "first")
    checkout.applied(checkout.saved())
    pipeline.heard()
    ran = checkout.drift()
    assert (ran.returncode, json.loads(ran.stdout)["differs"], pipeline.heard()) == (0, False, []), ran.stderr
    checkout.commit("Change", THING % "second")  # Nobody applied it.
    ran = checkout.drift()
    assert (ran.returncode, json.loads(ran.stdout)["changes"]) == (1, {"terraform_data.it": ["update"]})
    assert pipeline.heard() == [f"familycorp-{ENV}: infrastructure differs"]
    environment = clean_environment(**CREDENTIALS, AWS_ENDPOINT_URL=pipeline.url)
    told = json.loads(familycorp("doctor", ENV, "--json", environment=environment).stdout)
    (found,) = [c["findings"] for c in told["checks"] if c["check"] == "infrastructure"]
    assert "terraform_data.it" in found[0]["what"]


def change(address: str, *actions: str, **values: tuple[Any, Any]) -> dict[str, Any]:
    before, after = ({name: pair[n] for name, pair in values.items()} for n in (0, 1))
    return {"address": address, "change": {"actions": list(actions), "before": before, "after": after}}


TAKES = {
    "a table is replaced": change("aws_dynamodb_table.this", "delete", "create"),
    "a key is deleted": change("aws_kms_key.data", "delete"),
    "a cluster is no longer protected": change(
        "aws_rds_cluster.main", "update", deletion_protection=(True, False)
    ),
    "a table is no longer protected": change(
        'aws_dynamodb_table.this["posts"]', "update", deletion_protection_enabled=(True, False)
    ),
    "a user pool is no longer protected": change(
        "aws_cognito_user_pool.staff[0]", "update", deletion_protection=("ACTIVE", "INACTIVE")
    ),
    "a filled bucket may go": change("aws_s3_bucket.uploads", "update", force_destroy=(False, True)),
}
LEAVES = {
    "a table is made": change("aws_dynamodb_table.this", "create"),
    "a cluster grows": change("aws_rds_cluster.main", "update", deletion_protection=(True, True)),
    "a role is replaced": change("aws_iam_role.flow[0]", "delete", "create"),
}


@pytest.mark.parametrize("planned", TAKES.values(), ids=TAKES)
def test_a_plan_that_takes_data_is_known(planned: dict[str, Any]) -> None:
    assert taken({"resource_changes": [planned]}) == [planned["address"]]


def test_a_commit_names_each_resource_that_may_go(tmp_path: Path) -> None:
    table, key = TAKES["a table is replaced"], TAKES["a key is deleted"]
    message = f"Begin again\n\nNothing is lost.\n\nDestroys: {table['address']}"
    identity = ("-c", "user.name=x", "-c", "user.email=x@familycorp.example")
    for command in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", message]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    stop_where_data_goes({"resource_changes": [table]}, ENV, tmp_path)
    with pytest.raises(SystemExit, match=f"message:\nDestroys: {key['address']}$"):
        stop_where_data_goes({"resource_changes": [table, key]}, ENV, tmp_path)


def test_no_commit_names_what_may_go_in_prod(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="never does in Prod: aws_kms_key"):
        stop_where_data_goes({"resource_changes": [TAKES["a key is deleted"]]}, "prod", tmp_path)


@pytest.mark.parametrize("planned", LEAVES.values(), ids=LEAVES)
def test_a_plan_that_leaves_data_is_no_reason_to_stop(planned: dict[str, Any]) -> None:
    assert taken({"resource_changes": [planned]}) == []
