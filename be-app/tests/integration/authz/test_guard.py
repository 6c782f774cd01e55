"""Who may call what: every editorial route asks first, and names its action."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.authz.routing import GuardedRouter, PolicyRouter, PublicRouter
from app.core.http.problems import Unauthenticated
from support.contract import filled, logged, operations, problem
from support.stack import BE_APP, EDITOR, Stack, draft, published

PUBLIC = {
    "GET /health": "system:health",
    "GET /ready": "system:ready",
    "GET /v1/categories": "category:view",
    "GET /media/{digest}/{variant}": "post:view",
    "GET /v1/posts": "post:view",
    "GET /v1/posts/{id_or_slug}": "post:view",
    "POST /v1/posts/{post_id}/views": "post:count-view",
    "GET /v1/posts/{post_id}/attachments/{attachment_id}": "post:view",
    "POST /v1/posts/{post_id}/attachments/{attachment_id}/downloads": "post:count-view",
    "GET /v1/search": "post:search",
    "GET /v1/feed.rss": "feed:view",
    "GET /v1/feed.atom": "feed:view",
    "GET /v1/sitemap.xml": "feed:view",
    "GET /v1/redirects": "redirect:view",
    "GET /v1/preview": "preview:view",
    "GET /v1/preview/attachments/{attachment_id}": "preview:view",
    "POST /v1/inquiries": "inquiry:send",
    "GET /v1/inquiries/categories": "inquiry:view-categories",
}
# What somebody needs who isn't logged in yet, or not any more. What these change they change by a cookie or a token
# of their own; test_csrf.py and test_second_factor.py test them.
LOGIN = {
    "GET /v1/auth/login": "auth:login",
    "GET /v1/auth/callback": "auth:callback",
    "GET /v1/auth/second-factor": "auth:second-factor",
    "POST /v1/auth/second-factor": "auth:second-factor",
    "POST /v1/auth/second-factor/passkey-options": "auth:second-factor",
    "POST /v1/auth/enrolment/totp": "auth:enrol-first-factor",
    "POST /v1/auth/enrolment/totp/confirm": "auth:enrol-first-factor",
    "POST /v1/auth/enrolment/passkey-options": "auth:enrol-first-factor",
    "POST /v1/auth/enrolment/passkey": "auth:enrol-first-factor",
    "POST /v1/auth/refresh": "auth:refresh",
    "POST /v1/auth/logout": "auth:logout",
    "POST /v1/auth/backchannel-logout": "auth:backchannel-logout",
}
UNGUARDED = PUBLIC | LOGIN

# Prints, of every route that the application has: its methods and path, its class, the action that it names, whether
# anybody may use it; and what the built policy says of each action to somebody unknown, and to every role.
ENUMERATE = """
import json, time
from app.authz import policy
from app.authz.routing import PublicRoute
from app.main import ROUTERS

routes = {
    f"{method} {route.path}": [type(route).__name__, route.action, isinstance(route, PublicRoute)]
    for router in ROUTERS for route in router.routes for method in route.methods
}
at = int(time.time())
subjects = {"anonymous": {"authenticated": False}} | {
    str(role): {"authenticated": True, "id": "somebody", "role": role, "mfaAt": at}
    for role in (None, "viewer", "editor", "admin")
}
print(json.dumps([routes, {
    name: {
        action: policy.decide(subject, action, None, now=at)[:2]
        for action in {action for _, action, _ in routes.values()}
    }
    for name, subject in subjects.items()
}]))
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
    return [(method, path) for method, path, _ in operations(client) if f"{method} {path}" not in UNGUARDED]


@pytest.mark.security(31)
def test_every_route_names_one_action_and_is_guarded_or_public_on_purpose(client: httpx.Client) -> None:
    routes, _ = json.loads(run(ENUMERATE).stdout.splitlines()[-1])
    assert set(routes) == {f"{method} {path}" for method, path, _ in operations(client)}
    for name, (kind, action, public) in routes.items():
        assert isinstance(action, str), name
        assert public == (name in UNGUARDED), name
        if name in UNGUARDED:
            assert action == UNGUARDED[name], name
        else:
            auth = name.partition(" ")[2].startswith("/v1/auth/")
            assert kind == ("GuardedAuthRoute" if auth else "GuardedRoute"), name
    # Reading and changing are never one action, but where both are part of proving a second factor, of writing
    # (the own working copy) or of sharing.
    read = {action for name, (_, action, _) in routes.items() if name.startswith("GET ")}
    changed = {action for name, (_, action, _) in routes.items() if not name.startswith("GET ")}
    assert read & changed == {"auth:second-factor", "post:update", "post:share"}


@pytest.mark.security(31)
@pytest.mark.parametrize("router", [PublicRouter("/v1", "x"), GuardedRouter("/v1", "x")])
def test_no_route_can_be_declared_without_an_action(router: PolicyRouter) -> None:
    async def endpoint() -> None: ...

    # What FastAPI's own router offers, too: its methods that a policy router doesn't know.
    declarations: list[Callable[[], Any]] = [
        *(partial(getattr(router, verb), "/x") for verb in ("get", "post", "put", "delete")),
        *(partial(getattr(router, verb), "/x") for verb in ("patch", "head", "options", "trace")),
        partial(router.api_route, "/x", methods=["GET"]),
    ]
    for declare in declarations:
        with pytest.raises(TypeError, match="required keyword-only argument"):
            declare()(endpoint)
    with pytest.raises(TypeError, match="required keyword-only argument"):
        router.add_api_route("/x", endpoint)
    assert router.routes == []


