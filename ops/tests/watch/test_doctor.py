"""Every fault that is planted, here or in an environment on an emulator, is found, alone, and with how to fix it."""

import io
import json
import os
import shutil
import socket
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import httpx
import pytest
import trustme

from familycorp_ops.deploy import environment, infra
from familycorp_ops.doctor import first_apply, local, running, upkeep
from familycorp_ops.servers.ministack import CREDENTIALS, REGION, MiniStack
from familycorp_ops.servers.moto import Moto
from familycorp_ops.servers.process import LOOPBACK, NotInstalledError, free_port
from familycorp_ops.testing.commands import familycorp
from familycorp_ops.testing.servers import missing

ENV = "stage"
NAME = f"familycorp-{ENV}"
STATE = f"{NAME}-state-000000000000"
SETTINGS = {"ENV": ENV, "API_URL": "https://api-stage.familycorp.example", "LOG_LEVEL": "INFO"}
DOMAIN = "api-stage.familycorp.example"
SESSION = botocore.session.get_session()


def doctor(*arguments: str, **variables: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Run the command; return its status, and what it found by check."""
    ran = familycorp("doctor", *arguments, "--json", environment=os.environ, **variables)
    assert ran.stdout, ran.stderr
    document = json.loads(ran.stdout)
    assert document["healthy"] is (ran.returncode == 0)
    return ran.returncode, {c["check"]: c["findings"] for c in document["checks"] if c["findings"]}


# -- an environment -----------------------------------------------------------------------------------------------


@cache
def client(service: str, url: str) -> Any:
    return SESSION.create_client(service, region_name=REGION, endpoint_url=url)


class Cloud:
    """A healthy environment on an emulator, and the means to break it."""

    def __init__(self, emulator: MiniStack) -> None:
        self.url = emulator.url
        self.state: dict[str, Any] = {"resources": [], "outputs": {"settings": {"value": SETTINGS}}}
        self.operator = {"AWS_ENDPOINT_URL": self.url}
        self.arns: dict[str, str] = {}

    def client(self, service: str) -> Any:
        return client(service, self.url)

    def made(self, kind: str, **attributes: str) -> None:
        """Let Terraform's state say that it made something."""
        self.state["resources"].append(
            {"mode": "managed", "type": kind, "instances": [{"attributes": attributes}]}
        )

    def forget(self, kind: str, bucket: str | None = None) -> None:
        self.state["resources"] = [
            r
            for r in self.state["resources"]
            if r["type"] != kind or bucket not in {None, r["instances"][0]["attributes"].get("bucket")}
        ]
        self.keep_state()

    def keep_state(self) -> None:
        self.client("s3").put_object(
            Bucket=STATE, Key=environment.STATE_KEY, Body=json.dumps(self.state).encode()
        )

    def parameter(self, name: str, value: str) -> None:
        self.client("ssm").put_parameter(
            Name=f"/familycorp/{ENV}/{name}", Value=value, Type="String", Overwrite=True
        )

    def credentials(self, *, allow: str = "*", deny: str = "none:None") -> None:
        """Become a user who may do so much."""
        iam = self.client("iam")
        statements = [
            {"Effect": "Allow", "Action": allow, "Resource": "*"},
            {"Effect": "Deny", "Action": deny, "Resource": "*"},
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        user = f"operator-{len(iam.list_users()['Users'])}"
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=document)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        self.operator |= {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }

    def build(self) -> None:
        self.credentials()
        self._data()
        self._parameters()
        self._application()
        arn = self.client("acm").request_certificate(DomainName=DOMAIN, ValidationMethod="DNS")
        self.made("aws_acm_certificate", arn=arn["CertificateArn"])
        self.made(
            "aws_vpc", id="vpc-1"
        )  # Without one, the emulator would be asked for quotas, which it lacks.
        self.keep_state()

    def _data(self) -> None:
        s3, dynamodb = self.client("s3"), self.client("dynamodb")
        for bucket in (
            STATE,
            *(f"{NAME}-{key}" for key in ("uploads", "media", "logs", "exchange", "releases")),
        ):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            self.made("aws_s3_bucket", bucket=bucket)
        for key in ("posts", "sessions", "events"):
            table = f"{NAME}-{key}"
            dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            )
            self.restorable(table, True)
            self.made("aws_dynamodb_table", name=table)
        self.client("rds").create_db_cluster(
            DBClusterIdentifier=f"{NAME}-database",
            Engine="aurora-mysql",
            BackupRetentionPeriod=7,
            MasterUsername="master",
            ManageMasterUserPassword=True,
        )
        self.made("aws_rds_cluster", cluster_identifier=f"{NAME}-database")
        self.client("secretsmanager").create_secret(Name=f"{NAME}-signing-key", SecretString="x")
        self.made("aws_secretsmanager_secret", name=f"{NAME}-signing-key")
        self.client("ecr").create_repository(repositoryName=f"{NAME}-backend")
        self.made("aws_ecr_repository", name=f"{NAME}-backend")

    def restorable(self, table: str, enabled: bool) -> None:
        self.client("dynamodb").update_continuous_backups(
            TableName=table,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled},
        )

    def _parameters(self) -> None:
        sns = self.client("sns")
        for key in ("alarms", "notices"):
            self.arns[key] = sns.create_topic(Name=f"{NAME}-{key}")["TopicArn"]
            self.parameter(f"events/{key}-topic", self.arns[key])
        told = sns.subscribe(
            TopicArn=self.arns["alarms"], Protocol="email", Endpoint="ops@familycorp.example"
        )
        self.arns["subscription"] = told["SubscriptionArn"]
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=f"{NAME}-errors",
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Period=300,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            Statistic="Sum",
            AlarmActions=[self.arns["alarms"]],
        )
        for name, value in SETTINGS.items():
            self.parameter(f"settings/{name}", value)
        for name, value in {
            "settings": json.dumps(SETTINGS),
            "deployer": "sam",
            "api/domain": DOMAIN,
            "api/burst": "100",
            "api/cors-origins": "https://stage.familycorp.example",
            "network/subnets": "subnet-1,subnet-2",
        }.items():
            self.parameter(name, value)

    def _application(self) -> None:
        looked_up = {"Subnets": "network/subnets", "ApiDomain": "api/domain"}
        template = {
            "Parameters": {
                name: {"Type": "AWS::SSM::Parameter::Value<String>", "Default": f"/familycorp/{ENV}/{path}"}
                for name, path in looked_up.items()
            },
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        }
        self.client("cloudformation").create_stack(
            StackName=f"{NAME}-backend", TemplateBody=json.dumps(template)
        )
        role = self.client("iam").create_role(RoleName=f"{NAME}-backend", AssumeRolePolicyDocument="{}")
        self.made("aws_iam_role", name=f"{NAME}-backend")
        self.arns["role"] = role["Role"]["Arn"]
        self.function("backend")

    def function(self, name: str, code: str = "", release: str = "abc", image: str | None = None) -> None:
        """Deploy a function, or another release of it, of an archive or an image."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("a.py", code)
        functions, name = self.client("lambda"), f"{NAME}-{name}"
        if any(f["FunctionName"] == name for f in functions.list_functions()["Functions"]):
            functions.delete_function(FunctionName=name)
        variables = {"FAMILYCORP_SETTINGS": json.dumps(SETTINGS), "FAMILYCORP_VERSION": release}
        package = {
            "Runtime": "python3.12",
            "Handler": "a.handler",
            "Code": {"ZipFile": archive.getvalue()},
        }
        made = functions.create_function(
            FunctionName=name,
            Role=self.arns["role"],
            **({"PackageType": "Image", "Code": {"ImageUri": image}} if image else package),
            Environment={"Variables": variables},
            Publish=True,
        )
        functions.create_alias(FunctionName=name, Name="live", FunctionVersion=made["Version"])

    def findings(self, *arguments: str) -> dict[str, list[dict[str, str]]]:
        return doctor(ENV, *arguments, **self.operator)[1]


@pytest.fixture(scope="module")
def emulator() -> Iterator[MiniStack]:
    with MiniStack() as server:
        yield server


@pytest.fixture
def cloud(emulator: MiniStack) -> Cloud:
    httpx.post(f"{emulator.url}/_ministack/reset").raise_for_status()
    made = Cloud(emulator)
    made.build()
    return made


def test_a_healthy_environment_has_no_findings(cloud: Cloud) -> None:
    assert doctor(ENV, **cloud.operator) == (0, {})


def _delete_bucket(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    there = s3.list_object_versions(Bucket=STATE)
    for version in [*there.get("Versions", ()), *there.get("DeleteMarkers", ())]:
        s3.delete_object(Bucket=STATE, Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_bucket(Bucket=STATE)


def _suspend(cloud: Cloud) -> None:
    cloud.client("s3").put_bucket_versioning(
        Bucket=f"{NAME}-uploads", VersioningConfiguration={"Status": "Suspended"}
    )


def _keep_fewer_backups(cloud: Cloud) -> None:
    cloud.client("rds").modify_db_cluster(
        DBClusterIdentifier=f"{NAME}-database", BackupRetentionPeriod=3, ApplyImmediately=True
    )


def _delete_secret(cloud: Cloud) -> None:
    cloud.client("secretsmanager").delete_secret(SecretId=f"{NAME}-signing-key")


def _remove_certificate(cloud: Cloud) -> None:
    acm = cloud.client("acm")
    for certificate in acm.list_certificates()["CertificateSummaryList"]:
        acm.delete_certificate(CertificateArn=certificate["CertificateArn"])


FAULTS: Mapping[str, tuple[Callable[[Cloud], object], str, str, str]] = {
    "a release isn't allowed": (
        lambda c: c.credentials(deny="lambda:InvokeFunction"),
        "permissions",
        "lambda:InvokeFunction isn't allowed",
        "allow it to",
    ),
    "reading isn't allowed": (
        lambda c: c.credentials(deny="sns:ListSubscriptionsByTopic"),
        "alarms",
        "may not ListSubscriptionsByTopic",
        "let them",
    ),
    "a table of that name is there": (
        lambda c: c.forget("aws_dynamodb_table"),
        "names",
        f"{NAME}-posts is there, and Terraform didn't make it",
        "import 'aws_dynamodb_table.this[\"posts\"]'",
    ),
    "a bucket of that name is there": (
        lambda c: c.forget("aws_s3_bucket", f"{NAME}-releases"),
        "names",
        f"{NAME}-releases is there, and Terraform didn't make it",
        "import 'aws_s3_bucket.releases'",
    ),
    "a secret is being deleted": (
        _delete_secret,
        "names",
        f"The secret {NAME}-signing-key is being deleted",
        "restore-secret",
    ),
    "a setting was changed by hand": (
        lambda c: c.parameter("settings/LOG_LEVEL", "DEBUG"),
        "drift",
        "LOG_LEVEL is DEBUG, and Terraform made it INFO",
        "terraform -chdir=terraform apply",
    ),
    "functions run with older settings": (
        lambda c: c.client("lambda").update_alias(
            FunctionName=f"{NAME}-backend",
            Name="live",
            FunctionVersion=_published(c, {"LOG_LEVEL": "DEBUG"}),
        ),
        "drift",
        f"{NAME}-backend runs with other settings",
        "make deploy ENV=stage",
    ),
    "the stack was deployed before a change": (
        lambda c: c.parameter("network/subnets", "subnet-3"),
        "drift",
        "another network/subnets than Parameter Store has",
        "make deploy ENV=stage",
    ),
    "there is no stack": (
        lambda c: c.client("cloudformation").delete_stack(StackName=f"{NAME}-backend"),
        "drift",
        "there is no stack",
        "make deploy ENV=stage",
    ),
    "few backups": (
        _keep_fewer_backups,
        "backups",
        "restored to 3 days, not 7",
        "database_backup_days",
    ),
    "a table without backups": (
        lambda c: c.restorable(f"{NAME}-sessions", False),
        "backups",
        f"{NAME}-sessions can't be restored",
        "point-in-time recovery",
    ),
    "a bucket without versions": (_suspend, "backups", f"files of {NAME}-uploads can't be restored", "apply"),
    "nobody hears alarms": (
        lambda c: c.client("sns").unsubscribe(SubscriptionArn=c.arns["subscription"]),
        "alarms",
        "has no subscriber",
        "alarm_emails",
    ),
    "an alarm is switched off": (
        lambda c: c.client("cloudwatch").disable_alarm_actions(AlarmNames=[f"{NAME}-errors"]),
        "alarms",
        f"{NAME}-errors is switched off",
        "enable-alarm-actions",
    ),
    "a certificate is gone": (_remove_certificate, "certificates", "is gone", "terraform"),
    "too few functions at once": (
        lambda c: c.parameter("api/burst", "4000"),
        "quotas",
        "lets 4000 requests through at once",
        "Service Quotas",
    ),
}


def _published(cloud: Cloud, changed: Mapping[str, str]) -> str:
    functions = cloud.client("lambda")
    variables = {"FAMILYCORP_SETTINGS": json.dumps({**SETTINGS, **changed})}
    functions.update_function_configuration(
        FunctionName=f"{NAME}-backend", Environment={"Variables": variables}
    )
    return str(functions.publish_version(FunctionName=f"{NAME}-backend")["Version"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_alone_with_its_fix(cloud: Cloud, fault: str) -> None:
    plant, check, what, fix = FAULTS[fault]
    plant(cloud)
    found = cloud.findings()
    assert set(found) == {check}
    assert what in found[check][0]["what"]
    assert fix in found[check][0]["fix"]
    assert all(f["what"].endswith(".") for f in found[check])


def test_a_certificate_that_ends_soon_is_found(cloud: Cloud) -> None:
    """The emulator's certificates are valid for a year, whenever one asks; so the bound is what moves here."""
    assert cloud.findings("--certificate-days", "300") == {}
    found = cloud.findings("--certificate-days", "400")
    assert set(found) == {"certificates"}
    assert f"The certificate of {DOMAIN} ends in 36" in found["certificates"][0]["what"]
    assert "DNS" in found["certificates"][0]["fix"]


