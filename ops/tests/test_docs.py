"""The documents say what is: tours are executed, links and tables are compared."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from app.core.settings import PREFIX, Settings
from familycorp_ops.docs.render import RENDERERS
from familycorp_ops.servers.process import Process, free_port, http_ok
from familycorp_ops.testing import checklist

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
TOUR = re.compile(r"<!-- tour -->\n```console\n(.*?)```\n<!-- /tour -->", re.DOTALL)


def tour(name: str) -> list[tuple[str, str]]:
    """Return the commands of a README's tour, each with the answer that it shows."""
    found = TOUR.search((ROOT / name).read_text())
    assert found, f"{name} has no tour"
    steps = re.split(r"^\$ ", found[1], flags=re.MULTILINE)[1:]
    return [(command, answer.rstrip("\n")) for command, _, answer in (step.partition("\n") for step in steps)]


def blocks() -> Iterator[tuple[str, str, list[str]]]:
    """Return every block of commands: its document, what the comment before it says, the commands."""
    for document in DOCUMENTS:
        text = document.read_text()
        for found in re.finditer(
            r"^(?:<!-- ([^\n]*) -->\n)?```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL
        ):
            commands = re.findall(r"^\$ (.+)$", found[2], re.MULTILINE)
            yield str(document.relative_to(ROOT)), found[1] or "", commands


def test_every_command_is_run_by_a_test_or_needs_aws() -> None:
    """A block says `tour`, `run here`, `run by` tests, scripts or targets that exist, or `AWS only`."""
    tests = [*ROOT.glob("be-app/tests/**/test_*.py"), *ROOT.glob("ops/tests/**/test_*.py")]
    names = {
        name for path in tests for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    names |= {f"make {target}" for target in TARGETS} | {".ci/run", ".ci/rehearse", ".ci/image"}
    for document, mark, commands in blocks():
        told = mark in {"tour", "run here", "AWS only"}
        told |= mark.startswith("run by ") and set(mark.removeprefix("run by ").split(", ")) <= names
        assert told, f"{document}: nobody is known to run {commands} ({mark!r})"


def test_the_shown_commands_run_and_the_tour_gives_exactly_the_shown_answers(tmp_path: Path) -> None:
    port = free_port()
    command = [
        sys.executable, "-m", "familycorp_ops", "up", "--state", str(tmp_path / ".local"), "--port", str(port)
    ]  # fmt: skip
    ready = lambda: http_ok(port, "/v1/posts")  # noqa: E731
    running = Process(
        "up", command, log=tmp_path / "up.log", ready=ready, ready_within_s=300, grace_s=20, cwd=ROOT
    )
    (tmp_path / ".venv").symlink_to(sys.prefix)
    Image.new("RGB", (40, 30), "green").save(tmp_path / "창립 40주년.jpg")
    (tmp_path / "my-site").mkdir()
    (tmp_path / "my-site" / "hello.md").write_text(
        "---\nslug: moved-in\ntitle: 옮겨 온 글\nlang: ko\ncategory: news\nstate: draft\n---\n\n본문입니다.\n"
    )

    def run(line: str) -> subprocess.CompletedProcess[str]:
        line = line.replace(":8000", f":{port}")
        return subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )

    with running:
        for shown, expected in tour("README.md"):
            assert run(shown).stdout.rstrip("\n") == expected, shown
        for document, mark, commands in blocks():
            for shown in commands if mark == "run here" else []:
                ran = run(shown)
                assert ran.returncode == 0, f"{document}: {shown}\n{ran.stdout}{ran.stderr}"


def test_the_tutorials_change_applies() -> None:
    for diff in re.findall(
        r"^```diff\n(.*?)^```", (ROOT / "docs" / "tutorial.md").read_text(), re.MULTILINE | re.DOTALL
    ):
        check = ["git", "apply", "--check", "-"]
        applied = subprocess.run(check, cwd=ROOT, input=diff, capture_output=True, text=True, check=False)
        assert applied.returncode == 0, applied.stderr


