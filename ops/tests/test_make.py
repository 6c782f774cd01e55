"""What is given to make and to workflows is text: neither make nor a shell runs anything that stands in it."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from familycorp_ops.testing.commands import familycorp

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
GIVEN = {
    *("PORT", "STATE", "ARCH", "VERSION", "DIGEST", "FUNCTIONS_DIGEST", "ENV", "BASE", "BASES", "VARIANT"),
    *("ARGS", "SECONDS", "TARGET", "REPRODUCE", "ADAPTER_TAG", "ARTIFACTS_DIR", "PLAN", "API"),
}
"""Every variable that a target takes from its caller."""

TARGETS = {
    **dict.fromkeys(
        ("migrate", "restore", "load", "alarm", "plan", "infra-bootstrap", "doctor", "cost", "environment"),
        "ENV",
    ),
    **dict.fromkeys(
        ("unit", "test", "soak", "chaos", "infra-test", "package-test", "docs", "docs-check", "actions"), ""
    ),
    **dict.fromkeys(("cost-difference", "image-test", "base-images"), ""),
    "image": "ARCH BASES",
    "local-api": "PORT VARIANT BASES",
    **dict.fromkeys(("push", "smoke"), "ENV VERSION"),
    "rehearse": "STATE VARIANT",
    "reset": "STATE",
    "environment-destroy": "ENV",
    **dict.fromkeys(("infra-plan", "infra-drift"), "ENV"),
    "infra-apply": "ENV PLAN",
    "up": "PORT STATE",
    "site": "STATE API",
    "fuzz": "TARGET",
    "openapi-diff": "BASE",
    "deploy": "ENV VERSION DIGEST FUNCTIONS_DIGEST",
}
"""What each target hands on as it was given; the others check the text, or take words from it, first."""

HOSTILE = [
    "$(shell touch planted)${shell touch planted}$(touch planted)`touch planted`",
    '"; touch planted; "',
    "'; touch planted; '",
    "; touch planted #",
    "x\n\ttouch planted\ny",
    "dev > planted & touch planted | cat",
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Makefiles and scripts, with a Python, a Docker and a uv that only note how they were called."""
    root = tmp_path_factory.mktemp("copy")
    for name in (
        "Makefile",
        "be-app/Makefile",
        *(f"{part}pyproject.toml" for part in ("", "be-app/", "ops/")),
    ):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "scripts", root / "scripts")
    (root / "uv.lock").touch()
    (root / "be-app" / "base-images.env").write_text("PYTHON_DIGEST=sha256:0\n")
    calls, python = root / "calls", root / ".venv" / "bin" / "python"
    noting = f"""#!/bin/sh
case $1 in
-c) exit ;;
scripts/with_args.py) exec {sys.executable} -c 'import runpy, sys
sys.executable, sys.argv = sys.argv[1], sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")' "$0" "$@" ;;
esac
printf '%s\\0' "$@" '\n' >>{calls}
"""
    (root / "bin").mkdir()
    for program in (
        python,
        python.with_name("familycorp"),
        *(root / "bin" / name for name in ("docker", "uv", "gh", "npm")),
    ):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(noting)
        program.chmod(0o755)
    # `.tools/uv` is wanted where uv isn't to be had; each environment has the Python that make finds.
    for tool in re.search(r"^TOOLS := (.*)$", MAKEFILE, re.MULTILINE)[1].split():  # type: ignore[index]
        shutil.copytree(root / ".venv", root / "ops" / tool / ".venv")
        (root / "ops" / tool / "uv.lock").touch()
        shutil.copy(ROOT / "pyproject.toml", root / "ops" / tool)
        (root / "ops" / tool / ".venv" / ".run").touch()
    for module in ("ops/oidc-provider", "ops/actionlint", "ops/iam", "clients/typescript", "clients/site"):
        (root / module / "node_modules").mkdir(parents=True)
        for name in ("package.json", "package-lock.json", "node_modules/.run"):
            (root / module / name).touch()
    (root / ".venv" / ".dev").touch()
    (root / ".venv" / ".run").touch()
    return root


def run(copy: Path, command: list[str], **variables: str) -> list[list[str]]:
    """Run a command in the copy; return how programs were called; fail if anything was planted."""
    (copy / "calls").unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS"}}
    environment |= {"PATH": f"{copy / 'bin'}:{os.environ['PATH']}", **variables}
    ran = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    planted = [str(path) for path in copy.rglob("planted*")]
    for path in planted:
        Path(path).unlink()
    assert not planted, (command, variables, ran.stdout, ran.stderr)
    calls = (copy / "calls").read_text().split("\0\n\0")[:-1] if (copy / "calls").exists() else []
    return [call.split("\0") for call in calls if call != "cache\0dir"]


