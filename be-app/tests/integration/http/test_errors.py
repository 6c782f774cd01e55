"""Errors: RFC 9457 documents with a stable code, and nothing of what is inside."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from support.contract import (
    NOBODY,
    breaks,
    filled,
    log_lines,
    logged,
    ok,
    operations,
    problem,
    unique,
    with_headers,
)
from support.stack import EDITOR, Stack, act, draft, published

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
JSON = {"Content-Type": "application/json"}


def test_an_unknown_route_is_not_found(client: httpx.Client) -> None:
    for path in (
        "/",
        "/v1",
        "/v2/posts",
        "/v1/posts/a/b",
        "/v1/posts/",
        "/.env",
        "/v1/../etc/passwd",
        "/%00",
        "/v1/feed.xml",
    ):
        document = problem(client.get(path), 404, "not_found")
        assert "errors" not in document


def test_a_path_is_asked_by_its_own_methods_alone(client: httpx.Client) -> None:
    methods: dict[str, set[str]] = {}
    for method, path, _ in operations(client):
        methods.setdefault(path, set()).add(method)
    for path, taken in methods.items():
        allowed = taken | ({"HEAD"} if "GET" in taken else set())
        for method in set(METHODS) - allowed:
            # TRACE and the like are methods too; nothing may come of them but a clear no.
            answer = client.request(method, filled(path))
            if method == "HEAD":
                assert answer.status_code == 405
            else:
                problem(answer, 405, "method_not_allowed")
            assert {m.strip() for m in answer.headers["Allow"].split(",")} == allowed, path


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"{bad", "not valid JSON"),
        (b"", None),
        (b'{"title": "a', "not valid JSON"),
        (b'{"title": "\xff\xfe"}', None),
        (b"\xed\xa0\x80", None),
        (b"[" * 500_000, None),
        (b'{"a":' * 100_000, None),
        (b"9" * 10_000, None),
    ],
)
def test_a_body_that_is_no_json_is_malformed(
    client: httpx.Client, content: bytes, detail: str | None
) -> None:
    for path, headers in (("/v1/inquiries", JSON), ("/v1/editor/posts", JSON | EDITOR)):
        answer = client.post(path, content=content, headers=headers)
        if content == b"":
            breaks(answer, ("body", "missing"))
        else:
            document = problem(answer, 400, "body_malformed")
            if detail:
                assert detail in document["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "",
        "nonsense",
    ],
)
def test_a_body_of_another_type_is_not_read(client: httpx.Client, content_type: str) -> None:
    for path in ("/v1/inquiries", "/v1/editor/posts"):
        answer = client.post(path, content=b'{"name": "x"}', headers=EDITOR | {"Content-Type": content_type})
        assert "application/json" in problem(answer, 415, "unsupported_media_type")["detail"]


def test_a_field_error_names_field_and_rule(client: httpx.Client) -> None:
    post = draft(client).json()
    breaks(
        client.get("/v1/posts?limit=0&lang=ja"),
        ("query.limit", "greater_than_equal"),
        ("query.lang", "literal_error"),
    )
    breaks(client.get("/v1/posts?limit=101"), ("query.limit", "less_than_equal"))
    breaks(client.get("/v1/editor/posts/x", headers=EDITOR), ("path.post_id", "uuid_parsing"))
    breaks(
        draft(client, tags=["a", 7], title=None),
        ("body.tags.1", "string_type"),
        ("body.title", "string_type"),
    )
    breaks(act(client, post, "schedule", {}), ("body.publishAt", "missing"))
    breaks(act(client, post, "schedule", []), ("body", "model_attributes_type"))


def test_codes_are_stable_and_distinct(client: httpx.Client) -> None:
    """A front end distinguishes problems by their codes; this list may grow, never change."""
    documented = {
        (int(status), code)
        for _, _, operation in operations(client)
        for status, response in operation["responses"].items()
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    assert documented == {
        (400, "body_malformed"),
        (400, "login_expired"),
        (400, "logout_token_rejected"),
        (401, "second_factor_rejected"),
        (401, "session_expired"),
        (401, "unauthenticated"),
        (403, "csrf_rejected"),
        (403, "forbidden"),
        (403, "step_up_required"),
        (404, "not_found"),
        (409, "category_exists"),
        (409, "category_in_use"),
        (409, "export_too_large"),
        (409, "factor_exists"),
        (409, "former_member"),
        (409, "last_factor"),
        (409, "quota_exceeded"),
        (409, "redirect_exists"),
        (409, "redirect_loop"),
        (409, "slug_taken"),
        (409, "invalid_state"),
        (409, "translation_exists"),
        (409, "upload_in_use"),
        (409, "upload_incomplete"),
        (409, "upload_invalid_state"),
        (409, "working_copy_exists"),
        (410, "upload_gone"),
        (412, "precondition_failed"),
        (413, "body_too_large"),
        (414, "uri_too_long"),
        (415, "unsupported_media_type"),
        (422, "idempotency_key_reused"),
        (422, "upload_rejected"),
        (422, "validation_failed"),
        (428, "precondition_required"),
        (429, "rate_limited"),
        (431, "headers_too_large"),
        (500, "internal_error"),
        (503, "database_unavailable"),
        (503, "login_provider_unavailable"),
        (503, "login_unavailable"),
        (503, "overloaded"),
        (503, "store_unavailable"),
        (503, "storage_unavailable"),
    }


# -- what nobody expected -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken(new_stack: Callable[[str], Stack]) -> Iterator[tuple[Stack, httpx.Client, dict[str, Any]]]:
    """A stack that lost a table of its database and one of DynamoDB, and a post from before."""
    stack = new_stack("sqlite")
    stack.start()
    with stack.client() as client:
        ok(
            client.post(
                "/v1/editor/categories",
                json={"slug": "news", "name": {"ko": "소식", "en": "News"}},
                headers=EDITOR,
            ),
            201,
        )
        post = published(client)
        stack.sql("DROP TABLE inquiries")
        stack.dynamodb.delete_table(TableName=stack.settings.posts_table)
        yield stack, client, post


@pytest.mark.security(41)
def test_an_unexpected_error_exposes_nothing_but_its_request_id(
    broken: tuple[Stack, httpx.Client, dict[str, Any]],
) -> None:
    stack, client, _ = broken
    secret = unique("secret")
    form = {
        "name": secret,
        "email": f"{secret}@example.com",
        "subject": secret,
        "message": secret,
        "consent": True,
    }
    requests: tuple[tuple[Callable[[dict[str, str]], httpx.Response], str], ...] = (
        (
            lambda headers: client.post("/v1/inquiries", json=form, headers=headers),
            "no such table: inquiries",
        ),
        (
            lambda headers: client.get("/v1/editor/inquiries", headers=EDITOR | headers),
            "no such table: inquiries",
        ),
        (lambda headers: client.get("/v1/posts", headers=headers), "ResourceNotFoundException"),
        (lambda headers: client.get(f"/v1/posts/{NOBODY}", headers=headers), "ResourceNotFoundException"),
        (lambda headers: client.get("/v1/feed.rss", headers=headers), "ResourceNotFoundException"),
    )
    for ask, cause in requests:
        request_id = unique("asked-")
        answer = ask({"X-Request-ID": request_id, "Origin": "https://www.familycorp.example"})
        document = problem(answer, 500, "internal_error")
        assert document["requestId"] == request_id
        assert set(document) == {"type", "title", "status", "code", "requestId"}
        # The front end can read the answer, too.
        assert answer.headers["Access-Control-Allow-Origin"] == "https://www.familycorp.example"
        lines = logged(stack, request_id)
        errors = [line for line in lines if line["level"] == "ERROR"]
        assert [line["message"] for line in errors] == ["unhandled_error"]
        assert cause in errors[0]["exception"]
        assert errors[0]["exception_name"]
        assert (lines[-1]["message"], lines[-1]["status"]) == ("request", 500)
    assert secret not in stack.processes[0].log.read_text()


def test_a_refused_effect_is_logged_with_the_request_that_caused_it(
    broken: tuple[Stack, httpx.Client, dict[str, Any]],
) -> None:
    stack, client, post = broken
    request_id = unique("asked-")
    # The change itself stands; its effects are delivered when the table is back.
    assert act(client, post, "archive", **{"X-Request-ID": request_id}).status_code == 200
    (line,) = (line for line in logged(stack, request_id) if line["message"] == "outbox_effect_failed")
    assert line["caused_by"] == line["correlation_id"] == request_id
    before = len(log_lines(stack))
    client.post("/test/run-due?ahead=120")
    drained = [line for line in log_lines(stack)[before:] if line["message"] == "outbox_effect_failed"]
    # The scheduler's run has an id of its own, and names the request's.
    assert {line["caused_by"] for line in drained} == {request_id}
    assert len({line["correlation_id"] for line in drained}) == 1
    assert request_id not in {line["correlation_id"] for line in drained}


def test_the_process_survives_what_nobody_expected(
    broken: tuple[Stack, httpx.Client, dict[str, Any]],
) -> None:
    _, client, _ = broken
    for _ in range(3):
        problem(client.get("/v1/editor/inquiries", headers=EDITOR), 500, "internal_error")
    assert with_headers(client.get("/health")).status_code == 200
    assert with_headers(client.get("/v1/editor/posts", headers=EDITOR)).status_code == 200