def test_both_languages_show_the_same_tour() -> None:
    assert tour("README.ko.md") == tour("README.md")


def anchors(document: Path) -> set[str]:
    """Return the fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for path, anchor in re.findall(r"\]\((?!https?:|upload:)([^)#:\s]*)#?([^)]*)\)", document.read_text()):
        target = document.parent / path if path else document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_documents_that_sources_name_exist() -> None:
    folders = (
        "be-app/app",
        "be-app/tests",
        "bench",
        "ops/familycorp_ops",
        "ops/tests",
        "scripts",
        "terraform",
    )
    files = [
        path
        for name in folders
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    for file in [*files, *ROOT.glob("*.y*ml"), ROOT / "Makefile"]:
        named = re.findall(r"\bdocs/[\w./-]+\.md(?:#[\w-]+)?", file.read_text("utf-8", errors="ignore"))
        for path, _, anchor in (name.partition("#") for name in named):
            assert (ROOT / path).exists(), f"{file} names {path}"
            assert not anchor or anchor in anchors(ROOT / path), f"{file} names {path}#{anchor}"


@pytest.mark.parametrize(
    "document",
    [d for d in DOCUMENTS if d.is_relative_to(ROOT / "docs") and not d.name.startswith("0")],
    ids=lambda d: str(d.relative_to(ROOT)),
)
def test_each_page_says_whom_it_is_for_and_is_listed_by_kind(document: Path) -> None:
    assert document.read_text().split("\n\n")[1].startswith(("This page is for ", "이 페이지는 "))
    pages = ROOT / "docs" / "README.md"
    assert document == pages or f"]({document.relative_to(pages.parent)})" in pages.read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_make_targets_exist(document: Path) -> None:
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", document.read_text()))
    assert named <= TARGETS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_named_settings_exist(document: Path) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}SETTINGS"}
    assert set(re.findall(r"\bFAMILYCORP_[A-Z_]*[A-Z]\b", document.read_text())) <= known


@pytest.mark.parametrize(
    "document",
    [d for d in DOCUMENTS if d.parent.name != "decisions"],  # They also name what was decided against.
    ids=lambda d: str(d.relative_to(ROOT)),
)
def test_named_files_exist(document: Path) -> None:
    """What stands in backticks with a slash and a suffix is a file, from the root or from a usual folder."""
    named = set(
        re.findall(
            r"`([\w.-]+(?:/[\w.-]+)+\.(?:py|tf|md|json|yaml|yml|toml|rego|sh|tfvars|hcl))`",
            document.read_text(),
        )
    )
    roots = [ROOT, ROOT / "be-app" / "app", ROOT / "ops" / "familycorp_ops", ROOT / "docs", ROOT / "be-app"]
    assert [n for n in named if not n.startswith("build/") and not any((r / n).exists() for r in roots)] == []


@pytest.mark.parametrize(
    "name", sorted(RENDERERS.keys() - {"costs"})
)  # test_cost has the plans for that page.
def test_what_is_rendered_is_in_date(name: str) -> None:
    command = [sys.executable, "-m", "familycorp_ops", "render", name, "--check"]
    environment = {**os.environ, "LANGUAGE": "ko"}  # Whatever language the one who renders reads.
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text()
    reasons = text.partition("## Deployed")[2]
    for project in ("be-app", "ops"):
        requirements = tomllib.loads((ROOT / project / "pyproject.toml").read_text())["project"][
            "dependencies"
        ]
        for name in (re.split(r"[\[>=]", r)[0] for r in requirements):
            assert name.startswith("familycorp") or name in reasons


def test_every_line_of_the_security_checklist_is_proved_by_a_test() -> None:
    tests = [*ROOT.glob("be-app/tests/**/test_*.py"), *ROOT.glob("ops/tests/**/test_*.py")]
    named = {int(n) for path in tests for n in re.findall(r"mark\.security\((\d+)\)", path.read_text())}
    assert set(checklist.PROVED) <= named


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text()
    assert [d.name for d in folder.glob("0*.md") if d.name not in listed] == []
