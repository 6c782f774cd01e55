"""Commands that operators and the pipeline run in a rehearsal, and what the emulated account shows."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from familycorp_ops.deploy import infra
from familycorp_ops.deploy.load import Load
from familycorp_ops.deploy.release import SAM
from familycorp_ops.deploy.smoke import stack as stack_name
from familycorp_ops.rehearse.cloud import Cloud
from familycorp_ops.rehearse.journey import PATIENCE_S
from familycorp_ops.rehearse.promise import BrokenPromiseError, expect
from familycorp_ops.rehearse.releases import Archives, Images, Releases
from familycorp_ops.rehearse.report import Report
from familycorp_ops.rehearse.variant import Variant

ENV: Final = "dev"
API: Final = "https://api-dev.familycorp.example"
SITE: Final = "https://dev.familycorp.example"
TERRAFORM: Final = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
_MIGRATION: Final = '''"""A change that only the rehearsal makes."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{head}"
branch_labels = depends_on = None


def upgrade() -> None:
    op.add_column("{table}", sa.Column("rehearsed", sa.Boolean, nullable=True))
'''


class Commands:
    """What the steps of a rehearsal run.

    Args:
        directory: where everything goes; what is in there stays.
        report: receives each step.
        variant: what a release is.
    """

    _cloud: Cloud

    def __init__(self, directory: Path, report: Report, variant: Variant) -> None:
        self._directory, self._report = directory, report
        made = Images if variant == Variant.IMAGE else Archives
        self._releases: Releases = made(directory, self._command)
        self._terraform = directory / "terraform"
        self._url = ""
        self._read: list[str] = []

    def _rotated(self) -> dict[str, str]:
        """Rotate as Secrets Manager does, which the emulator only notes; return the new key."""
        name, version = f"familycorp-{ENV}-signing-key", str(uuid.uuid4())
        for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
            event = {"Step": step, "SecretId": name, "ClientRequestToken": version}
            answer = self._cloud.client("lambda").invoke(
                FunctionName=f"familycorp-{ENV}-rotation", Qualifier="live", Payload=json.dumps(event)
            )
            expect("FunctionError" not in answer, f"{step} failed: {answer['Payload'].read()[:300]!r}")
        return self._signing_key()

    def _signing_key(self) -> dict[str, str]:
        secrets = self._cloud.client("secretsmanager")
        found = secrets.get_secret_value(SecretId=f"familycorp-{ENV}-signing-key")
        key: dict[str, str] = json.loads(found["SecretString"])
        expect(key.get("kty") == "EC", "the secret holds no key")
        return key

    def _make(
        self, target: str, credentials: Mapping[str, str], *options: str, until: str = "", **variables: str
    ) -> tuple[int, list[str]]:
        """Run a target of make with somebody's credentials; return its status, and what it said.

        Args:
            target: the target.
            credentials: variables of who runs it.
            options: words of its ARGS.
            until: step after which it is stopped, as by Ctrl-C.
            variables: further variables of make.
        """
        lines = []
        arguments = shlex.join(("--directory", str(self._terraform), *options))
        with (
            (self._cloud.logs / f"{target}.log").open("a", encoding="utf-8") as file,
            subprocess.Popen(
                [
                    "make",
                    target,
                    f"ENV={ENV}",
                    f"ARGS={arguments}",
                    *(f"{k}={v}" for k, v in variables.items()),
                ],
                cwd=infra.ROOT,
                env=self._cloud.environment(**credentials, **TERRAFORM),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # What stops it, stops its programs, and not the rehearsal.
            ) as process,
        ):
            assert process.stdout is not None  # noqa: S101 - it is a pipe.
            for line in process.stdout:
                file.write(line)
                file.flush()
                lines.append(line.strip())
                if credentials is self._cloud.operator:
                    self._report.terraform.read(line)
                if until and line.startswith(f"✓ {until}: "):
                    os.killpg(process.pid, signal.SIGINT)
        return process.returncode, [line for line in lines if line and not line.startswith("make")]

    def _infra(self, command: str, role: str, *, fails: bool = False, **variables: str) -> list[str]:
        """Run a target of the pipeline's by the role that runs it; return what it said."""
        session = self._cloud.pipeline(f"familycorp-{ENV}-{role}", f"{ENV}-{role}")
        expect(bool(session), f"a run of {ENV}-{role} doesn't get its role")
        status, lines = self._make(f"infra-{command}", session, **variables)
        expect(bool(status) == fails, f"infra-{command} ended with {status}: {' / '.join(lines[-3:])}")
        return lines

    def _saved_plan(self) -> str:
        return first_match(r"is saved: (\w{64})", "\n".join(self._infra("plan", "plan")))

    def _applied(self, plan: str, *, refused: str = "") -> str:
        """Apply a saved plan, or see it refused for a reason; return what was said of it."""
        lines = self._infra("apply", "infra", fails=bool(refused), PLAN=plan)
        return next(line for line in lines if (refused or "Applied") in line)

    def _alarm_during(self, act: Callable[[], object]) -> str:
        """Return the message that subscribers of alarms get while `act` runs; empty without one."""
        sqs, sns = self._cloud.client("sqs"), self._cloud.client("sns")
        where = f"/familycorp/{ENV}/events/alarms-topic"
        topic = self._cloud.client("ssm").get_parameter(Name=where)["Parameter"]["Value"]
        queue = sqs.create_queue(QueueName="rehearsal")["QueueUrl"]
        asked = {"QueueUrl": queue, "AttributeNames": ["QueueArn"]}
        arn = sqs.get_queue_attributes(**asked)["Attributes"]["QueueArn"]
        allowed = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
        ended = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
        try:
            act()
            messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10).get("Messages", [])
            return str(json.loads(messages[0]["Body"])["Message"]) if messages else ""
        finally:
            sns.unsubscribe(SubscriptionArn=ended)
            sqs.delete_queue(QueueUrl=queue)

    def _shell(self, line: str) -> str:
        """Run a command line of a document, with AWS's own command-line client."""
        path = os.pathsep.join((str(SAM.parent), os.environ["PATH"]))
        return self._command("documents", ["bash", "-c", line], infra.ROOT, (0,), PATH=path)

    def _source(self, version: str, migrations: Mapping[str, str], *, breaks: bool = False) -> Path:
        """Return a copy of the source with further migrations, each of a table, or one that can't start."""
        source = self._directory / f"source-{version}"
        for item in self._releases.sources:
            here, there = infra.ROOT / item, source / item
            there.parent.mkdir(parents=True, exist_ok=True)
            if here.is_dir():
                shutil.copytree(here, there, ignore=shutil.ignore_patterns("tests", "__pycache__"))
            else:
                shutil.copy(here, there)
        versions = source / "be-app" / "migrations" / "versions"
        head = max(file.name.partition("_")[0] for file in versions.glob("0*.py"))
        for revision, table in migrations.items():
            text = _MIGRATION.format(revision=revision, head=head, table=table)
            (versions / f"{revision}.py").write_text(text)
            head = revision
        if breaks:
            with (source / "be-app" / "app" / "main.py").open("a") as main:
                main.write("\nraise RuntimeError('This release is broken on purpose.')\n")
        return source

    def _push(self, version: str) -> str:
        """Push a release's images as a run of the pipeline does; return the digest of what serves HTTP."""
        if not isinstance(self._releases, Images):
            return ""
        asked = ("--version", version, "--images", str(self._releases.directory(version)))
        self._pipeline("push", "release", "push", ENV, *asked)
        return self._releases.options(version)[1][:19]

    def _deploy(self, release: str, version: str | None = None) -> None:
        self._deploy_by(self._releases.options(release), version or release)

    def _deploy_by(self, options: Sequence[str], version: str, *, fails: bool = False) -> None:
        asked = ("release", "deploy", ENV, *options, "--version", version)
        self._pipeline("deploy", *asked, allowed=(1,) if fails else (0,))

    def _smoke(self, *more: str, fails: bool = False) -> str:
        asked = ("smoke", self._url, "--env", ENV, "--origin", SITE, *more)
        trust = {"SSL_CERT_FILE": str(self._cloud.ca)}
        said = self._familycorp("smoke", *asked, allowed=(1,) if fails else (0,), **trust)
        return f"{said.count('✓')} of {said.count('✓') + said.count('✗')} checks"

    def _running(self) -> dict[str, Any]:
        """Return what `familycorp release status` prints, whether it finds problems or not."""
        said: dict[str, Any] = json.loads(
            self._familycorp("status", "release", "status", ENV, "--json", allowed=(0, 1))
        )
        expect(said["schema"] is not None, f"the schema can't be read: {said['checks']}")
        return said

    def _status(self) -> str:
        stacks = self._cloud.client("cloudformation").describe_stacks(StackName=stack_name(ENV))["Stacks"]
        return str(stacks[0]["StackStatus"])

    def _address(self) -> str:
        """Return where the emulator serves the API, whose own name leads nowhere."""
        apis = self._cloud.client("apigatewayv2").get_apis()["Items"]
        expect(len(apis) == 1, f"there are {len(apis)} APIs")
        return f"{self._cloud.emulator.url}/_aws/execute-api/{apis[0]['ApiId']}/$default"

    def _load(self) -> Load:
        return Load(self._url, self._read, self._cloud.trust, timeout_s=PATIENCE_S)

    def _familycorp(
        self, log: str, *arguments: str, allowed: Sequence[int] = (0,), **environment: str
    ) -> str:
        command = [sys.executable, "-m", "familycorp_ops", *arguments]
        return self._command(log, command, infra.ROOT, allowed, **environment)

    def _pipeline(self, log: str, *arguments: str, allowed: Sequence[int] = (0,)) -> str:
        """Run `familycorp` as a run of the pipeline would: with the role that trusts GitHub's word for it."""
        session = self._cloud.pipeline(f"familycorp-{ENV}-deploy", ENV)
        expect(bool(session), f"a run of {ENV} doesn't get its role")
        trust = {"SSL_CERT_FILE": str(self._cloud.ca)}  # For `skopeo`.
        return self._familycorp(log, *arguments, allowed=allowed, **session, **trust)

    def _tf(self, *arguments: str, allowed: Sequence[int] = (0,)) -> str:
        plain = [] if arguments[0] in {"output", "show"} else ["-no-color"]
        command = [infra.executable(), arguments[0], *plain, *arguments[1:]]
        return self._command(f"terraform-{arguments[0]}", command, self._terraform, allowed, **TERRAFORM)

    def _command(
        self, log: str, command: Sequence[str], cwd: Path, allowed: Sequence[int] = (0,), **environment: str
    ) -> str:
        """Run a program with the emulator's variables, keep what it says, and return what it says to its user."""
        with (self._cloud.logs / f"{log}.log").open("a+", encoding="utf-8") as file:
            before = file.tell()
            file.write(f"$ {' '.join(command)}\n")
            file.flush()
            ran = subprocess.run(
                command,
                cwd=cwd,
                env=self._cloud.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                check=False,
            )
            file.write(ran.stdout)
            file.flush()
            if ran.returncode not in allowed:
                file.seek(before)
                lines = [line.strip() for line in file.read().splitlines() if line.strip()]
                said = " / ".join(lines[-3:])
                raise BrokenPromiseError(f"{log} ended with {ran.returncode}: {said} (see {file.name})")
        return ran.stdout


def first_match(pattern: str, text: str) -> str:
    """Return the first group of a pattern in a text; raise `BrokenPromiseError` where it isn't."""
    match = re.search(pattern, text)
    if match is None:
        raise BrokenPromiseError(f"{pattern} isn't in what was said")
    return match.group(1)