@pytest.mark.infra
def test_a_certificate_with_an_end_of_its_own_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the other emulator, which reads what is imported."""
    soon = trustme.CA().issue_cert(DOMAIN, not_after=datetime.now(UTC) + timedelta(days=10, hours=1))
    try:
        with Moto() as moto:
            arn = client("acm", moto.url).import_certificate(
                Certificate=soon.cert_chain_pems[0].bytes(), PrivateKey=soon.private_key_pem.bytes()
            )["CertificateArn"]
            monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
            it = environment.Environment(ENV, REGION)
            made = {
                "mode": "managed",
                "type": "aws_acm_certificate",
                "instances": [{"attributes": {"arn": arn}}],
            }
            it.state = {"resources": [made]}
            found = upkeep.certificates(it, 30).findings
            it.state = {"resources": [made], "outputs": {}}
            assert upkeep.certificates(it, 9).findings == ()
    except NotInstalledError as error:
        missing("terraform", error)
    assert [f.what for f in found] == [f"The certificate of {DOMAIN} ends in 10 days."]


# -- before the first apply ---------------------------------------------------------------------------------------

ALWAYS = {"state", "vpcs"}
"""Nothing was applied yet, and the emulator knows no quotas of VPCs."""
OFFERED = "8.0.mysql_aurora.3.08.0"
BY_HAND = "api-stage.familycorp.example, in no zone of this account: enter two CNAMEs by hand"
REPOSITORY = {
    "id": 20, "owner": {"id": 10}, "full_name": "familycorp/backend", "created_at": "2024-01-01T00:00:00Z",
}  # fmt: skip


class Empty(Cloud):
    """An account with nothing of ours but the bucket for the state, and a GitHub that answers `gh`."""

    def __init__(self, emulator: MiniStack, tmp_path: Path) -> None:
        super().__init__(emulator)
        self._bin = tmp_path / "bin"
        self._bin.mkdir()
        self.operator |= {"PATH": f"{self._bin}:{os.environ['PATH']}", "LANG": "C"}
        self.operator |= {"TF_VAR_database_engine_version": OFFERED, "TF_VAR_api_burst": "50"}

    def build(self) -> None:
        self.credentials()
        self.github()
        self.client("s3").create_bucket(
            Bucket=STATE, CreateBucketConfiguration={"LocationConstraint": REGION}
        )

    def github(self, custom: Mapping[str, Any] | None = None, **changed: Any) -> None:
        """Have `gh api` print a repository, or what its subjects are made of."""
        answers = {"repository": REPOSITORY | changed, "custom": custom or {"use_default": True}}
        for name, answer in answers.items():
            (self._bin / name).write_text(json.dumps(answer))
        program = self._bin / "gh"
        program.write_text(
            f'#!/bin/sh\ncase "$2" in *"/sub") cat {self._bin}/custom;; *) cat {self._bin}/repository;; esac\n'
        )
        program.chmod(0o755)

    def programs(self, *names: str) -> None:
        """Leave these programs alone on PATH."""
        for name in names:
            (self._bin / name).symlink_to(str(shutil.which(name)))
        self.operator["PATH"] = str(self._bin)

    def zone(self, name: str, **config: bool) -> None:
        made = self.client("route53").create_hosted_zone(
            Name=name, CallerReference=name, HostedZoneConfig={"Comment": "", **config}
        )
        self.arns[name] = made["HostedZone"]["Id"].rpartition("/")[2]

    def choose(self, **variables: Any) -> None:
        self.operator |= {
            f"TF_VAR_{name}": value if isinstance(value, str) else json.dumps(value)
            for name, value in variables.items()
        }


@pytest.fixture
def empty(emulator: MiniStack, tmp_path: Path) -> Empty:
    httpx.post(f"{emulator.url}/_ministack/reset").raise_for_status()
    made = Empty(emulator, tmp_path)
    made.build()
    return made


def _no_gh(empty: Empty) -> None:
    (empty._bin / "gh").unlink()
    empty.programs("terraform")


def _no_terraform(empty: Empty) -> None:
    empty.programs("git")


def _a_zone_of_ours(empty: Empty) -> None:
    empty.zone("familycorp.example")
    empty.zone("elsewhere.example")


def _another_zone(empty: Empty) -> None:
    empty.zone("elsewhere.example")
    empty.choose(route53_zone_id=empty.arns["elsewhere.example"])


def _a_bucket_is_there(empty: Empty) -> None:
    empty.choose(bucket_suffix="kr-1")
    for name in (f"{NAME}-uploads", f"{NAME}-logs-kr-1"):
        empty.client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )


FIRST: Mapping[str, tuple[Callable[[Empty], object], str, str, str]] = {
    "there is no bucket for the state": (
        lambda c: c.client("s3").delete_bucket(Bucket=STATE),
        "state", "There is no bucket familycorp-stage-state-", "make infra-bootstrap ENV=stage",
    ),
    "Terraform isn't installed": (_no_terraform, "tools", "Terraform isn't installed", "1.10 or newer"),
    "a variable is refused": (
        lambda c: c.choose(bucket_suffix="KR_1"),
        "variables", "bucket_suffix must be 1 to 30 lower-case letters", "correct it there",
    ),
    "the account is another one": (
        lambda c: c.choose(account_id="123456789012"),
        "variables", "of the account 000000000000, and account_id is 123456789012", "credentials of the other",
    ),
    "the region is another one": (
        lambda c: c.choose(region="eu-west-1"), "region", "region is eu-west-1", f"set region to {REGION}",
    ),
    "the version of the database was withdrawn": (
        lambda c: c.choose(database_engine_version="8.0.mysql_aurora.3.99.0"),
        "database", "AWS doesn't offer Aurora 8.0.mysql_aurora.3.99.0", OFFERED,
    ),
    "a zone of ours isn't chosen": (
        _a_zone_of_ours, "domain", "The account has the zone familycorp.example", 'set route53_zone_id = "Z',
    ),
    "the zone isn't there": (
        lambda c: c.choose(route53_zone_id="Z0NOWHERE"),
        "domain", "There is no hosted zone Z0NOWHERE", "enter the records by hand",
    ),
    "the zone is another domain's": (
        _another_zone, "domain", "api-stage.familycorp.example isn't in the zone", "correct api_domain",
    ),
    "billing isn't opened to IAM": (
        lambda c: c.credentials(deny="budgets:*"), "billing", "may not see budgets", "as root, switch on",
    ),
    "the quota of functions is a new account's": (
        lambda c: c.choose(api_burst=4000), "quotas", "lets 4000 requests through at once", "Service Quotas",
    ),
    "a bucket's name is taken": (
        _a_bucket_is_there, "names", f"{NAME}-logs-kr-1 is there", "import 'aws_s3_bucket.logs'",
    ),
    "gh isn't installed": (_no_gh, "github", "GitHub has no information about familycorp/backend", "gh auth login"),
    "a new repository": (
        lambda c: c.github(created_at="2026-08-01T00:00:00Z"),
        "github", "name it with numbers", "github_repository_ids = { owner = 10, repository = 20 }",
    ),
    "numbers of another repository": (
        lambda c: c.choose(github_repository_ids={"owner": 10, "repository": 21}),
        "github", "another repository's numbers", "github_repository_ids = { owner = 10, repository = 20 }",
    ),
    "a renamed repository": (
        lambda c: c.github(full_name="familycorp/site"),
        "github", "writes familycorp/backend as familycorp/site", 'github_repository = "familycorp/site"',
    ),
    "subjects made of other claims": (
        lambda c: c.github({"use_default": False, "include_claim_keys": ["actor"]}),
        "github", "is made of actor, and no role trusts it", "-F use_default=true",
    ),
}  # fmt: skip


def test_an_empty_account_is_ready_for_the_first_apply(empty: Empty) -> None:
    found = empty.findings()
    assert set(found) == ALWAYS
    assert "terraform -chdir=terraform apply" in found["state"][0]["fix"]


@pytest.mark.parametrize("fault", FIRST)
def test_each_obstacle_to_the_first_apply_is_found_alone(empty: Empty, fault: str) -> None:
    plant, check, what, fix = FIRST[fault]
    plant(empty)
    found = empty.findings()
    assert set(found) == {*ALWAYS, check}
    assert len(found[check]) == 1
    assert what in found[check][0]["what"]
    assert fix in found[check][0]["fix"]


def test_a_zone_and_numbers_that_fit_are_no_finding(empty: Empty) -> None:
    empty.zone("familycorp.example")
    empty.choose(route53_zone_id=empty.arns["familycorp.example"])
    empty.choose(github_repository_ids={"owner": 10, "repository": 20})
    empty.github({"use_default": False, "include_claim_keys": ["repo", "context"]})
    assert set(empty.findings()) == ALWAYS


def test_without_a_zone_the_records_to_enter_are_named(empty: Empty) -> None:
    ran = familycorp("doctor", ENV, environment=os.environ, **empty.operator)
    assert BY_HAND in ran.stdout
    assert "dns_records" in ran.stdout


def test_a_region_that_is_switched_off_is_found() -> None:
    """The emulator has every region switched on, so this asks a stand-in."""

    class Ec2:
        def describe_regions(self, **_: Any) -> dict[str, Any]:
            return {"Regions": [{"OptInStatus": "not-opted-in"}]}

    it = environment.Environment(ENV, REGION)
    it.variables = {"region": REGION}
    it._clients = {"ec2": Ec2()}
    (finding,) = first_apply.region(it).findings
    assert "switched off in this account" in finding.what
    assert "aws account enable-region" in finding.fix


def test_what_was_made_by_hand_before_the_first_apply_is_found(cloud: Cloud) -> None:
    cloud.client("s3").delete_object(Bucket=STATE, Key=environment.STATE_KEY)
    found = cloud.findings()
    assert len(found["names"]) == 12, "what is there now would prevent a first apply"
    assert not found.keys() & {"drift", "backups", "alarms", "certificates"}


def test_buckets_with_a_suffix_are_looked_up_with_it(cloud: Cloud) -> None:
    """What others have under the plain name is no finding."""
    cloud.parameter("uploads/bucket", f"{NAME}-uploads-kr")
    for key in ("uploads", "media", "logs", "exchange", "releases"):
        cloud.forget("aws_s3_bucket", f"{NAME}-{key}")
    assert "names" not in cloud.findings()


def test_an_unconfirmed_subscription_is_found() -> None:
    """The emulator confirms every subscription at once, so this asks a stand-in."""

    class Sns:
        def get_paginator(self, _: str) -> "Sns":
            return self

        def paginate(self, **_: str) -> Any:
            pending = {"SubscriptionArn": "PendingConfirmation", "Endpoint": "ops@familycorp.example"}
            return [{"Subscriptions": [pending], "MetricAlarms": []}]

    it = environment.Environment(ENV, REGION)
    it.parameters = {"events/alarms-topic": "arn:aws:sns:::x"}
    it._clients = {"sns": Sns(), "cloudwatch": Sns()}
    assert [f.what for f in upkeep.alarms(it).findings] == [
        "ops@familycorp.example hasn't confirmed the subscription of alarms."
    ]


class Account:
    """Stands in for what the emulator lacks, or has no means to fill: quotas of VPCs and of code."""

    def __init__(self, *, vpcs: int, code_gb: int) -> None:
        self._vpcs, self._code_gb = vpcs, code_gb

    def get_account_settings(self) -> dict[str, Any]:
        limit = {"UnreservedConcurrentExecutions": 1000, "TotalCodeSize": 75 * upkeep.GB}
        return {"AccountLimit": limit, "AccountUsage": {"TotalCodeSize": self._code_gb * upkeep.GB}}

    def describe_vpcs(self) -> dict[str, Any]:
        return {"Vpcs": [{}] * self._vpcs}

    def get_service_quota(self, **_: str) -> dict[str, Any]:
        return {"Quota": {"Value": 5.0}}

    def quotas(self, *made: str) -> list[str]:
        it = environment.Environment(ENV, REGION)
        it.parameters, it.state, it.roles = {}, {"resources": []}, None
        it.state["resources"] = [
            {"mode": "managed", "type": kind, "instances": [{"attributes": {}}]} for kind in made
        ]
        it._clients = dict.fromkeys(("lambda", "ec2", "service-quotas"), self)
        return [f.what for look in (upkeep.quotas, upkeep.vpcs) for f in look(it).findings]


def test_a_region_that_takes_no_further_vpc_is_found_before_the_first_apply_alone() -> None:
    assert Account(vpcs=4, code_gb=1).quotas() == []
    assert Account(vpcs=5, code_gb=1).quotas() == [
        "The region has 5 VPCs, no more may be made, and none is ours."
    ]
    assert Account(vpcs=5, code_gb=1).quotas("aws_vpc") == []


def test_code_that_nearly_fills_lambdas_room_is_found() -> None:
    assert Account(vpcs=1, code_gb=60).quotas() == []
    assert Account(vpcs=1, code_gb=70).quotas() == [
        "Lambda holds 70.0 GB of code in this region, and at most 75."
    ]


@pytest.mark.infra
def test_the_quota_of_vpcs_is_asked_for_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the other emulator, which has the quotas of VPCs, by AWS's codes."""
    try:
        with Moto() as moto:
            monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
            it = environment.Environment(ENV, REGION)
            it.parameters, it.state = {}, {"resources": []}
            seen = upkeep.vpcs(it).seen
    except NotInstalledError as error:
        missing("terraform", error)
    assert "1 of 5 VPCs" in seen


