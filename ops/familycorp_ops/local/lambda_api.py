"""`make local-api`: `sam local start-api` with everything that the functions need on this machine, until Ctrl-C.

SAM builds the functions of a template and runs each in a container under Lambda's emulator. The emulated AWS
services, the cache and the login provider run here, on loopback. Containers reach them by a relay on the gateway of
their network, and the login provider by a name that browsers resolve, too. No credential of the caller's, and no
value of an environment, reaches a container.
"""

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, Self

from familycorp_ops.deploy import templates
from familycorp_ops.local.provision import provision
from familycorp_ops.local.services import ROLE_GROUPS
from familycorp_ops.servers import containers
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import CLIENT_ID
from familycorp_ops.servers.process import LOOPBACK, Process, ServerError, clean_environment, free_port
from familycorp_ops.servers.valkey import Valkey

ROOT: Final = templates.ROOT
SAM: Final = ROOT / "ops" / "sam" / ".venv" / "bin" / "sam"
LOGIN_HOST: Final = "login.localhost"
"""The login provider's name: for browsers loopback by its ending (RFC 6761), for containers by their hosts file."""
IP_FREEBIND: Final = 15


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
def engine(directory: Path, *, local: bool) -> Iterator[tuple[Mapping[str, str], str]]:
    """Yield the environment in which SAM finds a container engine, and the gateway of its network."""
    if not local and containers.docker_runs():
        inspect = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
        yield {}, subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip()
        return
    address = f"unix://{directory}/engine.sock"
    serving = Process(
        "podman",
        [containers.podman(), "system", "service", "--time=0", address],
        environment=containers.environment(),
        log=directory / "podman.log",
        ready=(directory / "engine.sock").exists,
    )
    inspect = [containers.podman(), "network", "inspect", "podman"]
    said = subprocess.run(inspect, env=containers.environment(), capture_output=True, check=True).stdout
    with serving:
        yield {"DOCKER_HOST": address}, json.loads(said)[0]["subnets"][0]["gateway"]


def settings(
    gateway: str, emulator: MiniStack, valkey: Valkey, provider: NanoIDP, port: int
) -> dict[str, str]:
    """Return the functions' settings, without their prefix, with addresses that containers reach."""
    return {
        "ENV": "local",
        "DATABASE_URL": "sqlite+aiosqlite:////tmp/content.db",
        "AWS_REGION": "ap-northeast-2",
        "AWS_ENDPOINT_URL": f"http://{gateway}:{emulator.port}",
        "CACHE_URL": f"redis://{gateway}:{valkey.port}/0",
        "API_URL": f"http://{LOOPBACK}:{port}",
        "CORS_ORIGINS": "http://localhost:8001",
        "OIDC_ISSUER": provider.url,
        "OIDC_CLIENT_ID": CLIENT_ID,
        "ROLE_GROUPS": ROLE_GROUPS,
    }


def serve(template: Path, port: int, *, local: bool) -> int:
    """Build a template's functions and serve its API on 127.0.0.1; return SAM's exit status.

    Args:
        template: one of the templates.
        port: where the API listens.
        local: whether base images are stand-ins.
    """
    if local:
        fill = [sys.executable, str(ROOT / "scripts" / "image.py"), "--bases", "local", "--for-sam"]
        if status := subprocess.run(fill, check=False).returncode:
            return status
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fc-")))
        emulator = stack.enter_context(MiniStack())
        valkey = stack.enter_context(Valkey())
        login_port = free_port()
        provider = NanoIDP(
            api_urls=[f"http://{LOOPBACK}:{port}"],
            port=login_port,
            issuer=f"http://{LOGIN_HOST}:{login_port}",
        )
        stack.enter_context(provider)
        found, gateway = stack.enter_context(engine(directory, local=local))
        chosen = settings(gateway, emulator, valkey, provider, port)
        _provision(chosen | {"AWS_ENDPOINT_URL": emulator.url})
        stack.enter_context(Relay(gateway, [emulator.port, valkey.port, provider.port]))
        # Nothing of the caller's AWS reaches SAM, which would hand it to containers.
        environment = clean_environment(
            **CREDENTIALS, **found, SAM_CLI_TELEMETRY="0", AWS_DEFAULT_REGION="ap-northeast-2"
        )
        environment = {n: v for n, v in environment.items() if not n.startswith("FAMILYCORP_")}
        variables = directory / "variables.json"
        variables.write_text(json.dumps({"Parameters": {"FAMILYCORP_SETTINGS": json.dumps(chosen)}}))
        built = directory / "build"
        build = [str(SAM), "build", "--template-file", str(template), "--build-dir", str(built)]
        if status := subprocess.run(build, cwd=ROOT, env=environment, check=False).returncode:
            return status
        start = [str(SAM), "local", "start-api", "--template", str(built / "template.yaml")]
        start += ["--host", LOOPBACK, "--port", str(port), "--env-vars", str(variables), "--skip-pull-image"]
        start += ["--add-host", f"{LOGIN_HOST}:{gateway}", "--warm-containers", "LAZY"]
        return _until_interrupted(start, environment)


def _until_interrupted(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run SAM until Ctrl-C, upon which it removes its containers; return its exit status."""
    child = subprocess.Popen(command, cwd=ROOT, env=environment)

    def interrupt(_: int, __: FrameType | None) -> None:
        child.send_signal(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    return child.wait()


def _provision(values: Mapping[str, str]) -> None:
    from app.core.settings import Settings  # noqa: PLC0415 - not before arguments are read.

    provision(Settings.model_validate({name.lower(): value for name, value in values.items()}))


def main() -> int:
    """Do as the module says."""
    parser = argparse.ArgumentParser(description="Serve the API as SAM does, on this machine.")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--variant", choices=("image", "zip"), default="image")
    parser.add_argument("--bases", choices=("pinned", "local"), default="pinned")
    chosen = parser.parse_args()
    template = templates.IMAGE if chosen.variant == "image" else templates.ZIP
    try:
        return serve(template, chosen.port, local=chosen.bases == "local")
    except ServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    sys.exit(main())
