"""An environment is created and destroyed by one command each: on an emulator, with stand-ins for Terraform and SAM.

The rehearsal runs both commands with the real ones; what is asked here is their order, what a stop leaves, who may.
"""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import botocore.loaders
import httpx
import pymysql  # type: ignore[import-untyped]
import pytest

from familycorp_ops.deploy import infra, release
from familycorp_ops.lifecycle.create import Creation, Wanted
from familycorp_ops.rehearse.cloud import MiniStackWithoutGaps
from familycorp_ops.rehearse.data_api import DataApi
from familycorp_ops.servers.loopback import LoopbackServer
from familycorp_ops.servers.mariadb import MariaDB
from familycorp_ops.servers.ministack import CREDENTIALS, REGION, MiniStack, client
from familycorp_ops.servers.process import NotInstalledError, clean_environment
from familycorp_ops.testing.servers import missing

ENV = "dev"
NAME = f"familycorp-{ENV}"
ACCOUNT = "000000000000"
STATE = f"{NAME}-state-{ACCOUNT}"
VERSION = "abc"
EMAIL = "first@familycorp.example"
STEPS = [
    *(
        "account",
        "doctor",
        "state",
        "roles",
        "infrastructure",
        "signing key",
        "database users",
        "release",
        "deployment",
    ),
    *("schema", "first admin", "smoke test"),
]
PROGRAM = f"#!{sys.executable} -I\n"

TERRAFORM = (
    PROGRAM
    + r'''
"""Stands in for Terraform: variables are read by the real one, resources are those that the steps read."""
import json, os, subprocess, sys

command, *options = sys.argv[1:]
if command in {"console", "version"}:
    sys.exit(subprocess.run([os.environ["REAL_TERRAFORM"], *sys.argv[1:]]).returncode)
which = "roles" if os.path.basename(os.getcwd()) == "bootstrap" else "terraform"
with open(os.environ["CALLS"], "a") as calls:
    calls.write(f"{which} {' '.join(o for o in sys.argv[1:] if not o.startswith('-out'))}\n")
if command in {"init", "state"}:
    sys.exit(0)

made = f"{os.environ['CALLS']}.{which}"

if command == "plan":
    print("what it would change")
    if os.environ.get("FAILS") and which == "terraform":
        sys.exit(1)
    out = next(o.partition("=")[2] for o in options if o.startswith("-out="))
    wanted = [] if "-destroy" in options else ["there"]
    if os.path.exists(made) == bool(wanted):
        sys.exit(0)
    open(out, "w").write(json.dumps(wanted))
    sys.exit(2)
if command == "show":
    what = ["delete"] if os.environ.get("LOSES") else ["create"]
    print(json.dumps({"resource_changes": [{"address": "aws_rds_cluster.main", "change": {"actions": what}}]}))
    sys.exit(0)

assert command == "apply", command
from botocore.session import get_session

client = lambda name: get_session().create_client(name, region_name="ap-northeast-2")
account = client("sts").get_caller_identity()["Account"]
state = {"Bucket": f"familycorp-dev-state-{account}", "Key": "familycorp.tfstate"}
name, file = "familycorp-dev", options[-1]
s3, rds, ssm, secrets = client("s3"), client("rds"), client("ssm"), client("secretsmanager")
if which == "roles":
    wanted = json.loads(open(file).read())
    state["Key"] = "bootstrap.tfstate"
    kept = [{"mode": "managed", "type": "made", "instances": []}] if wanted else []
    s3.put_object(**state, Body=json.dumps({"resources": kept}))
    open(made, "w").close() if wanted else os.unlink(made)
elif json.loads(open(file).read()):
    rds.create_db_cluster(
        DBClusterIdentifier=f"{name}-database", Engine="aurora-mysql", MasterUsername="fcmaster",
        ManageMasterUserPassword=True, EnableHttpEndpoint=True, DatabaseName="familycorp",
    )
    for secret in ("signing-key", *(["database"] if os.environ.get("PROXY") else [])):
        secrets.create_secret(Name=f"{name}-{secret}")
    cognito = client("cognito-idp")
    pool = cognito.create_user_pool(PoolName=f"{name}-staff", UsernameAttributes=["email"])["UserPool"]["Id"]
    cognito.create_group(UserPoolId=pool, GroupName="admins")
    issuer = os.environ.get("ISSUER") or f"https://cognito-idp.ap-northeast-2.amazonaws.com/{pool}"
    for key, value in {
        "settings/OIDC_ISSUER": issuer, "settings/ROLE_GROUPS": "admins=admin",
        "settings/API_URL": "https://api-dev.example",
        "releases/bucket": "releases", "registry/backend": "registry/familycorp-dev-backend",
    }.items():
        ssm.put_parameter(Name=f"/familycorp/dev/{key}", Value=value, Type="String")
    s3.put_object(**state, Body=json.dumps({"resources": [{"mode": "managed", "type": "made", "instances": []}]}))
    open(made, "w").close()
else:
    rds.delete_db_cluster(DBClusterIdentifier=f"{name}-database", SkipFinalSnapshot=True)
    s3.put_object(**state, Body=json.dumps({"resources": []}))
    os.unlink(made)
print("Apply complete!")
'''
)

