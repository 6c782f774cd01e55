"""Hostile input: always a clear error that names field and rule, never a 5xx, and nothing is stored."""

import base64
import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.contract import NOBODY, as_bytes, breaks, filled, ok, operations, problem, unique
from support.stack import EDITOR, Stack, draft

JSON = {"Content-Type": "application/json"}
TABLES = (
    *("attachments", "audit_entries", "categories", "category_list", "idempotency_keys", "inquiries"),
    *("outbox", "post_revisions", "posts"),
)
STRICT = ("/v1/inquiries", "/v1/editor/posts", "/v1/editor/categories")


@contextmanager
def nothing_stored(stack: Stack) -> Iterator[None]:
    def rows() -> list[list[tuple[Any, ...]]]:
        return [sorted(stack.sql(f"SELECT * FROM {table}"), key=str) for table in TABLES]

    before = rows()
    yield
    assert rows() == before


def refused(answer: httpx.Response) -> None:
    """Check that an answer is a clear refusal."""
    codes = {
        400: "body_malformed",
        413: "body_too_large",
        415: "unsupported_media_type",
        422: "validation_failed",
    }
    assert answer.status_code in codes, answer.text[:2000]
    told = problem(answer, answer.status_code, codes[answer.status_code])
    if answer.status_code == 422:
        assert told["errors"]
        assert all(error["field"] and error["rule"] and error["message"] for error in told["errors"])
    assert len(answer.content) < 20_000


def bodies(client: httpx.Client) -> list[tuple[str, str]]:
    """Return every operation that takes a body."""
    return [
        (method, filled(path))
        for method, path, operation in operations(client)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]


OF_ITS_PATH_ALONE = ("/previews", "/schedule", "/working-copy", f"/shares/{NOBODY}", "/description")
"""What needs nothing but what its path names: an empty object is no fault there."""

