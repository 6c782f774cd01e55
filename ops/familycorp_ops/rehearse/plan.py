"""The steps of a rehearsal, in their order. Each raises where what it promises doesn't hold."""

import json
import re
import shlex
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from familycorp_ops.deploy import infra
from familycorp_ops.deploy.environment import ROLES_KEY, STATE_KEY
from familycorp_ops.deploy.load import Load
from familycorp_ops.deploy.release import SAM
from familycorp_ops.rehearse import incidents
from familycorp_ops.rehearse.cloud import AWS_SIDE, LOGIN_HOST, LOGIN_PORT, REPOSITORY_IDS, Cloud
from familycorp_ops.rehearse.commands import API, ENV, SITE, Commands, first_match
from familycorp_ops.rehearse.journey import PATIENCE_S, Staff, at_browser
from familycorp_ops.rehearse.operating import (
    READ,
    WRITE,
    Laptop,
    change_member,
    make_first_admin,
    move_content,
    take_inquiries,
)
from familycorp_ops.rehearse.promise import expect
from familycorp_ops.rehearse.releases import Images
from familycorp_ops.rehearse.remains import remains
from familycorp_ops.rehearse.report import Report
from familycorp_ops.rehearse.variant import Variant

GAPS: Final = Path(__file__).with_name("gaps.tf")
NEW_REVISION: Final = "rehearsal"
INFRA_ROLE: Final = f"familycorp-{ENV}-infra"
ADMIN: Final = "admin@familycorp.example"
VARIABLES: Final[Mapping[str, Any]] = {
    "oidc_issuer": f"https://{LOGIN_HOST}:{LOGIN_PORT}",
    "oidc_client_id": "familycorp",
    "github_repository_ids": REPOSITORY_IDS,
    "github_trusts_names": False,
    "database_engine_version": "8.0.mysql_aurora.3.08.0",  # The emulator offers no newer one.
    "api_burst": 16,  # On a small machine the emulator runs no more functions at once.
}
"""What an operator chooses for this account."""
EMULATOR: Final = """
terraform {
  backend "s3" {
    key                      = "familycorp.tfstate"
    encrypt                  = true
    use_lockfile             = true
    use_path_style           = true
    skip_metadata_api_check  = true
    skip_region_validation   = true
  }
}

provider "aws" {
  s3_use_path_style = true
  max_retries       = 2
}
"""
_WIDER: Final = f"""
resource "aws_iam_role_policy" "wider" {{
  name   = "wider"
  role   = "{INFRA_ROLE}"
  policy = jsonencode({{
    Version   = "2012-10-17"
    Statement = [{{ Effect = "Allow", Action = "*", Resource = "*" }}]
  }})
}}
"""


