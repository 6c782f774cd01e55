"""`make local-api`: the functions as `sam local` runs them, with stores and a login provider on this machine."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import lambda_api
import pytest

from familycorp_ops.deploy import templates
from familycorp_ops.deploy.release import SAM
from familycorp_ops.local.login import browser
from familycorp_ops.servers import containers
from familycorp_ops.servers.ministack import CREDENTIALS
from familycorp_ops.servers.process import (
    NotInstalledError,
    Process,
    clean_environment,
    free_port,
    port_is_free,
)
from familycorp_ops.testing.servers import missing
from support.staff import Person

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]

PLANTED = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED",
    "AWS_SESSION_TOKEN": "planted",
    "AWS_PROFILE": "planted",
    "FAMILYCORP_SETTINGS": '{"ENV": "planted"}',
    "FAMILYCORP_VERSION": "planted",
    "HTTPS_PROXY": "http://planted:planted@127.0.0.1:9",
    "NO_PROXY": "*",  # So that builds need no proxy.
}
"""What a caller's shell may have, and no container may see."""


def podman(*arguments: str) -> str:
    try:
        command = [containers.podman(), *arguments]
    except NotInstalledError as error:
        missing("image", error)
    return subprocess.run(
        command, env=containers.environment(), capture_output=True, text=True, check=True
    ).stdout


def functions(*options: str) -> set[str]:
    """Return the containers in which SAM runs functions."""
    return set(podman("ps", "--quiet", "--filter", "label=sam.cli.container.type=lambda", *options).split())


@pytest.fixture
def _names_of_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve `*.localhost` to loopback, as browsers do and glibc doesn't (RFC 6761)."""
    known = socket.getaddrinfo

    def resolve(host: str, *more: Any, **options: Any) -> Any:
        return known("127.0.0.1" if str(host).endswith("localhost") else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.usefixtures("_names_of_loopback")
@pytest.mark.parametrize("variant", ["image", "zip"])
def test_people_log_in_through_functions_that_sam_runs_and_nothing_is_left(
    variant: str, tmp_path: Path
) -> None:
    before = functions("--all")
    port = free_port()
    given = {"PORT": str(port), "VARIANT": variant, "BASES": "local"}
    serving = Process(
        "local-api",
        ["make", "local-api"],
        cwd=templates.ROOT,
        environment=os.environ | PLANTED | given,
        log=tmp_path / "local-api.log",
        ready=lambda: not port_is_free(port),  # A request starts a container.
        ready_within_s=1500,
        grace_s=120,
    )
    with serving, browser(f"http://localhost:{port}") as client:
        assert client.get("/health", timeout=120).json()["status"] == "ok"
        person = Person(client, "editor", "editor")
        answer = person.come_back(person.visit_provider(returnTo=f"http://localhost:{port}/"))
        assert answer.status_code == 303, answer.text
        assert person.enrol().status_code == 200
        assert person.me().json()["email"]
        assert client.get("/v1/posts").json()["items"] == []
        running = functions() - before
        assert running
        for container in running:
            inspected = json.loads(podman("inspect", container))[0]
            variables = inspected["Config"]["Env"]
            assert [variable for variable in variables if "planted" in variable.lower()] == []
            ports = inspected["NetworkSettings"]["Ports"].values()
            assert {bound["HostIp"] for bindings in ports for bound in bindings} == {"127.0.0.1"}
        with socket.socket() as elsewhere:
            assert elsewhere.connect_ex((lambda_api.gateway(podman=True), port)) != 0
    assert functions("--all") == before


def test_sam_serves_the_default_template_with_the_variables_of_a_file(tmp_path: Path) -> None:
    """After `make local-api`, whose layers `sam build` finds where no registry is."""
    podman("image", "exists", "public.ecr.aws/docker/library/python:3.12-slim-bookworm")
    before = functions("--all")
    port = free_port()
    sam = str(SAM)
    with lambda_api.engine(tmp_path, podman=True, proxies=False) as engine:
        environment = clean_environment(**CREDENTIALS, **engine, SAM_CLI_TELEMETRY="0")
        built = subprocess.run(
            [sam, "build", "--build-dir", str(tmp_path / "build")],
            cwd=templates.ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert built.returncode == 0, built.stderr
        start = [sam, "local", "start-api", "--template", str(tmp_path / "build" / "template.yaml")]
        serving = Process(
            "sam local start-api",
            [*start, "--port", str(port), "--env-vars", "ops/sam/local.json"],
            cwd=templates.ROOT,
            environment=environment,
            log=tmp_path / "sam.log",
            ready=lambda: not port_is_free(port),  # A request starts a container.
            grace_s=60,
        )
        with serving, browser(f"http://localhost:{port}") as client:
            assert client.get("/health", timeout=120).json()["status"] == "ok"
    assert functions("--all") == before
