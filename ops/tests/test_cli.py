"""Guarantees of every command: `--json`, exit codes, Korean and English."""

import http.server
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from rich.cells import cell_len
from rich.console import Console
from typer import Context
from typer.main import get_command

from familycorp_ops import messages
from familycorp_ops.cli import main
from familycorp_ops.deploy import load as visits
from familycorp_ops.rehearse.promise import BrokenPromiseError, expect
from familycorp_ops.rehearse.report import Report
from familycorp_ops.servers.loopback import LoopbackServer
from familycorp_ops.servers.ministack import CREDENTIALS
from familycorp_ops.servers.process import LOOPBACK, clean_environment, free_port
from familycorp_ops.testing import commands
from familycorp_ops.testing.commands import Ran

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = ROOT / "docs" / "reference" / "command.md"
ENDED_BY: Final = {
    "up": "test_up runs it",
    "rehearse": "`make rehearse` runs it, for minutes; its document is made below",
    "content import": "test_content runs it",
    "content export": "test_content runs it",
    "content undo": "test_content runs it",
    "db revision": "writes a file of the repository",
    "policy build": "writes a file of the repository",
}
"""Commands that aren't run here, each with the reason."""


def familycorp(*arguments: str, **variables: str) -> Ran:
    """Run the command, with the locale of `variables` alone."""
    kept = {
        name: value
        for name, value in clean_environment().items()
        if not name.startswith(("LC_", "LANG", "FAMILYCORP_"))
    }
    return commands.familycorp(*arguments, environment=kept | variables)


