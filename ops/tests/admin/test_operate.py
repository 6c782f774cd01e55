"""`familycorp … --env dev` from a laptop with AWS credentials alone: the command, IAM, the function's URL, its code.

The emulator checks the signature and the plan's policies, names the caller in the event, and runs the functions' own
code on a database that the command couldn't find. What a person may do is what Terraform's two policies say.
"""

import csv
import io
import json
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy
from botocore.exceptions import ClientError
from botocore.session import get_session
from PIL import Image
from typer.testing import CliRunner

from app.core.settings import Settings
from familycorp_ops.admin.operator import Operator
from familycorp_ops.cli import main
from familycorp_ops.deploy import infra
from familycorp_ops.deploy.infra import Terraform
from familycorp_ops.facts import FUNCTIONS
from familycorp_ops.local.provision import provision
from familycorp_ops.rehearse.cloud import MiniStackWithoutGaps
from familycorp_ops.servers.ministack import CREDENTIALS, REGION
from familycorp_ops.servers.process import NotInstalledError, clean_environment
from familycorp_ops.testing.servers import missing

ENV = "dev"
BUCKET = f"familycorp-{ENV}-exchange"
ACCOUNT = "000000000000"
WRITER = f"arn:aws:iam::{ACCOUNT}:user/writer"
READER = f"arn:aws:iam::{ACCOUNT}:user/reader"
MEMBER = "0192f0c1-2b3c-7d4e-8f50-617283940a1b"
ENTRY = """
import os
from app.content import importing
from app.functions import operator
from app.functions.operator import read, write

importing.TOGETHER, operator.WRITTEN_IN_A_CALL = 5, 12
written = importing._written

async def dying(part, language):
    outcomes = await written(part, language)
    calls = os.environ["DIES"]
    if os.path.exists(calls) and (left := int(open(calls).read())):
        left -= 1
        open(calls, "w").write(str(left))
        if left % 2 == 0:
            os._exit(1)
    return outcomes

importing._written = dying
"""
"""The functions' module, which the file `DIES` has end like a crash: in the second of two parts, its posts stored."""


