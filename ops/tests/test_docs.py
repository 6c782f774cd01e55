"""The documents say what is: tours are executed, links and tables are compared."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from familycorp_ops import pytest_checklist
from familycorp_ops.servers.process import Process, free_port, http_ok

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TOUR = re.compile(r"<!-- tour -->\n```console\n(.*?)```\n<!-- /tour -->", re.DOTALL)


def tour(name: str) -> list[tuple[str, str]]:
    """Return the commands of a README's tour, each with the answer that it shows."""
    found = TOUR.search((ROOT / name).read_text())
    assert found, f"{name} has no tour"
    steps = re.split(r"^\$ ", found[1], flags=re.MULTILINE)[1:]
    return [(command, answer.rstrip("\n")) for command, _, answer in (step.partition("\n") for step in steps)]


def test_the_tour_gives_exactly_the_shown_answers(tmp_path: Path) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "familycorp_ops",
        "up",
        "--state",
        str(tmp_path / "state"),
        "--port",
        str(port),
    ]
    ready = lambda: http_ok(port, "/v1/posts")  # noqa: E731
    running = Process(
        "up", command, log=tmp_path / "up.log", ready=ready, ready_within_s=120, grace_s=20, cwd=ROOT
    )
    with running:
        for shown, expected in tour("README.md"):
            line = shown.replace(":8000", f":{port}")
            ran = subprocess.run(
                ["bash", "-c", line], capture_output=True, text=True, timeout=30, check=False
            )
            assert ran.stdout.rstrip("\n") == expected, shown


def test_both_languages_show_the_same_tour() -> None:
    assert tour("README.ko.md") == tour("README.md")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:\s]+)[^)]*\)", document.read_text())
    assert [t for t in targets if not (document.parent / t).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", document.read_text()))
    assert named <= targets


@pytest.mark.parametrize("name", ["document_settings.py", "document_policy.py", "document_queries.py"])
def test_tables_that_a_script_writes_are_in_date(name: str) -> None:
    script = [sys.executable, str(ROOT / "scripts" / name), "--check"]
    ran = subprocess.run(script, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


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
    tests = [*ROOT.glob("be-app/tests/test_*.py"), *ROOT.glob("ops/tests/test_*.py")]
    named = {int(n) for path in tests for n in re.findall(r"mark\.security\((\d+)\)", path.read_text())}
    assert set(pytest_checklist.PROVED) <= named


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text()
    assert [d.name for d in folder.glob("0*.md") if d.name not in listed] == []