def test_without_credentials_nothing_else_is_asked() -> None:
    without = {name: "" for name in CREDENTIALS if "KEY" in name}
    status, found = doctor(ENV, AWS_ENDPOINT_URL=f"http://{LOOPBACK}:{free_port()}", **without)
    assert (status, set(found)) == (1, {"credentials"})


def test_root_is_a_finding(cloud: Cloud) -> None:
    found = doctor(ENV, AWS_ENDPOINT_URL=cloud.url)[1]
    assert set(found) == {"credentials"}
    assert "root" in found["credentials"][0]["what"]


# -- what runs in an environment ----------------------------------------------------------------------------------


def migrations(answer: str) -> str:
    return f"def handler(event, context):\n    assert event == {{'look': True}}\n    {answer}\n"


CURRENT = migrations("return {'revision': '0012', 'lacking': [], 'known': True}")


@pytest.fixture
def deployment(cloud: Cloud) -> Cloud:
    for name in running.ALL:
        cloud.function(name, CURRENT if name == "migrations" else "")
    return cloud


def status(cloud: Cloud) -> tuple[int, dict[str, Any]]:
    ran = familycorp("release", "status", ENV, "--json", environment=os.environ, **cloud.operator)
    assert ran.stdout, ran.stderr
    document = json.loads(ran.stdout)
    document["found"] = {c["check"]: c["findings"] for c in document["checks"] if c["findings"]}
    return ran.returncode, document


