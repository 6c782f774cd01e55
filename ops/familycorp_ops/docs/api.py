"""Renders the API from the application: docs/openapi.json, and docs/reference/api.md, a page that is read offline."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from familycorp_ops.docs import contract

DOCUMENT: Final = contract.FILE.parent / "reference" / "api.md"
COMMON: Final = {"414", "422", "429", "431", "500", "503"}
"""Answers that every route may give; the page tells of them once."""

Schema = Mapping[str, Any]


def rendered() -> Mapping[Path, str]:
    """Return the contract for tools, and the page for people."""
    text = contract.text(contract.current())
    return {contract.FILE: text, DOCUMENT: "\n".join(_page(json.loads(text))) + "\n"}


def _page(api: Schema) -> Iterator[str]:
    info = api["info"]
    yield f"# {info['title']} {info['version']}"
    yield ""
    yield "This page is for front-end developers who read the API offline. `make openapi` renders it from"
    yield "[openapi.json](../openapi.json), which tools read."
    yield ""
    yield f"{info['description']}"
    yield ""
    yield "Any route may also respond 414 and 431 (the address is too long, the header fields too large), 422 (a"
    yield "field breaks a rule; `errors` names field and rule), 429, 500 and 503. 🔒 needs a session: the cookies of"
    yield "a login, and for changes the header `X-CSRF-Protection`."
    routes = [
        (path, method, operation)
        for path, operations in api["paths"].items()
        for method, operation in operations.items()
        if method in contract.METHODS
    ]
    for tag in dict.fromkeys(operation["tags"][0] for _, _, operation in routes):
        yield f"\n## {tag[0].upper()}{tag[1:]}"
        for path, method, operation in routes:
            if operation["tags"][0] == tag:
                yield from _route(path, method, operation)
    yield "\n## Objects\n"
    yield "`?` may be missing; `[]` is a list; `| null` may be null."
    for name, schema in api["components"]["schemas"].items():
        if "properties" in schema:
            yield f"\n### {name}\n"
            yield from _fields(schema)


def _route(path: str, method: str, operation: Schema) -> Iterator[str]:
    yield f"\n### `{method.upper()} {path}`{' 🔒' if operation.get('security') else ''}\n"
    yield " ".join(operation.get("description", operation["summary"]).split())
    given = operation.get("parameters", [])
    body = operation.get("requestBody", {}).get("content", {})
    if given or body:
        yield "\n| sent | in | is | |\n|---|---|---|---|"
    for parameter in given:
        told = parameter.get("description") or parameter["schema"].get("description", "")
        needed = "" if parameter.get("required") else "?"
        yield f"| `{parameter['name']}`{needed} | {parameter['in']} | {_kind(parameter['schema'])} | {_line(told)} |"
    for media, content in body.items():
        yield f"| the body | {media} | {_kind(content['schema'])} | |"
    answers = [
        f"**{status}** {_answer(answer)}".strip()
        for status, answer in operation["responses"].items()
        if status not in COMMON
    ]
    yield f"\n→ {', '.join(answers)}"


def _answer(answer: Schema) -> str:
    """Return what an answer holds; problems are all alike."""
    kinds = {
        _kind(content["schema"]) for content in answer.get("content", {}).values() if "schema" in content
    }
    return ", ".join(sorted(kinds - {"[ProblemDocument](#problemdocument)", "any"}))


def _fields(schema: Schema) -> Iterator[str]:
    required = set(schema.get("required", ()))
    yield "| field | is | |\n|---|---|---|"
    for name, field in schema["properties"].items():
        needed = "" if name in required else "?"
        yield f"| `{name}`{needed} | {_kind(field)} | {_line(field.get('description', ''))} |"


def _kind(schema: Schema) -> str:
    """Return what a value is, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " \\| ".join(dict.fromkeys(_kind(s) for s in schema[several]))
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"{_kind(schema.get('items', {}))}[]{_limits(schema, 'minItems', 'maxItems')}"
    kind = schema.get("format") or schema.get("type", "any")
    return f"{kind}{_limits(schema, 'minLength', 'maxLength')}{_limits(schema, 'minimum', 'maximum')}"


def _limits(schema: Schema, least: str, most: str) -> str:
    if least not in schema and most not in schema:
        return ""
    return f" ({schema.get(least, '')}…{schema.get(most, '')})"


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")
