"""The application as a Lambda function: under AWS's own Runtime Interface Emulator, behind Mangum or a Web Adapter.

The emulator (shipped with SAM) and the runtime client (`awslambdaric`) are Amazon's. The Lambda Web Adapter comes
from a container registry alone, so a stand-in takes its place (`web_adapter.py`); `LWA_BINARY` names the real one.
An invocation is what API Gateway would send (payload format 2.0), one at a time.
"""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

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
_CLIENT: Final = ("awslambdaric", "simplejson", "snapshot_restore_py", "runtime_client*")
SOURCE_IP: Final = "203.0.113.7"


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
    """An answer as a browser gets it; names of headers are in lower case, in no order."""

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
        """Return the emulator with what it runs."""
        found = sorted(_SAM.glob("lib/python3*/site-packages"))
        emulator = found and found[0] / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{_processor()}"
        if not emulator or not emulator.is_file():
            raise NotInstalledError(
                "SAM isn't installed: `make package-test` installs it, with Lambda's emulator."
            )
        # Of SAM's many packages only the runtime's client is Lambda's.
        client = self.directory / "runtime"
        client.mkdir(parents=True, exist_ok=True)
        for pattern in _CLIENT:
            for path in found[0].glob(pattern):
                if not path.name.endswith("-info") and not (client / path.name).exists():
                    (client / path.name).symlink_to(path)
        where = ["--runtime-interface-emulator-address", f"{LOOPBACK}:{self.port}"]
        where += ["--runtime-api-address", f"{LOOPBACK}:{self._runtime}"]
        python = [_python(), "-S"] if self._layers else [sys.executable]
        if not self._adapter:
            return [str(emulator), *where, *python, "-m", "awslambdaric", self._handler]
        adapter = os.environ.get("LWA_BINARY")
        stand_in = [sys.executable, str(Path(__file__).with_name("web_adapter.py"))]
        return [
            str(emulator),
            *where,
            *([adapter] if adapter else stand_in),
            *python,
            "-m",
            "uvicorn",
            *self._served(),
        ]

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
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
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
        connection = HTTPConnection(LOOPBACK, self.port, timeout=60)
        try:
            connection.request("POST", urlsplit(self.url).path, json.dumps(event))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def ask(self, request: Request) -> Answer:
        """Return the answer that API Gateway would make of the function's."""
        said = self.invoke(request.event())
        assert "statusCode" in said, said  # noqa: S101 - else Lambda failed, and API Gateway answers 500.
        body = said.get("body") or ""
        return Answer(
            said["statusCode"],
            frozenset((n.lower(), v) for n, v in said.get("headers", {}).items()),
            tuple(said.get("cookies", ())),
            base64.b64decode(body) if said.get("isBase64Encoded") else body.encode(),
        )

    def init_ms(self) -> float:
        """Return what Lambda would bill as initialisation, in milliseconds, after the first invocation."""
        # The REPORT line of the emulator gives a wrong duration; this one is right.
        found = re.search(r"INIT REPORT\(durationMs: ([0-9.]+)\)", self.log.read_text())
        assert found, self.tail(30)  # noqa: S101 - it was invoked.
        return float(found[1])


def ask_directly(port: int, request: Request) -> Answer:
    """Return the answer of an HTTP server on loopback."""
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
