"""The outermost layers: correlation id, headers, CORS, HEAD, revalidation, the limit on bodies."""

import re
import socket
import time
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import httpx
import pytest

from support.contract import NOBODY, breaks, edit, log_lines, logged, ok, problem, unique, with_headers
from support.stack import EDITOR, Stack, act, draft, published

SITE = "https://www.familycorp.example"
JSON = {"Content-Type": "application/json"}
LIMIT = 1024 * 1024
PREFLIGHT = {"Origin": SITE, "Access-Control-Request-Method": "POST"}

# Every kind of answer: its status, and how to get it.
KINDS: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "ok": (200, "GET", "/health", {}),
    "public": (200, "GET", "/v1/categories", {}),
    "feed": (200, "GET", "/v1/feed.rss", {}),
    "editorial": (200, "GET", "/v1/editor/posts", {"headers": EDITOR}),
    "created": (
        201,
        "POST",
        "/v1/inquiries",
        {"json": {"name": "a", "email": "a@b.kr", "subject": "a", "message": "a", "consent": True}},
    ),
    "documents": (200, "GET", "/openapi.json", {}),
    "not modified": (304, "GET", "/v1/categories", {"headers": {"If-None-Match": "*"}}),
    "malformed": (400, "POST", "/v1/inquiries", {"content": b"{", "headers": JSON}),
    "stranger": (401, "GET", "/v1/editor/posts", {}),
    "unknown post": (404, "GET", f"/v1/posts/{NOBODY}", {}),
    "unknown route": (404, "GET", "/nothing", {}),
    "method": (405, "DELETE", "/v1/posts", {}),
    "stale": (412, "DELETE", "/v1/editor/categories/news", {"headers": EDITOR | {"If-Match": '"0"'}}),
    "large": (413, "POST", "/v1/inquiries", {"content": b"x" * (LIMIT + 1), "headers": JSON}),
    "type": (415, "POST", "/v1/inquiries", {"content": b"x", "headers": {"Content-Type": "text/plain"}}),
    "invalid": (422, "GET", "/v1/posts?limit=0", {}),
    "unconditional": (428, "DELETE", "/v1/editor/categories/news", {"headers": EDITOR}),
    "preflight": (200, "OPTIONS", "/v1/inquiries", {"headers": PREFLIGHT}),
    "refused preflight": (
        400,
        "OPTIONS",
        "/v1/inquiries",
        {"headers": PREFLIGHT | {"Origin": "https://evil.example"}},
    ),
    "head": (200, "HEAD", "/v1/posts", {}),
}
PUBLIC = {"public", "feed", "not modified", "head"}


def ask(client: httpx.Client, kind: str, **headers: str) -> httpx.Response:
    status, method, path, options = KINDS[kind]
    merged = options | {"headers": options.get("headers", {}) | headers}
    answer = client.request(method, path, **merged)
    assert answer.status_code == status, answer.text
    return answer


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


# -- correlation id -------------------------------------------------------------------------------------


def test_every_answer_carries_the_caller_s_request_id(client: httpx.Client, kind: str) -> None:
    offered = unique("Asked.by_me-")
    answer = ask(client, kind, **{"X-Request-ID": offered})
    assert answer.headers.get_list("X-Request-ID") == [offered]
    if answer.headers.get("Content-Type") == "application/problem+json" and answer.content:
        assert answer.json()["requestId"] == offered


def test_every_answer_has_a_request_id_of_its_own_otherwise(client: httpx.Client, kind: str) -> None:
    made = [ask(client, kind).headers["X-Request-ID"] for _ in range(2)]
    assert [uuid.UUID(i).version for i in made] == [7, 7]
    assert made[0] != made[1]


@pytest.mark.parametrize("offered", ["a" * 8, "Z" * 64, "0123.45_6-7", NOBODY])
def test_a_well_formed_request_id_is_kept(client: httpx.Client, offered: str) -> None:
    assert client.get("/health", headers={"X-Request-ID": offered}).headers["X-Request-ID"] == offered


