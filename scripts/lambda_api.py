"""`make local-api`: `sam local start-api` with everything that the functions need on this machine, until Ctrl-C.

SAM builds the functions of a template and runs each in a container under Lambda's emulator. The emulated AWS
services, the cache and the login provider run here, on loopback; containers reach them by a relay on the gateway of
their network. No credential of the caller's, and no value of an environment, reaches a container unless an
environment is named.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from familycorp_ops.deploy import templates
from familycorp_ops.deploy.release import SAM, parameter
from familycorp_ops.local.provision import provision
from familycorp_ops.local.services import ROLE_GROUPS
from familycorp_ops.local.terminal import foreground, signals
from familycorp_ops.servers import containers
from familycorp_ops.servers.ministack import CREDENTIALS, REGION, MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import CLIENT_ID
from familycorp_ops.servers.process import (
    LOOPBACK,
    NotInstalledError,
    Process,
    ServerError,
    free_port,
)
from familycorp_ops.servers.valkey import Valkey

ROOT: Final = templates.ROOT
HOST: Final = "my.localhost"
"""This machine's name: for browsers loopback by its ending (RFC 6761), for containers by their hosts file.

The emulator of S3 takes a first label of three letters or more for a bucket.
"""
IP_FREEBIND: Final = 15
"""Linux's option for an address that isn't there yet (ip(7)); Python has no name for it before 3.12."""
STAND_INS: Final = ROOT / "scripts" / "image.py"


class Relay:
    """Hands what reaches a port of the containers' gateway to the same port of loopback, for the length of the block.

    The gateway's address may not exist yet: podman makes its bridge with the first container.
    """

    def __init__(self, gateway: str, ports: Sequence[int]) -> None:
        self._listening: list[socket.socket] = []
        for port in ports:
            listening = socket.socket()
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
            listening.bind((gateway, port))
            listening.listen()
            self._listening.append(listening)
            threading.Thread(target=self._accept, args=(listening, port), daemon=True).start()

    def _accept(self, listening: socket.socket, port: int) -> None:
        with suppress(OSError):  # The block ended.
            while True:
                near, _ = listening.accept()
                try:
                    far = socket.create_connection((LOOPBACK, port))
                except OSError:
                    near.close()
                    continue
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while read := source.recv(65_536):
                target.sendall(read)
            target.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for listening in self._listening:
            listening.close()


@contextmanager
def engine(directory: Path, *, podman: bool, proxies: bool) -> Iterator[Mapping[str, str]]:
    """Yield the variables by which SAM finds a container engine.

    Args:
        directory: where podman's socket and log are.
        podman: whether it is podman, of the project's own store; else Docker.
        proxies: whether podman hands the variables of proxies on to containers, as it does to reach registries.
    """
    if not podman:
        yield {name: value for name, value in os.environ.items() if name == "DOCKER_HOST"}
        return
    environment = containers.environment()
    if not proxies:
        environment = {n: v for n, v in environment.items() if not n.lower().endswith("_proxy")}
    file = directory / f"engine-{proxies:d}.sock"
    serving = Process(
        "podman",
        [containers.podman(), "system", "service", "--time=0", f"unix://{file}"],
        environment=environment,
        log=directory / "podman.log",
        ready=file.exists,
    )
    with serving:
        yield {"DOCKER_HOST": f"unix://{file}"}


def gateway(*, podman: bool) -> str:
    """Return the address at which containers find this machine."""
    if podman:
        command = [containers.podman(), "network", "inspect", "podman"]
        said = subprocess.run(command, env=containers.environment(), capture_output=True, check=True).stdout
        return str(json.loads(said)[0]["subnets"][0]["gateway"])
    command = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def embedded(stack: ExitStack, port: int, address: str) -> Mapping[str, str]:
    """Start the stores and the login provider; return the functions' settings, without their prefix.

    Args:
        stack: what stops them.
        port: where the API listens.
        address: the containers' gateway.
    """
    from app.core.settings import Settings  # noqa: PLC0415 - not before arguments are read.

    api_url = f"http://localhost:{port}"
    emulator = stack.enter_context(MiniStack(origins=[api_url]))
    valkey = stack.enter_context(Valkey())
    login = free_port()
    stack.enter_context(NanoIDP(api_urls=[api_url], port=login, issuer=f"http://{HOST}:{login}"))
    stack.enter_context(Relay(address, [emulator.port, valkey.port, login]))
    settings = {
        "ENV": "local",
        # A file of each container's own, and empty: only the stores below are shared.
        "DATABASE_URL": "sqlite+aiosqlite:////tmp/content.db",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://{HOST}:{emulator.port}",
        "CACHE_URL": f"redis://{HOST}:{valkey.port}/0",
        "API_URL": api_url,
        "CORS_ORIGINS": api_url,
        "OIDC_ISSUER": f"http://{HOST}:{login}",
        "OIDC_CLIENT_ID": CLIENT_ID,
        "ROLE_GROUPS": ROLE_GROUPS,
    }
    here = settings | {"AWS_ENDPOINT_URL": emulator.url}
    provision(Settings.model_validate({name.lower(): value for name, value in here.items()}))
    return settings


def serve(variant: str, port: int, env: str | None, *, local: bool, stopped: Callable[[], bool]) -> int:
    """Build a template's functions and serve its API on 127.0.0.1; return SAM's exit status.

    Args:
        variant: `image` or `zip`.
        port: where the API listens.
        env: environment in AWS whose settings and whose caller's credentials the functions get, if any.
        local: whether base images are stand-ins.
        stopped: returns whether Ctrl-C came.
    """
    if not SAM.is_file():
        raise NotInstalledError("SAM isn't installed: `make local-api` installs it.")
    deployed = _settings(env) if env else None
    if local:
        # SAM's builds can't reach a mirror of PyPI, and find what this builds in the cache of layers.
        fill = [sys.executable, str(STAND_INS), "--bases", "local", "--for-sam", variant]
        if (status := _run(fill, os.environ, stopped)) or stopped():
            return status
    podman = local or not containers.docker_runs()
    template = templates.IMAGE if variant == "image" else templates.ZIP
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fc-")))
        # Docker's configuration holds credentials of registries and proxies, which SAM would hand on.
        environment = _environment() | {"DOCKER_CONFIG": str(directory)}
        built = directory / "build"
        with engine(directory, podman=podman, proxies=True) as found:
            build = [str(SAM), "build", "--config-file", str(ROOT / "samconfig.toml")]
            build += ["--template-file", str(template), "--build-dir", str(built)]
            if (status := _run(build, {**environment, **found}, stopped)) or stopped():
                return status
        address = gateway(podman=podman)
        settings = deployed or json.dumps(embedded(stack, port, address))
        variables = directory / "variables.json"
        variables.touch(mode=0o600)
        variables.write_text(json.dumps({"Parameters": {"FAMILYCORP_SETTINGS": settings}}))
        start = [str(SAM), "local", "start-api", "--template", str(built / "template.yaml")]
        start += ["--host", LOOPBACK, "--port", str(port), "--env-vars", str(variables), "--skip-pull-image"]
        start += ["--add-host", f"{HOST}:{address}", "--warm-containers", "LAZY"]
        found = stack.enter_context(engine(directory, podman=podman, proxies=False))
        return _run(start, {**environment, **found}, stopped)


def _settings(env: str) -> str:
    """Return the settings of an environment in AWS, as the functions have them there."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - few name an environment.

    try:
        return parameter(env, "settings")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Cannot reach AWS: {error}")