SAM = (
    PROGRAM
    + r'''
"""Stands in for SAM: the stack has what the steps read."""
import json, os, sys
from botocore.session import get_session

with open(os.environ["CALLS"], "a") as calls:
    calls.write(f"sam {sys.argv[1]}\n")
stacks = get_session().create_client("cloudformation", region_name="ap-northeast-2")
name = "familycorp-dev-backend"
if sys.argv[1] == "delete":
    stacks.delete_stack(StackName=name)
    stacks.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    sys.exit(0)
release = next(a.partition("=")[2] for a in sys.argv if a.startswith("Release="))
code = "def handler(event, context):\n    return {'revision': '0004'}\n"
role = "arn:aws:iam::000000000000:role/familycorp-dev-migrations"
template = {
    "Parameters": {"Release": {"Type": "String"}},
    "Resources": {
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {
            "FunctionName": "familycorp-dev-migrations", "Runtime": "python3.12", "Handler": "index.handler",
            "Role": role, "Code": {"ZipFile": code},
        }},
        "Version": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Function"}}},
        "Alias": {"Type": "AWS::Lambda::Alias", "Properties": {
            "FunctionName": {"Ref": "Function"}, "Name": "live",
            "FunctionVersion": {"Fn::GetAtt": ["Version", "Version"]},
        }},
    },
    "Outputs": {"HttpApiUrl": {"Value": os.environ["SERVED"]}},
}
stacks.create_stack(
    StackName=name, TemplateBody=json.dumps(template),
    Parameters=[{"ParameterKey": "Release", "ParameterValue": release}],
)
if os.environ.get("STOPPED"):  # What it began goes on without it.
    sys.exit(1)
stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
'''
)

GITHUB = """#!/bin/sh
case $2 in
  */sub) echo '{"use_default": true}' ;;
  *) echo '{"id": 20, "owner": {"id": 10}, "full_name": "familycorp/backend", "created_at": "2024-01-01"}' ;;
esac
"""


class Site(BaseHTTPRequestHandler):
    """What a deployment answers to its smoke test."""

    ANSWERS: Mapping[str, tuple[int, Any]] = {
        "/health": (200, {"status": "ok", "version": VERSION, "environment": ENV}),
        "/v1/posts": (200, {"items": []}),
        "/v1/categories": (200, {"items": []}),
        "/v1/editor/posts": (401, {"code": "unauthenticated"}),
        "/v1/auth/me": (401, {"code": "unauthenticated"}),
    }

    def do_GET(self) -> None:
        unknown = (404, {"code": "not_found", "requestId": "r"})
        status, body = self.ANSWERS.get(self.path.partition("?")[0], unknown)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Strict-Transport-Security", "max-age=1")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.headers.get("Origin") == "https://dev.familycorp.example":
            self.send_header("Access-Control-Allow-Origin", self.headers["Origin"])
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...


