"""A front before an emulator of AWS that keeps every request as it was sent."""

import base64
import http.client
import json
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from familycorp_ops.servers.loopback import LoopbackServer
from familycorp_ops.servers.process import NotInstalledError

MOTO: Final = Path(__file__).parents[2] / "moto"
_MANAGED: Final = """
import json, sys
from moto.iam.aws_managed_policies import aws_managed_policies_data
print(json.dumps(json.loads(aws_managed_policies_data)[sys.argv[1]]["Document"]))
"""


_OF_A_CONNECTION: Final = {"transfer-encoding", "content-length", "expect", "connection"}
"""Headers of one connection, which aren't forwarded."""


class _Forwarding(BaseHTTPRequestHandler):
    """Forwards each request of a connection to the emulator at `host`."""

    recorder: "Recorder"
    host: str
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self._body()
        self.recorder.keep(self.command, self.path, dict(self.headers.items()), body)
        connection = http.client.HTTPConnection(self.host, timeout=120)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _OF_A_CONNECTION:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            self._answer(connection.getresponse())
        finally:
            connection.close()

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        content = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        is_head = self.command == "HEAD"
        size = answer.getheader("Content-Length", "0") if is_head else str(len(content))
        self.send_header("Content-Length", size)
        self.end_headers()
        self.wfile.write(b"" if is_head else content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Recorder(LoopbackServer):
    """Hands requests on to `url` and keeps them.

    Args:
        url: the emulator's address.
    """

    def __init__(self, url: str) -> None:
        self.requests: list[dict[str, Any]] = []
        forwarding = {"recorder": self, "host": urlsplit(url).netloc}
        super().__init__(type("Forwarding", (_Forwarding,), forwarding))

    def keep(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        """Keep a request, its body in base64."""
        said = {"method": method, "path": path, "headers": headers, "body": base64.b64encode(body).decode()}
        self.requests.append(said)


def managed_policy(name: str) -> dict[str, Any]:
    """Return the text of a policy of AWS's own, as moto ships it; raise `NotInstalledError` without moto."""
    ran = subprocess.run(
        [str(_python()), "-I", "-c", _MANAGED, name], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _python() -> Path:
    python = MOTO / ".venv" / "bin" / "python"
    if not python.is_file():
        raise NotInstalledError(f"moto isn't installed in {MOTO / '.venv'}: `make infra-test` installs it.")
    return python


def checked(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what `ops/moto/check_requests.py` says of each request; raise `NotInstalledError` without moto."""
    ran = subprocess.run(
        [str(_python()), "-I", str(MOTO / "check_requests.py")],
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]
