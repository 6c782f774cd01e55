"""The application as a Lambda function: under AWS's own Runtime Interface Emulator, behind Mangum or a Web Adapter.

The emulator (shipped with SAM) and the runtime client (`awslambdaric`) are Amazon's. The Lambda Web Adapter comes
from a container registry alone, so a stand-in takes its place (`web_adapter.py`); images may hold either. An
invocation is what API Gateway would send (payload format 2.0), one at a time.
"""

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from familycorp_ops.servers import containers
from familycorp_ops.servers.process import (
    LOOPBACK,
    NotInstalledError,
    Server,
    clean_environment,
    free_port,
    port_is_free,
)

ROOT: Final = Path(__file__).parents[3]
_SAM: Final = ROOT / "ops" / "sam" / ".venv"
_CLIENT: Final = ("awslambdaric", "simplejson", "snapshot_restore_py*", "runtime_client*")
SOURCE_IP: Final = "203.0.113.7"
TIMEOUT: Final = "AWS_LAMBDA_FUNCTION_TIMEOUT"
"""Variable by which the emulator knows the function's timeout, in seconds."""


@dataclass(frozen=True)
class Request:
    """A request as a browser would send it; `target` is path and query, percent-encoded."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""

    def event(self) -> dict[str, Any]:
        """Return what API Gateway makes of it: small letters, repetitions joined, cookies apart, path decoded."""
        path, query = urlsplit(self.target).path, urlsplit(self.target).query
        headers: dict[str, str] = {
            "host": "api.example",
            "x-forwarded-proto": "https",
            "x-forwarded-for": SOURCE_IP,
        }
        cookies: list[str] = []
        for name, value in [(n.lower(), v) for n, v in self.headers]:
            if name == "cookie":
                cookies += value.split("; ")
            else:
                headers[name] = f"{headers[name]},{value}" if name in headers else value
        if self.body or self.method in {"POST", "PUT"}:
            headers["content-length"] = str(len(self.body))
        http = {
            "method": self.method,
            "path": unquote(path),
            "protocol": "HTTP/1.1",
            "sourceIp": SOURCE_IP,
            "userAgent": "test",
        }
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": unquote(path),
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "api",
                "domainName": "api.example",
                "http": http,
                "requestId": "gateway",
                "stage": "$default",
                "timeEpoch": 1795424400000,
            },
            "isBase64Encoded": False,
        }
        if cookies:
            event["cookies"] = cookies
        if self.body:
            kind = headers.get("content-type", "")
            text = kind.startswith("text/") or kind in {"application/json", "application/xml"}
            event |= (
                {"body": self.body.decode(), "isBase64Encoded": False}
                if text and _is_text(self.body)
                else {"body": base64.b64encode(self.body).decode(), "isBase64Encoded": True}
            )
        return event


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True)
class Answer:
    """A response as a browser gets it; names of headers are in lower case, in no order."""

    status: int
    headers: frozenset[tuple[str, str]]
    cookies: tuple[str, ...] = field(default=())
    body: bytes = b""


class Function(Server):
    """A function in one execution environment.

    Args:
        settings: its environment variables.
        directory: where its log goes.
        task: the directory that is `/var/task`; with `layers`, the artefact, and nothing else is importable.
        layers: directories that are on the path as `/opt/python` is.
        adapter: whether uvicorn serves it behind a Web Adapter; else Mangum does.
        handler: which handler.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        directory: Path,
        *,
        task: Path = ROOT / "be-app",
        layers: Sequence[Path] = (),
        adapter: bool = False,
        handler: str = "app.functions.http.handler",
    ) -> None:
        self._settings, self._task, self._layers = settings, task, layers
        self._adapter, self._handler = adapter, handler
        self._runtime = free_port()
        super().__init__("function", directory=directory, log=directory / f"function-{self._runtime}.log")

    @property
    def url(self) -> str:
        """Where the emulator takes invocations."""
        return f"http://{LOOPBACK}:{self.port}/2015-03-31/functions/function/invocations"

    def command(self) -> Sequence[str]:
        """Return the emulator and its processes."""
        client = self.directory / "runtime"
        client.mkdir(parents=True, exist_ok=True)
        emulator = [str(_emulator()), *_addresses(self.port, self._runtime)]
        for path in runtime_client():
            if not (client / path.name).exists():
                (client / path.name).symlink_to(path)
        python = [_python(), "-S"] if self._layers else [sys.executable]
        if not self._adapter:
            return [*emulator, *python, "-m", "awslambdaric", self._handler]
        # In an image the emulator starts extensions itself, as Lambda does; here a shell does.
        beside = ["/bin/sh", "-c", '"$0" "$1" & shift; exec "$@"']
        stand_in = [sys.executable, str(Path(__file__).with_name("web_adapter.py"))]
        return [*emulator, *beside, *stand_in, *python, "-m", "uvicorn", *self._served()]

    def _served(self) -> Sequence[str]:
        self._http = free_port()
        return [
            "app.functions.http:app",
            "--host",
            LOOPBACK,
            "--port",
            str(self._http),
            "--no-access-log",
            "--no-proxy-headers",
        ]

    def environment(self) -> dict[str, str]:
        """Return what Lambda and the template would set."""
        path = [self._task, *self._layers, self.directory / "runtime"]
        extra = {
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "LAMBDA_TASK_ROOT": str(self._task),
            TIMEOUT: "60",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if self._adapter:
            extra |= {
                "AWS_LWA_PORT": str(self._http),
                "AWS_LWA_READINESS_CHECK_PATH": "/health",
                "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS": "200-299",
            }
        return clean_environment(**extra, **self._settings)

    def is_ready(self) -> bool:
        """Return whether the emulator listens; the function starts with its first invocation."""
        return not port_is_free(self.port)

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Return what the function answers to an event."""
        # The emulator ends an invocation at the function's own timeout.
        connection = HTTPConnection(LOOPBACK, self.port, timeout=60 + int(self._settings.get(TIMEOUT, 0)))
        try:
            connection.request("POST", urlsplit(self.url).path, json.dumps(event))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def ask(self, request: Request) -> Answer:
        """Return the response that API Gateway would make of the function's."""
        said = self.invoke(request.event())
        assert "statusCode" in said, said  # noqa: S101 - else Lambda failed, and API Gateway responds with 500.
        body = said.get("body") or ""
        return Answer(
            said["statusCode"],
            frozenset((n.lower(), v) for n, v in said.get("headers", {}).items()),
            tuple(said.get("cookies", ())),
            base64.b64decode(body) if said.get("isBase64Encoded") else body.encode(),
        )

    def init_ms(self) -> float:
        """Return what Lambda would bill as initialisation, in milliseconds, after the first invocation."""
        # The REPORT line of the emulator gives a wrong duration; this one is right. A container's lines come late.
        for _ in range(100):
            if found := re.search(r"INIT REPORT\(durationMs: ([0-9.]+)\)", self.log.read_text()):
                return float(found[1])
            time.sleep(0.1)
        raise AssertionError(self.tail(30))


class ImageFunction(Function):
    """A function of an image that `make image` built, in a container with the bounds of Lambda's.

    It runs as user 65534 with a read-only root, `/tmp` alone writable, and the memory that is given; the emulator is
    mounted beside it and starts the image's extensions.

    Args:
        image: name or digest in the project's store, or one of the machine's own.
        settings: its environment variables.
        directory: where its log goes.
        command: what the template gives as entry point and command; by default the image's own.
        network: `host`, with which it reaches the stores of a test, or `none`, which reaches nothing.
        memory_mb: memory.
        options: more options of `podman run`.
    """

    def __init__(
        self,
        image: str,
        settings: Mapping[str, str],
        directory: Path,
        *,
        command: Sequence[str] = (),
        network: str = "host",
        memory_mb: int = 1024,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(settings, directory)
        self._image, self._command_given = image, command
        self._network, self._memory_mb, self._options = network, memory_mb, options
        self._container = f"familycorp-function-{self.port}"

    def command(self) -> Sequence[str]:
        """Return podman with the emulator, and with what that starts."""
        served = str(free_port())
        settings = {
            "AWS_LWA_PORT": served,
            "UVICORN_PORT": served,
            TIMEOUT: "60",
            **self._settings,
        }
        # Values aren't in the command line, which every process of the machine may read.
        file = self.directory / "environment"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        starts = (
            self._command_given or json.loads(_podman("image", "inspect", self._image))[0]["Config"]["Cmd"]
        )
        return [
            *(
                containers.podman(),
                "run",
                "--rm",
                "--name",
                self._container,
                "--pull=never",
                "--timeout=1800",
            ),
            *("--read-only", "--tmpfs", "/tmp:mode=1777,size=512m", "--user", "65534:65534"),  # noqa: S108 - Lambda's.
            *("--memory", f"{self._memory_mb}m", "--cap-drop=all", "--security-opt=no-new-privileges"),
            *("--network", self._network, "--env-file", str(file), *self._options),
            *("--volume", f"{_emulator()}:/emulator:ro", "--entrypoint", "/emulator", self._image),
            *(*_addresses(self.port, self._runtime), *starts),
        ]

    def environment(self) -> dict[str, str]:
        """Return the environment of podman; the function's own is in a file."""
        return dict(containers.environment())

    def is_ready(self) -> bool:
        """Return whether the emulator listens."""
        if self._network == "host":
            return super().is_ready()
        return self.pid is not None and bool(self.log.exists() and self.log.read_text())

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Return what the function answers to an event."""
        if self._network == "host":
            return super().invoke(event)
        return json.loads(
            _podman("exec", "--interactive", self._container, "python", "-c", _ASK, self.url, given=event)
        )

    def stop(self) -> None:
        """End the container, and podman with it."""
        if self.running:
            subprocess.run(
                [containers.podman(), "rm", "--force", "--time", "0", self._container],
                env=containers.environment(), capture_output=True, check=False,
            )  # fmt: skip
        super().stop()


def pulled(target: str) -> str:
    """Bring an image that `make image` built into the project's store; return its identifier.

    Args:
        target: `functions` or `http`.
    """
    archive = ROOT / "build" / f"image-{target}.tar"
    if not archive.exists():
        raise NotInstalledError(
            f"{archive} isn't there: `make image` builds it (BASES=local without registries)."
        )
    return _podman("pull", "--quiet", f"oci-archive:{archive}").decode().strip()


_ASK: Final = """
import sys, time, urllib.request
body = sys.stdin.buffer.read()
for left in reversed(range(300)):
    try:
        sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], body, timeout=60).read())
        break
    except OSError:
        if not left:
            raise
        time.sleep(0.1)