def test_the_running_release_is_reported(deployment: Cloud) -> None:
    code, told = status(deployment)
    assert (code, told["healthy"], told["found"]) == (0, True, {})
    assert (told["environment"], told["release"]) == (ENV, "abc")
    assert told["stack"]["name"] == f"{NAME}-backend"
    assert told["stack"]["status"] == "CREATE_COMPLETE"
    assert datetime.fromisoformat(told["stack"]["deployedAt"]).tzinfo
    assert {f["name"] for f in told["functions"]} == {f"{NAME}-{name}" for name in running.ALL}
    assert all(f["version"] and f["codeSha256"] and f["deployedAt"] for f in told["functions"])
    assert told["schema"] == {"revision": "0012", "lacking": [], "known": True}
    assert told["ringing"] == []
    assert told["digest"] is None, "archives have none"


def test_the_digest_of_an_image_is_reported(deployment: Cloud) -> None:
    digest = f"sha256:{'a' * 64}"
    deployment.function(
        "backend", image=f"000000000000.dkr.ecr.{REGION}.amazonaws.com/{NAME}-backend@{digest}"
    )
    code, told = status(deployment)
    assert (code, told["digest"]) == (0, digest)


def test_the_schema_of_a_later_release_is_well_after_a_rollback(deployment: Cloud) -> None:
    deployment.function(
        "migrations", migrations("return {'revision': '0013', 'lacking': [], 'known': False}")
    )
    code, told = status(deployment)
    assert (code, told["found"], told["schema"]["known"]) == (0, {}, False)


