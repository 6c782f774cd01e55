"""One application, three ways to run it, one behaviour: uvicorn, Mangum, and the Web Adapter (or its stand-in).

The same requests go to each way, and the answers are compared byte by byte. Mangum and the adapter run under Lambda's
own emulator and get what API Gateway would send: Mangum from the archives of the zip variant, the adapter from the
image of `make image` where REQUIRE_SERVERS names that (`make image-test`), else beside this machine's own Python.
Unavoidable differences are named in `DIFFERENCES` and by `told`; every other difference fails.
"""

import gzip
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from familycorp_ops.servers.function import (
    Answer,
    Function,
    ImageFunction,
    Request,
    ask_directly,
    packaged,
    pulled,
)
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.servers.valkey import Valkey
from familycorp_ops.testing.servers import missing
from support.stack import Stack, draft, make_category, published

pytestmark = [pytest.mark.package, pytest.mark.timeout(1200)]

DIFFERENCES = {
    "age": "each way keeps copies of its own",
    "date": "uvicorn sends the time; behind Mangum API Gateway does",
    "server": "uvicorn names itself; API Gateway keeps quiet",
}
"""Headers that are a server's own, and why."""

MOVING = re.compile(r"(?<=;)([rt]=)\d+|((?:state|nonce|code_challenge)=)[\w-]+")
"""Headers that depend on the moment or on chance: the rest of a limit and its window, and secrets of a login."""

ORIGIN = "https://www.familycorp.example"
Ask = Callable[[Request], Answer]


@dataclass(frozen=True)
class Ways:
    """The three ways, each with a cache of its own on the same stores."""

    ask: Mapping[str, Ask]
    posts: list[dict[str, str]]
    functions: Mapping[str, Function]
    stack: Stack

    def forget_limits(self) -> None:
        """Forget how often this client has asked: the ways are one client of one table."""
        table = self.stack.settings.sessions_table
        for item in self.stack.dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]:
            if item["owner"]["S"].startswith("limit#"):
                self.stack.dynamodb.delete_item(
                    TableName=table, Key={name: item[name] for name in ("owner", "item")}
                )


@pytest.fixture(scope="module")
def ways(
    ministack: MiniStack,
    valkey: Valkey,
    nanoidp: NanoIDP,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Ways]:
    directory = tmp_path_factory.mktemp("ways")
    image, database = None, None
    if "image" in os.environ.get("REQUIRE_SERVERS", "").split(","):
        image = pulled("http")
        # In its container the function is another user, who reaches no file of this test's.
        database = request.getfixturevalue("mariadb").create_database("ways")
    try:
        task, layer = packaged(directory)
    except NotInstalledError as error:
        missing("sam", error)
    with ExitStack() as opened:
        stack = opened.enter_context(Stack(directory, ministack, valkey, database, provider=nanoidp))
        stack.prepare()
        writer = stack.start()
        with stack.client(writer) as client:
            make_category(client, "news")
            make_category(client, "ir")
            slugs = ["plain", "창립-40주년", "실적-3분기"]
            posts = [
                published(
                    client, slug=s, lang="ko", category=c, title=f"{s} 소식", body="본문 **굵게** " * 20
                )
                for s in slugs
                for c in ("news",)
            ]
            posts.append(
                published(client, slug="english", lang="en", category="ir", title="Results", body="Up.")
            )
            draft(client, slug="unpublished")

        def settings() -> dict[str, Any]:
            cache = opened.enter_context(Valkey()).url
            # The release is named, as templates do.
            return {"FAMILYCORP_CACHE_URL": cache, "FAMILYCORP_VERSION": "v1"}

        direct = stack.start(deployed=True, **settings())

        def variables() -> dict[str, str]:
            return {**CREDENTIALS, **stack.environment, **settings()}

        adapted = directory / "web adapter"
        functions: Mapping[str, Function] = {
            # Exactly what is deployed, and nothing else on the path.
            "mangum": Function(variables(), directory / "mangum", task=task, layers=[layer]),
            "web adapter": ImageFunction(image, variables(), adapted)
            if image
            else Function(variables(), adapted, adapter=True),
        }
        try:
            for function in functions.values():
                opened.enter_context(function)
        except NotInstalledError as error:
            missing("sam", error)
        asks: dict[str, Ask] = {"uvicorn": partial(ask_directly, direct.port)}
        asks |= {name: function.ask for name, function in functions.items()}
        yield Ways(asks, posts, functions, stack)


