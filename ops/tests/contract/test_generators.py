"""The API's contract in the hands of others: a linter of OpenAPI documents, and a generator of Python clients."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from familycorp_ops.docs.contract import FILE
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.servers import missing

ROOT = FILE.parents[1]
GENERATOR = ROOT / "ops" / "generator"


def run(command: list[str], cwd: Path) -> str:
    """Run a command without telemetry; return what it says if it succeeds."""
    environment = os.environ | {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    return said


def test_redocly_finds_nothing() -> None:
    linter = ROOT / "clients" / "typescript" / "node_modules" / ".bin" / "redocly"
    if not linter.exists():
        missing("typescript", NotInstalledError("Redocly isn't installed in clients/typescript."))
    said = run(
        [str(linter), "lint", str(FILE.relative_to(ROOT))], ROOT
    )  # redocly.yaml makes errors of warnings.
    assert "warning" not in said.lower().replace("deprecation warning", "")


def test_a_generated_python_client_is_complete_and_type_checks(tmp_path: Path) -> None:
    program = GENERATOR / ".venv" / "bin" / "openapi-python-client"
    if not program.exists():
        pytest.skip("The generator isn't installed in ops/generator: `make test` installs it.")
    command = [str(program), "generate", "--path", str(FILE), "--config", str(GENERATOR / "config.yaml")]
    said = run([*command, "--meta", "none", "--output-path", "client", "--fail-on-warning"], tmp_path)
    assert "WARNING" not in said
    python = str(program.with_name("python"))
    cache = str(tmp_path / "cache")
    checker = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "--cache-dir", cache]
    run([*checker, "client"], tmp_path)
