"""What `make local-api` hands to SAM, and so to containers. Containers themselves are in `test_local_api.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack, client
from familycorp_ops.servers.process import free_port

RUN = "import pathlib; import lambda_api; "
PLANTED = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED",
    "AWS_PROFILE": "planted",
    "AWS_SESSION_TOKEN": "planted",
    "DOCKER_CONFIG": "/planted",
    "FAMILYCORP_SETTINGS": '{"ENV": "planted"}',
    "FAMILYCORP_VERSION": "planted",
}
"""What a caller's shell may have."""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A Docker whose network's gateway is this machine, and a SAM that notes its environment and variables."""
    for name, script in {
        "docker": '[ "$1" != network ] || echo 127.0.0.2',
        "sam": f"""env >{tmp_path}/$1.env
for word; do
  [ "$before" != --env-vars ] || cp "$word" {tmp_path}/variables.json
  before=$word
done""",
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return tmp_path


def serve(programs: Path, *arguments: str, **variables: str) -> dict[str, Any]:
    """Run it; return the settings that functions get."""
    script = f"{RUN}lambda_api.SAM = pathlib.Path({str(programs / 'sam')!r}); lambda_api.main()"
    paths = {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "scripts")}
    environment = {**os.environ, **variables, **paths}
    ran = subprocess.run(
        [sys.executable, "-c", script, "--port", str(free_port()), *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    given = json.loads((programs / "variables.json").read_text())
    settings: dict[str, Any] = json.loads(given["Parameters"]["FAMILYCORP_SETTINGS"])
    return settings


def test_nothing_of_the_callers_reaches_sam(programs: Path) -> None:
    settings = serve(programs, **PLANTED)
    assert settings["ENV"] == "local"
    for command in ("build", "local"):
        given = (programs / f"{command}.env").read_text()
        assert "planted" not in given.lower()
        assert f"AWS_ACCESS_KEY_ID={CREDENTIALS['AWS_ACCESS_KEY_ID']}\n" in given


def test_a_named_environments_settings_are_used_with_the_callers_credentials(
    programs: Path, ministack: MiniStack
) -> None:
    kept = {"ENV": "dev", "LOG_LEVEL": "DEBUG"}
    put = client(ministack.url, "ssm").put_parameter
    put(Name="/familycorp/dev/settings", Value=json.dumps(kept), Type="String", Overwrite=True)
    caller = {**CREDENTIALS, "AWS_SESSION_TOKEN": "callers", "AWS_ENDPOINT_URL": ministack.url}
    assert serve(programs, "--env", "dev", **caller) == kept
    assert "AWS_SESSION_TOKEN=callers\n" in (programs / "local.env").read_text()