def requests(posts: list[dict[str, str]]) -> Iterator[Request]:
    """Yield some two hundred requests, each with a correlation id of its own."""
    ids = [p["id"] for p in posts]
    paths = [
        *(
            "/health",
            "/v1/posts",
            "/v1/categories",
            "/v1/feed.atom",
            "/v1/feed.json",
            "/v1/feed.rss",
            "/v1/sitemap.xml",
        ),
        *(f"/v1/posts/{quote(p['slug'])}" for p in posts),
        *(f"/v1/posts/{identity}" for identity in ids),
        *("/", "/nothing", "/v1", "/v1/posts/", "/v1/posts/unpublished", f"/v1/posts/{quote('없는-글')}"),
        *(
            "/v1/editor/posts",
            "/v1/members",
            "/v1/audit",
            "/v1/auth/me",
            "/v1/auth/sessions",
            "/v1/auth",
            "/openapi.json",
        ),
        *(
            "/v1/posts/a%20b",
            "/v1/posts/a+b",
            "/v1/posts/%25",
            "/v1/posts/a'b",
            "/v1/posts/a;b",
            "/v1/posts/a=b&c",
        ),
        *(
            "/v1//posts",
            "/V1/posts",
            "/v1/posts/%E3%85%8E%E3%85%8F",
            "/v1/posts/~tilde",
            "/v1/posts/@at",
        ),
    ]
    for path in paths:
        yield Request("GET", path)
        yield Request("HEAD", path)
    queries = [
        *(
            "category=news",
            "category=ir&lang=en",
            "lang=ko",
            "lang=xx",
            "limit=1",
            "limit=0",
            "limit=abc",
            "limit=1&limit=2",
        ),
        *(
            "category=news&category=ir",
            "unknown=1",
            "cursor=garbage",
            "q=",
            "lang=",
            "lang",
            "&&",
            "=",
            "lang=ko&lang=en",
        ),
        *(
            f"category={quote('소식')}",
            "category=%00",
            "category=a%26b",
            "category=a+b",
            "limit=99999999999999999999",
        ),
    ]
    for query in queries:
        yield Request("GET", f"/v1/posts?{query}")
    searches = [
        quote("창립"),
        quote("소식 40주년"),
        "Results",
        "r%65sults",
        "a",
        "%F0%9F%98%80",
        "%FF",
        "a%2Bb",
        "a%3Db",
        "",
    ]
    for query in searches:
        yield Request("GET", f"/v1/search?q={query}")
        yield Request("GET", f"/v1/search?q={query}&lang=ko")
    cookies = [
        *(
            "a=1",
            "a=1; b=2",
            "a=1; a=2",
            "__Host-access=garbage",
            "__Host-access=a; __Secure-refresh=b; x=y",
            'q="quoted"',
        ),
        *("empty=", "novalue", "__Host-access=" + "x" * 3000),
        *("\xa0__Host-access=a", "\x85__Host-access=a; a=1", "__host-access=a", "a=1;__Host-access=b"),
    ]
    for cookie in cookies:
        for path in ("/v1/posts", "/v1/auth/me", "/v1/editor/posts"):
            yield Request("GET", path, [("Cookie", cookie)])
    for origin in (ORIGIN, "https://evil.example", "null"):
        yield Request("GET", "/v1/posts", [("Origin", origin)])
        for method in ("PUT", "POST", "TRACE"):
            asked = [("Origin", origin), ("Access-Control-Request-Method", method)]
            yield Request("OPTIONS", "/v1/posts", asked)
            yield Request(
                "OPTIONS",
                "/v1/auth/logout",
                [*asked, ("Access-Control-Request-Headers", "x-csrf-protection")],
            )
    yield Request("OPTIONS", "/v1/posts")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/v1/posts", "/health", "/v1/editor/posts", "/v1/auth/logout", "/nothing"):
            yield Request(method, path)
    yield from with_bodies()
    for query in (
        "",
        "?returnTo=https://www.familycorp.example/a?b=c",
        "?returnTo=https://evil.example",
        "?anew=maybe",
    ):
        yield Request("GET", f"/v1/auth/login{query}")
    yield Request("GET", "/v1/auth/callback?state=x&code=y", [("Cookie", "__Host-login=z")])
    headers = [
        *(
            [("Accept-Encoding", "gzip, br")],
            [("Accept-Language", "ko-KR,en;q=0.5")],
            [("Accept", "text/html")],
        ),
        *([("X-Forwarded-For", "198.51.100.1")], [("X-Forwarded-For", "a"), ("X-Forwarded-For", "b")]),
        *(
            [("If-None-Match", "*")],
            [("If-None-Match", '"nothing"')],
            [("If-Match", '"1"')],
            [("Range", "bytes=0-9")],
        ),
        *([("X-Amzn-Request-Context", '{"http":{"sourceIp":"1.2.3.4"}}')], [("X-Long", "x" * 4000)]),
        *([("User-Agent", "")], [("X-CSRF-Protection", "1")], [("Authorization", "Bearer x")]),
    ]
    for extra in headers:
        yield Request("GET", "/v1/posts", extra)


