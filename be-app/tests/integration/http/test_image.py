"""The images that `make image` built, run as Lambda runs them: `make image-test`.

Functions run in containers under Lambda's own emulator, as a user without privileges, with a read-only root and the
memory of the template. What an emulator can't show is in docs/how-to/operations.md.
"""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from familycorp_ops import facts
from familycorp_ops.deploy import templates
from familycorp_ops.docs.sizes import DOCUMENT
from familycorp_ops.rehearse import container, sandbox
from familycorp_ops.servers import containers
from familycorp_ops.servers.function import ImageFunction, Request, pulled
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import Person as Account
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.servers.sql import SqlServer
from familycorp_ops.servers.valkey import Valkey
from familycorp_ops.testing.servers import missing
from support.stack import Stack
from support.staff import SESSION, at_browser

pytestmark = [pytest.mark.image, pytest.mark.timeout(1200)]

OFFLINE = {
    "FAMILYCORP_ENV": "test",
    "FAMILYCORP_DATABASE_URL": "sqlite+aiosqlite:////tmp/content.db",
    "FAMILYCORP_AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_MAX_ATTEMPTS": "1",
}
"""Settings with which a function reaches nothing."""
EVENTS: dict[str, dict[str, Any]] = {
    "backend": Request("GET", "/health").event(),
    "auth": Request("GET", "/health").event(),
    "events": {"Records": []},
    "drain": {},
    "migrations": {},
    "uploads": {"Records": []},
    "operator-read": {},
    "operator-write": {},
    "rotation": {"Step": "createSecret", "SecretId": "key", "ClientRequestToken": "token"},
}
"""What each function is given; without a network two of them must say that AWS can't be reached."""


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    try:
        return {target: pulled(target) for target in ("functions", "http")}
    except NotInstalledError as error:
        missing("image", error)