def leaves(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with the words that lead to it."""
    below = getattr(command, "commands", {})
    if not below:
        yield path.strip(), command
    for name, child in below.items():
        yield from leaves(child, f"{path} {name}")


LEAVES: Final = dict(leaves(get_command(main)))


# -- JSON ---------------------------------------------------------------------------------------------------------


def test_every_command_prints_json() -> None:
    without = [name for name, it in LEAVES.items() if "--json" not in {o for p in it.params for o in p.opts}]
    assert without == []


class Case(NamedTuple):
    """A command line without what is the same for all, what it ends with, and what its document holds."""

    arguments: str
    status: int
    keys: str
    """Where it begins with `!`, the document is the error's, on the other stream, with this in its sentence."""


CASES: Final = (
    Case("code GEZDGNBVGY3TQOJQ", 0, "code seconds"),
    Case("code not-base32", 1, "!base32"),
    Case("contract diff HEAD", 0, "base before after breaks allowed"),
    Case("contract diff --no", 2, "!No such option"),
    Case("cost dev --plan {tmp}/nothing.json", 1, "!nothing.json"),
    Case("cost live", 2, "!live is none of dev, stage and prod."),
    Case("db check", 0, "agree"),
    Case("db upgrade", 0, "revision"),
    Case("db status", 0, "revision lacking"),
    Case("db downgrade 0001 --yes", 0, "revision"),
    Case("db downgrade 0001", 1, "!add --yes"),
    Case("db downgrade", 2, "!Missing argument"),
    Case("doctor --state {tmp}/text.txt --port {port}", 1, "environment healthy checks"),
    Case("doctor dev", 1, "environment healthy checks"),
    Case("env", 0, "FAMILYCORP_DATABASE_URL FAMILYCORP_ENV"),
    Case("env dev", 1, "!can't be read"),
    Case("environment create dev --version abc --yes", 1, "!Cannot reach AWS"),
    Case("environment create live", 2, "!live is none of dev, stage and prod."),
    Case("environment destroy dev --yes", 1, "!Cannot reach AWS"),
    Case("environment destroy prod --yes", 1, "!No command destroys Prod"),
    Case("environment roles dev --yes", 1, "!Cannot reach AWS"),
    Case("infra bootstrap dev", 1, "!Cannot reach AWS"),
    Case("infra signing-key dev", 1, "!Cannot reach AWS"),
    Case("infra plan dev", 1, "!Cannot reach AWS"),
    Case("infra save dev", 1, "!Cannot reach AWS"),
    Case("infra drift dev", 1, "!Cannot reach AWS"),
    Case(f"infra apply dev --plan {'a' * 64}", 1, "!Cannot reach AWS"),
    Case("infra apply dev --plan latest", 2, "!'latest' is no plan"),
    Case("infra plan live", 2, "!live is none of dev, stage and prod."),
    Case("lines --since HEAD", 0, "before after"),
    Case("lines --since=--no", 1, "!is no revision"),
    Case("load {url} --seconds 1 --visitors 1", 1, "requests failed seconds slowestSeconds answers versions"),
    Case("load", 1, "!Name an address"),
    Case("logs --state {tmp}", 1, "!Nothing runs on"),
    Case("top --state {tmp}", 1, "!Nothing runs on"),
    Case("members list", 0, ""),
    Case("members disable nobody@familycorp.example", 1, "!Nobody with this e-mail"),
    Case("members end-sessions nobody@familycorp.example", 1, "!Nobody with this e-mail"),
    Case("members erase nobody@familycorp.example", 1, "!add --yes"),
    Case("members erase nobody@familycorp.example --yes", 1, "!Nobody with this e-mail"),
    Case("audit", 0, ""),
    Case("inquiries export {tmp}/inquiries.json", 0, ""),
    Case("redirects import {tmp}/text.txt", 1, "created changed unchanged failed errors"),
    Case("redirects import {tmp}/nothing.csv", 2, "!nothing.csv"),
    Case("members grant-role nobody@familycorp.example admin", 1, "!Nobody with this e-mail"),
    Case("members first-admin --env dev --email a@familycorp.example", 1, "!Cannot reach AWS"),
    Case("members first-admin --env live --email a@familycorp.example", 2, "!live is none of"),
    Case("policy explain --action post:view", 0, "allow reasons obligations rules revision"),
    Case("policy explain --action post:publish", 1, "allow reasons obligations rules revision"),
    Case("policy precompile {bundle}", 0, "file target"),
    Case("policy test", 1, "!opa"),
    Case("render logs --check", 0, "changed skipped"),
    Case("render nothing", 2, "!nothing is no rendered document"),
    Case("release status dev", 1, "environment healthy stack release schema ringing checks"),
    Case("release migrate dev", 1, "!Cannot reach AWS"),
    Case("release restore dev", 1, "!Cannot reach AWS"),
    Case("release push dev --version x", 1, "!Cannot reach AWS"),
    Case("release alarm dev broken", 1, "!Cannot reach AWS"),
    Case("release deploy dev", 1, "!Cannot reach AWS"),
    Case("release build --to {tmp}/release --template {tmp}/nothing.yaml", 1, "!SAM"),
    Case("release delete dev", 1, "!SAM"),
    Case("release switch-database dev --to restored --yes", 1, "!Cannot reach AWS"),
    Case("release switch-database dev --to restored", 1, "!add --yes"),
    Case("release status live", 2, "!live is none of dev, stage and prod."),
    Case("reset --state {tmp}/nothing", 0, "directory deleted"),
    Case("reset --state {tmp}", 1, "!isn't a directory that `make up` made"),
    Case("sizes {tmp}", 1, "!holds no build"),
    Case("smoke {url}", 1, "url passed checks"),
    Case("smoke", 1, "!Name an address"),
    Case("upload {tmp}/text.txt", 1, "!"),
    Case("nothing", 2, "!No such command"),
)


def test_every_command_is_run_or_says_why_not() -> None:
    run = {name for case in CASES for name in LEAVES if f"{case.arguments} ".startswith(f"{name} ")}
    assert run | ENDED_BY.keys() == LEAVES.keys()
    assert not run & ENDED_BY.keys()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What stands for the words in braces; nothing listens at the address."""
    tmp = tmp_path_factory.mktemp("cli")
    (tmp / "text.txt").write_text("hello")
    bundle = tmp / "bundle"
    bundle.mkdir()
    built = ROOT / "be-app" / "opa" / "build" / "opa" / "bundle"
    for name in ("policy.wasm", "data.json", "manifest.json"):
        (bundle / name).write_bytes((built / name).read_bytes())
    port = str(free_port())
    made = familycorp("db", "upgrade", FAMILYCORP_DATABASE_URL=f"sqlite+aiosqlite:///{tmp / 'database'}")
    assert made.returncode == 0, made.stderr
    return {"tmp": str(tmp), "bundle": str(bundle), "port": port, "url": f"http://{LOOPBACK}:{port}"}


@pytest.fixture
def settings(place: Mapping[str, str], tmp_path: Path) -> Mapping[str, str]:
    """Settings of a database file, and of an emulator that doesn't answer."""
    shutil.copy(Path(place["tmp"], "database"), tmp_path)
    nowhere = {"AWS_ENDPOINT_URL": place["url"], "AWS_MAX_ATTEMPTS": "1"}
    return {
        **CREDENTIALS,
        **nowhere,
        "FAMILYCORP_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/database",
        "FAMILYCORP_AWS_ENDPOINT_URL": place["url"],
        "LANG": "ko_KR.UTF-8",
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.arguments)
def test_programs_get_one_document_in_english_and_the_same_status(
    case: Case, place: Mapping[str, str], settings: Mapping[str, str]
) -> None:
    if case.keys == "!opa":
        settings = {**settings, "PATH": "/nowhere"}
    arguments = case.arguments.format(**place).split()
    ran = familycorp(*arguments, "--json", **settings)
    assert ran.returncode == case.status, ran.stderr
    if case.keys.startswith("!"):
        assert ran.stdout == ""
        (name, sentence), *more = json.loads(ran.stderr.splitlines()[-1]).items()
        assert (name, more) == ("error", [])
        assert case.keys[1:] in sentence
        assert not re.search("[가-힣]", sentence)
    else:
        (line,) = ran.stdout.splitlines()
        document = json.loads(line)
        assert set(case.keys.split()) <= (document.keys() if isinstance(document, dict) else set())
        assert not re.search("[가-힣]", line)


class _Refuser(http.server.BaseHTTPRequestHandler):
    """AWS as it refuses each operation, in the protocols of its services."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        """Refuse."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = "<Error><Code>AccessDenied</Code><Message>no right</Message></Error>"
        if self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            body = f"<ErrorResponse>{body}</ErrorResponse>"
        if "x-amz-target" in self.headers:
            body = '{"__type": "AccessDeniedException", "message": "no right"}'
        self.send_response(403)
        self.send_header("x-amzn-errortype", "AccessDeniedException")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815


@pytest.fixture(scope="module")
def refuser() -> Iterator[str]:
    """The address of an AWS that refuses everything."""
    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), _Refuser)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{LOOPBACK}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(
    "case", [c for c in CASES if "Cannot reach AWS" in c.keys], ids=lambda c: c.arguments
)
def test_what_aws_rejects_is_one_sentence_with_its_operation(
    case: Case, language: str, place: Mapping[str, str], settings: Mapping[str, str], refuser: str
) -> None:
    ran = familycorp(
        *case.arguments.format(**place).split(),
        **{**settings, "AWS_ENDPOINT_URL": refuser, "LANG": f"{language}_KR.UTF-8"},
    )
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    said = ran.stderr.splitlines()[-1]
    assert "AccessDenied" in said or "403" in said, ran.stderr
    assert ("AWS rejected" in said) == (language == "en"), said


