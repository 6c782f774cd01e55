"""`make local-api`: the functions as `sam local` runs them, with stores and a login provider on this machine."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from familycorp_ops.local.login import browser
from familycorp_ops.servers import containers
from familycorp_ops.servers.process import NotInstalledError, Process, free_port, http_ok
from familycorp_ops.testing.servers import missing
from support.staff import Person

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]

PLANTED = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED",
    "FAMILYCORP_SETTINGS": '{"ENV": "planted"}',
    "AWS_PROFILE": "planted",
}


def podman(*arguments: str) -> str:
    try:
        command = [containers.podman(), *arguments]
    except NotInstalledError as error:
        missing("image", error)
    return subprocess.run(
        command, env=containers.environment(), capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def _names_of_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve `*.localhost` to loopback, as browsers do and glibc doesn't (RFC 6761)."""
    known = socket.getaddrinfo

    def resolve(host: str, *more: Any, **options: Any) -> Any:
        return known("127.0.0.1" if str(host).endswith(".localhost") else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.usefixtures("_names_of_loopback")
@pytest.mark.parametrize("variant", ["image"])
def test_people_log_in_through_functions_that_sam_runs_and_nothing_is_left(
    variant: str, tmp_path: Path
) -> None:
    before = set(podman("ps", "--all", "--quiet").split())
    port = free_port()
    module = ["-m", "familycorp_ops.local.lambda_api", "--bases", "local"]
    serving = Process(
        "local-api",
        [sys.executable, *module, "--variant", variant, "--port", str(port)],
        environment=os.environ | PLANTED,
        log=tmp_path / "local-api.log",
        ready=lambda: http_ok(port, "/health"),
        ready_within_s=1200,
        grace_s=120,
    )
    with serving, browser(f"http://127.0.0.1:{port}") as client:
        person = Person(client, "editor", "editor")
        answer = person.come_back(person.visit_provider(returnTo="http://localhost:8001/"))
        assert answer.status_code == 303, answer.text
        assert person.enrol().status_code == 200
        assert person.me().json()["email"]
        running = [c for c in podman("ps", "--quiet").split() if c not in before]
        assert running
        for container in running:
            given = json.loads(podman("inspect", container))[0]["Config"]["Env"]
            assert not [variable for variable in given if "planted" in variable.lower()]
    assert set(podman("ps", "--all", "--quiet").split()) == before
