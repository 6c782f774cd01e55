"""Who may call what: every editorial route asks first, and names its action."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract import filled, logged, operations, problem
from stack import BE_APP, EDITOR, Stack, draft, published

PUBLIC = {
    "GET /health",
    "GET /ready",
    "GET /v1/categories",
    "GET /v1/posts",
    "GET /v1/posts/{id_or_slug}",
    "POST /v1/posts/{post_id}/views",
    "GET /v1/search",
    "GET /v1/feed.rss",
    "GET /v1/feed.atom",
    "GET /v1/sitemap.xml",
    "POST /v1/inquiries",
}

# Prints, of every route that the application has: its methods and path, and the actions that guard it.
ENUMERATE = """
import json
from app.main import ROUTERS

def actions(dependant):
    own = [dependant.call.action] if hasattr(dependant.call, "action") else []
    return own + [action for inner in dependant.dependencies for action in actions(inner)]

print(json.dumps({
    f"{method} {route.path}": [type(route).__name__, actions(route.dependant)]
    for router in ROUTERS for route in router.routes for method in route.methods
}))
"""

# Asks the application as it is deployed, without the tests' way to name a caller.
ASK_DEPLOYED = """
import asyncio, json, sys
import httpx
from app.main import app

async def ask():
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for method, path in json.load(sys.stdin):
            headers = {"X-Test-Subject": "editor-1", "Authorization": "Bearer x", "Cookie": "session=x"}
            answer = await client.request(method, path, headers=headers, json={})
            print(json.dumps(answer.status_code), file=sys.stderr)

asyncio.run(ask())
"""


def run(script: str, given: Any = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(given),
        cwd=BE_APP,
        capture_output=True,
        text=True,
        check=True,
    )


def editorial(client: httpx.Client) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in operations(client) if f"{method} {path}" not in PUBLIC]


@pytest.mark.security(31)
def test_every_route_is_public_on_purpose_or_guarded_by_one_action(client: httpx.Client) -> None:
    routes: dict[str, tuple[str, list[str]]] = json.loads(run(ENUMERATE).stdout)
    assert set(routes) == {f"{method} {path}" for method, path, _ in operations(client)}
    assert set(routes) >= PUBLIC
    for name, (kind, actions) in routes.items():
        if name in PUBLIC:
            assert actions == [], name
        else:
            assert kind == "GuardedRoute", name
            assert len(actions) == 1, name
            assert actions[0].count(":") == 1, name
    # Reading and changing are never one action.
    for name, (_, actions) in routes.items():
        if actions and not name.startswith("GET "):
            assert not {a for n, (_, more) in routes.items() if n.startswith("GET ") for a in more} & set(
                actions
            )


def test_every_editorial_route_answers_401_to_a_stranger_whatever_is_sent(client: httpx.Client) -> None:
    json_type = {"Content-Type": "application/json"}
    sent: list[dict[str, Any]] = [
        {},
        {"content": b"{bad", "headers": json_type},
        {"content": b'{"title":"\xff"}', "headers": json_type},
        {"content": b"[" * 100_000, "headers": json_type},
        {"content": b"{}", "headers": {"Content-Type": "text/plain"}},
        {"content": b"x" * 1_100_000, "headers": json_type},
        {"json": {"unknown": 1}},
        {"json": {"status": "done", "title": "x", "body": "x", "lang": "ko", "category": "news"}},
        {"headers": {"If-Match": '"1"', "Idempotency-Key": "a-good-enough-key"}},
        {"headers": {"If-Match": "x", "Idempotency-Key": "x"}},
        {"headers": {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30.", "Cookie": "__Host-session=x"}},
        {"headers": {"X-Forwarded-User": "admin", "X-Amzn-Request-Context": "{}"}},
        {"params": {"limit": "x", "unknown": "1"}},
    ]
    routes = editorial(client)
    assert len(routes) == 21
    for method, path in routes:
        for value in ("01900000-0000-7000-8000-000000000000", "not-an-id", "%00"):
            for options in sent if value[0] == "0" else sent[:1]:
                document = problem(
                    client.request(method, filled(path, value), **options), 401, "unauthenticated"
                )
                assert "errors" not in document
                assert "detail" not in document
        if method == "GET":
            assert client.head(filled(path)).status_code == 401


def test_the_deployed_application_knows_no_test_subject(client: httpx.Client) -> None:
    routes = [(method, filled(path)) for method, path in editorial(client)]
    answers = run(ASK_DEPLOYED, routes).stderr.split()
    assert answers == ["401"] * len(routes)


def test_a_guard_on_an_unguarded_route_lets_nobody_through() -> None:
    script = """