@pytest.mark.parametrize("where", ["environment", "command line"])
@pytest.mark.parametrize("text", HOSTILE)
def test_make_runs_nothing_of_what_it_is_given(copy: Path, text: str, where: str) -> None:
    given = dict.fromkeys(sorted(GIVEN), text)
    words = [f"{name}={value}" for name, value in given.items()] if where == "command line" else []
    calls = run(copy, ["make", "-k", *TARGETS, *words], **({} if words else given))
    # What a target hands on is one word, letter by letter.
    assert sum(call.count(text) for call in calls) >= len(" ".join(TARGETS.values()).split())
    run(copy, ["make", "-C", "be-app", "build-DependenciesLayer", *words], **({} if words else given))
    if words:  # Any other variable of the command line reaches every recipe, too.
        run(copy, ["make", "migrate", f"ANYTHING={text}"], ENV="dev")


def test_every_variable_that_recipes_read_is_planted() -> None:
    recipes = "\n".join(line for line in MAKEFILE.splitlines() if line.startswith("\t"))
    recipes += (ROOT / "be-app" / "Makefile").read_text()
    read = set(re.findall(r"\$\$\{?([A-Z_]+)", recipes)) | set(re.findall(r"call given,([A-Z_]+)", recipes))
    assert read - {"REQUIRE_SERVERS"} == GIVEN - {"ARGS", "ADAPTER_TAG"}
    assert not re.search(rf"\$\(({'|'.join(GIVEN)})[):]", MAKEFILE), "make would expand what is in it"


def test_words_of_args_are_grouped_by_quotes_alone(copy: Path) -> None:
    calls = run(copy, ["make", "test"], ARGS="""-k "policy or guard" 'a b' $HOME *""")
    assert ["-m", "pytest", "-k", "policy or guard", "a b", "$HOME", "*"] in calls
    assert ["-m", "pytest"] in run(copy, ["make", "test"])
    assert run(copy, ["make", "test", 'ARGS="']) == [], "quotes that don't end"


def test_defaults_and_what_is_given_reach_the_command(copy: Path) -> None:
    assert ["up", "--state", ".local"] in run(copy, ["make", "up"])
    (up,) = [c for c in run(copy, ["make", "up", "PORT=1", "STATE=a b"]) if "up" in c]
    assert up == ["up", "--port", "1", "--state", "a b"]
    (fuzz,) = run(copy, ["make", "fuzz"])
    assert fuzz == ["ops/fuzz/run.py", "--seconds", "60", "--"]
    (fuzz,) = run(copy, ["make", "fuzz", "SECONDS=5", "TARGET=t", "REPRODUCE=QQ=="])
    assert fuzz == ["ops/fuzz/run.py", "--seconds", "5", "--reproduce=QQ==", "--", "t"]
    (image,) = run(copy, ["make", "image", "ARCH=arm64", "ARGS=--twice"])
    assert image == ["scripts/image.py", "--arch", "arm64", "--bases", "pinned", "--twice"]


def test_a_port_in_use_is_reported_before_anything_is_installed(copy: Path) -> None:
    installed = copy / ".venv" / ".run"
    installed.unlink()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert run(copy, ["make", "up", f"PORT={taken.getsockname()[1]}"]) == []
        assert not installed.exists()
    installed.touch()


