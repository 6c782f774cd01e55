"""The smoke test passes on what serves, and fails on what only looks as if it did."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from familycorp_ops.testing.commands import familycorp

SECURE = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
SITE = "https://www.familycorp.example"
HEALTH = {"status": "ok", "version": "abc", "environment": "dev"}
Answer = tuple[int, dict[str, Any]]
GOOD: dict[str, Answer] = {
    "/stage/health": (200, HEALTH),
    "/stage/v1/posts": (200, {"items": []}),
    "/stage/v1/categories": (200, {"items": []}),
    "/stage/v1/editor/posts": (401, {"code": "unauthenticated"}),
    "/stage/v1/auth/me": (401, {"code": "unauthenticated"}),
}


class Api(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.secure, self.allowed = dict(GOOD), dict(SECURE), {SITE}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/stage"


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        status, body = self.server.answers.get(
            self.path.partition("?")[0], (404, {"code": "not_found", "requestId": "r"})
        )
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in self.server.secure.items():
            self.send_header(name, value)
        origin = self.headers.get("Origin", "")
        if origin in self.server.allowed or "*" in self.server.allowed:
            self.send_header("Access-Control-Allow-Origin", origin)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def smoke(api: Api, *more: str) -> tuple[int, set[str]]:
    asked = ["smoke", api.url, "--env", "dev", "--origin", SITE, "--release", "abc", "--json", *more]
    ran = familycorp(*asked)
    document = json.loads(ran.stdout)
    assert document["passed"] is (ran.returncode == 0)
    return ran.returncode, {c["check"] for c in document["checks"] if not c["passed"]}


def test_what_serves_passes(api: Api) -> None:
    assert smoke(api) == (0, set())


@pytest.mark.parametrize(
    ("path", "answer", "check"),
    [
        ("health", (200, {"message": "not ours"}), "health"),
        ("health", (200, HEALTH | {"version": "before"}), "health"),
        ("health", (200, HEALTH | {"environment": "prod"}), "health"),
        ("v1/editor/posts", (200, {"items": []}), "anonymous refusal"),
        ("v1/auth/me", (404, {"code": "not_found"}), "login page"),
        ("no-such-route", (200, {}), "unknown route"),
    ],
)
def test_what_only_looks_like_it_fails(api: Api, path: str, answer: Answer, check: str) -> None:
    api.answers[f"/stage/{path}"] = answer
    assert smoke(api) == (1, {check})


def test_a_public_read_that_fails_is_seen(api: Api) -> None:
    api.answers["/stage/v1/posts"] = (500, {})
    assert smoke(api) == (1, {"public read", "latency"})


def test_missing_headers_are_seen(api: Api) -> None:
    del api.secure["Content-Security-Policy"]
    assert smoke(api) == (1, {"security headers"})


@pytest.mark.parametrize(
    ("allowed", "check"), [({"*"}, "cors for others"), (set(), "cors for pages of the company")]
)
def test_origins_are_seen(api: Api, allowed: set[str], check: str) -> None:
    api.allowed = allowed
    assert smoke(api) == (1, {check})


def test_slowness_is_seen(api: Api) -> None:
    assert smoke(api, "--slowest", "0") == (1, {"latency"})
