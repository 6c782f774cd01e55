"""The OpenAPI document: complete, with examples, and true."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import jsonschema_rs
import pytest

from support.contract import document as openapi
from support.contract import filled, ok, operations
from support.stack import EDITOR, act, draft, published
from support.staff import Person
from support.uploading import announce, pdf, uploaded

PROBLEM = "application/problem+json"
OPERATIONS = 108


def resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        kind, name = part["$ref"].split("/")[-2:]
        part = document["components"][kind][name]
    return part


def parameters(document: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [resolved(document, parameter) for parameter in operation["parameters"]]


def succeeds(operation: dict[str, Any]) -> str:
    """Return the one status of success; what answers something may also say where that is now."""
    statuses: set[str] = {status for status in operation["responses"] if status < "400"}
    (status,) = statuses - {"308"} or statuses
    return status


def with_components(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "components": document["components"]}


@pytest.fixture
def document(client: httpx.Client) -> dict[str, Any]:
    return openapi(client)


def test_it_says_what_it_is(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "FamilyCorp API"
    assert document["info"]["summary"]
    assert document["info"]["description"]


def test_every_operation_is_named_summarised_described_and_sorted(client: httpx.Client) -> None:
    found = operations(client)
    assert len(found) == OPERATIONS
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(set(ids)) == len(ids)
    for _, path, operation in found:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"])
        assert operation["summary"]
        assert operation["description"].endswith("."), path
        (tag,) = operation["tags"]
        assert tag.startswith("editorial: ") == path.startswith("/v1/editor/")


def test_every_parameter_is_described_by_a_schema_with_bounds(
    client: httpx.Client, document: dict[str, Any]
) -> None:
    for _, path, operation in operations(client):
        for parameter in parameters(document, operation):
            if parameter["name"] in {"If-Match", "X-CSRF-Protection", "Accept-Language"}:
                continue  # Any text can be sent; it is compared, not kept.
            schema = resolved(document, parameter["schema"])
            for choice in schema.get("anyOf", [schema]):
                bounded = {"enum", "format", "maxLength", "maximum", "pattern", "const"} & set(choice)
                bounded |= {"boolean"} & {choice["type"]}
                assert bounded or choice["type"] == "null", (path, parameter)


def test_every_error_is_documented_with_an_example_that_is_one(
    client: httpx.Client, document: dict[str, Any]
) -> None:
    validator = jsonschema_rs.validator_for(
        with_components(document, {"$ref": "#/components/schemas/ProblemDocument"})
    )
    for method, path, operation in operations(client):
        for status, response in operation["responses"].items():
            if int(status) < 400 or (path, status) == ("/ready", "503"):
                continue
            (media_type,) = response["content"]
            assert media_type == PROBLEM, (method, path, status)
            examples = response["content"][PROBLEM]["examples"]
            assert examples, (method, path, status)
            for code, example in examples.items():
                validator.validate(example["value"])
                assert (example["value"]["code"], example["value"]["status"]) == (code, int(status))


def test_every_operation_documents_the_errors_of_its_kind(
    client: httpx.Client, document: dict[str, Any]
) -> None:
    for method, path, operation in operations(client):
        documented = set(operation["responses"])
        expected = {"422", "500"}
        if path.startswith("/v1/editor/"):
            expected |= {"401", "403", "503"}
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            expected |= {"400", "413", "415"}
        names = {p["name"]: p for p in parameters(document, operation)}
        if "If-Match" in names:
            assert names["If-Match"]["required"]
            expected |= {"412", "428"}
        if "X-CSRF-Protection" in names:
            assert names["X-CSRF-Protection"]["required"]
            assert "csrf_rejected" in operation["responses"]["403"]["content"][PROBLEM]["examples"]
        if "Idempotency-Key" in names:
            assert "idempotency_key_reused" in operation["responses"]["422"]["content"][PROBLEM]["examples"]
        assert "Accept-Language" in names
        # Whether a rendition is there, its bucket says, to which that route leads.
        if any(p["in"] == "path" for p in names.values()) and not path.startswith("/media/"):
            expected |= {"404"}
        assert documented >= expected, (method, path, expected - documented)
        assert succeeds(operation)


def test_it_says_who_has_to_be_logged_in(client: httpx.Client, document: dict[str, Any]) -> None:
    (scheme,) = document["components"]["securitySchemes"].items()
    assert (scheme[0], scheme[1]["in"], scheme[1]["name"]) == ("session", "cookie", "__Host-access")
    for method, path, operation in operations(client):
        guarded = "forbidden" in str(operation["responses"].get("403", {}).get("content"))
        assert operation["security"] == [{"session": []}] * guarded, (method, path)


def test_it_says_which_requests_need_the_header_against_forgery(
    client: httpx.Client, document: dict[str, Any], somebody: Callable[..., Person]
) -> None:
    """Send every change of an admin without it: exactly those are refused of which the document says so."""
    admin = somebody("admins")
    admin.log_in()
    for method, path, operation in operations(client):
        if method != "GET":
            needed = any(p["name"] == "X-CSRF-Protection" for p in parameters(document, operation))
            answer = admin.client.request(method, filled(path))
            assert (answer.status_code == 403 and answer.json()["code"] == "csrf_rejected") == needed, (
                method,
                path,
                answer.text,
            )


def test_every_request_body_has_examples(client: httpx.Client, document: dict[str, Any]) -> None:
    def examples(schema: dict[str, Any]) -> Any:
        schema = resolved(document, schema)
        if "properties" in schema:
            assert schema["additionalProperties"] is False
            return {name: examples(schema["properties"][name]) for name in schema.get("required", ())}
        if "enum" in schema:
            return schema["enum"][0]
        return schema["const"] if "const" in schema else schema["examples"][0]

    bodies = [o["requestBody"]["content"] for _, _, o in operations(client) if "requestBody" in o]
    assert len(bodies) == 29
    for content in bodies:
        if set(content) == {"application/x-www-form-urlencoded"}:  # The provider's, by its own standard.
            continue
        (media_type,) = content
        assert media_type == "application/json"
        schema = content[media_type]["schema"]
        jsonschema_rs.validator_for(with_components(document, schema)).validate(examples(schema))


def test_every_success_has_an_example_that_is_one(client: httpx.Client, document: dict[str, Any]) -> None:
    for method, path, operation in operations(client):
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values() if status < "400" else ():
                schema = with_components(document, closed(document, content["schema"]))
                jsonschema_rs.validator_for(schema, validate_formats=True).validate(content["example"])
                assert content["example"] or path.endswith("/backchannel-logout"), (method, path)


def test_requests_and_answers_are_told_apart(document: dict[str, Any]) -> None:
    """Generators demand members with a default, so requests have none; answers give all that they have."""
    for name, schema in document["components"]["schemas"].items():
        if schema.get("additionalProperties") is False:
            assert not [m for m, s in schema["properties"].items() if "default" in s], name
        elif name not in {
            "ProblemDocument",
            "FieldDifference",
            "AttachmentReference",
        }:  # They leave out what doesn't apply.
            assert set(schema["properties"]) == set(schema.get("required", ())), name
    assert "website" not in document["components"]["schemas"]["InquiryCreate"]["required"], "the honeypot"


def test_every_tag_has_prose_and_servers_are_named(client: httpx.Client, document: dict[str, Any]) -> None:
    told = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert set(told) == {operation["tags"][0] for _, _, operation in operations(client)}
    assert all(prose.endswith(".") for prose in told.values())
    assert [server["url"] for server in document["servers"]] == ["/"]


def test_every_answer_has_a_schema(client: httpx.Client, document: dict[str, Any]) -> None:
    for method, path, operation in operations(client):
        status = succeeds(operation)
        if status in {"204", "302", "303", "308"}:
            assert "content" not in operation["responses"][status]
            continue
        ((media_type, content),) = operation["responses"][status]["content"].items()
        assert resolved(document, content["schema"])["type"] in {"object", "string"}, (method, path)
        assert media_type in {
            "application/json",
            "application/rss+xml",
            "application/atom+xml",
            "application/xml",
            "text/csv",
        }


def test_names_are_camel_case(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Z][A-Za-z]+", name)
        for member in schema.get("properties", ()):
            assert re.fullmatch(r"[a-z]+[0-9]*([A-Z][a-z]+)*", member), (name, member)


def test_nothing_is_left_over(document: dict[str, Any]) -> None:
    used = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert set(document["components"]["schemas"]) == used


def test_answers_are_what_the_document_says(
    client: httpx.Client, document: dict[str, Any], somebody: Callable[..., Person]
) -> None:
    """Fill every kind of answer with something, and hold it against its schema, formats included."""
    first = published(client, excerpt="요약", tags=["a"])
    second = ok(act(client, ok(draft(client, lang="en", translationOf=first["id"]), 201), "publish"))
    form = {"name": "a", "email": "a@b.kr", "subject": "a", "message": "a", "consent": True}
    inquiry = ok(client.post("/v1/inquiries", json=form), 201)["id"]
    file = ok(uploaded(client, pdf(), "a.pdf", "application/pdf", who=EDITOR))["id"]
    large = ok(announce(client, pdf(padding=11_000_000), "b.pdf", "application/pdf", EDITOR), 201)["id"]
    with_file_ = published(client, attachments=[file])
    with_file = with_file_["id"]
    client.post(f"/v1/posts/{with_file}/attachments/{file}/downloads")
    admin = somebody("admins")
    admin.log_in()
    me = ok(admin.me())["id"]
    moved = {"path": f"/{first['slug']}.html", "target": f"/ko/posts/{first['slug']}"}
    redirect = ok(client.post("/v1/editor/redirects", json=moved, headers=EDITOR), 201)["id"]
    link = ok(client.post(f"/v1/editor/posts/{with_file}/previews", json={}, headers=EDITOR), 201)
    token = {"X-Preview-Token": link["url"].partition("#")[2]}
    editing = f"/v1/editor/posts/{first['id']}"
    ok(client.post(f"{editing}/working-copy", json={"baseVersion": 1}, headers=EDITOR), 201)
    ok(act(client, with_file_, "schedule", {"unpublishAt": "2999-01-01T00:00:00Z"}))
    answers = {
        "/health": client.get("/health"),
        "/ready": client.get("/ready"),
        "/v1/categories": client.get("/v1/categories"),
        "/v1/posts": client.get("/v1/posts?limit=1"),
        "/v1/posts/{id_or_slug}": client.get(f"/v1/posts/{second['id']}"),
        "/v1/search": client.get("/v1/search", params={"q": first["title"]}),
        "/v1/editor/categories": client.get("/v1/editor/categories", headers=EDITOR),
        "/v1/editor/posts": client.get("/v1/editor/posts?limit=1", headers=EDITOR),
        "/v1/editor/posts/{post_id}": client.get(f"/v1/editor/posts/{first['id']}", headers=EDITOR),
        "/v1/editor/posts/{post_id}/working-copy": client.get(f"{editing}/working-copy", headers=EDITOR),
        "/v1/editor/posts/{post_id}/shares": client.get(f"{editing}/shares", headers=EDITOR),
        "/v1/editor/calendar": client.get("/v1/editor/calendar", headers=EDITOR),
        "/v1/editor/views": client.get("/v1/editor/views", headers=EDITOR),
        "/v1/inquiries/categories": client.get("/v1/inquiries/categories"),
        "/v1/editor/inquiry-categories": client.get("/v1/editor/inquiry-categories", headers=EDITOR),
        "/v1/editor/inquiries": client.get("/v1/editor/inquiries", headers=EDITOR),
        "/v1/editor/inquiries/{inquiry_id}": client.get(f"/v1/editor/inquiries/{inquiry}", headers=EDITOR),
        "/v1/editor/posts/{post_id}/downloads": client.get(
            f"/v1/editor/posts/{with_file}/downloads", headers=EDITOR
        ),
        "/v1/uploads": client.get("/v1/uploads?limit=1", headers=EDITOR),
        "/v1/uploads/{upload_id}": client.get(f"/v1/uploads/{file}", headers=EDITOR),
        "/v1/uploads/{upload_id}/parts": client.get(f"/v1/uploads/{large}/parts", headers=EDITOR),
        "/v1/preview": client.get("/v1/preview", headers=token),
        "/v1/preview/attachments/{attachment_id}": client.get(
            f"/v1/preview/attachments/{file}", headers=token
        ),
        "/v1/editor/posts/{post_id}/previews": client.get(
            f"/v1/editor/posts/{with_file}/previews", headers=EDITOR
        ),
        "/v1/editor/redirects": client.get("/v1/editor/redirects", headers=EDITOR),
        "/v1/editor/redirects/{redirect_id}": client.get(f"/v1/editor/redirects/{redirect}", headers=EDITOR),
        "/v1/members": admin.client.get("/v1/members?limit=1"),
        "/v1/members/{member_id}": admin.client.get(f"/v1/members/{me}"),
        "/v1/members/{member_id}/sessions": admin.client.get(f"/v1/members/{me}/sessions"),
        "/v1/me/permissions": admin.client.get("/v1/me/permissions"),
        "/v1/audit": admin.client.get("/v1/audit"),
    }
    answers |= {
        f"/v1/auth/{name}": admin.client.get(f"/v1/auth/{name}")
        for name in ("me", "sessions", "factors", "second-factor")
    }
    for step in ("preview", "revisions", "revisions/1", "revisions/1/diff?against=1"):
        path = "/v1/editor/posts/{post_id}/" + step.partition("?")[0].replace("/1", "/{number}")
        answers[path] = client.get(f"/v1/editor/posts/{first['id']}/{step}", headers=EDITOR)
    described = {
        path
        for method, path, o in operations(client)
        if method == "GET" and "application/json" in o["responses"].get("200", {}).get("content", {})
    }
    assert set(answers) == described
    for path, answer in answers.items():
        response = document["paths"][path]["get"]["responses"]["200"]
        schema = response["content"]["application/json"]["schema"]
        # Rates aren't counted here, and what the cache doesn't hold has no age.
        unseen = {"RateLimit", "RateLimit-Policy", "Age"}
        told = {name for name in document["components"]["headers"] if name in answer.headers}
        assert told - unseen == response["headers"].keys() - unseen, path
        validator = jsonschema_rs.validator_for(
            with_components(document, closed(document, schema)), validate_formats=True
        )
        validator.validate(ok(answer))


def closed(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that allows no members beyond the documented ones."""
    if isinstance(schema, list):
        return [closed(document, part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: closed(document, part) for name, part in resolved(document, schema).items()}
    return schema | {"additionalProperties": False} if "properties" in schema else schema