def with_bodies() -> Iterator[Request]:
    """Yield requests with bodies of all kinds."""
    as_json = [("Content-Type", "application/json")]
    inquiry = {
        "name": "김하늘",
        "email": "h@example.com",
        "subject": "견적",
        "message": "안녕하세요.",
        "consent": True,
    }
    whole = json.dumps(inquiry, ensure_ascii=False).encode()
    bodies = [
        *(
            b"",
            b"{}",
            b"{",
            b"null",
            b"[]",
            b'"x"',
            b"\xff\xfe",
            b"\0",
            whole[:-1],
            whole.replace(b"true", b"false"),
        ),
        *(json.dumps({**inquiry, "email": "no"}).encode(), json.dumps({**inquiry, "extra": 1}).encode()),
        *(json.dumps({**inquiry, "message": "가" * 30_000}).encode(), b"[" * 2000, b"x" * 6_000_000),
        json.dumps({**inquiry, "message": "x" * (1024 * 1024)}).encode(),
        json.dumps(dict.fromkeys(map(str, range(60_000)))).encode(),
    ]
    for body in bodies:
        yield Request("POST", "/v1/inquiries", as_json, body)
    yield Request("POST", "/v1/inquiries", [("Content-Type", "text/plain")], whole)
    yield Request("POST", "/v1/inquiries", [("Content-Type", "application/octet-stream")], bytes(range(256)))
    yield Request(
        "POST", "/v1/inquiries", [*as_json, ("Content-Encoding", "gzip")], gzip.compress(whole, mtime=0)
    )
    yield Request("POST", "/v1/inquiries", [], whole)
    yield Request("POST", "/v1/inquiries", [*as_json, ("Idempotency-Key", "")], whole)
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    for body in (b"logout_token=x", b"logout_token=", b"a=1&logout_token=%ED%95%9C", b"\xff"):
        yield Request("POST", "/v1/auth/backchannel-logout", form, body)


def told(request: Request, answer: Answer) -> Answer:
    """Return an answer without what can't be the same: a server's own headers, and how long a limit still holds."""
    headers = {(n, MOVING.sub(r"\1\2", v)) for n, v in answer.headers if n not in DIFFERENCES}
    # What answers HEAD over HTTP sends no body; from a function API Gateway drops it.
    cookies = tuple(re.sub(r"(login=)[\w.-]{20,}", r"\1", c) for c in answer.cookies)
    return replace(
        answer,
        headers=frozenset(headers),
        cookies=cookies,
        body=b"" if request.method == "HEAD" else answer.body,
    )


def compare(ways: Ways, request: Request) -> Answer:
    """Ask each way the same; return the answer, once they all gave it."""
    ways.forget_limits()
    named = replace(request, headers=[*request.headers, ("X-Request-ID", f"c-{uuid.uuid4().hex}")])
    answers = {name: told(named, ask(named)) for name, ask in ways.ask.items()}
    first = answers["uvicorn"]
    # The adapter makes a 502 of a response header that isn't UTF-8, and API Gateway's word on others isn't known.
    assert all(value.isascii() for _, value in first.headers), request
    assert all(cookie.isascii() for cookie in first.cookies), request
    for name, answer in answers.items():
        assert answer.status == first.status, (name, request)
        assert sorted(answer.headers) == sorted(first.headers), (name, request)
        assert answer.cookies == first.cookies, (name, request)
        assert answer.body == first.body, (name, request)
    return first