def _steps() -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Return command and environment of every step of a workflow that is given something."""
    found = set()
    for file in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            for step in job.get("steps", ()):
                given = {**job.get("env", {}), **step.get("env", {})}
                if "run" in step and given:
                    found.add((step["run"], frozenset((name, str(value)) for name, value in given.items())))
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_workflows_run_nothing_of_their_inputs(copy: Path, text: str) -> None:
    steps = _steps()
    assert len(steps) > 10
    for command, variables in steps:
        assert "${{" not in command
        given = {name: re.sub(r"\$\{\{.*?\}\}", lambda _: text, value) for name, value in variables}
        assert text in "".join(given.values())
        run(copy, ["bash", "-e", "-c", command], **given, GITHUB_REPOSITORY="a/b")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("push dev --version 'a b'", "'a b' is no release"),
        ("push dev --version ''", "'' is no release"),
        ("deploy dev --digest sha256:0", "'sha256:0' is no digest of an image"),
        ("deploy dev --digest ''", "'' is no digest of an image"),
        (f"deploy dev --digest sha256:{'0' * 64} --version 'x\ny=z'", "is no release"),
        (f"deploy dev --digest sha256:{'0' * 64}x", "is no digest of an image"),
        (f"deploy dev --digest 'sha256:{'0' * 64}\n'", "is no digest of an image"),
        ("deploy 'dev;x' --version x", "dev;x is none of dev, stage and prod."),
        ("migrate ../dev", "../dev is none of dev, stage and prod."),
    ],
)
def test_what_names_a_release_has_its_form(command: str, said: str) -> None:
    ran = familycorp("release", *shlex.split(command), COLUMNS="300")
    assert ran.returncode == 2
    assert said in ran.stderr


def test_pre_commit_checks_the_types_that_make_lint_checks() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\nlint: ")[2].partition("\n\n")[0]
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"] for hook in repository["hooks"]]
    commands = re.findall(r"^\t(\.venv/bin/mypy\b.*)$", recipe, re.MULTILINE)
    assert len(commands) == 2
    assert [entry for entry in hooks if "mypy" in entry] == commands


def test_the_pipeline_checks_the_versions_that_are_supported() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    supported = re.search(r"for version in (3[\d. ]+);", script)
    lowest, first_refused = re.search(  # type: ignore[union-attr]
        r'^requires-python = ">=3\.(\d+),<3\.(\d+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    ).groups()
    assert supported
    assert supported[1].split() == [f"3.{minor}" for minor in range(int(lowest), int(first_refused))]
    (fast,) = re.findall(r"^FAST=\((.*)\)$", script, re.MULTILINE)
    listed = subprocess.check_output(["bash", "-c", f"ls {fast}"], cwd=ROOT, text=True).split()
    assert len(listed) == 10


OUTSIDE = re.compile(r"(?<=It works without any of it\.\n)(?:[A-Z_]+=.+\n)+")
"""The lines of `.ci/run` that name what lies outside of the repository."""


def test_the_pipeline_names_what_it_uses_outside_of_the_repository_in_one_place() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    block = OUTSIDE.search(script)
    assert block
    for line in block[0].splitlines():
        named = re.fullmatch(r"([A-Z_]+)=\S+ # .+\.", line)
        assert named, line
        assert f"${named[1]}" in script[block.end() :], line
    files = [*(ROOT / ".ci").iterdir(), *(ROOT / "scripts").iterdir(), *(ROOT / ".github").rglob("*.yml")]
    for file in [*files, ROOT / "Makefile", ROOT / ".pre-commit-config.yaml"]:
        if file.is_file():
            text = file.read_text().replace(block[0], "")
            assert re.findall(r".*(?:\.\./|\$HOME|~/|/opt/|_CACHE_HOME).*", text) == [], file


@pytest.mark.parametrize(
    ("tool", "until"), [("Open Policy Agent", "Browser and Node.js"), ("Terraform", "Malware")]
)
def test_the_pipeline_works_without_what_is_outside_of_the_repository(
    tmp_path: Path, tool: str, until: str
) -> None:
    script = (ROOT / ".ci" / "run").read_text()
    outside = OUTSIDE.search(script)
    assert outside
    alone = script[script.index(f"step '{tool}'") : script.index(f"step '{until}")]
    program = "\n".join(["set -euo pipefail", "step() { :; }", outside[0], alone, "echo end"])
    ran = subprocess.run(
        [str(shutil.which("bash")), "-c", program],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": str(tmp_path), "REQUIRE_SERVERS": "valkey"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    said = ran.stdout.splitlines()
    assert said[0].startswith("NOTICE: ")
    assert said[-1] == "end"


def test_the_pipeline_says_how_long_each_step_took() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    functions = script[script.index("steps=() began=0") : script.index("step 'System packages'")]
    shown = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{functions}\nstep one\nstep two\nfalse"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 1
    said = shown.stdout.splitlines()
    assert re.fullmatch(r"-- \d+\.\d min: one", said[2])
    assert said[said.index("== Minutes") + 1] == said[2][3:6] + "  one"
    assert said[-1].endswith("  in all")


RUN_BY = {
    "infra": ("infra-test",),
    "package": ("package-test",),
    "image": ("image-test",),
    "holds": ("soak", "chaos", "nightly"),
}
"""The targets that run what `make test` leaves out, by mark."""


@pytest.mark.parametrize("mark", RUN_BY)
def test_every_file_that_make_test_leaves_out_is_named_by_the_target_of_its_mark(mark: str) -> None:
    recipes = "".join(re.findall(rf"^(?:{'|'.join(RUN_BY[mark])}):.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE))
    named = {file for glob in re.findall(r"\S+/tests/\S+\.py", recipes) for file in ROOT.glob(glob)}
    tests = (f for place in ("ops", "be-app") for f in (ROOT / place / "tests").rglob("test_*.py"))
    marked = {file for file in tests if re.search(rf"mark\.{mark}\b", file.read_text())}
    assert marked
    assert marked - named == set()