@pytest.mark.security(30)
@pytest.mark.security(31)
def test_the_policy_lets_a_stranger_do_what_is_public_and_nothing_else() -> None:
    routes, decisions = json.loads(run(ENUMERATE).stdout.splitlines()[-1])
    actions = {name: action for name, (_, action, _) in routes.items()}
    for name, action in actions.items():
        allowed, reasons = decisions["anonymous"][action]
        assert allowed == (name in UNGUARDED), (name, reasons)
    # Every role may do what is public too; each action that is guarded some role may do, given its object.
    for name, action in actions.items():
        ways = [decisions[role][action] for role in ("None", "viewer", "editor", "admin")]
        if name in UNGUARDED:
            assert all(allowed for allowed, _ in ways), name
        else:
            assert any(allowed or reasons == ["resource_required"] for allowed, reasons in ways), name


@pytest.mark.security(32)
def test_each_role_gets_no_further_than_its_own_routes(client: httpx.Client) -> None:
    """Ask every guarded route as everybody, over HTTP, and compare with the policy's table of roles."""
    routes, decisions = json.loads(run(ENUMERATE).stdout.splitlines()[-1])
    for role in ("viewer", "editor", "admin"):
        for method, path in editorial(client):
            action = routes[f"{method} {path}"][1]
            allowed, reasons = decisions[role][action]
            headers = EDITOR | {"X-Test-Role": role, "If-Match": '"1"'}
            answer = client.request(method, filled(path), headers=headers, json={})
            if allowed or reasons == ["resource_required"]:
                assert answer.status_code not in {401, 403}, (role, method, path, answer.text)
            else:
                problem(answer, 403, "forbidden")


def test_every_editorial_route_answers_401_to_a_stranger_for_any_body(client: httpx.Client) -> None:
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
    assert len(routes) == 78
    for method, path in routes:
        for value in ("01900000-0000-7000-8000-000000000000", "not-an-id", "%00"):
            for options in sent if value[0] == "0" else sent[:1]:
                document = problem(
                    client.request(method, filled(path, value), **options), 401, "unauthenticated"
                )
                assert "errors" not in document
                assert document["detail"] == Unauthenticated.advice
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
from app.authz.routing import Actor
app = FastAPI()

@app.get("/")
async def read(_: Actor) -> None:
    print("reached")

async def ask():
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        print((await client.get("/")).status_code)

asyncio.run(ask())
"""
    assert run(script).stdout.split() == ["500"]


@pytest.mark.security(30)
def test_a_handler_that_forgets_to_ask_about_its_object_answers_nobody() -> None:
    script = """
import asyncio, httpx
from fastapi import FastAPI, Request
from app.auth.subject import Subject
from app.core.http import problems as errors
from app.authz.guard import authorise
from app.authz.routing import Actor, Granted, GuardedRouter

api = GuardedRouter("/v1", "x")
mine = {"type": "post", "id": "p", "owner": "me", "draft": True}

@api.get("/asked", action="post:read-any")
async def asked(me: Actor) -> str:
    authorise(me, "post:read-any", mine)
    return "secret"

@api.get("/forgotten", action="post:read-any")
async def forgotten(me: Actor) -> str:
    return "secret"

@api.get("/another", action="post:read-any")
async def another(me: Actor) -> str:
    authorise(me, "post:preview", mine)
    return "secret"

@api.get("/ignored", action="post:list")
async def ignored(me: Actor) -> str:
    return "secret"  # The policy's obligation is not met.

@api.get("/met", action="post:list")
async def met(granted: Granted) -> str:
    return "secret"

async def me(request: Request) -> Subject:
    return Subject("me", "editor")

async def ask():
    app = FastAPI()
    errors.install(app)
    app.include_router(api)
    app.state.identify = me
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for name in ("asked", "forgotten", "another", "ignored", "met"):
            answer = await client.get(f"/v1/{name}")
            print(answer.status_code, "secret" in answer.text)

asyncio.run(ask())
"""
    assert run(script).stdout.splitlines() == ["200 True", "500 False", "500 False", "403 False", "200 True"]


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
        guarded = sum(source.count(f"@{name}.") for name in ("editorial", "staff", "me"))
        assert guarded == source.count(": Actor") + source.count(": Granted"), router


@pytest.mark.security(6)
def test_no_foreign_page_can_have_anything_changed_without_asking_first(
    client: httpx.Client, stack: Stack
) -> None:
    """A form or script elsewhere can send this much without a preflight, which would be refused to it."""
    post = draft(client).json()
    with nothing_changed(stack):
        for method, path, operation in operations(client):
            # Anybody may view a post; what acts by a cookie has a test of its own (test_csrf.py).
            if method == "GET" or path == "/v1/posts/{post_id}/views" or path.startswith("/v1/auth/"):
                continue
            if "requestBody" not in operation and "If-Match" not in str(operation):
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
            # A browser goes to the provider and back by GETs (OpenID Connect Core §3.1.2); state, nonce and a
            # cookie see to it that nobody else can do that for it.
            if method == "GET" and path not in {"/v1/auth/login", "/v1/auth/callback"}:
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