def test_two_hundred_requests_are_answered_alike(ways: Ways) -> None:
    asked = list(requests(ways.posts))
    assert len(asked) >= 200
    seen: set[int] = set()
    unlike = []
    for request in asked:
        try:
            seen.add(compare(ways, request).status)
        except AssertionError as error:
            unlike.append(
                f"{request.method} {request.target[:80]} {str(request.headers)[:80]}\n{str(error)[:900]}"
            )
    assert not unlike, f"{len(unlike)} of {len(asked)}\n" + "\n\n".join(unlike)
    assert seen >= {200, 303, 304, 401, 403, 404, 405, 413, 422}


def test_304_is_the_same_everywhere_and_has_no_type(ways: Ways) -> None:
    for path in (
        "/v1/posts",
        "/v1/feed.atom",
        "/v1/sitemap.xml",
        f"/v1/posts/{quote(ways.posts[1]['slug'])}",
    ):
        tag = dict(compare(ways, Request("GET", path)).headers)["etag"]
        for method in ("GET", "HEAD"):
            unchanged = compare(ways, Request(method, path, [("If-None-Match", tag)]))
            assert (unchanged.status, unchanged.body) == (304, b"")
            assert "content-type" not in dict(unchanged.headers)


def test_what_is_compressed_comes_whole(ways: Ways) -> None:
    """API Gateway carries bytes as base64 alone, so each way has to see that they aren't text."""
    for path in ("/v1/posts", "/v1/feed.rss", "/v1/sitemap.xml", f"/v1/posts/{ways.posts[1]['id']}"):
        plain = compare(ways, Request("GET", path, [("Accept-Encoding", "identity")]))
        packed = compare(ways, Request("GET", path, [("Accept-Encoding", "gzip")]))
        assert (packed.status, dict(packed.headers)["content-encoding"]) == (200, "gzip")
        assert gzip.decompress(packed.body) == plain.body
        compare(ways, Request("HEAD", path, [("Accept-Encoding", "gzip")]))
        tag = dict(packed.headers)["etag"]
        unchanged = compare(ways, Request("GET", path, [("Accept-Encoding", "gzip"), ("If-None-Match", tag)]))
        assert (unchanged.status, unchanged.body) == (304, b"")
    refused = compare(ways, Request("GET", "/v1/posts/nothing", [("Accept-Encoding", "gzip")]))
    assert "content-encoding" not in dict(refused.headers)


def test_several_cookies_go_both_ways(ways: Ways) -> None:
    sent = [
        ("Cookie", "a=1; __Host-access=x; __Secure-refresh=y; __Host-login=z"),
        ("X-CSRF-Protection", "1"),
    ]
    ended = compare(ways, Request("POST", "/v1/auth/logout", [*sent, ("Origin", ORIGIN)]))
    assert len(ended.cookies) >= 2, ended


def test_an_inquiry_is_taken_alike(ways: Ways) -> None:
    said = {
        "name": "김하늘",
        "email": "h@example.com",
        "subject": "견적",
        "message": "안녕하세요.",
        "consent": True,
    }
    body = json.dumps(said).encode()
    kinds = [("Content-Type", "application/json"), ("Idempotency-Key", f"key-{uuid.uuid4().hex}")]
    # All on one store: the first is taken, the others repeat it and get the same receipt.
    assert compare(ways, Request("POST", "/v1/inquiries", kinds, body)).status == 201


@pytest.mark.security(39)
@pytest.mark.parametrize(
    "claim",
    [
        ("X-Amzn-Request-Context", '{"http":{"sourceIp":"198.51.100.1"}}'),
        ("X-Forwarded-For", "198.51.100.1"),
        ("Forwarded", "for=198.51.100.1"),
        ("X-Real-IP", "198.51.100.1"),
    ],
    ids=lambda c: c[0].lower(),
)
def test_nobody_escapes_a_limit_by_claiming_another_address(ways: Ways, claim: tuple[str, str]) -> None:
    for name, ask in ways.ask.items():
        left = []
        for number in range(6):
            # Many at once, since the quota refills with time: ten in a second.
            extra = [(claim[0], claim[1].replace("100.1", f"100.{number}"))] if number % 2 else []
            for _ in range(5):
                answer = ask(Request("GET", f"/v1/posts/{uuid.uuid4().hex}", extra))
            left.append(int(re.search(r"r=(\d+)", dict(answer.headers)["ratelimit"])[1]))  # type: ignore[index]
        assert left == sorted(left, reverse=True), (name, left)