class Cloud:
    """An environment with its operator functions, and people who may read or write."""

    def __init__(self, url: str, directory: Path, policies: Mapping[str, str]) -> None:
        self.url, self.dies = url, directory / "dies"
        self.database = directory / "content.db"
        values = {
            "env": "test",  # An environment in AWS refuses an emulator's address and SQLite.
            "aws_region": REGION,
            "aws_endpoint_url": url,
            "database_url": f"sqlite+aiosqlite:///{self.database}",
            "exchange_bucket_name": BUCKET,
        }
        provision(Settings.model_validate(values))
        self.settings = {f"FAMILYCORP_{name.upper()}": value for name, value in values.items()}
        assert self.run("db", "upgrade", **self.settings).exit_code == 0
        place = {"LocationConstraint": REGION}
        self.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        self.client("ssm").put_parameter(
            Name=f"/familycorp/{ENV}/exchange/bucket", Value=BUCKET, Type="String"
        )
        self._deploy()
        self.people = {
            "reader": self._person("reader", policies["operator-read"]),
            "writer": self._person("writer", policies["operator-write"]),
        }

    def client(self, service: str, **keys: str) -> Any:
        return get_session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=keys.get("AWS_ACCESS_KEY_ID", CREDENTIALS["AWS_ACCESS_KEY_ID"]),
            aws_secret_access_key=keys.get("AWS_SECRET_ACCESS_KEY", CREDENTIALS["AWS_SECRET_ACCESS_KEY"]),
        )

    def _deploy(self) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("entry.py", ENTRY)
        statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        trust = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "lambda.amazonaws.com"},
        }
        iam, functions = self.client("iam"), self.client("lambda")
        role = iam.create_role(RoleName="function", AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="function", PolicyName="all", PolicyDocument=_policy(statement))
        for function in ("operator-read", "operator-write"):
            name = f"familycorp-{ENV}-{function}"
            made = functions.create_function(
                FunctionName=name,
                Role=role,
                Runtime="python3.12",
                Handler=f"entry.{FUNCTIONS[function]['handler'].rpartition('.')[2]}",
                Code={"ZipFile": archive.getvalue()},
                Timeout=60,
                Environment={"Variables": {**self.settings, "DIES": str(self.dies)}},
                Publish=True,
            )
            functions.create_alias(FunctionName=name, Name="live", FunctionVersion=made["Version"])
            functions.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="AWS_IAM")

    def _person(self, name: str, policy: str) -> dict[str, str]:
        iam = self.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="operator", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_ENDPOINT_URL": self.url,
        }

    def run(self, *arguments: str | Path, **variables: str) -> Any:
        return CliRunner().invoke(main, [str(a) for a in arguments], env=variables)

    def by(self, person: str, *arguments: str | Path) -> Any:
        """Run a command with somebody's credentials; return the document that it prints."""
        ran = self.run(*arguments, "--env", ENV, "--json", **self.people[person])
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    def refused(self, person: str, *arguments: str | Path) -> str:
        ran = self.run(*arguments, "--env", ENV, **self.people[person])
        assert ran.exit_code == 1, ran.output
        said: str = ran.output
        return said

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        engine = sqlalchemy.create_engine(f"sqlite:///{self.database}", poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            result = connection.execute(sqlalchemy.text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    def actors(self, action: str) -> set[str]:
        return {actor for (actor,) in self.sql("SELECT actor FROM audit_entries WHERE action = :a", a=action)}


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    directory = tmp_path_factory.mktemp("operate")
    # In place of the artefact's interpreter: the functions run the code of this repository as it is.
    function = directory / "function"
    path = shlex.quote(os.pathsep.join(p for p in sys.path if p))
    function.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {shlex.quote(sys.executable)} "$@"\n')
    function.chmod(0o755)
    try:
        with MiniStackWithoutGaps(
            directory=directory / "emulator", log=directory / "log", function=function
        ) as server:
            terraform = Terraform(directory / "terraform", server.url, infra.BOOTSTRAP)
            plan = terraform.plan(*infra.options(ENV, "sam"), "-target=aws_iam_policy.operator")
            made = {r["address"]: r["values"] for r in infra.resources(plan)}
            names = ("operator-read", "operator-write")
            policies = {n: made[f'aws_iam_policy.operator["{n}"]']["policy"] for n in names}
            yield Cloud(server.url, directory, policies)
    except NotInstalledError as error:
        missing("terraform", error)


@pytest.fixture
def member(cloud: Cloud) -> str:
    """An editor's e-mail address."""
    cloud.sql("DELETE FROM members")
    at = "2026-11-24 00:00:00.000000"
    cloud.sql(
        "INSERT INTO members (id, issuer, subject, email, name, role, group_role, seen_at, version, created_at, "
        "updated_at) VALUES (:id, 'https://login.example', 'x', 'haneul@familycorp.example', '김하늘', NULL, "
        "'editor', :at, 1, :at, :at)",
        id=MEMBER.replace("-", ""),
        at=at,
    )
    return "haneul@familycorp.example"


def test_a_role_is_granted_and_the_trail_names_who_aws_says_it_was(cloud: Cloud, member: str) -> None:
    granted = cloud.by("writer", "members", "grant-role", member, "admin")
    assert (granted["id"], granted["role"]) == (MEMBER, "admin")
    assert [m["role"] for m in cloud.by("reader", "members", "list")] == ["admin"]
    (entry, *_) = cloud.by("reader", "audit", "--target", f"member:{MEMBER}", "--limit", "1")["items"]
    assert (entry["actor"], entry["action"]) == (WRITER, "member.role_changed")
    for command, action in (("disable", "member.disabled"), ("end-sessions", "member.sessions_ended")):
        assert cloud.by("writer", "members", command, MEMBER)["disabled"] is True
        assert cloud.actors(action) == {WRITER}
    assert "Nobody with this e-mail" in cloud.refused(
        "writer", "members", "disable", "nobody@familycorp.example"
    )


def test_what_a_body_says_of_its_caller_is_ignored(
    cloud: Cloud, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cloud.people["writer"].items():
        monkeypatch.setenv(name, value)
    somebody = f"arn:aws:iam::{ACCOUNT}:user/somebody-else"
    context = {"authorizer": {"iam": {"userArn": somebody}}}
    asked = {"command": "members.disable", "arguments": {"who": member}}
    body = json.dumps({**asked, "caller": somebody, "userArn": somebody, "requestContext": context}).encode()
    url, headers = Operator(ENV)._signed("operator-write", body)
    answer = httpx.post(url, content=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert cloud.actors("member.disabled") == {WRITER}
    tampered = body.replace(member.encode(), MEMBER.encode())
    assert httpx.post(url, content=tampered, headers=headers, timeout=60).status_code == 403
    # A caller of the function itself could write the event: nobody's policy lets them.
    event = json.dumps({"requestContext": context, "body": json.dumps(asked)})
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.client("lambda", **cloud.people["writer"]).invoke(
            FunctionName=f"familycorp-{ENV}-operator-write", Qualifier="live", Payload=event
        )
    said = cloud.client("lambda").invoke(
        FunctionName=f"familycorp-{ENV}-operator-write",
        Qualifier="live",
        Payload=json.dumps({"body": json.dumps(asked)}),
    )
    assert json.loads(said["Payload"].read())["statusCode"] == 403


def test_who_may_read_cant_write_nor_the_other_way_round(cloud: Cloud, member: str, tmp_path: Path) -> None:
    writes, reads = (
        ["members grant-role {} admin", "members disable {}"],
        ["members list", "audit", "db status"],
    )
    for command in writes:
        said = cloud.refused("reader", *command.format(member).split())
        assert "may not call familycorp-dev-operator-write" in said
    for command in reads:
        assert "may not call familycorp-dev-operator-read" in cloud.refused("writer", *command.split())
    (tmp_path / "a.md").write_text("---\ntitle: a\nslug: a\nlang: ko\ncategory: news\n---\n\n본문\n", "utf-8")
    assert "AccessDenied" in cloud.refused("reader", "content", "import", tmp_path)
    # A command of the other function's is none of this one's, for any caller.
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.people["reader"].items():
            patch.setenv(name, value)
        with pytest.raises(Exception, match="no such command"):
            Operator(ENV).read("members.disable", who=member)
    assert cloud.sql("SELECT role, disabled_at FROM members") == [(None, None)]


def test_the_schema_is_reported(cloud: Cloud) -> None:
    told = cloud.by("reader", "db", "status")
    assert told["lacking"] == []
    assert told["revision"] == max(
        p.name[:4] for p in (infra.ROOT / "be-app/migrations/versions").glob("0*.py")
    )


def test_inquiries_are_exported_and_the_trail_names_the_operator(cloud: Cloud, tmp_path: Path) -> None:
    at = "2026-11-24 00:00:00.000000"
    for number in range(3):
        cloud.sql(
            "INSERT INTO inquiries (id, company, name, email, subject, message, referral, consented_at, "
            "status, note, version, created_at, updated_at) VALUES (:id, '', '김하나', 'hana@example.com', :s, "
            "'문의', '', :at, 'new', '', 1, :at, :at)",
            id=f"{number:032x}",
            s=f"견적 {number}",
            at=at,
        )
    file = tmp_path / "inquiries.jsonl"
    assert cloud.by("reader", "inquiries", "export", file)["inquiries"] == 3
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [line["subject"] for line in lines] == ["견적 2", "견적 1", "견적 0"]
    assert file.stat().st_mode & 0o777 == 0o600
    cloud.sql("UPDATE inquiries SET email = 'other@example.com' WHERE subject = '견적 1'")
    table = tmp_path / "inquiries.csv"
    taken = ("inquiries", "export", table, "--email", "HANA@example.com", "--format", "csv")
    assert cloud.by("reader", *taken)["inquiries"] == 2
    rows = list(csv.DictReader(io.StringIO(table.read_text("utf-8-sig"))))
    assert [row["subject"] for row in rows] == ["견적 2", "견적 0"]
    assert cloud.actors("inquiry.exported") == {READER}
    assert "can't be written" in cloud.refused("reader", "inquiries", "export", file)


def test_redirects_are_imported_and_the_trail_names_the_operator(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "redirects.csv"
    lines = [f"/2019/{number}.html,/ko/posts/{number}" for number in range(3)]
    file.write_text("\n".join(["path,target", *lines]), "utf-8")
    found = cloud.by("writer", "redirects", "import", file)
    assert [found[name] for name in ("created", "unchanged", "failed")] == [3, 0, 0]
    assert cloud.sql("SELECT target FROM redirects WHERE path = '/2019/2.html'") == [("/ko/posts/2",)]
    assert cloud.actors("redirect.created") == {WRITER}
    assert cloud.sql("SELECT count(*) FROM outbox") == [(0,)]
    assert cloud.by("writer", "redirects", "import", file)["unchanged"] == 3
    assert "may not call familycorp-dev-operator-write" in cloud.refused(
        "reader", "redirects", "import", file
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of more posts than one call writes, two of them translations of each other."""
    folder = tmp_path_factory.mktemp("site")
    category = "- slug: news\n  name:\n    ko: 소식\n    en: News\n"
    (folder / "categories.yaml").write_text(category, "utf-8")
    for number in range(24):
        lang, key = ("en", "translationKey: both\n") if number == 0 else ("ko", "")
        if number == 1:
            key = "translationKey: both\n"
        front = f"title: 제목 {number}\nslug: post-{number:03}\nlang: {lang}\ncategory: news\n{key}"
        front += "publishedAt: 2020-05-01T00:00:00Z\n"
        (folder / f"{number:03}.md").write_text(f"---\n{front}---\n\n본문 {number}\n", "utf-8")
    return folder


def test_an_import_goes_on_where_a_call_was_killed(
    cloud: Cloud, folder: Path, tmp_path: Path, count: Callable[[], int]
) -> None:
    assert cloud.by("writer", "content", "import", folder, "--dry-run")["created"] == 24
    assert count() == 0
    # The first two calls die in their second part: the command gives up.
    cloud.dies.write_text("4")
    ran = cloud.run("content", "import", folder, "--env", ENV, "--json", **cloud.people["writer"])
    assert (ran.exit_code, "failed (502)" in json.loads(ran.stdout)["problem"]) == (1, True)
    stored = count()
    assert 0 < stored < 24
    # The next one dies, too, and is made again.
    cloud.dies.write_text("1")
    found = cloud.by("writer", "content", "import", folder)
    assert (found["problem"], found["errors"], found["complete"]) == (None, [], True)
    # What was stored and not noted is found to be so.
    assert len(found["files"]) == 24 == len({f["file"] for f in found["files"]})
    assert (found["created"] + found["unchanged"], found["changed"], found["failed"]) == (24, 0, 0)
    assert found["created"] == 10
    assert found["categories"] == ["news created"]
    assert count() == 24
    assert cloud.sql("SELECT count(*) FROM outbox") == [(0,)]
    assert cloud.actors("post.created") == cloud.actors("category.created") == {WRITER}
    # It is finished, so the same folder is compared again; an error is reported at its line.
    cloud.sql("UPDATE posts SET lang = 'en' WHERE slug = 'post-002'")
    ran = cloud.run("content", "import", folder, "--env", ENV, "--json", **cloud.people["writer"])
    (error,) = json.loads(ran.stdout)["errors"]
    assert (error["file"], error["line"], error["rule"]) == ("002.md", 4, "lang_fixed")
    cloud.sql("UPDATE posts SET lang = 'ko' WHERE slug = 'post-002'")
    # What is taken out is what came in.
    target = tmp_path / "export"
    assert cloud.by("reader", "content", "export", target)["posts"] == 24
    assert cloud.by("writer", "content", "import", target)["unchanged"] == 24
    # So are redirects, which a dry run leaves alone.
    (target / "redirects.csv").write_text("path,target\n/gone.html,/ko/company\n", "utf-8")
    for options, result in ((["--dry-run"], "created"), ([], "created"), ([], "unchanged")):
        assert cloud.by("writer", "content", "import", target, *options)["redirects"][result] == 1
    cloud.by("reader", "content", "export", target)
    assert "/gone.html,/ko/company\n" in (target / "redirects.csv").read_text("utf-8")


@pytest.fixture
def uploads_function(cloud: Cloud, tmp_path: Path) -> Iterator[None]:
    """Have the bucket's events handled, as the function of uploads does in AWS."""
    command = [sys.executable, "-m", "app.functions.worker"]
    with (tmp_path / "worker.log").open("wb") as log:
        environment = clean_environment(**CREDENTIALS, **cloud.settings)
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            worker.terminate()
            worker.wait()


@pytest.mark.usefixtures("uploads_function")
def test_files_of_an_import_are_sent_once_and_taken_out_again(
    cloud: Cloud, folder: Path, tmp_path: Path
) -> None:
    png = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(png, "PNG")
    (folder / "a.png").write_bytes(png.getvalue())
    with zipfile.ZipFile(folder / "자료.zip", "w") as file:
        file.writestr("a.bin", os.urandom(10_500_000))
    page = (
        (folder / "003.md").read_text("utf-8").replace("publishedAt", "attachments: [자료.zip]\npublishedAt")
    )
    (folder / "003.md").write_text(page + "\n![가](a.png) ![나](b.png)\n", "utf-8")
    for sent in (2, 0):
        ran = cloud.run("content", "import", folder, "--env", ENV, "--json", **cloud.people["writer"])
        found = json.loads(ran.stdout)
        assert (ran.exit_code, found["problem"], found["errors"]) == (1, None, []), ran.output
        assert found["uploads"] == {"sent": sent, "there": 2 - sent}
        assert [(n["file"], n["line"], n["before"]) for n in found["notes"]] == [("003.md", 12, "b.png")]
    assert found["unchanged"] == 24


@pytest.fixture
def count(cloud: Cloud) -> Callable[[], int]:
    def counted() -> int:
        ((found,),) = cloud.sql("SELECT count(*) FROM posts")
        return int(found)

    return counted


def test_without_a_release_or_credentials_the_command_says_so(cloud: Cloud) -> None:
    ran = cloud.run("members", "list", "--env", "stage", **cloud.people["reader"])
    assert (ran.exit_code, "may not call familycorp-stage-operator-read" in ran.output) == (1, True)
    root = {**CREDENTIALS, "AWS_ENDPOINT_URL": cloud.url}
    ran = cloud.run("members", "list", "--env", "stage", **root)
    assert (ran.exit_code, "was a release deployed to stage?" in ran.output) == (1, True)
    ran = cloud.run("members", "list", "--env", "prod", **cloud.people["reader"])
    assert "second factor" in ran.output
