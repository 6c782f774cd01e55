"""Cold start: what importing the application loads, and what it connects to."""

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest

from support.stack import BE_APP, Stack

pytestmark = pytest.mark.slow  # Each test imports the application in a process of its own.

OF_LOGGING_IN = ("jwt", "cryptography", "fido2", "segno", "wasmtime")
HEAVY = (
    "sqlalchemy",
    "aiomysql",
    "aiosqlite",
    "botocore",
    "redis",
    "markdown_it",
    "nh3",
    "mangum",
    "alembic",
    "jinja2",
    "uvicorn",
    "boto3",
    "urllib3",
    *OF_LOGGING_IN,
)

# An event as API Gateway sends it to a function (payload format 2.0).
EVENT = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/health",
    "rawQueryString": "",
    "headers": {"host": "api.example", "x-request-id": "from-the-gateway", "origin": "https://evil.example"},
    "requestContext": {
        "accountId": "123456789012",
        "apiId": "api",
        "domainName": "api.example",
        "http": {
            "method": "GET",
            "path": "/health",
            "protocol": "HTTP/1.1",
            "sourceIp": "203.0.113.7",
            "userAgent": "x",
        },
        "requestId": "id",
        "stage": "$default",
        "time": "23/Nov/2026:09:00:00 +0000",
        "timeEpoch": 1795424400000,
    },
    "isBase64Encoded": False,
}


def run(script: str) -> Any:
    """Run a script in a process of its own, and return the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=BE_APP, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_the_application_imports_no_store_and_no_renderer() -> None:
    loaded = run("import app.main, sys, json; print(json.dumps(sorted(sys.modules)))")
    assert "fastapi" in loaded
    assert [name for name in loaded if name.split(".")[0] in HEAVY] == []


def test_texts_are_loaded_when_an_error_is_written() -> None:
    """A cold start loads no catalogue; the first error in Korean does, one in English doesn't."""
    waiting = run(
        """
import asyncio, json, sys
from app.main import app
from app.core import translation

async def ask(language):
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        pass
    headers = [(b"accept-language", language)]
    await app({"type": "http", "method": "GET", "path": "/v1/categories", "raw_path": b"/v1/categories",
               "query_string": b"a=1", "root_path": "", "headers": headers, "scheme": "http",
               "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1), "http_version": "1.1"}, receive, send)

def waits(name):
    return type(sys.modules[name]).__name__ == "_LazyModule"

found = [[waits("app.core.http.rules"), translation._catalogue.cache_info().currsize]]
for language in (b"en", b"ko", b"ko"):
    asyncio.run(ask(language))
    found.append([waits("app.core.http.rules"), translation._catalogue.cache_info().currsize])
print(json.dumps(found))
"""
    )
    assert waiting == [[True, 0], [False, 0], [False, 1], [False, 1]]


def test_a_start_that_nobody_waits_for_imports_everything() -> None:
    script = """
import os
os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
import app.functions.http, sys, json
lazy = [n for n, m in sys.modules.items() if type(m).__name__ == "_LazyModule"]
print(json.dumps([lazy, sorted(sys.modules)]))
"""
    lazy, loaded = run(script)
    assert lazy == []
    assert {"sqlalchemy", "aiomysql", "botocore", "redis", "jwt", "wasmtime"} <= set(loaded)


def test_the_auth_function_starts_with_what_each_of_its_requests_needs_and_its_own_routes_alone() -> None:
    script = """
import os
os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "familycorp-dev-auth"
import app.functions.http as http, sys, json
print(json.dumps([sorted(sys.modules), [route.path for route in http.main.api.routes]]))
"""
    loaded, paths = run(script)
    assert {"jwt.algorithms", "botocore.session", "wasmtime"} <= set(loaded)
    assert not {"sqlalchemy", "redis", "app.posts.router", "app.uploads.router"} & set(loaded)
    # API Gateway leads these paths to it, and the Web Adapter asks for its health.
    whole = run("import app.main, json; print(json.dumps([r.path for r in app.main.api.routes]))")
    own = [path for path in paths if path != "/openapi.json"]
    assert own == ["/health", "/ready", *(path for path in own if path.startswith("/v1/auth/"))]
    assert sorted(own[2:]) == sorted(path for path in whole if path.startswith("/v1/auth/"))


def test_importing_the_application_opens_nothing() -> None:
    script = """
import json, os, sys
opened = []
watched = {"socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir"}
sys.addaudithook(lambda event, args: opened.append(event) if event in watched else None)
import app.main
import threading
print(json.dumps([opened, threading.active_count()]))
"""
    assert run(script) == [[], 1]
    # Nor for a snapshot, which a connection wouldn't outlive; urllib3 binds a socket to see what IPv6 is.
    eager = 'os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"\nimport app.functions.http'
    opened, threads = run(script.replace("import app.main", eager))
    assert (set(opened) <= {"socket.bind"}, threads) == (True, 1)