@pytest.mark.parametrize(
    "offered",
    [
        *(
            b"",
            b"a" * 7,
            b"a" * 65,
            b"-leading",
            b".leading",
            b"has a space",
            b"tab\tinside",
            b"semi;colon",
            b'quo"te',
            b"{json}",
        ),
        *(
            "번호번호번호".encode(),
            b"latin-\xe9\xe9",
            b"a" * 60_000,
            b"%0d%0aSet-Cookie:x",
            b"${jndi:ldap://x}",
            b"a/../b/c",
        ),
    ],
)
def test_another_request_id_is_replaced(client: httpx.Client, offered: bytes) -> None:
    made = client.get("/health", headers={b"X-Request-ID": offered}).headers["X-Request-ID"]
    assert uuid.UUID(made).version == 7


# -- headers --------------------------------------------------------------------------------------------


@pytest.mark.security(8)
def test_every_answer_carries_the_security_headers_once(client: httpx.Client, kind: str) -> None:
    for headers in ({}, {"Origin": SITE}):
        answer = with_headers(ask(client, kind, **headers) if "preflight" not in kind else ask(client, kind))
        names = [name.lower() for name, _ in answer.headers.multi_items()]
        assert len(names) == len(set(names))
        varied = [v.strip().lower() for v in answer.headers["Vary"].split(",")]
        assert varied.count("origin") == 1


@pytest.mark.security(8)
def test_only_what_anybody_may_read_may_be_kept(client: httpx.Client, kind: str) -> None:
    answer = ask(client, kind)
    if kind in PUBLIC:
        assert answer.headers["Cache-Control"] == "public, no-cache"
        assert re.fullmatch(r'W/"[0-9a-f]{24}"', answer.headers["ETag"])
    else:
        assert answer.headers["Cache-Control"] == "no-store"


def test_private_answers_with_an_etag_are_not_kept_either(client: httpx.Client) -> None:
    post = draft(client)
    again = client.get(post.headers["Location"], headers=EDITOR | {"If-None-Match": post.headers["ETag"]})
    for answer in (post, again, act(client, post.json(), "publish")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["ETag"]
        assert answer.status_code in {200, 201}


# -- revalidation ---------------------------------------------------------------------------------------


def test_a_reader_who_has_the_newest_gets_304(client: httpx.Client) -> None:
    post = published(client)
    path = f"/v1/posts/{post['id']}"
    first = client.get(path)
    tag = first.headers["ETag"]
    assert client.get(path).headers["ETag"] == tag
    strong = tag.removeprefix("W/")
    for known in (tag, strong, f'"x", {tag}', f'{strong},"y"', "*", f'"x" , {tag} , "y"'):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b""), known
        assert again.headers["ETag"] == tag
        assert again.headers["Cache-Control"] == "public, no-cache"
    for other in ('"x"', strong.strip('"'), "", f'"{strong}"', "W/*"):
        assert client.get(path, headers={"If-None-Match": other}).content == first.content, other
    ok(act(client, ok(edit(client, post, title="새")), "publish"))
    changed = client.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_an_answer_is_the_same_from_every_cache(client: httpx.Client, stack: Stack) -> None:
    published(client)

    def public() -> list[tuple[bytes, str, str]]:
        answers = [client.get(path) for path in ("/v1/posts", "/v1/sitemap.xml", "/v1/feed.atom?lang=en")]
        return [(a.content, a.headers["ETag"], a.headers["Content-Type"]) for a in answers]

    rendered = public()
    # From the process's own copy, and from Valkey, where nothing is kept for a second after a publication.
    missing, deadline = {"answer", "Valkey answer"}, time.monotonic() + 120
    while missing:
        missing.discard(client.get("/v1/posts").headers["X-Test-Steps"])
        assert time.monotonic() < deadline, missing
        time.sleep(0.005)
    assert public() == rendered