def test_the_report_of_a_rehearsal_is_a_document() -> None:
    report = Report(Console(file=io.StringIO()))
    with report.step("it holds") as row:
        row.seen = "something"
    with pytest.raises(BrokenPromiseError), report.step("it breaks"):
        expect(False, "nothing is there")
    told = json.loads(json.dumps(report.document()))
    assert [(s["title"], s["held"], s["seen"]) for s in told["steps"]] == [
        ("it holds", True, "something"),
        ("it breaks", False, "nothing is there"),
    ]
    assert told["seconds"] >= 0
    assert {"what", "instead"} == told["onlyAws"][0].keys()
    assert "times" not in report.pace()
    for line in (
        "aws_kms_key.data: Creating...",
        "aws_kms_key.data: Creation complete",
        "Apply complete! 1 added",
    ):
        report.terraform.read(line)
    assert 0 < report.terraform.seconds < report.seconds
    assert "times Terraform's apply and destroy alone" in report.markdown()


def test_the_version_is_that_of_the_applications_project() -> None:
    version = tomllib.loads((ROOT / "be-app" / "pyproject.toml").read_text())["project"]["version"]
    script = Path(sys.executable).with_name("familycorp")
    assert subprocess.check_output([script, "--version"], text=True) == f"familycorp {version}\n"
    shown = json.loads(familycorp("env", "--json", FAMILYCORP_ENV="local").stdout)
    assert shown["FAMILYCORP_VERSION"] == version
    assert json.loads((ROOT / "docs" / "openapi.json").read_text())["info"]["version"] == version


