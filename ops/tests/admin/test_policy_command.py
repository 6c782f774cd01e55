"""`familycorp policy`: what it prints, and how it ends."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.authz import policy
from familycorp_ops.admin.policy import home
from familycorp_ops.servers.process import clean_environment
from familycorp_ops.testing.commands import Ran, familycorp

ROOT = Path(__file__).parents[3]


def run(*arguments: str, **variables: str) -> Ran:
    return familycorp("policy", *arguments, environment=clean_environment(**{"TERM": "dumb"} | variables))


@pytest.fixture
def bundle(tmp_path):
    """A copy of the built bundle."""
    shutil.copytree(
        policy.BUILT, tmp_path / "bundle", ignore=shutil.ignore_patterns("policy.cwasm", "policy.json")
    )
    return tmp_path / "bundle"


def test_what_is_allowed_is_explained_by_the_permission():
    told = run("explain", "--as", "editor", "--action", "category:create")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.splitlines() == [
        "decision     allowed",
        "rule         opa/data/data.json: roles.editor permits category:create",
        f"revision     {policy.revision()}",
    ]


def test_a_denial_names_the_roles_that_would_do():
    told = run("explain", "--as", "viewer", "--action", "post:publish")
    shown = re.search(r"--action post:publish\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown
    assert told.returncode == 1
    assert told.stdout.startswith(shown[1]), told.stdout


def test_what_is_inherited_is_explained_by_whom_it_comes_from():
    told = run("explain", "--as", "admin", "--action", "post:list")
    assert "roles.viewer permits post:list" in told.stdout


def test_what_is_denied_is_explained_by_its_rules():
    resource = json.dumps({"type": "member", "id": "me", "newRole": None})
    arguments = ["--as", "admin", "--action", "member:set-role", "--resource", resource, "--mfa-age", "301"]
    told = run("explain", *arguments)
    assert (told.returncode, told.stderr) == (1, "")
    decision, reasons, *rules, revision = told.stdout.splitlines()
    assert decision == "decision     denied"
    assert reasons == "reasons      own_account, step_up_required"
    assert revision.endswith(policy.revision())
    assert len(rules) == 2
    for rule in rules:  # They lead to where the rules stand.
        place, number, line = rule.removeprefix("rule         ").split(":", 2)
        assert (home().parent / place).read_text().splitlines()[int(number) - 1].strip() == line.strip()
        assert line.strip().startswith("reasons contains")


def test_a_denial_names_the_roles_that_permit_it():
    told = run("explain", "--as", "viewer", "--action", "post:create")
    assert "roles        editor, admin" in told.stdout.splitlines()


def test_obligations_are_printed():
    told = run("explain", "--as", "editor", "--action", "member:list")
    assert told.returncode == 0
    assert 'obligations  {"fields": ["id", "name", "former"]}' in told.stdout.splitlines()


def test_json_for_programs():
    told = run("explain", "--action", "post:publish", "--json")
    assert told.returncode == 1
    answer = json.loads(told.stdout)
    (rule,) = answer.pop("rules")
    assert 'reasons contains "not_authenticated"' in rule
    assert answer == {
        "allow": False,
        "reasons": ["not_authenticated"],
        "obligations": {},
        "roles": [],
        "revision": policy.revision(),
    }


@pytest.mark.parametrize(
    ("who", "action", "resource", "allowed"),
    [
        ("anonymous", "post:view", None, True),
        ("anonymous", "post:view", {"type": "post", "published": False}, False),
        ("member", "self:read", None, True),
        ("member", "post:list", None, False),
        ("viewer", "post:preview", {"type": "post", "owner": "other", "draft": False}, True),
        ("viewer", "post:preview", {"type": "post", "owner": "other", "draft": True}, False),
        ("system", "post:publish", {"type": "post", "owner": "other", "draft": True}, True),
        ("admin", "post:publish", None, False),
        ("admin", "no:such", None, False),
    ],
)
def test_how_it_ends_says_what_was_decided(who, action, resource, allowed):
    known = [] if resource is None else ["--resource", json.dumps(resource)]
    told = run("explain", "--as", who, "--action", action, *known)
    assert told.returncode == (0 if allowed else 1), told.stdout
    assert told.stderr == ""


def test_somebody_elses_id_can_be_asked_for():
    own = json.dumps({"type": "post", "owner": "haneul", "draft": True})
    arguments = ["explain", "--as", "editor", "--action", "post:update", "--resource", own]
    assert run(*arguments).returncode == 1
    assert run(*arguments, "--id", "haneul").returncode == 0


def test_mistakes_are_one_sentence():
    told = run("explain", "--action", "post:view", "--resource", "{type: post}")
    assert told.returncode == 1
    assert told.stderr.startswith("--resource is not JSON: ")
    assert len(told.stderr.splitlines()) == 1
    assert run("explain", "--action", "post:view", "--as", "owner").returncode == 2
    assert run("explain").returncode == 2


def test_a_bundle_that_cannot_decide_denies_here_too(bundle):
    (bundle / "data.json").write_text("{}")
    told = run("explain", "--action", "post:view", OPA_BUNDLE_PATH=str(bundle))
    assert told.returncode == 1
    assert "policy_error" in told.stdout
    assert told.stderr == ""


def test_it_asks_the_bundle_that_is_named(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"revision": "another"}))
    told = run("explain", "--action", "post:view", OPA_BUNDLE_PATH=str(bundle))
    assert told.stdout.splitlines()[-1] == "revision     another"


@pytest.mark.parametrize("arguments", [["build", "--output"], ["test"]])
def test_without_opa_it_says_what_to_do(arguments, tmp_path):
    output = [str(tmp_path / "bundle")] * (arguments[-1] == "--output")
    told = run(*arguments, *output, PATH=str(tmp_path))
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("There is no `opa` on PATH: put OPA's release")
    assert len(told.stderr.splitlines()) == 1
    assert not (tmp_path / "bundle").exists()


def test_precompiling_leaves_the_bundle_as_it_is(bundle):
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    told = run("precompile", str(bundle))
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(f"{bundle / 'policy.cwasm'} is for ")
    after = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert set(after) - set(before) == {"policy.cwasm", "policy.json"}
    assert before.items() <= after.items()
    asked = run("explain", "--action", "post:view", OPA_BUNDLE_PATH=str(bundle))
    assert asked.returncode == 0


def test_a_precompiled_form_is_nothing_to_commit():
    listed = ["git", "-C", str(ROOT), "ls-files", "be-app/opa/build"]
    ran = subprocess.run(listed, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip("this is no git checkout")
    assert {Path(name).name for name in ran.stdout.split()} == {"policy.wasm", "data.json", "manifest.json"}