NESTED = '{"a":' * 500 + "1" + "}" * 500
HOSTILE: dict[str, bytes] = {
    "a megabyte of blanks": b" " * 1_000_000,
    "a megabyte of text": json.dumps("a" * 1_000_000).encode(),
    "a megabyte of title": json.dumps({"title": "a" * 1_000_000}).encode(),
    "a hundred thousand members": json.dumps({f"m{i}": i for i in range(70_000)}).encode(),
    "a member with a megabyte of name": json.dumps({"n" * 1_000_000: 1}).encode(),
    "a hundred thousand tags": json.dumps({"tags": [7] * 100_000, "slugs": [7] * 100_000}).encode(),
    "invalid UTF-8": b'{"title": "\xff\xfe\xfa", "name": "\xc3\x28"}',
    "overlong UTF-8": b'{"title": "\xc0\xaf"}',
    "NUL": b"\x00",
    "NUL in JSON": b'{"title": "a\\u0000b"}\x00',
    "a lone surrogate as value": b'{"title": "\\ud800", "name": "\\udfff", "slug": "\\ud800"}',
    "a lone surrogate as name": b'{"\\ud800": 1, "name": {"\\ud800": 1}}',
    "deep nesting": NESTED.encode(),
    "very deep nesting": b"[" * 200_000 + b"]" * 200_000,
    "deep nesting in a field": f'{{"title": {NESTED}, "name": {NESTED}, "slugs": {NESTED}}}'.encode(),
    "not a number": b'{"title": NaN, "publishAt": Infinity, "consent": -Infinity, "name": NaN}',
    "a huge number": b'{"title": 1e999, "publishAt": 1' + b"0" * 5000 + b"}",
    "true": b"true",
    "null": b"null",
    "text": b'"a"',
    "a list": b"[]",
    "an empty object": b"{}",
    "prototype": b'{"__proto__": {"admin": true}, "constructor": 1, "__class__": "x"}',
    "UTF-16": json.dumps({"title": 7}).encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "two documents": b"{}{}",
    "comments": b"{/* a */}",
    "XML": b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
    "pickle": b"\x80\x04\x95\x10",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_refused_everywhere(client: httpx.Client, stack: Stack, name: str) -> None:
    with nothing_stored(stack):
        for method, path in bodies(client):
            headers = JSON | EDITOR | {"If-Match": '"1"'}
            answer = client.request(method, path, content=HOSTILE[name], headers=headers)
            if (name, answer.status_code) == ("an empty object", 404) and path.endswith(OF_ITS_PATH_ALONE):
                continue
            if path.startswith("/v1/auth/") and answer.status_code == 401:
                problem(
                    answer, 401, "session_expired"
                )  # The member is asked for before the members of the body.
            else:
                refused(answer)


def test_a_compressed_body_is_not_read(client: httpx.Client, stack: Stack) -> None:
    packed = gzip.compress(json.dumps({"title": "a"}).encode())
    with nothing_stored(stack):
        refused(client.post("/v1/inquiries", content=packed, headers=JSON | {"Content-Encoding": "gzip"}))


# What a text may not hold, and the rule that says so.
TEXTS: dict[str, tuple[str, str]] = {
    "NUL": ("a\x00b", "forbidden_character"),
    "bell": ("a\x07b", "forbidden_character"),
    "escape": ("a\x1b[31mb", "forbidden_character"),
    "delete": ("a\x7fb", "forbidden_character"),
    "C1": ("a\x85b", "forbidden_character"),
    "right-to-left override": ("a\u202eb", "forbidden_character"),
    "left-to-right embedding": ("a\u202ab", "forbidden_character"),
    "first strong isolate": ("a\u2068b", "forbidden_character"),
    "line break": ("a\nb", "forbidden_character"),
    "carriage return": ("a\rb", "forbidden_character"),
    "line separator": ("a\u2028b", "forbidden_character"),
    "no character": ("a\uffffb", "forbidden_character"),
    "lone surrogate": ("a\ud800b", "string_unicode"),
    "10,000 characters": ("가" * 10_000, "string_too_long"),
    "10,000 combining marks": ("a" + "\u0301" * 10_000, "string_too_long"),
    "blanks": (" \u3000\u00a0 ", "string_too_short"),
    "nothing": ("", "string_too_short"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_line_of_text_keeps_to_its_rules(client: httpx.Client, stack: Stack, name: str) -> None:
    text, rule = TEXTS[name]
    form = {"name": text, "email": "a@b.kr", "subject": "a", "message": "a", "consent": True}
    post = {"lang": "ko", "category": "news", "title": text, "body": "a"}
    category = {"slug": unique("c"), "name": {"ko": text, "en": "a"}}
    with nothing_stored(stack):
        for path, body, field in zip(
            STRICT, (form, post, category), ("name", "title", "name.ko"), strict=True
        ):
            # Written with escapes, so that any text is valid JSON.
            answer = client.post(path, content=json.dumps(body), headers=JSON | EDITOR)
            breaks(answer, (f"body.{field}", rule))
        if "\ud800" not in text and rule != "string_too_long":
            breaks(client.get("/v1/search", params={"q": text}), ("query.q", rule))


def test_text_of_every_script_is_kept_as_it_is(each_client: httpx.Client) -> None:
    # Marks that only separate directions (LRM, RLM), joiners, emoji sequences, characters beyond U+FFFF.
    for title in (
        "שלום\u200f עולם\u200e",
        "مرحبا",
        "👨‍👩‍👧‍👦 가족",
        "𠮷野家",
        "क्‍ष",
        "ที่นี่",
        "ﷺ",
        "\U0001f1f0\U0001f1f7",
        "İstanbul ŉ ß",
    ):
        post = ok(draft(each_client, title=title, body=title, tags=[title], excerpt=title, slug=None), 201)
        again = ok(each_client.get(f"/v1/editor/posts/{post['id']}", headers=EDITOR))
        assert [again[n] for n in ("title", "body", "excerpt", "tags")] == [title, title, title, [title]]


def test_text_is_stored_as_nfc(each_client: httpx.Client) -> None:
    post = ok(draft(each_client, title="\u1112\u1161\u11ab\u1100\u1173\u11af e\u0301"), 201)
    assert post["title"] == "한글 é"


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ("limit=-1", "limit", "greater_than_equal"),
        ("limit=1e3", "limit", "int_parsing"),
        ("limit=", "limit", "int_parsing"),
        ("limit=%EF%BC%95%EF%BC%95%EF%BC%95", "limit", "int_parsing"),
        (f"limit={'9' * 5000}", "limit", "int_parsing_size"),
        ("lang=KO", "lang", "literal_error"),
        ("lang=", "lang", "literal_error"),
        ("category=%00", "category", "string_pattern_mismatch"),
        ("category=' OR 1=1", "category", "string_pattern_mismatch"),
        ("cursor=", "cursor", "cursor_invalid"),
        ("cursor=%FF%FE", "cursor", "cursor_invalid"),
        ("cursor=AAAA", "cursor", "cursor_invalid"),
        (f"cursor={'A' * 201}", "cursor", "string_too_long"),
        (f"cursor={'A' * 5_000}", "cursor", "string_too_long"),
        ("cursor[]=a", "cursor[]", "extra_forbidden"),
        ("limit[$gt]=1", "limit[$gt]", "extra_forbidden"),
        ("%00=1", "\x00", "extra_forbidden"),
        ("Limit=1", "Limit", "extra_forbidden"),
    ],
)
def test_a_hostile_query_is_refused_by_every_list(
    client: httpx.Client, query: str, field: str, rule: str
) -> None:
    for path in ("/v1/posts", "/v1/search?q=a", "/v1/editor/posts"):
        sign = "&" if "?" in path else "?"
        answer = client.get(f"{path}{sign}{query}", headers=EDITOR)
        breaks(answer, (f"query.{field}", rule))


def test_a_long_list_of_errors_is_cut(client: httpx.Client) -> None:
    query = "&".join(f"p{i}=1" for i in range(200))
    for path in ("/v1/posts", "/v1/categories"):
        refused(client.get(f"{path}?{query}"))


def as_cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


INSTANTS = st.datetimes().map(lambda at: at.isoformat(timespec="microseconds") + "Z") | st.text(max_size=30)
SORT_KEYS = st.builds("{}#{}".format, INSTANTS, st.uuids().map(str) | st.text(max_size=40))
CURSORS = st.one_of(
    st.text(max_size=250),
    st.from_regex(r"\A[A-Za-z0-9_-]{0,200}\Z"),
    SORT_KEYS.map(as_cursor),
    st.uuids().map(str).map(as_cursor),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cursor=CURSORS)
def test_no_cursor_is_too_strange(each_client: httpx.Client, cursor: str) -> None:
    encoded = cursor.encode("utf-8", "surrogatepass")
    for path in ("/v1/posts", "/v1/search?q=a", "/v1/editor/posts", "/v1/editor/inquiries"):
        query = httpx.QueryParams({"cursor": encoded.decode("utf-8", "replace")})
        sign = "&" if "?" in path else "?"
        answer = each_client.get(f"{path}{sign}{query}", headers=EDITOR)
        if answer.status_code == 200:
            assert set(answer.json()) == {"items", "nextCursor"}
        else:
            rules = {e["rule"] for e in problem(answer, 422, "validation_failed")["errors"]}
            assert rules <= {"cursor_invalid", "string_too_long", "string_unicode"}


@pytest.mark.parametrize(
    "address",
    [
        "%00",
        "%ff",
        "%2e%2e",
        "..%2f..%2fetc",
        "a%0d%0aSet-Cookie:%20x",
        "%ED%A0%80",
        "a" * 121,
        "가" * 121,
        "'",
        "%25",
        "*",
        "~categories",
        "%20",
    ],
)
def test_a_hostile_address_finds_nothing(client: httpx.Client, address: str) -> None:
    for path in (
        "/v1/posts/{}",
        "/v1/posts/{}/views",
        "/v1/editor/posts/{}",
        "/v1/editor/inquiries/{}",
        "/v1/editor/categories/{}",
    ):
        method = "POST" if "views" in path else "DELETE" if "categories" in path else "GET"
        headers = EDITOR | {"If-Match": '"1"'}
        answer = client.request(method, path.format(address), headers=headers)
        assert answer.status_code in {404, 412, 422}, answer.text
        problem(
            answer,
            answer.status_code,
            {404: "not_found", 412: "precondition_failed", 422: "validation_failed"}[answer.status_code],
        )
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "value",
    [
        b"\xff" * 20,
        "열쇠".encode(),
        b'"' + b"9" * 60_000 + b'"',
        b"'1'",
        b'"1\xb2"',
        b'"1" "1"',
        b'"+1"',
        b'"01"',
        b'" 1"',
        b'"1e0"',
    ],
)
def test_a_hostile_if_match_matches_nothing(client: httpx.Client, stack: Stack, value: bytes) -> None:
    post = draft(client).json()
    with nothing_stored(stack):
        for step in ("publish", "archive", "revisions/1/restore"):
            path = f"/v1/editor/posts/{post['id']}/{step}"
            problem(
                client.post(path, headers=as_bytes({**EDITOR, "If-Match": value})), 412, "precondition_failed"
            )