class Account:
    """An account on an emulator, the person who works on it, and their programs."""

    def __init__(self, emulator: MiniStack, database: MariaDB, site: str, directory: Path) -> None:
        self.url, self.database, self.directory = emulator.url, database, directory
        self.calls = directory / "calls"
        self.calls.touch()
        programs = directory / "programs"
        programs.mkdir()
        for name, text in {"terraform": TERRAFORM, "sam": SAM, "gh": GITHUB}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.variables(account_id=ACCOUNT)
        archives = directory / "archives"
        archives.mkdir()
        (archives / "template.yaml").touch()
        self.data_api = DataApi(database.port, asleep=0)
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_RDS_DATA": self.data_api.url,
            "PATH": os.pathsep.join((str(programs), os.environ["PATH"])),
            "REAL_TERRAFORM": infra.executable(),
            "CALLS": str(self.calls),
            "SERVED": site,
            "PYTHONPATH": "",
            "AWS_MAX_ATTEMPTS": "1",  # What the emulator doesn't know it knows no better a second time.
            **self._operator(),
        }

    def variables(self, **chosen: Any) -> None:
        """Choose variables of Terraform, in a configuration of the test's own."""
        copied = self.directory / "terraform"
        if not copied.exists():
            (copied / "envs").mkdir(parents=True)
            (copied / "bootstrap").mkdir()
            for file in ("variables.tf", "hosts.tf", f"envs/{ENV}.tfvars"):
                (copied / file).write_bytes((infra.SOURCE / file).read_bytes())
            chosen |= {"database_engine_version": "8.0.mysql_aurora.3.08.0", "api_burst": 16}
        chosen_in = copied / "envs" / f"{ENV}.tfvars"
        kept = [line for line in chosen_in.read_text().splitlines(True) if line.split(" ")[0] not in chosen]
        lines = (f"{name} = {json.dumps(value)}\n" for name, value in chosen.items() if value is not None)
        chosen_in.write_text("".join((*kept, *lines)))

    def client(self, service: str) -> Any:
        return client(self.url, service)

    def _operator(self) -> dict[str, str]:
        iam = self.client("iam")
        iam.create_user(UserName="operator")
        allowed = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }
        iam.put_user_policy(UserName="operator", PolicyName="own", PolicyDocument=json.dumps(allowed))
        key = iam.create_access_key(UserName="operator")["AccessKey"]
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_DEFAULT_REGION": REGION,
        }

    def start(
        self, command: str, *options: str, stdin: int = subprocess.DEVNULL, **more: str
    ) -> "subprocess.Popen[str]":
        """Start a command in a session of its own, as a terminal does."""
        script = (
            "import pathlib, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from familycorp_ops import cli; from familycorp_ops.deploy import release\n"
            f"release.SAM = pathlib.Path({str(self.directory / 'programs' / 'sam')!r})\n"
            "cli.main()"
        )
        return subprocess.Popen(
            [
                *(sys.executable, "-c", script, "environment", command, ENV, *options),
                *("--directory", str(self.directory / "terraform")),
            ],
            env=clean_environment(**CREDENTIALS) | self.environment | {"LANGUAGE": "en"} | more,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, command: str, *options: str, stdin: int = subprocess.DEVNULL, **more: str
    ) -> tuple[int, str, str]:
        with self.start(command, *options, stdin=stdin, **more) as process:
            said, errors = process.communicate()
        return process.returncode, said, errors

    def create(self, *options: str, **more: Any) -> tuple[int, str, str]:
        return self.run("create", *self.options(*options), **more)

    def options(self, *options: str) -> tuple[str, ...]:
        archives = str(self.directory / "archives")
        return ("--version", VERSION, "--archives", archives, "--accept", "vpcs", "--yes", *options)

    def applied(self, **more: str) -> None:
        """Have Terraform apply, as a run that was stopped behind it leaves the account."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=STATE, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=STATE, VersioningConfiguration={"Status": "Enabled"})
        plan = self.directory / "plan"
        plan.write_text('["there"]')
        environment = clean_environment(**CREDENTIALS) | self.environment | more
        terraform = self.directory / "programs" / "terraform"
        for where in ("terraform/bootstrap", "terraform"):
            command = [str(terraform), "apply", str(plan)]
            cwd = self.directory / where
            subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True)
        self.calls.write_text("")

    def creation(self) -> Creation:
        """Return what the command runs."""
        return Creation(
            ENV,
            Wanted(
                directory=self.directory / "terraform",
                version=VERSION,
                archives=self.directory / "archives",
                digests={},
                admin=EMAIL,
                accepted=("vpcs",),
                yes=True,
                delete_failed=False,
                force_unlock=False,
                as_json=False,
            ),
        )

    def stopped(self, step: str, number: int = signal.SIGINT) -> int:
        """Create the environment, and stop the command as soon as a step is done."""
        with self.start("create", *self.options("--admin", EMAIL)) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith(f"✓ {step}: "):
                    os.killpg(process.pid, number)
        return process.returncode

    def users(self) -> dict[str, str]:
        """Return what the database's users of ours may do."""
        with closing(pymysql.connect(host="127.0.0.1", port=self.database.port, user="root")) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT user FROM mysql.user WHERE user LIKE 'familycorp%'")
            users = [user for (user,) in cursor.fetchall()]
            grants = {}
            for user in users:
                cursor.execute(f"SHOW GRANTS FOR {user}")
                grants[user] = cursor.fetchall()[-1][0].partition(" ON ")[0]
        return grants

    def sql(self, *statements: str) -> None:
        with closing(pymysql.connect(host="127.0.0.1", port=self.database.port, user="root")) as connection:
            for statement in statements:
                connection.cursor().execute(statement)
            connection.commit()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with LoopbackServer(Site) as server:
        yield server.url