def inside(image: str, *command: str) -> str:
    """Return what a command in a container of an image printed."""
    ran = subprocess.run(
        [containers.podman(), "run", "--rm", "--pull=never", "--network=none", "--read-only", image, *command],
        env=containers.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", facts.FUNCTIONS)
def test_each_function_runs_without_privileges_on_a_read_only_root_and_without_a_network(
    images: dict[str, str], name: str, tmp_path: Path
) -> None:
    given = templates.functions(templates.load(templates.IMAGE))[name]
    command = [
        word for part in ("EntryPoint", "Command") for word in given.get("ImageConfig", {}).get(part, ())
    ]
    settings = {**CREDENTIALS, **OFFLINE, "AWS_LAMBDA_FUNCTION_NAME": f"familycorp-test-{name}"}
    with ImageFunction(
        images["functions" if command else "http"], settings, tmp_path,
        command=command, network="none", memory_mb=given["MemorySize"],
    ) as function:  # fmt: skip
        said = function.invoke(EVENTS[name])
        assert function.init_ms() > 0
    match name:
        case "backend" | "auth":
            assert (said["statusCode"], json.loads(said["body"])["status"]) == (200, "ok")
        case "migrations":
            assert said["revision"]
        case "operator-read" | "operator-write":
            assert (said["statusCode"], json.loads(said["body"])["code"]) == (403, "not_a_url_call")
        case "events" | "uploads":
            assert not (said or {}).get("batchItemFailures")
        case _:
            # It came as far as AWS: neither an import nor the file system was in its way.
            assert said["errorType"] in {"StoreUnavailable", "EndpointConnectionError", "ConnectionError"}, (
                said
            )


def test_nothing_that_a_function_imports_is_compiled_at_its_start(images: dict[str, str]) -> None:
    script = """
import importlib, os, sys
for module in sys.argv[1:]:
    importlib.import_module(module)
for name, module in list(sys.modules.items()):
    source, compiled = getattr(module, "__file__", None) or "", getattr(module, "__cached__", None)
    # A module without either is frozen into the interpreter.
    if source.endswith(".py") and compiled is not None and not os.path.exists(compiled):
        print(name)
"""
    handlers = [fact["handler"].rpartition(".")[0] for fact in facts.FUNCTIONS.values() if fact["handler"]]
    assert inside(images["functions"], "python", "-c", script, *handlers).split() == []
    assert inside(images["http"], "python", "-c", script, "uvicorn", "app.functions.http").split() == []


def test_the_adapter_is_where_http_is_served_alone(images: dict[str, str]) -> None:
    script = "import os; print(os.path.exists('/opt/extensions/lambda-adapter'), os.getuid())"
    assert inside(images["functions"], "python", "-c", script).split() == ["False", "65534"]
    assert inside(images["http"], "python", "-c", script).split() == ["True", "65534"]


def test_native_modules_are_stripped_and_load(images: dict[str, str]) -> None:
    # A stripped module has no symbol table (ELF section type 2, SHT_SYMTAB).
    script = """
import pathlib, struct
for file in pathlib.Path("/opt/python").rglob("*.so"):
    data = file.read_bytes()
    at, = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    if any(struct.unpack_from("<I", data, at + size * n + 4)[0] == 2 for n in range(count)):
        print(file.relative_to("/opt/python"))
import wasmtime, pyvips, orjson
"""
    found = inside(images["functions"], "python", "-c", script).split()
    assert [name for name in found if not name.startswith(("pyvips_binary", "_libvips"))] == []


class Gateway(HTTPServer):
    """API Gateway before a function: what browsers send becomes events, one at a time."""

    def __init__(self, port: int, function: ImageFunction) -> None:
        self.function = function
        super().__init__(("127.0.0.1", port), _Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.function.ask(Request(self.command, self.path, list(self.headers.items()), body))
        self.send_response(answer.status)
        for name, value in [*answer.headers, *(("set-cookie", cookie) for cookie in answer.cookies)]:
            if name != "content-length":
                self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_POST = do_GET  # noqa: N815 - http.server's name.

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def stack(
    tmp_path: Path, ministack: MiniStack, valkey: Valkey, nanoidp: NanoIDP, mariadb: SqlServer
) -> Iterator[Stack]:
    # Another user's process reaches no file of this test's.
    database = mariadb.create_database("image")
    with Stack(tmp_path, ministack, valkey, database, provider=nanoidp) as opened:
        yield opened.prepare()


@pytest.mark.security(48)
def test_no_cookie_code_or_token_of_a_login_reaches_a_log(
    images: dict[str, str], stack: Stack, nanoidp: NanoIDP, tmp_path: Path
) -> None:
    """Lambda passes the template's level to the adapter, DEBUG, at which it would log URLs and headers."""
    logged = templates.load(templates.IMAGE)["Globals"]["Function"]["LoggingConfig"]
    settings = {
        **CREDENTIALS,
        **stack.environment,
        "AWS_LAMBDA_LOG_LEVEL": logged["ApplicationLogLevel"],
        "AWS_LAMBDA_LOG_FORMAT": logged["LogFormat"],
    }
    nanoidp.admit(Account("editor", "editor", "Editor", "e@familycorp.example", ("editors",)))
    port = int(stack.api_url.rpartition(":")[2])
    with ImageFunction(images["http"], settings, tmp_path / "function") as function, Gateway(port, function):
        with at_browser(stack, "editor") as person:
            redirect = person.visit_provider()
            assert person.come_back(redirect).status_code == 303
            assert person.enrol().status_code == 200
            assert person.me().status_code == 200
            # The session's id lets nobody in, and lines about a session name it (docs/explanation/security.md).
            cookies = [cookie for cookie in person.client.cookies.jar if cookie.name != SESSION]
            secrets = [cookie.value for cookie in cookies if cookie.value]
            query = redirect.headers["location"].partition("?")[2]
        log = function.log.read_text()
    assert "/v1/auth/callback" in log  # The application's own line about the request is there.
    secrets += [part.partition("=")[2] for part in query.split("&")] + [person.secret, *person.recovery_codes]
    assert len(secrets) > 5
    assert [secret for secret in secrets if len(secret) > 5 and secret in log] == []


def test_a_worker_of_the_rehearsal_is_a_container_that_ends_with_it(
    images: dict[str, str], tmp_path: Path
) -> None:
    """It speaks with MiniStack by lines, resolves the names it is given alone, and logs to standard error."""
    ca = tmp_path / "ca.pem"
    ca.write_text("authority")
    program = sandbox.make(tmp_path / "sandbox", ca)
    hosts = tmp_path / "sandbox" / "hosts"
    sandbox.resolve(hosts, "familycorp-test-events", {"database.example": "127.0.0.2"})
    code = tmp_path / "code"
    code.mkdir()
    script = (
        "import json, os, socket, sys\n"
        "def handler(event, context):\n"
        "    print('a line of the log')\n"
        "    if 'fail' in event: raise ValueError('broken')\n"
        "    return [socket.gethostbyname('database.example'), open(os.environ['SSL_CERT_FILE']).read(),"
        " os.environ['FAMILYCORP_ENV'], os.environ.get('SECRET'), event['n']]\n"
    )
    begin = (
        f"import runpy, sys; open('/tmp/seen.py', 'w').write({script!r}); sys.path.insert(0, '/tmp');"
        " sys.argv = ['awslambdaric', 'seen.handler']; runpy.run_module('awslambdaric', None, '__main__')"
    )
    command = ["python", "-c", begin]
    (code / "image.json").write_text(json.dumps({"uri": images["functions"], "command": command}))
    started = {"env": {"FAMILYCORP_ENV": "test"}, "memory": 256}
    lines = [started, {"event": {"n": 1}}, {"event": {"n": 2}}, {"event": {"fail": True}}]
    environment = {
        **os.environ, **CREDENTIALS, "AWS_LAMBDA_FUNCTION_NAME": "familycorp-test-events", "_LAMBDA_TIMEOUT": "30",
        "SECRET": "of this machine",
    }  # fmt: skip
    ran = subprocess.run(
        [program, "worker.py"], cwd=code, env=environment, input="".join(f"{json.dumps(line)}\n" for line in lines),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [json.loads(line) for line in ran.stdout.splitlines()]
    assert said[0] == {"status": "ready"}, ran.stderr
    for n in (1, 2):
        assert said[n] == {"status": "ok", "result": ["127.0.0.2", "authority", "test", None, n]}
    assert (said[3]["status"], said[3]["error"]) == ("error", "broken")
    assert ran.stderr.count("a line of the log") == 3
    assert "REPORT RequestId" not in ran.stderr
    label = f"--filter=label={container.LABEL}={hosts}"
    left = subprocess.run(
        [containers.podman(), "ps", "--all", "--quiet", label],
        env=containers.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert left.stdout == ""


def test_the_image_says_that_its_bases_are_stand_ins() -> None:
    import image  # `pythonpath` has scripts/.

    for target in image.TARGETS:
        built = image.Image(image.archive(target))
        if not image.PINS.exists():
            assert built.configuration["config"]["Labels"]["familycorp.bases"] == "local"
        assert built.archive_mb <= image.ARCHIVE_MB
        assert built.unpacked_mb <= image.UNPACKED_MB
    documented = re.search(r"^\| in all \| ([\d.]+) \| ([\d.]+) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert documented, "run `make image ARGS=--write`"
    # Of `http`, the last.
    assert [float(mb) for mb in documented.groups()] == pytest.approx(
        [built.archive_mb, built.unpacked_mb], rel=0.1
    )