@pytest.mark.parametrize(
    "name",
    [
        "Accept",
        "Accept-Language",
        "Cookie",
        "Range",
        "X-Forwarded-For",
        "User-Agent",
        "If-None-Match",
        "If-Modified-Since",
        "Expect-CT",
        "Forwarded",
    ],
)
def test_headers_that_nobody_asked_for_change_nothing(client: httpx.Client, name: str) -> None:
    expected = client.get("/v1/categories").content
    for value in (b"\xff\xfe", b"a" * 50_000, b",,;;==", b'"', b"bytes=0-1"):
        answer = client.get("/v1/categories", headers={name.encode(): value})
        assert (answer.status_code, answer.content) == (200, expected)


FORM = b"POST /v1/inquiries HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        FORM + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        FORM + b"Content-Length: 50\r\n\r\n{",
        b"GET /v1/posts HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\x00b\r\n\r\n",
    ],
)
def test_what_is_no_http_disturbs_nobody(client: httpx.Client, stack: Stack, request_line: bytes) -> None:
    with (
        nothing_stored(stack),
        socket.create_connection(("127.0.0.1", stack.processes[0].port), timeout=120) as connection,
    ):
        connection.sendall(request_line)
        connection.shutdown(socket.SHUT_WR)
        assert b" 500 " not in connection.recv(65536).split(b"\r\n")[0]
    assert client.get("/health").status_code == 200


def test_an_unknown_id_is_not_an_error_of_ours(client: httpx.Client) -> None:
    for identifier in (
        NOBODY,
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        NOBODY.upper(),
    ):
        problem(client.get(f"/v1/posts/{identifier}"), 404, "not_found")
        problem(client.get(f"/v1/editor/posts/{identifier}", headers=EDITOR), 404, "not_found")