def _ring(cloud: Cloud) -> None:
    cloud.client("cloudwatch").set_alarm_state(
        AlarmName=f"{NAME}-errors", StateValue="ALARM", StateReason="12 errors in 5 minutes."
    )


PROBLEMS: Mapping[str, tuple[Callable[[Cloud], object], str, str, str]] = {
    "there is no stack": (
        lambda c: c.client("cloudformation").delete_stack(StackName=f"{NAME}-backend"),
        "stack",
        "there is no stack",
        "make deploy ENV=stage",
    ),
    "a function is gone": (
        lambda c: c.client("lambda").delete_function(FunctionName=f"{NAME}-drain"),
        "release",
        f"There is no function {NAME}-drain",
        "make deploy ENV=stage",
    ),
    "a function was left behind": (
        lambda c: c.function("uploads", release="before"),
        "release",
        "different releases: backend abc",
        "make deploy ENV=stage",
    ),
    "the schema is behind": (
        lambda c: c.function(
            "migrations", migrations("return {'revision': '0010', 'lacking': ['0011'], 'known': True}")
        ),
        "schema",
        "The database lacks 0011",
        "make migrate ENV=stage",
    ),
    "the schema can't be read": (
        lambda c: c.function("migrations", migrations("raise RuntimeError('no route to it')")),
        "schema",
        "The schema can't be read: no route to it",
        "/aws/lambda/familycorp-stage-migrations",
    ),
    "an alarm rings": (_ring, "ringing", f"The alarm {NAME}-errors has been ringing since 20", "runbook"),
    "its function may not be asked": (
        lambda c: c.credentials(deny="lambda:InvokeFunction"),
        "schema",
        "may not Invoke",
        "let them",
    ),
}