@pytest.fixture(scope="module")
def emulator() -> Iterator[MiniStack]:
    with MiniStackWithoutGaps(function=Path(sys.executable)) as server:
        yield server


@pytest.fixture
def account(emulator: MiniStack, mariadb: MariaDB, site: str, tmp_path: Path) -> Iterator[Account]:
    httpx.post(f"{emulator.url}/_ministack/reset", timeout=60).raise_for_status()
    mariadb.create_database("familycorp")
    try:
        made = Account(emulator, mariadb, site, tmp_path)
    except NotInstalledError as error:
        missing("terraform", error)
    made.sql("DROP USER IF EXISTS familycorp_app, familycorp_migrations")
    with made.data_api:
        yield made


def test_an_account_is_served_and_stopped_anywhere_the_command_goes_on(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps are taken in this process, so that a stop costs no new one; the last run is the command's."""
    account.data_api.asleep = 1  # The cluster wakes up for the first statement.
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(release, "SAM", account.directory / "programs" / "sam")
    # Otherwise every run reads the models of AWS's services again.
    monkeypatch.setattr("botocore.session.create_loader", cache(botocore.loaders.create_loader))
    for step in STEPS[2:-1]:  # Before these nothing is changed.
        with closing(account.creation().run()) as taken:
            assert any(name == step for name, _ in taken), step
    status, said, errors = account.create("--admin", EMAIL, "--json")
    assert status == 0, errors
    made = json.loads(said)
    assert [step["step"] for step in made["steps"]] == STEPS
    assert (made["environment"], made["url"], made["version"]) == (
        ENV,
        account.environment["SERVED"],
        VERSION,
    )
    seen = {step["step"]: step["seen"] for step in made["steps"]}
    assert seen["account"].startswith(f"{ACCOUNT}, arn:aws:iam::{ACCOUNT}:user/operator")
    assert (seen["infrastructure"], seen["signing key"]) == ("no changes", "there already")
    assert (seen["deployment"], seen["schema"]) == ("there already", "0004")
    calls = account.calls.read_text().splitlines()
    # Whatever was stopped, nothing was made twice.
    assert len([c for c in calls if c.startswith("terraform apply")]) == 1
    assert len([c for c in calls if c.startswith("sam deploy")]) == 1
    users = account.client("cognito-idp").list_user_pools(MaxResults=10)["UserPools"]
    group = {"UserPoolId": users[0]["Id"], "GroupName": "admins"}
    assert len(account.client("cognito-idp").list_users_in_group(**group)["Users"]) == 1
    assert account.users() == {
        "familycorp_app": "GRANT SELECT, INSERT, UPDATE, DELETE",
        "familycorp_migrations": "GRANT ALL PRIVILEGES",
    }
    assert _lock(account) is None


def _lock(account: Account) -> Any:
    s3 = account.client("s3")
    found = s3.list_objects_v2(Bucket=STATE, Prefix="environment.lock").get("Contents")
    return found and json.loads(s3.get_object(Bucket=STATE, Key="environment.lock")["Body"].read())


def test_nothing_is_begun_in_an_account_that_the_variables_dont_name(account: Account) -> None:
    for wanted, said in {
        None: f'write account_id = "{ACCOUNT}" there',
        "123456789012": f"of the account {ACCOUNT}, and account_id is 123456789012",
    }.items():
        account.variables(account_id=wanted)
        for run in (account.create, lambda: account.run("destroy", "--yes")):
            status, _, errors = run()
            assert (status, said in errors) == (1, True), errors
    account.variables(bucket_suffix="KR_1")
    status, _, errors = account.create()
    assert (status, "Terraform refuses terraform/envs/dev.tfvars" in errors) == (1, True)
    assert "bucket_suffix must be 1 to 30 lower-case letters" in errors
    assert "Traceback" not in errors
    assert account.client("s3").list_buckets()["Buckets"] == []


def test_what_the_doctor_finds_stops_it_until_it_is_accepted_by_name(account: Account) -> None:
    status, _, errors = account.run("create", "--version", VERSION, "--yes")
    assert status == 1
    assert "✗ vpcs" in errors
    assert "accept it by name: --accept vpcs" in errors
    assert account.client("s3").list_buckets()["Buckets"] == []


def test_a_second_run_is_refused_and_names_the_locks_owner(account: Account) -> None:
    account.applied()
    body = {
        "id": "x", "command": "environment create dev", "by": "arn:aws:iam::000000000000:user/haneul",
        "host": "laptop.example", "pid": 7, "since": "2026-11-24T03:00:00Z",
    }  # fmt: skip
    s3 = account.client("s3")
    s3.put_object(Bucket=STATE, Key="environment.lock", Body=json.dumps(body))
    for run in (account.create, lambda: account.run("destroy", "--yes")):
        status, _, errors = run()
        assert status == 1
        assert "started by arn:aws:iam::000000000000:user/haneul on laptop.example (process 7)" in errors
    assert _lock(account) == body
    assert "terraform apply" not in account.calls.read_text()
    _, _, errors = account.run("destroy", "--yes", "--force-unlock", "--delete=nothing")
    assert "Taking the lock of `environment create dev`, which arn:aws:iam" in errors
    assert _lock(account) is None


@pytest.mark.infra
def test_a_lock_whose_process_is_gone_is_taken(account: Account) -> None:
    account.applied()
    assert account.stopped("infrastructure") == 130
    assert _lock(account) is None, "who is interrupted gives it up"
    assert account.stopped("infrastructure", signal.SIGKILL) == -signal.SIGKILL
    held = _lock(account)
    assert held["by"].endswith(":user/operator")
    status, _, errors = account.create()
    assert status == 0, errors
    assert f"(process {held['pid']})" in errors
    assert _lock(account) is None


@pytest.mark.infra
def test_the_proxys_password_is_made_and_kept_and_shown_to_nobody(account: Account) -> None:
    """Stopped between the secret and the user, the next run gives the user the secret's password."""
    account.applied(PROXY="1")
    account.data_api.failing = "CREATE USER IF NOT EXISTS familycorp_app"
    status, _, first = account.create()
    assert status == 1
    secrets = account.client("secretsmanager")
    kept = json.loads(secrets.get_secret_value(SecretId=f"{NAME}-database")["SecretString"])
    assert kept["username"] == "familycorp_app"
    assert len(kept["password"]) > 40
    account.data_api.failing = ""
    status, said, second = account.create()
    assert status == 0, second
    assert json.loads(secrets.get_secret_value(SecretId=f"{NAME}-database")["SecretString"]) == kept
    assert kept["password"] not in first + said + second
    connection = pymysql.connect(
        host="127.0.0.1", port=account.database.port, user="familycorp_app", password=kept["password"]
    )
    connection.close()
    with pytest.raises(pymysql.OperationalError):
        pymysql.connect(host="127.0.0.1", port=account.database.port, user="familycorp_app")
    # The migrations' user goes past the proxy, by IAM.
    assert any(
        "ALTER USER familycorp_migrations IDENTIFIED WITH AWSAuth" in s for s in account.data_api.statements
    )


@pytest.mark.infra
def test_a_plan_is_applied_by_a_yes_alone_and_one_that_loses_data_by_a_persons(account: Account) -> None:
    asked = ("--version", VERSION, "--archives", str(account.directory / "archives"), "--accept", "vpcs")
    status, _, errors = account.run("create", *asked)
    assert (status, "There is no terminal to answer on: pass --yes." in errors) == (1, True)
    assert f"Make these 1 changes to {NAME} in the account {ACCOUNT}?" in errors
    ours, theirs = pty.openpty()
    os.write(ours, b"n\n")
    status, _, errors = account.run("create", *asked, stdin=theirs)
    assert (status, "what it would change" in errors, "Nothing was changed." in errors) == (1, True, True)
    os.close(ours)
    os.close(theirs)
    status, _, errors = account.create(LOSES="1")
    assert (status, "deletes what holds data" in errors, "aws_rds_cluster.main" in errors) == (1, True, True)
    assert "terraform apply" not in account.calls.read_text()


def test_a_person_applies_the_pipelines_roles_alone(account: Account) -> None:
    status, said, errors = account.run("roles", "--yes", "--json")
    assert status == 0, errors
    assert [s["step"] for s in json.loads(said)["steps"]] == ["account", "state", "roles"]
    ran = [call.split()[:2] for call in account.calls.read_text().splitlines()]
    assert ran == [["roles", command] for command in ("init", "plan", "show", "apply")]
    status, _, errors = account.run("roles")
    assert (status, "✓ roles: no changes" in errors) == (0, True), errors


def test_terraforms_own_lock_is_named_with_its_holder(account: Account) -> None:
    account.applied()
    held = {
        "ID": "7",
        "Operation": "OperationTypeApply",
        "Who": "haneul@laptop",
        "Created": "2026-11-24T03:00:00Z",
    }
    s3 = account.client("s3")
    s3.put_object(Bucket=STATE, Key="familycorp.tfstate.tflock", Body=json.dumps(held))
    status, _, errors = account.create(FAILS="1")
    assert status == 1
    assert "haneul@laptop holds the lock of Terraform's state since 2026-11-24T03:00:00Z" in errors
    assert "force-unlock 7" in errors


@pytest.mark.infra
def test_a_deployment_that_was_left_at_work_is_waited_for(account: Account) -> None:
    account.applied()
    status, _, errors = account.create(STOPPED="1")
    assert (status, "SAM failed." in errors) == (1, True)
    status, _, errors = account.create()
    assert status == 0, errors
    assert account.calls.read_text().count("sam deploy") == 1


@pytest.mark.infra
def test_a_second_environment_finds_githubs_provider_and_another_issuer_has_its_command(
    account: Account,
) -> None:
    iam = account.client("iam")
    arn = iam.create_open_id_connect_provider(
        Url="https://token.actions.githubusercontent.com", ClientIDList=["sts.amazonaws.com"]
    )["OpenIDConnectProviderArn"]
    account.applied(ISSUER="https://login.familycorp.example")
    status, said, errors = account.create("--admin", EMAIL, "--json")
    assert status == 0, errors
    assert f"-var=github_oidc_provider_arn={arn}" in account.calls.read_text()
    (admin,) = [s["seen"] for s in json.loads(said)["steps"] if s["step"] == "first admin"]
    assert f"After their first login run `familycorp members grant-role {EMAIL} admin --env {ENV}`" in admin


def _filled(account: Account) -> None:
    """Have people write something: a post in the database and published, a file, a user."""
    account.sql(
        *(f"CREATE TABLE familycorp.{t} (id INT)" for t in ("posts", "members", "inquiries", "uploads"))
    )
    account.sql("INSERT INTO familycorp.posts VALUES (1), (2)", "INSERT INTO familycorp.members VALUES (1)")
    account.client("dynamodb").create_table(
        TableName=f"{NAME}-posts",
        KeySchema=[{"AttributeName": "postId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "postId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    account.client("dynamodb").put_item(TableName=f"{NAME}-posts", Item={"postId": {"S": "1"}})
    s3 = account.client("s3")
    s3.create_bucket(Bucket=f"{NAME}-uploads", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=f"{NAME}-uploads", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=f"{NAME}-uploads", Key="files/1", Body=b"x")
    s3.delete_object(Bucket=f"{NAME}-uploads", Key="files/1")  # Thirty days long it can be had back.


@pytest.mark.infra
def test_an_environment_goes_when_all_that_holds_data_is_named(account: Account) -> None:
    assert account.create("--admin", EMAIL)[0] == 0
    _filled(account)
    holders = {
        f"{NAME}-database": "2 posts, 1 members",
        f"{NAME}-posts": "published posts",
        f"{NAME}-staff": "users",
        f"{NAME}-uploads": "files, or versions of deleted ones",
    }
    options = [f"--delete={name}" for name in holders]
    status, said, errors = account.run("destroy", "--yes", *options[1:])
    assert (status, said) == (1, "")
    assert f"{NAME}-database: 2 posts, 1 members" in errors
    assert f"If all of it may go: --delete {NAME}-database\n" in errors
    status, _, errors = account.run("destroy", "--yes", *options, "--delete=familycorp-prod-database")
    assert (status, "dev has no familycorp-prod-database" in errors) == (1, True)
    assert "sam delete" not in account.calls.read_text()
    status, said, errors = account.run("destroy", "--yes", "--json", *options)
    assert status == 0, errors
    assert [s["step"] for s in json.loads(said)["steps"]] == [
        *("account", "data", "functions and API", "infrastructure", "roles", "state"),
    ]
    assert all(f"{name}: {holds}" in errors for name, holds in holders.items())
    calls = account.calls.read_text().splitlines()
    destroyed = [i for i, c in enumerate(calls) if "-destroy" in c]
    assert calls.index("sam delete") < destroyed[0], "functions use what Terraform made"
    assert [calls[i].split()[0] for i in destroyed] == ["terraform", "roles"], "IAM keeps a boundary in use"
    assert f"{STATE}" not in [b["Name"] for b in account.client("s3").list_buckets()["Buckets"]]
    status, said, _ = account.run("destroy", "--yes")
    assert (status, said) == (0, "Nothing is left of dev.\n")


@pytest.mark.infra
def test_deletion_protection_is_named_too_and_prods_is_never_switched_off(account: Account) -> None:
    account.applied()
    account.variables(deletion_protection=True)
    _filled(account)
    account.client("dynamodb").update_table(TableName=f"{NAME}-posts", DeletionProtectionEnabled=True)
    status, _, errors = account.run("destroy", "--yes")
    assert (status, f"{NAME}-posts: published posts, deletion protection" in errors) == (1, True)
    named = [f"--delete={NAME}-{name}" for name in ("database", "posts", "uploads")]
    status, _, errors = account.run("destroy", "--yes", *named)
    assert status == 0, errors
    planned = [c for c in account.calls.read_text().splitlines() if c.startswith("terraform plan")]
    assert "-var=deletion_protection=false" in planned[0], "it is switched off before anything goes"
    assert ["-destroy" in p for p in planned] == [False, True]
    refused = subprocess.run(
        [sys.executable, "-m", "familycorp_ops", "environment", "destroy", "prod", "--yes"],
        capture_output=True, text=True, check=False, env=account.environment,
    )  # fmt: skip
    assert (refused.returncode, "No command destroys Prod" in refused.stderr) == (1, True)


@pytest.mark.infra
def test_githubs_provider_stays_for_the_environments_that_trust_it(account: Account) -> None:
    account.applied()
    trust = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"}
    policy = {
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": trust}]
    }
    for env in ("dev", "stage"):
        account.client("iam").create_role(
            RoleName=f"familycorp-{env}-deploy", AssumeRolePolicyDocument=json.dumps(policy)
        )
    made = {"mode": "managed", "type": "aws_iam_openid_connect_provider", "instances": [{"attributes": {}}]}
    account.client("s3").put_object(
        Bucket=STATE, Key="bootstrap.tfstate", Body=json.dumps({"resources": [made]})
    )
    status, _, errors = account.run("destroy", "--yes")
    assert status == 0, errors
    assert "stays, because familycorp-stage-deploy trust it" in errors
    calls = account.calls.read_text()
    forgotten = calls.index("roles state rm aws_iam_openid_connect_provider.github[0]")
    assert forgotten < calls.index("-destroy", calls.index("roles plan"))


@pytest.mark.infra
def test_policies_that_people_were_given_are_taken_from_them(account: Account) -> None:
    """IAM deletes no policy that is attached to somebody."""
    account.applied()
    iam, name = account.client("iam"), f"{NAME}-operator-read"
    document = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
    arn = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_user_policy(UserName="operator", PolicyArn=arn)
    made = {
        "mode": "managed",
        "type": "aws_iam_policy",
        "instances": [{"attributes": {"arn": arn, "name": name}}],
    }
    account.client("s3").put_object(
        Bucket=STATE, Key="bootstrap.tfstate", Body=json.dumps({"resources": [made]})
    )
    status, _, errors = account.run("destroy", "--yes")
    assert status == 0, errors
    assert f"The policy {name} is detached from operator." in errors
    iam.delete_policy(PolicyArn=arn)


@pytest.mark.infra
def test_terraform_as_the_deployer_makes_everything_first_and_the_functions_of_an_image_later(
    account: Account,
) -> None:
    """The image's registry is made first, and the signing key before its rotation."""
    account.variables(app_deployer="terraform")
    account.applied()
    digests = ["sha256:" + letter * 64 for letter in "ab"]
    given = ["--digest", digests[0], "--functions-digest", digests[1]]
    _, _, errors = account.run("create", *given, "--version", VERSION, "--yes")
    planned = [c for c in account.calls.read_text().splitlines() if c.startswith("terraform plan")]
    assert [[w for w in p.split() if w.startswith("-var=")] for p in planned] == [
        ["-var=app_deployer=sam"],
        [f"-var=image_digest={digests[0]}", f"-var=functions_image_digest={digests[1]}"],
    ], errors
    done = [line.partition(":")[0] for line in errors.splitlines() if line.startswith("✓")]
    assert done == [f"✓ {step}" for step in STEPS[:9]]