class Rehearsal(Commands):
    """One rehearsal.

    Args:
        directory: where everything goes; what is in there stays.
        report: receives each step.
        variant: what a release is.
    """

    def __init__(self, directory: Path, report: Report, variant: Variant) -> None:
        super().__init__(directory, report, variant)
        self._first_admin: list[str] = []
        self._people: dict[str, Staff] = {}

    def run(self) -> None:
        """Take every step; raise at the first broken promise."""
        with ExitStack() as stack:
            with self._report.step(
                "An emulator of AWS, a database, a cache and a login provider start"
            ) as row:
                self._releases.check()
                self._cloud = stack.enter_context(Cloud(self._directory, ENV, API))
                row.seen = f"{self._cloud.emulator.name}, {self._cloud.database.name}, Valkey, NanoIDP"
            # Terraform and CloudFormation mostly wait, so the releases are built meanwhile, one after the other.
            first = _Background(lambda: self._releases.build(infra.ROOT, "first"))
            others = _Background(lambda: self._build_others(first))
            stack.callback(others.wait)
            self._infrastructure()
            with self._report.step(
                "The release is built, and pushed by the pipeline where it is images"
            ) as row:
                first.result()
                row.seen = self._push("first")
            self._first_release()
            self._meet(stack)
            self._operate(stack)
            with self._report.step("So are the two releases that follow") as row:
                others.result()
                row.seen = " ".join(map(self._push, ("second", "broken")))
            self._second_release()
            self._failing_releases()
            self._rollback()
            self._change_infrastructure()
            self._incidents()
            self._end()

    def _infrastructure(self) -> None:
        shutil.copytree(
            infra.SOURCE,
            self._terraform,
            symlinks=True,
            ignore=shutil.ignore_patterns(".terraform", "*.tfstate*"),
        )
        (self._terraform / "emulator_override.tf").write_text(f"{EMULATOR}\n{GAPS.read_text()}")
        (self._terraform / infra.BOOTSTRAP / "emulator_override.tf").write_text(
            EMULATOR.replace(STATE_KEY, ROLES_KEY)
        )
        with self._report.step(
            "Nothing is begun in an account that the environment's variables don't name"
        ) as row:
            self._choose(**VARIABLES)
            said = self._create(refused=True)
            account = self._cloud.account
            expect(f'account_id = "{account}"' in said, f"it says: {said}")
            expect(not list(remains(self._cloud.client, "familycorp")), "something was made")
            self._choose(account_id=account)
            row.seen = f"refused until account_id is {account}"
        with self._report.step("make environment begins, and is stopped before Terraform applies") as row:
            row.seen = self._create(until="state")
        with self._report.step("The same command goes on, and is stopped behind Terraform's apply") as row:
            row.seen = self._create(until="infrastructure")
        with self._report.step("Terraform's names lead to the stand-ins") as row:
            outputs = {k: v["value"] for k, v in json.loads(self._tf("output", "-json")).items()}
            settings: Mapping[str, str] = outputs["settings"]
            host = first_match(r"@([^:/]+):3306/", settings["DATABASE_URL"])
            self._cloud.name(host, first_match(r"//([^@]+)@", settings["CACHE_URL"]), "familycorp")
            row.seen = host

    def _choose(self, **variables: Any) -> None:
        """Write variables into the environment's file, as an operator does."""
        lines = (f"{name} = {json.dumps(value)}\n" for name, value in variables.items())
        with (self._terraform / "envs" / f"{ENV}.tfvars").open("a") as file:
            file.write("".join(lines))

    def _create(self, *, until: str = "", refused: bool = False) -> str:
        """Create the environment; return why the command refused, or what a step saw.

        Args:
            until: step after which the command is stopped, as by Ctrl-C; it is the one whose words are returned.
                Without it they are those of the first admin's.
            refused: whether it is to refuse.
        """
        asked = ("--version", "first", "--admin", ADMIN, "--accept", "vpcs", "--yes")
        # The registry has the images of this version.
        chosen = () if isinstance(self._releases, Images) else self._releases.options("first")
        ended, lines = self._operator("environment", *asked, *chosen, until=until)
        expect(
            bool(ended) == (refused or bool(until)), f"create ended with {ended}: {' / '.join(lines[-3:])}"
        )
        if refused:
            return lines[-1]
        return next(line for line in lines if line.startswith(f"✓ {until or 'first admin'}: ")).partition(
            ": "
        )[2]

    def _operator(self, target: str, *options: str, until: str = "") -> tuple[int, list[str]]:
        """Run a target of make as the operator does, until a step is done; return its status, and what it said."""
        return self._make(target, self._cloud.operator, *options, until=until)

    def _build_others(self, first: "_Background") -> None:
        first.wait()
        self._releases.build(self._source("second", {NEW_REVISION: "posts"}), "second")
        # Each migration follows those before it.
        self._releases.build(
            self._source("broken", {NEW_REVISION: "posts", "failing": "nowhere"}, breaks=True), "broken"
        )

    def _first_release(self) -> None:
        with self._report.step("It goes on, and is stopped behind the deployment") as row:
            row.seen = self._create(until="deployment")
        with self._report.step("It goes on to the end: the site is served") as row:
            said = self._create()
            self._first_admin = shlex.split(first_match(r"`familycorp (.+)`", said))
            self._url = self._address()
            row.seen = self._status()
        with self._report.step("The pipeline's role trusts its own environment alone") as row:
            refused = self._cloud.pipeline(f"familycorp-{ENV}-deploy", f"{ENV}-plan")
            expect(not refused, "a plan's run gets the role of deployments")
            row.seen = f"a run of {ENV}-plan is refused"
        with self._report.step("The smoke test passes") as row:
            row.seen = self._smoke("--release", "first")
        with self._report.step("`release status` shows what runs") as row:
            status = self._running()
            expect(status["release"] == "first", f"the release is {status['release']}")
            expect(status["schema"]["lacking"] == [], f"the schema is {status['schema']}")
            functions, revision = len(status["functions"]), status["schema"]["revision"]
            row.seen = f"{status['release']}, {functions} functions, schema {revision}"
        with self._report.step("sam logs shows the functions' lines") as row:
            shown = self._shell(f"{SAM} logs --config-env {ENV}")
            expect('"correlation_id"' in shown, f"sam logs shows {shown[:300]!r}")
            row.seen = f"{len(shown.splitlines())} lines"
        with self._report.step("Ten seconds of load lose no request") as row:
            trust = {"SSL_CERT_FILE": str(self._cloud.ca)}
            asked = ("load", self._url, "--seconds", "10", "--timeout", str(PATIENCE_S))
            row.seen = self._familycorp("load", *asked, allowed=(0,), **trust).strip()

    def _meet(self, stack: ExitStack) -> None:
        places = {API: self._url, f"https://{LOGIN_HOST}:{LOGIN_PORT}": f"https://{AWS_SIDE}:{LOGIN_PORT}"}
        with self._report.step("People log in with a second factor") as row:
            for username in ("admin", "editor", "viewer"):
                person = stack.enter_context(at_browser(self._cloud.trust, places, API, username, SITE))
                person.log_in()
                self._people[username] = person
            row.seen = ", ".join(self._people)
        admin, editor, viewer = self._people.values()
        with self._report.step("An editor publishes; everybody reads and finds it") as row:
            admin.make_category("news")
            post = editor.publish()
            read = admin.client.get(f"/v1/posts/{post['slug']}")
            expect(read.status_code == 200, f"the post is answered with {read.status_code}")
            found = admin.client.get("/v1/search", params={"q": post["title"]}).json().get("items", [])
            expect(any(item["id"] == post["id"] for item in found), "the search doesn't find it")
            self._read = ["/v1/posts?lang=ko", f"/v1/posts/{post['slug']}"]
            row.seen = post["slug"]
        with self._report.step("A file goes straight to S3 and is checked; a changed form is refused") as row:
            row.seen = editor.upload(self._cloud.trust)
        with self._report.step("What a role may not do is denied") as row:
            somebody = admin.client.get("/v1/auth/me").json()["id"]
            seen = (
                viewer.post("/v1/editor/posts", {}).status_code,
                editor.post(f"/v1/members/{somebody}/disable").status_code,
            )
            expect(seen == (403, 403), f"answered with {seen}")
            row.seen = "a viewer's draft, an editor who would disable an admin"

    def _operate(self, stack: ExitStack) -> None:
        name, session = f"familycorp-{ENV}", "haneul"
        both = self._cloud.person("operators", session, f"{name}-{READ}", f"{name}-{WRITE}")
        reads = self._cloud.person("readers", session, f"{name}-{READ}")
        operator, reader, pipeline = (
            Laptop(self._familycorp, ENV, credentials)
            for credentials in (both, reads, self._cloud.pipeline(f"{name}-deploy", ENV))
        )
        visitor = stack.enter_context(at_browser(self._cloud.trust, {API: self._url}, API, "", SITE)).client
        with self._report.step("The command that make environment printed makes the first admin") as row:
            *granted, _env, _dev = self._first_admin
            row.seen = make_first_admin(operator, self._people["admin"], granted)
        with self._report.step("An operator without a way into the VPC reads the schema") as row:
            schema = operator.run("db", "status")
            expect(schema["lacking"] == [], f"it says {schema}")
            row.seen = schema["revision"]
        with self._report.step("Who may read changes nothing; who deploys may neither") as row:
            reader.expect_refused(WRITE, "members", "disable", ADMIN)
            pipeline.expect_refused(WRITE, "members", "disable", ADMIN)
            pipeline.expect_refused(READ, "members", "list")
            row.seen = "the commands name the policy that is missing"
        with self._report.step(
            "A role, sessions and a member are ended; the trail names the operator"
        ) as row:
            arn = f"arn:aws:sts::{self._cloud.account}:assumed-role/operators/{session}"
            row.seen = change_member(operator, self._people["viewer"], arn)
        with self._report.step("Content goes out and comes in through a bucket; visitors read it") as row:
            row.seen = move_content(operator, visitor, self._directory)
        with self._report.step("What visitors wrote is taken out") as row:
            row.seen = take_inquiries(operator, visitor, self._directory)

    def _second_release(self) -> None:
        with self._report.step("An update and its migration, under load, lose no request") as row:
            with self._load() as load:
                self._deploy("second")
                lacking = self._running()["schema"]["lacking"]
                expect(lacking == [NEW_REVISION], f"before the migration the schema lacks {lacking}")
                said = self._pipeline("migrate", "release", "migrate", ENV)
                self._smoke("--release", "second")
            expect(NEW_REVISION in said, f"the migration says: {said}")
            row.seen = _unbroken(load, "first", "second")

    def _failing_releases(self) -> None:
        with self._report.step("A release that can't be deployed is taken back, and nobody notices") as row:
            chosen = self._releases.impossible("second")
            with self._load() as load:
                self._deploy_by(chosen, "impossible", fails=True)
            status = self._status()
            expect(status == "UPDATE_ROLLBACK_COMPLETE", f"the stack is {status}")
            row.seen = f"{status}; {_unbroken(load, 'second')}"
        with self._report.step("A release that doesn't serve fails the smoke test") as row:
            self._deploy("broken")
            row.seen = f"{self._smoke('--release', 'broken', fails=True)} passed"
        with self._report.step(
            "Its migration, which fails, says why; the alarm reaches its subscribers"
        ) as row:
            said = self._shell(f"make migrate ENV={ENV} 2>&1 || echo ended with $?")
            failed = re.search(r"The migration failed: .*nowhere.*", said)
            expect(failed is not None and "ended with" in said, f"the migration says: {said}")
            reported = self._alarm_during(
                lambda: self._pipeline("alarm", "release", "alarm", ENV, "A deployment failed.")
            )
            expect("A deployment failed." in reported, f"the alarm says: {reported}")
            row.seen = "no table to change; an alarm by mail or queue"

    def _rollback(self) -> None:
        with self._report.step("Rollback: the first release serves again, on the newer schema") as row:
            self._deploy("first")
            self._smoke("--release", "first")
            revision = self._cloud.sql("SELECT version_num FROM familycorp.alembic_version")
            expect(revision == [(NEW_REVISION,)], f"the schema is {revision}")
            editor = self._people["editor"]
            editor.log_in()
            read = editor.client.get(f"/v1/posts/{editor.publish()['slug']}")
            expect(read.status_code == 200, f"a new post is answered with {read.status_code}")
            schema = self._running()["schema"]
            expect(schema == {"revision": NEW_REVISION, "lacking": [], "known": False}, f"it says {schema}")
            row.seen = f"first on schema {NEW_REVISION}"

    def _change_infrastructure(self) -> None:
        with self._report.step("The pipeline plans a change, and applies the plan that was approved") as row:
            self._choose(signing_key_rotation_days=45)
            approved = self._saved_plan()
            said = self._applied(approved)
            name = f"/familycorp/{ENV}/secrets/rotation-days"
            days = self._cloud.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
            expect(days == "45", f"{name} is {days} after: {said}")
            row.seen = f"{said} {approved[:12]}…"
        with self._report.step("A plan that was made before the state moved is refused") as row:
            row.seen = self._applied(approved, refused="stale")
        with self._report.step("A plan that widens the pipeline's own role is refused") as row:
            wider = self._terraform / "wider.tf"
            wider.write_text(_WIDER)
            said = self._applied(self._saved_plan(), refused="explicit deny")
            wider.unlink()
            held = self._cloud.client("iam").list_role_policies(RoleName=INFRA_ROLE)["PolicyNames"]
            expect("wider" not in held, f"{INFRA_ROLE} has the policies {held}")
            row.seen = first_match(r"(iam:\w+ with an explicit deny)", said)
        with self._report.step(
            "A difference that was made by hand is found, raises the alarm, and doctor shows it"
        ) as row:
            group, logs = f"/aws/lambda/familycorp-{ENV}-drain", self._cloud.client("logs")
            [before] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            logs.put_retention_policy(logGroupName=group, retentionInDays=1)
            reported = self._alarm_during(lambda: self._infra("drift", "plan", fails=True))
            expect("differ" in reported, f"the alarm says: {reported}")
            said = json.loads(self._familycorp("doctor", "doctor", ENV, "--json", allowed=(1,)))
            [found] = (c["findings"] for c in said["checks"] if c["check"] == "infrastructure")
            expect(any('log_group.function["drain"]' in f["what"] for f in found), f"doctor shows {found}")
            logs.put_retention_policy(logGroupName=group, retentionInDays=before["retentionInDays"])
            row.seen = f"the retention of {group}"

    def _incidents(self) -> None:
        editor = self._people["editor"]
        with self._report.step(
            "A leaked signing key is replaced: its tokens are refused, sessions stay"
        ) as row:
            leaked = self._signing_key()
            token = incidents.forged(editor, leaked)
            seen = incidents.asked_with(token, editor).status_code
            expect(seen == 200, f"the thief's token is answered with {seen}, so this shows nothing")
            part = "The key that signs access tokens"
            look, rotate, revoke = incidents.shown(part, ENV, KID=leaked["kid"])
            trusted = self._shell(look).split()
            expect(leaked["kid"] in trusted, f"the document's first command shows {trusted}")
            self._shell(rotate)
            self._rotated()
            self._shell(revoke)
            self._deploy("first", "rotated")
            seen = incidents.asked_with(token, editor).status_code
            expect(seen == 401, f"afterwards the thief's token is answered with {seen}")
            refreshed = editor.post("/v1/auth/refresh")
            expect(refreshed.status_code in {200, 204}, f"the session ended: {refreshed.text}")
            seen = editor.client.get("/v1/auth/me").status_code
            expect(seen == 200, f"the new token is answered with {seen}")
            row.seen = f"{leaked['kid'][:8]}… to {incidents.kid(editor)[:8]}…"
        with self._report.step(
            "What was lost comes back: what visitors read, a table, a file; what was destroyed doesn't"
        ) as row:
            inquiry = incidents.restore_destroyed_inquiry(self._cloud.sql, self._people["admin"])
            lost = incidents.lose(self._cloud.client("dynamodb"), f"familycorp-{ENV}-posts")
            for command in incidents.shown("DynamoDB", ENV):
                self._shell(command)
            for path in self._read:
                answer = editor.client.get(path)
                expect(answer.status_code == 200, f"{path} is answered with {answer.status_code}")
            left = self._cloud.sql("SELECT id FROM familycorp.inquiries")
            expect((inquiry.hex,) not in left, "a destroyed inquiry is there again")
            file = incidents.take_files_back(self._shell, self._cloud.client("s3"), ENV)
            row.seen = f"{lost} items, {file}"

    def _end(self) -> None:
        with self._report.step("terraform plan is empty after all that") as row:
            self._tf("plan", "-input=false", "-out=plan", f"-var-file=envs/{ENV}.tfvars")
            changes = infra.changes(json.loads(self._tf("show", "-json", "plan")))
            # The emulator describes an alarm by its name alone, so each plan would set it again.
            planned = [
                address for address in changes if not address.startswith("aws_cloudwatch_metric_alarm.")
            ]
            expect(not planned, f"it would change {', '.join(planned)}")
            row.seen = "no changes, alarms left out"
        with self._report.step("make environment-destroy refuses, and names what holds data") as row:
            ended, lines = self._operator("environment-destroy", "--yes")
            names = re.findall(r"--delete (\S+)", lines[-1])
            wanted = {f"familycorp-{ENV}-{name}" for name in ("database", "posts", "uploads")}
            expect(bool(ended) and set(names) == wanted, f"it ended with {ended}: {lines[-1]}")
            self._smoke("--release", "rotated")
            row.seen = ", ".join(names)
        with self._report.step("Told by name, it destroys the environment") as row:
            named = (f"--delete={name}" for name in names)
            ended, lines = self._operator("environment-destroy", "--yes", *named)
            expect(ended == 0, f"it ended with {ended}: {' / '.join(lines[-3:])}")
            row.seen = first_match(r"(\d+ destroyed)", "\n".join(lines))
        with self._report.step("Nothing is left") as row:
            left = list(remains(self._cloud.client, "familycorp"))
            expect(not left, f"left: {', '.join(left)}")
            row.seen = "nor the bucket of Terraform's state"


class _Background:
    """Work that goes on while something else waits."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised again by who asks for the result.
            self._error = error

    def wait(self) -> None:
        """Wait until it is done."""
        self._thread.join()

    def result(self) -> None:
        """Wait until it is done; raise what it raised."""
        self.wait()
        if self._error is not None:
            raise self._error


def _unbroken(load: Load, *versions: str) -> str:
    """Return what visitors saw; raise if a request failed, or if others than these releases answered."""
    expect(load.failed == 0, f"{load.failed} of {load.total} requests failed: {dict(load.answers)}")
    expect(set(load.versions) == set(versions), f"these releases answered: {dict(load.versions)}")
    return f"{load.total} requests, none failed, by {', '.join(sorted(load.versions))}"