def test_no_import_is_searched_for_garbage_and_what_comes_later_is() -> None:
    script = """
import gc, json, sys
collected = []
gc.callbacks.append(lambda phase, _: collected.append(phase) if "fastapi" in sys.modules else None)
import app.functions.http
print(json.dumps([collected, gc.isenabled(), gc.get_freeze_count() > 0]))
"""
    assert run(script) == [[], True, True]


def test_a_start_builds_each_route_once_and_without_pydantic_1() -> None:
    script = """
import json, sys
import app.authz.routing as routing
built = []
original = routing.PolicyRoute.__init__
def counted(self, *args, **options):
    built.append(1)
    original(self, *args, **options)
routing.PolicyRoute.__init__ = counted
import app.functions.http as http
routes = [route for route in http.main.api.routes if isinstance(route, routing.PolicyRoute)]
print(json.dumps([len(built), len(routes), [n for n in sys.modules if n.startswith("pydantic.v1.")]]))
"""
    built, served, version_1 = run(script)
    assert built == served > 50
    assert version_1 == []


def test_an_idle_minute_imports_no_database() -> None:
    loaded = run("import app.functions.drain, sys, json; print(json.dumps(sorted(sys.modules)))")
    assert [n for n in loaded if n.split(".")[0] in {"sqlalchemy", "markdown_it", "nh3", "redis"}] == []


def test_health_imports_no_store_either() -> None:
    script = """
import asyncio, json, sys
from app.main import app

async def ask():
    scope = {"type": "http", "method": "GET", "path": "/health", "query_string": b"", "headers": []}
    async def receive():
        return {"type": "http.request", "body": b""}
    async def send(message):
        pass
    await app(scope, receive, send)

asyncio.run(ask())
print(json.dumps(sorted(sys.modules)))
"""
    assert [name for name in run(script) if name.split(".")[0] in HEAVY] == []


def test_anonymous_reads_import_nothing_of_logging_in(new_stack: Callable[[str], Stack]) -> None:
    stack = new_stack("sqlite")
    application = stack.start(deployed=True, PYTHONPROFILEIMPORTTIME="1")
    with stack.client() as client:
        for path in ("/v1/posts", "/v1/categories", "/v1/feed.atom", "/v1/sitemap.xml", "/v1/search?q=ab"):
            assert client.get(path).status_code == 200
        assert client.get("/v1/posts/nothing").status_code == 404
        assert client.get("/v1/editor/posts").status_code == 401
    loaded = application.imported()
    assert {"botocore.session", "sqlalchemy", "redis.asyncio"} <= loaded
    assert {*OF_LOGGING_IN, "cryptography.hazmat"} & loaded <= {
        "cryptography"
    }  # botocore asks for its version.


@pytest.mark.parametrize("module", ["app.main", "app.functions.http"])
def test_the_handler_answers_api_gateway(module: str) -> None:
    script = f"""
import json, sys
from {module} import handler
from app import main
event = json.loads({json.dumps(EVENT)!r})
answers = [handler(event, None) for _ in range(2)]
print(json.dumps([answers, type(handler).__mro__[1].__module__.split(".")[0], main.handler is handler]))
"""
    answers, base, same = run(script)
    assert (base, same) == ("mangum", True)
    for answer in answers:
        assert answer["statusCode"] == 200
        assert json.loads(answer["body"]) == {
            "status": "ok",
            "version": version("familycorp-backend"),
            "environment": "local",
        }
        assert answer["isBase64Encoded"] is False
        assert answer["headers"]["x-request-id"] == "from-the-gateway"
        assert answer["headers"]["cache-control"] == "no-store"
        assert not [name for name in answer["headers"] if name.startswith("access-control-")]


@pytest.mark.parametrize("module", ["app.main", "app.functions.http"])
def test_the_handler_is_all_that_the_module_makes_up(module: str) -> None:
    script = f"""
import ast
import json
import {module} as module
try:
    module.handlr
except AttributeError as error:
    print(json.dumps(str(error)))
"""
    assert "handlr" in run(script)


def test_the_linter_of_imports_sees_what_is_imported_lazily() -> None:
    """import-linter reads import statements: each module that is imported lazily stands under TYPE_CHECKING too."""
    unseen = []
    for source in (BE_APP / "app").rglob("*.py"):
        tree = ast.parse(source.read_text())
        package = source.relative_to(BE_APP).parts[1]
        stated = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "lazy_import" and isinstance(call.args[0], ast.Constant):
                name = call.args[0].value
                assert isinstance(name, str)
                if name.startswith("app.") and package != "functions" and name not in stated:
                    unseen.append((str(source.relative_to(BE_APP)), name))
    assert unseen == []