@pytest.mark.parametrize("fault", PROBLEMS)
def test_each_problem_is_found_alone_with_its_fix(deployment: Cloud, fault: str) -> None:
    plant, check, what, fix = PROBLEMS[fault]
    plant(deployment)
    code, told = status(deployment)
    assert (code, told["healthy"], set(told["found"])) == (1, False, {check})
    assert what in told["found"][check][0]["what"]
    assert fix in told["found"][check][0]["fix"]


# -- this machine -------------------------------------------------------------------------------------------------


def here(tmp_path: Path, *arguments: str, **variables: str) -> set[str]:
    given = [] if "--port" in arguments else ["--port", str(free_port())]
    found = doctor("--state", str(tmp_path / "state"), *given, *arguments, **variables)[1]
    return set(found) - {"parts"}  # What isn't installed depends on which target was made.


def test_this_machine_has_what_it_needs(tmp_path: Path) -> None:
    assert here(tmp_path) == set()


def test_an_old_terraform_is_found(tmp_path: Path) -> None:
    old = tmp_path / "bin" / "terraform"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho Terraform v1.5.7\n")
    old.chmod(0o755)
    assert here(tmp_path, PATH=f"{old.parent}:{os.environ['PATH']}") == {"tools"}


def test_without_terraforms_provider_the_doctor_says_what_a_bill_says(tmp_path: Path) -> None:
    try:
        infra.executable()
    except NotInstalledError as error:
        missing("terraform", error)
    try:
        MiniStack().command()
    except NotInstalledError as error:
        missing("ministack", error)
    mirror = tmp_path / "registry.terraform.io" / "hashicorp" / "aws" / "5.99.0"
    mirror.mkdir(parents=True)
    for variables in ({"TF_PLUGIN_DIR": ""}, {"TF_PLUGIN_DIR": str(tmp_path)}):
        offline = {**variables, "HTTPS_PROXY": f"http://{LOOPBACK}:{free_port()}", "LANG": "C"}
        bill = familycorp("cost", "dev", environment=os.environ, **offline)
        assert (bill.returncode, bill.stdout) == (1, "")
        assert bill.stderr.startswith("Terraform's AWS provider isn't available: ")
        machine = familycorp("doctor", "--state", str(tmp_path / "state"), environment=os.environ, **offline)
        assert bill.stderr.strip().rstrip(".") in machine.stdout


def test_a_taken_port_is_found(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        assert here(tmp_path, "--port", str(taken.getsockname()[1])) == {"port"}


def test_a_state_directory_that_cant_be_is_found(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    assert here(tmp_path) == {"state"}


def test_settings_that_break_a_rule_are_found(tmp_path: Path) -> None:
    assert here(tmp_path, FAMILYCORP_LOG_LEVEL="LOUD") == {"settings"}
    assert here(tmp_path, FAMILYCORP_LOG_LEVEL="INFO") == set()


def test_a_full_disk_an_old_python_and_missing_parts_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "make clean" in local.disk(tmp_path, 10**18).findings[0].fix
    assert "3.9 isn't supported" in local.python((3, 9)).findings[0].what
    monkeypatch.setattr(local, "PARTS", {"The AWS emulator": tmp_path / "nothing"})
    assert local.parts().findings[0].fix == "`make up` installs it."


def test_for_people_each_finding_has_its_fix(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    ran = familycorp("doctor", "--state", str(tmp_path / "state"))
    assert ran.returncode == 1
    assert "✗ state" in ran.stdout
    assert "→ `make up STATE=DIR` with another one." in ran.stdout