"""
"""A program that invokes a function from inside its container, where no network leads: once the emulator listens."""


def _podman(*arguments: str, given: Mapping[str, Any] | None = None) -> bytes:
    ran = subprocess.run(
        [containers.podman(), *arguments],
        env=containers.environment(), input=json.dumps(given or {}).encode(), capture_output=True, check=False,
    )  # fmt: skip
    if ran.returncode:
        raise NotInstalledError(
            f"podman {arguments[0]} failed, after `make image BASES=local`?\n{ran.stderr.decode()}"
        )
    return ran.stdout


def runtime_client() -> Sequence[Path]:
    """Return the modules of Lambda's runtime client, the only ones of SAM's environment that Lambda has, too."""
    return [
        path
        for pattern in _CLIENT
        for path in sorted(_SAM.glob(f"lib/python3*/site-packages/{pattern}"))
        if not path.name.endswith("-info")
    ]


def _emulator() -> Path:
    """Return Lambda's Runtime Interface Emulator, which SAM brings."""
    found = sorted(_SAM.glob(f"lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{_processor()}"))
    if not found:
        raise NotInstalledError(
            "SAM isn't installed: `make package-test` installs it, with Lambda's emulator."
        )
    return found[0]


def _addresses(port: int, runtime: int) -> Sequence[str]:
    """Return the emulator's options: where it takes invocations, and where it serves the Runtime API."""
    at = ["--runtime-interface-emulator-address", f"{LOOPBACK}:{port}"]
    return [*at, "--runtime-api-address", f"{LOOPBACK}:{runtime}"]