import asyncio, httpx
from fastapi import FastAPI
from app.auth.subject import Subject
from app.authz.guard import require
app = FastAPI()

@app.get("/")
async def read(_: Subject = require("x:y")) -> None:
    print("reached")

async def ask():
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        print((await client.get("/")).status_code)

asyncio.run(ask())
"""
    assert run(script).stdout.split() == ["500"]


@pytest.mark.parametrize(
    "path", ["/v1/editor", "/v1/editor/", "/v1/editor/x", "/v1/editor/posts/", "/v1//editor/posts"]
)
def test_there_is_nothing_beside_the_routes(client: httpx.Client, path: str) -> None:
    for headers in ({}, EDITOR):
        problem(client.get(path, headers=headers), 404, "not_found")


def test_the_guard_is_the_only_way_to_the_editorial_services() -> None:
    # A route that forgot to ask for a subject would also forget its audit entry.
    for router in Path(BE_APP, "app").glob("*/router.py"):
        source = router.read_text()
        assert source.count("@editorial.") == source.count("require("), router


@pytest.mark.security(6)
def test_no_foreign_page_can_have_anything_changed_without_asking_first(
    client: httpx.Client, stack: Stack
) -> None:
    """A form or script elsewhere can send this much without a preflight, which would be refused to it."""
    post = draft(client).json()
    with nothing_changed(stack):
        for method, path, _ in operations(client):
            if method == "GET" or path == "/v1/posts/{post_id}/views":  # Whoever likes may view a post.
                continue
            for kind in (
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                None,
            ):
                headers = (
                    EDITOR | {"Origin": "https://evil.example"} | ({"Content-Type": kind} if kind else {})
                )
                body = b'{"name": "a", "email": "a@b.kr", "subject": "a", "message": "a", "consent": true}'
                answer = client.request(method, filled(path, post["id"]), content=body, headers=headers)
                assert answer.status_code in {415, 428}, (method, path)


@pytest.mark.security(7)
def test_reading_changes_nothing(client: httpx.Client, stack: Stack) -> None:
    post = published(client)
    with nothing_changed(stack):
        for method, path, _ in operations(client):
            if method == "GET":
                for verb in ("GET", "HEAD"):
                    for headers in ({}, EDITOR):
                        address = filled(path, post["id"])
                        assert client.request(verb, address, headers=headers).status_code < 500


@contextmanager
def nothing_changed(stack: Stack) -> Iterator[None]:
    def everything() -> list[Any]:
        tables = (
            "audit_entries",
            "categories",
            "category_list",
            "idempotency_keys",
            "inquiries",
            "outbox",
            "posts",
        )
        rows = [stack.sql(f"SELECT * FROM {table}") for table in (*tables, "post_revisions")]
        names = (stack.settings.posts_table, stack.settings.events_table)
        items = [stack.dynamodb.scan(TableName=name)["Items"] for name in names]
        return [sorted(part, key=str) for part in (*rows, *items)]

    before = everything()
    yield
    assert everything() == before


@pytest.mark.security(39)
def test_no_header_makes_a_caller_somebody_else(client: httpx.Client, stack: Stack) -> None:
    """What a client says of its own address is neither logged nor kept."""
    address = "203.0.113.77"
    named = (
        "X-Forwarded-For",
        "X-Real-IP",
        "Forwarded",
        "CF-Connecting-IP",
        "True-Client-IP",
        "X-Amzn-Request-Context",
    )
    form = {"name": "a", "email": "a@b.kr", "subject": "a", "message": "a", "consent": True}
    answer = client.post("/v1/inquiries", json=form, headers=dict.fromkeys(named, address))
    assert answer.status_code == 201
    (line,) = logged(stack, answer.headers["X-Request-ID"])
    assert address not in str(line)
    assert address not in str(stack.sql("SELECT * FROM inquiries"))