def test_the_order_of_parameters_means_nothing(client: httpx.Client) -> None:
    category = unique("c")
    queries = (f"lang=en&category={category}&limit=5", f"limit=5&category={category}&lang=en")
    answers = [client.get(f"/v1/posts?{query}") for query in queries]
    assert answers[0].content == answers[1].content
    for query, name in (
        ("limit=1&limit=101", "limit"),
        ("limit=101&limit=1", "limit"),
        ("lang=ko&lang=ko", "lang"),
    ):
        for _ in range(2):
            breaks(client.get(f"/v1/posts?{query}"), (f"query.{name}", "repeated"))


def test_parameters_that_a_route_does_not_take_are_refused(client: httpx.Client) -> None:
    # Else anybody could have the sitemap rendered again, and stored, under any number of names.
    post = published(client)
    for path in ("/v1/sitemap.xml", "/v1/categories", f"/v1/posts/{post['slug']}"):
        breaks(client.get(f"{path}?a=1&b"), ("query.a", "extra_forbidden"), ("query.b", "extra_forbidden"))
    for path in ("/v1/posts", "/v1/feed.rss", "/v1/search?q=a"):
        sign = "&" if "?" in path else "?"
        breaks(client.get(f"{path}{sign}a=1"), ("query.a", "extra_forbidden"))
    # Health checks of other people's making may add what they like.
    assert client.get("/health?a=1").status_code == 200


# -- HEAD -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/health", "/v1/posts", "/v1/sitemap.xml", "/nothing", "/v1/editor/posts", "/openapi.json", "/docs"],
)
def test_head_answers_as_get_without_the_content(client: httpx.Client, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    changing = {"date", "age", "x-request-id", "x-test-steps", "x-count-valkey", "x-count-dynamodb"}
    for name in {*got.headers, *head.headers} - changing:
        assert head.headers.get(name) == got.headers.get(name), name
    assert int(head.headers["Content-Length"]) == got.num_bytes_downloaded


def test_head_leaves_connection_and_log_in_order(stack: Stack) -> None:
    ids = [unique("asked-") for _ in range(3)]
    with socket.create_connection(("127.0.0.1", stack.processes[0].port), timeout=120) as connection:
        for request_id in ids:
            head = f"HEAD /v1/posts HTTP/1.1\r\nHost: a\r\nX-Request-ID: {request_id}\r\n\r\n"
            connection.sendall(head.encode())
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"\r\n\r\n")
            logged(stack, request_id)
    lines = [line for line in log_lines(stack) if line.get("correlation_id") in ids]
    assert [(line["level"], line["route"], line["status"]) for line in lines] == [
        ("INFO", "/v1/posts", 200)
    ] * 3


# -- CORS -----------------------------------------------------------------------------------------------


def cors(answer: httpx.Response) -> dict[str, str]:
    return {k: v for k, v in answer.headers.items() if k.startswith("access-control-")}


@pytest.mark.parametrize("kind", [k for k in KINDS if "preflight" not in k])
def test_a_page_of_the_site_may_read_every_answer(client: httpx.Client, kind: str) -> None:
    answer = ask(client, kind, Origin=SITE)
    assert cors(answer) == {
        "access-control-allow-origin": SITE,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": (
            "Age, ETag, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
        ),
    }


FOREIGN = (
    *(
        "https://evil.example",
        "null",
        "http://www.familycorp.example",
        "https://familycorp.example",
        f"{SITE}:8443",
    ),
    *(
        f"{SITE}.evil.example",
        "https://www.familycorp.example.",
        "https://evilwww.familycorp.example",
        f"{SITE}/",
        f"{SITE} ",
    ),
    *("https://WWW.familycorp.example", "https://api.www.familycorp.example", "*", ""),
)