def ask_directly(port: int, request: Request) -> Answer:
    """Return the response of an HTTP server on loopback."""
    connection = HTTPConnection(LOOPBACK, port, timeout=60)
    try:
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", "api.example")
        for name, value in request.headers:
            connection.putheader(name, value)
        if request.body or request.method in {"POST", "PUT"}:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body or None)
        answer = connection.getresponse()
        headers = [(n.lower(), v) for n, v in answer.getheaders()]
        return Answer(
            answer.status,
            frozenset((n, v) for n, v in headers if n != "set-cookie"),
            tuple(v for n, v in headers if n == "set-cookie"),
            answer.read(),
        )
    finally:
        connection.close()


def packaged(directory: Path) -> tuple[Path, Path]:
    """Make the artefact as `sam build` does; return what becomes `/var/task` and `/opt/python`."""
    if sys.version_info[:2] != (3, 12):
        raise NotInstalledError("The artefact is for Python 3.12, and this is another.")
    task, layer = directory / "task", directory / "python"
    for what, where in (("application", task), ("dependencies", layer)):
        command = [
            sys.executable,
            str(ROOT / "scripts" / "package.py"),
            "--arch",
            _processor(),
            what,
            str(where),
        ]
        subprocess.run(command, check=True)
    return task, layer


def _processor() -> str:
    return "arm64" if os.uname().machine in {"aarch64", "arm64"} else "x86_64"


def _python() -> str:
    """Return the interpreter itself, without the environment it may be in."""
    return str(Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}"))
