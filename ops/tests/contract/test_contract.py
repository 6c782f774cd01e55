"""The API's contract is the committed file, and a change that breaks clients is found."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from familycorp_ops.docs import contract

OLD: dict[str, Any] = {
    "info": {"version": "1.2.0"},
    "paths": {
        "/posts/{id}": {
            "get": {
                "parameters": [
                    {"in": "path", "name": "id", "required": True, "schema": {"type": "string"}},
                    {
                        "in": "query",
                        "name": "lang",
                        "schema": {"anyOf": [{"enum": ["ko", "en"]}, {"type": "null"}]},
                    },
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 50}},
                ],
                "responses": {
                    "200": {
                        "headers": {"ETag": {}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Post"}}},
                    }
                },
            },
            "put": {
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Draft"}}}
                },
                "responses": {"204": {}},
            },
        }
    },
    "components": {
        "parameters": {
            "IfMatch": {"in": "header", "name": "If-Match", "required": True, "schema": {"type": "string"}}
        },
        "schemas": {
            "Post": {
                "type": "object",
                "required": ["title"],
                "properties": {
                    "title": {"type": "string"},
                    "state": {"enum": ["draft", "published"]},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "author": {"anyOf": [{"$ref": "#/components/schemas/Author"}, {"type": "null"}]},
                },
            },
            "Author": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "Draft": {
                "type": "object",
                "additionalProperties": False,
                "required": ["title"],
                "properties": {
                    "title": {"type": "string", "maxLength": 200},
                    "body": {"type": "string"},
                    "lang": {"enum": ["ko", "en"]},
                },
            },
        },
    },
}


def get(new: dict[str, Any]) -> Any:
    return new["paths"]["/posts/{id}"]["get"]


def put(new: dict[str, Any]) -> Any:
    return new["paths"]["/posts/{id}"]["put"]


def schema(new: dict[str, Any], name: str) -> Any:
    return new["components"]["schemas"][name]


def limit(new: dict[str, Any]) -> Any:
    return get(new)["parameters"][2]


def parameter(new: dict[str, Any], **more: Any) -> None:
    get(new)["parameters"].append({"in": "query", "name": "q", "schema": {"type": "string"}, **more})


def draft(new: dict[str, Any], name: str, **more: Any) -> None:
    schema(new, "Draft")["properties"][name].update(more)


def post(new: dict[str, Any], **properties: Any) -> None:
    schema(new, "Post")["properties"].update(properties)


GET, PUT = "GET /posts/{id}", "PUT /posts/{id}"
BREAKS: dict[str, Callable[[dict[str, Any]], Any]] = {
    f"{GET} is gone": lambda n: n["paths"]["/posts/{id}"].pop("get"),
    f"{GET} no longer responds with 200": lambda n: get(n).update(responses={"201": {}}),
    f"{GET}: query parameter q is new and required": lambda n: parameter(n, required=True),
    f"{GET}: query parameter limit has become required": lambda n: get(n)["parameters"][2].update(
        required=True
    ),
    f"{GET}: query parameter limit is gone": lambda n: get(n)["parameters"].pop(),
    f"{GET}: query parameter limit: maximum is now 20": lambda n: get(n)["parameters"][2]["schema"].update(
        maximum=20
    ),
    f"{GET}: query parameter lang no longer takes null": lambda n: get(n)["parameters"][1]["schema"][
        "anyOf"
    ].pop(),
    f"{GET} no longer sends the header ETag": lambda n: get(n)["responses"]["200"]["headers"].pop("ETag"),
    f"{GET}: header parameter if-match is new and required": lambda n: get(n)["parameters"].append(
        {"$ref": "#/components/parameters/IfMatch"}
    ),
    f"{GET} → 200.title is gone": lambda n: schema(n, "Post")["properties"].pop("title"),
    f"{GET} → 200.title may now be missing": lambda n: schema(n, "Post").pop("required"),
    f"{GET} → 200.title may now be integer": lambda n: post(n, title={"type": "integer"}),
    f'{GET} → 200.state may now be "secret"': lambda n: post(
        n, state={"enum": ["draft", "published", "secret"]}
    ),
    f"{GET} → 200.tags[] may now be null": lambda n: post(
        n, tags={"type": "array", "items": {"type": "null"}}
    ),
    f"{GET} → 200.author.name may now be missing": lambda n: schema(n, "Author").pop("required"),
    f"{PUT} has come to demand a body": lambda n: put(n)["requestBody"].update(required=True),
    f"{PUT}: body.body has become required": lambda n: schema(n, "Draft")["required"].append("body"),
    f"{PUT}: body.body is no longer taken": lambda n: schema(n, "Draft")["properties"].pop("body"),
    f"{PUT}: body.title: maxLength is now 100": lambda n: draft(n, "title", maxLength=100),
    f"{PUT}: body.title must now match ^a": lambda n: draft(n, "title", pattern="^a"),
    f'{PUT}: body.lang no longer takes "en"': lambda n: draft(n, "lang", enum=["ko"]),
}
HARMLESS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a route": lambda n: n["paths"].update({"/new": {"get": {"responses": {"200": {}}}}}),
    "an optional parameter": parameter,
    "a member of an answer": lambda n: schema(n, "Post")["properties"].update(more={"type": "string"}),
    "an optional member of a body": lambda n: schema(n, "Draft")["properties"].update(
        more={"type": "string"}
    ),
    "a wider bound": lambda n: schema(n, "Draft")["properties"]["title"].update(maxLength=300),
    "a value that is taken": lambda n: schema(n, "Draft")["properties"]["lang"]["enum"].append("ja"),
    "a value that is no longer answered": lambda n: schema(n, "Post")["properties"]["state"]["enum"].pop(),
    "a documented error": lambda n: get(n)["responses"].update({"404": {}}),
}


@pytest.mark.parametrize("sentence", BREAKS)
def test_what_breaks_clients_is_named(sentence: str) -> None:
    new = copy.deepcopy(OLD)
    BREAKS[sentence](new)
    assert contract.breaks(OLD, new) == [sentence]


@pytest.mark.parametrize("change", HARMLESS)
def test_what_adds_breaks_nothing(change: str) -> None:
    new = copy.deepcopy(OLD)
    HARMLESS[change](new)
    assert contract.breaks(OLD, new) == []


def test_the_committed_contract_is_the_applications() -> None:
    committed = contract.FILE.read_text(encoding="utf-8")
    assert contract.text(contract.current()) == committed, "`make openapi` rewrites it"
    document = json.loads(committed)
    assert contract.breaks(document, document) == []


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("1.2.3", "2.0.0", True),
        ("1.2.3", "1.3.0", False),
        ("0.1.0", "0.2.0", True),
        ("0.1.0", "0.1.1", False),
        ("0.9.0", "1.0.0", True),
        ("2.0.0", "1.9.0", False),
    ],
)
def test_which_version_allows_breaks(old: str, new: str, allowed: bool) -> None:
    assert contract.allows_breaks(old, new) is allowed


def test_the_command_compares_with_a_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "docs" / "openapi.json"
    file.parent.mkdir()
    monkeypatch.setattr(contract, "FILE", file)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    file.write_text(json.dumps(OLD))
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)

    def diff(version: str, revision: str = "HEAD") -> int:
        new = copy.deepcopy(OLD)
        new["info"]["version"] = version
        new["paths"]["/posts/{id}"].pop("put")
        file.write_text(json.dumps(new))
        code = (
            "import sys, pathlib; from familycorp_ops.docs import contract; "
            f"contract.FILE = pathlib.Path({str(file)!r}); contract.diff({revision!r})"
        )
        return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode

    assert diff("1.3.0") == 1
    assert diff("2.0.0") == 0
    assert diff("1.3.0", "--output=x") == 1
