"""What every answer must keep to, and shorthands for asking."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx

from app.core.http import problems
from support.stack import EDITOR, Stack, json_lines, make_category

T = TypeVar("T")

PROBLEM_TYPE = "application/problem+json"
PROBLEM_MEMBERS = set(problems.ProblemDocument.model_fields)
SECURITY_HEADERS = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
NOBODY = "01900000-0000-7000-8000-000000000000"
"""An id that nothing has."""

_SYLLABLES = "가나다라마바사아자차카타파하고노"
_INTERNALS = ("traceback", "sqlalchemy", "sqlite", "mysql", "botocore", "/home", "/usr", ".py", "select ")
_JARGON = ("input should", "value error", "regex", "pattern '", "^", "dict", "none", "{")
"""What Pydantic's messages and unfilled placeholders hold, and no text for people does."""


def unique(prefix: str = "t") -> str:
    """Return a word that nothing else holds; it may be a slug."""
    return prefix + uuid.uuid4().hex[:10]


def as_bytes(headers: Mapping[str, str | bytes]) -> dict[bytes, bytes]:
    """Return headers for httpx, which takes only text or only bytes, where a test sends bytes that aren't text."""
    return {
        name.encode(): value if isinstance(value, bytes) else value.encode()
        for name, value in headers.items()
    }


def korean() -> str:
    """Return a Korean word that nothing else holds."""
    return "".join(_SYLLABLES[int(digit, 16)] for digit in uuid.uuid4().hex[:8])


def own_category(client: httpx.Client) -> str:
    """Make a category that no other test uses."""
    slug = unique("c")
    make_category(client, slug)
    return slug


def with_headers(answer: httpx.Response) -> httpx.Response:
    """Check the headers that every answer of the service must have."""
    assert answer.headers["X-Request-ID"]
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value, name
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "origin" in answer.headers["Vary"].lower()
    assert answer.headers["Cache-Control"] in {"no-store", "public, no-cache"}
    return answer


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is this problem, and return its document."""
    assert answer.status_code == status, answer.text[:2000]
    with_headers(answer)
    assert answer.headers["Content-Type"] == PROBLEM_TYPE
    assert answer.headers["Cache-Control"] == "no-store"
    told: dict[str, Any] = answer.json()
    assert told["code"] == code, told
    assert told["status"] == status
    assert told["type"] == f"urn:familycorp:problem:{code}"
    assert told["title"]
    assert answer.headers["Content-Language"] in {"ko", "en"}
    assert {name.strip() for name in answer.headers["Vary"].split(",")} == {"Origin", "Accept-Language"}
    texts = [told["title"], told.get("detail", ""), *(e["message"] for e in told.get("errors", ()))]
    assert not any(word in text.lower() for word in _JARGON for text in texts), texts
    assert told["requestId"] == answer.headers["X-Request-ID"]
    assert set(told) <= PROBLEM_MEMBERS
    assert not any(word in answer.text.lower() for word in _INTERNALS), answer.text[:2000]
    return told


def breaks(answer: httpx.Response, *rules: tuple[str, str]) -> None:
    """Check that an answer says that exactly these fields break these rules."""
    told = problem(answer, 422, "validation_failed")
    assert {(e["field"], e["rule"]) for e in told["errors"]} == set(rules), told
    assert all(e["message"] for e in told["errors"])


def as_written(post: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the body that would write a post as it is, with changes."""
    names = ("title", "excerpt", "body", "tags", "slug", "category", "description", "canonicalUrl", "noindex")
    kept = {name: post[name] for name in names}
    files = {
        "thumbnail": post["thumbnail"] and post["thumbnail"]["id"],
        "attachments": [file["id"] for file in post["attachments"]],
    }
    return kept | files | changes


def edit(client: httpx.Client, post: dict[str, Any], **changes: Any) -> httpx.Response:
    """Write a post's next revision, starting from its version."""
    headers = {**EDITOR, "If-Match": f'"{post["version"]}"'}
    return client.put(f"/v1/editor/posts/{post['id']}", json=as_written(post, **changes), headers=headers)


def read(client: httpx.Client, post: dict[str, Any]) -> dict[str, Any]:
    """Return a post as the editor sees it now."""
    answer = client.get(f"/v1/editor/posts/{post['id']}", headers=EDITOR)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ok(answer: httpx.Response, status: int = 200) -> Any:
    """Check the status and return the JSON."""
    assert answer.status_code == status, answer.text[:2000]
    return answer.json()


def pages(client: httpx.Client, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    """Yield a list's items, page by page."""
    headers = EDITOR if "/editor/" in path or path == "/v1/uploads" else {}
    while True:
        page = ok(client.get(path, params=query, headers=headers))
        yield from page["items"]
        if page["nextCursor"] is None:
            return
        query["cursor"] = page["nextCursor"]


def at_once(times: int, ask: Callable[[int], T]) -> list[T]:
    """Ask several times at once, each in a thread."""
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(ask, range(times)))


_documents: dict[httpx.URL, dict[str, Any]] = {}


def document(client: httpx.Client) -> dict[str, Any]:
    """Return the OpenAPI document of the application that a client asks."""
    if client.base_url not in _documents:
        _documents[client.base_url] = ok(client.get("/openapi.json"))
    return _documents[client.base_url]


def operations(client: httpx.Client) -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, path and description of every operation in the OpenAPI document."""
    return [
        (method.upper(), path, operation)
        for path, methods in document(client)["paths"].items()
        for method, operation in methods.items()
    ]


def filled(path: str, value: str = NOBODY) -> str:
    """Put a value into each parameter of a path."""
    for name in (
        "post_id",
        "attachment_id",
        "upload_id",
        "inquiry_id",
        "id_or_slug",
        "member_id",
        "session_id",
        "factor_id",
        "redirect_id",
        "preview_id",
    ):
        path = path.replace(f"{{{name}}}", value)
    return path.replace("{number}", "1").replace("{slug}", "no-such-category")


def log_lines(stack: Stack) -> list[dict[str, Any]]:
    """Return the application's log."""
    return json_lines(stack.processes[0].log)


def logged(stack: Stack, request_id: str) -> list[dict[str, Any]]:
    """Return what was logged in a request; its access line, the last, may be written after the answer."""
    deadline = time.monotonic() + 120
    while True:
        lines = [line for line in log_lines(stack) if line.get("correlation_id") == request_id]
        if lines and lines[-1]["message"] == "request":
            return lines
        assert time.monotonic() < deadline, lines
        time.sleep(0.01)