def test_documents_name_commands_by_the_name_that_is_installed() -> None:
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "Makefile", ROOT / ".ci" / "run"]
    files += [*ROOT.glob(".github/**/*.*"), *ROOT.glob(".ci/*")]
    assert [str(f) for f in files if "-m familycorp_ops" in f.read_text("utf-8")] == []


# -- exit codes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def visited() -> Iterator[tuple[str, threading.Event]]:
    """A server that says when somebody came."""
    came = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.set()
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None: ...

    with LoopbackServer(Handler) as server:
        yield server.url, came


def test_exit_codes_are_those_of_the_document(tmp_path: Path, visited: tuple[str, threading.Event]) -> None:
    url, came = visited
    (tmp_path / "state").write_text("a file")
    codes = {
        familycorp("code", "GEZDGNBVGY3TQOJQ").returncode,
        familycorp("doctor", "--state", str(tmp_path / "state")).returncode,
        familycorp("cost", "live").returncode,
    }
    # Who was started with Ctrl-C ignored, as by `nohup … &`, hands that on to its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    long = subprocess.Popen(
        [sys.executable, "-m", "familycorp_ops", "load", url, "--seconds", "600"], start_new_session=True
    )
    assert came.wait(300)
    os.kill(long.pid, signal.SIGINT)
    codes.add(long.wait(300))
    said = re.findall(r"^\| `(\d+)` \|", COMMAND.read_text("utf-8"), re.MULTILINE)
    assert codes == {0, 1, 2, 130} == set(map(int, said))


def test_a_visitors_request_fails_when_its_time_is_over() -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        url = f"http://{LOOPBACK}:{silent.getsockname()[1]}"
        with visits.Load(url, (), trust=True, timeout_s=0.1) as load:
            while not load.total:
                time.sleep(0.01)
    assert load.failed == load.total
    assert set(load.answers) == {"ReadTimeout"}


@pytest.mark.parametrize("arguments", ["", "--json"])
def test_json_changes_no_exit_code(arguments: str, tmp_path: Path) -> None:
    more = arguments.split()
    assert familycorp("reset", "--state", str(tmp_path), *more).returncode == 1
    assert familycorp("reset", "--unknown", *more).returncode == 2
    assert familycorp("reset", "--state", str(tmp_path / "nothing"), *more).returncode == 0


# -- languages ----------------------------------------------------------------------------------------------------

KOREAN: Final = {"LANG": "ko_KR.UTF-8"}


def test_the_catalogue_is_complete_and_compiled() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "scripts" / "messages.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_help_is_translated_as_a_whole() -> None:
    command = get_command(main)
    english = {it.help for it in messages.helps(command, Context(command))}
    root, leaf = (
        familycorp(*words, **KOREAN).stdout for words in (["--help"], ["release", "status", "--help"])
    )
    assert "FamilyCorp 백엔드를 이 컴퓨터에서 실행하고" in root
    assert "울리는 알람" in leaf
    for shown in (root, leaf):
        assert "이 도움말을 보여 주고 끝냅니다." in shown
        assert "─ 옵션 ─" in shown
        assert not [text for text in english if len(text) > 20 and text[:40] in shown]