@pytest.mark.security(5)
@pytest.mark.parametrize("origin", [o for o in FOREIGN if o == o.strip()])
def test_a_foreign_page_gets_no_header_that_would_let_it_read(client: httpx.Client, origin: str) -> None:
    for kind in ("ok", "public", "editorial", "stranger", "unknown route", "invalid"):
        # The answer may come from a cache that a page of the site has filled.
        ask(client, kind, Origin=SITE)
        assert cors(ask(client, kind, Origin=origin)) == {}
    answer = client.options("/v1/inquiries", headers=PREFLIGHT | {"Origin": origin})
    problem(answer, 400, "cors_rejected")
    assert cors(answer) == {}


def test_without_an_origin_there_is_nothing_to_allow(client: httpx.Client) -> None:
    for kind in ("ok", "public", "stranger"):
        assert cors(ask(client, kind)) == {}


@pytest.mark.security(5)
def test_a_preflight_allows_what_the_api_takes_and_no_more(client: httpx.Client) -> None:
    answer = ask(client, "preflight")
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "*" not in str(cors(answer))
    methods = answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert set(methods) == {"GET", "HEAD", "POST", "PUT", "DELETE"}
    wanted = "content-type, if-match, if-none-match, idempotency-key, x-request-id"
    headers = PREFLIGHT | {"Access-Control-Request-Headers": wanted}
    assert client.options("/v1/posts", headers=headers).status_code == 200
    for refused in (
        {"Access-Control-Request-Headers": "x-test-subject"},
        {"Access-Control-Request-Method": "PATCH"},
    ):
        problem(client.options("/v1/posts", headers=PREFLIGHT | refused), 400, "cors_rejected")


# -- the limit on bodies --------------------------------------------------------------------------------


def chunks(size: int) -> Iterator[bytes]:
    while size > 0:
        yield b" " * min(size, 65536)
        size -= 65536


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_a_mebibyte_is_read_and_no_larger_one(client: httpx.Client, announced: bool) -> None:
    def send(size: int, path: str, **headers: str) -> httpx.Response:
        content = b" " * size if announced else chunks(size)
        return client.post(path, content=content, headers=JSON | headers)

    problem(send(LIMIT, "/v1/inquiries"), 400, "body_malformed")
    problem(send(LIMIT + 1, "/v1/inquiries"), 413, "body_too_large")
    problem(send(4 * LIMIT, "/v1/editor/posts", **EDITOR), 413, "body_too_large")
    problem(send(4 * LIMIT, "/v1/editor/posts"), 401, "unauthenticated")


def test_a_large_body_is_refused_before_it_is_sent(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.processes[0].port), timeout=120) as connection:
        head = b"POST /v1/inquiries HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        connection.sendall(head + b"Content-Length: 1000000000000\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_a_body_that_nobody_reads_has_no_limit(client: httpx.Client) -> None:
    post = published(client)
    answer = client.post(f"/v1/posts/{post['id']}/views", content=b" " * (LIMIT + 1))
    assert answer.status_code == 204


# -- what the service says of itself --------------------------------------------------------------------


def test_health_touches_nothing(client: httpx.Client) -> None:
    answer = client.get("/health")
    assert ok(answer) == {"status": "ok", "version": version("familycorp-backend"), "environment": "test"}
    assert answer.headers["X-Test-Steps"] == "answer"


def counts(answer: httpx.Response) -> list[int]:
    """Return how often each store was asked."""
    return [int(answer.headers[f"X-Count-{store}"]) for store in ("SQL", "DynamoDB", "Valkey")]


def test_ready_reports_each_dependency_with_its_latency(each_client: httpx.Client) -> None:
    answer = each_client.get("/ready")
    found = ok(answer)
    assert found["status"] == "ok"
    assert set(found["dependencies"]) == {"database", "dynamodb", "cache"}
    for dependency in found["dependencies"].values():
        assert dependency["status"] == "ok"
        assert 0 < dependency["latencyMs"] < 3000
    # Another test may have asked within the last five seconds.
    assert counts(answer) in ([1, 1, 1], [0, 0, 0])
    assert counts(each_client.get("/ready")) == [0, 0, 0]