def _forget_caller() -> None:
    """Take the caller's AWS out of this process's reach, and SAM's, which hands credentials on to containers."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= CREDENTIALS


def _environment() -> dict[str, str]:
    """Return SAM's environment: without settings, for SAM prefers them to what the template has."""
    environment = {n: v for n, v in os.environ.items() if not re.match("FAMILYCORP_|OPA_", n)}
    return environment | {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION}


def _run(command: Sequence[str], environment: Mapping[str, str], stopped: Callable[[], bool]) -> int:
    """Run a command until it ends or Ctrl-C comes; return its exit status, 0 after Ctrl-C."""
    # In a session of its own: SAM removes its containers on the first signal, and a second would keep it from that.
    child = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    while child.poll() is None:
        if stopped():
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()
            return 0
        time.sleep(0.1)
    return child.returncode


def main() -> int:
    """Do as the module says."""
    parser = argparse.ArgumentParser(
        description="Serve the API on this machine as Lambda does, by `sam local`."
    )
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--variant", choices=("image", "zip"), default="image")
    parser.add_argument("--bases", choices=("tags", "local"), default="tags")
    parser.add_argument("--env", choices=("dev", "stage", "prod"), help="use an environment in AWS, as you")
    chosen = parser.parse_args()
    local = chosen.bases == "local"
    if not chosen.env:
        _forget_caller()
    try:
        with signals() as stopped, foreground():
            return serve(chosen.variant, chosen.port, chosen.env, local=local, stopped=stopped)
    except ServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    sys.exit(main())