def test_help_in_korean_is_whole_at_80_columns() -> None:
    program = (
        "from familycorp_ops.cli import main\n"
        "from typer.main import get_command\n"
        "from typer.testing import CliRunner\n"
        "def walk(command, *path):\n"
        "    print(CliRunner().invoke(main, [*path, '--help']).output)\n"
        "    for name, below in getattr(command, 'commands', {}).items():\n"
        "        walk(below, *path, name)\n"
        "walk(get_command(main))\n"
    )
    environment = {**clean_environment(), **KOREAN, "LANGUAGE": "ko", "COLUMNS": "80"}
    shown = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True).splitlines()
    assert len(shown) > 500
    assert [line for line in shown if "…" in line or cell_len(line) > 80] == []


def test_errors_and_findings_are_in_the_language_of_the_locale(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    asked = ("doctor", "--state", str(tmp_path / "file"), "--port", str(free_port()))
    for variables, error, finding, fix, summary in (
        (
            KOREAN,
            "실행 중인 것이 없습니다",
            "쓸 수 있는 디렉터리가 아닙니다.",
            "다른 디렉터리를 쓰십시오.",
            "문제: 1건",
        ),
        (
            {"LANG": "C"},
            "Nothing runs on",
            "no directory that can be written.",
            "with another one.",
            "this machine: 1",
        ),
    ):
        refused = familycorp("members", "list", "--state", str(tmp_path), **variables)
        assert (refused.returncode, error in refused.stderr) == (1, True)
        assert str(ROOT) in refused.stderr, "run elsewhere, it says where it belongs"
        found = familycorp(*asked, **variables)
        assert found.returncode == 1
        assert finding in found.stdout
        assert fix in found.stdout
        assert summary in found.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "korean"),
    [
        ([], {"LANG": "ko_KR.UTF-8"}, True),
        ([], {"LANG": "en_US.UTF-8", "LC_MESSAGES": "ko_KR.UTF-8"}, True),
        ([], {"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, False),
        ([], {"LANG": "C", "LANGUAGE": "ko"}, True),
        ([], {}, False),
        (["--lang", "ko"], {"LANG": "C"}, True),
        (["--lang", "en"], {"LANG": "ko_KR.UTF-8", "LC_ALL": "ko_KR.UTF-8"}, False),
    ],
)
def test_the_language_is_chosen_as_gettext_does(
    arguments: list[str], variables: dict[str, str], korean: bool
) -> None:
    said = familycorp(*arguments, "cost", "live", **variables).stderr
    assert ("중 하나가 아닙니다" in said, "is none of" in said) == (korean, not korean)
    help_first = familycorp("--help", *arguments, **variables).stdout
    assert ("마이그레이션" in help_first) is korean


def test_documents_stay_english_in_every_locale() -> None:
    program = (
        "from familycorp_ops.cost import documents, report\n"
        "from familycorp_ops.cost.bill import bill\n"
        "print(report.difference(bill([], documents.site()), bill([], documents.site())))"
    )
    environment = {**os.environ, **KOREAN, "LANGUAGE": "ko"}
    said = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert said.startswith("| component | before | after | difference |")


# -- completion ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("familycorp --la", ["--lang"]),
        ("familycorp --lang ", ["ko", "en"]),
        ("familycorp release sta", ["status"]),
        ("familycorp release status st", ["stage"]),
        ("familycorp release status --js", ["--json"]),
        ("familycorp doctor ", ["dev", "stage", "prod"]),
    ],
)
def test_shells_complete_what_is_typed(typed: str, offered: list[str]) -> None:
    words = typed.split(" ")
    asked = {
        "_FAMILYCORP_COMPLETE": "complete_bash",
        "COMP_WORDS": typed.strip(),
        "COMP_CWORD": str(len(words) - 1),
    }
    program = str(Path(sys.executable).with_name("familycorp"))
    said = subprocess.check_output([program], env={**os.environ, **asked}, text=True)
    assert said.split() == offered
