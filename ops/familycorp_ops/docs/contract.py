"""`familycorp contract`: the API as front ends know it, kept in `docs/openapi.json`, and what a change breaks.

A change breaks when a client that was right before may be wrong after: a route or a success is gone, something new is
demanded, something that was taken is refused, or something that was answered may be missing or of another kind.
Such a change needs a new version of the API: a higher major number, or below 1.0 a higher minor one (SemVer 2.0.0).
"""

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from familycorp_ops.output import AsJson, show

FILE: Final = Path(__file__).parents[3] / "docs" / "openapi.json"
METHODS: Final = ("get", "put", "post", "delete", "head", "patch")
# What narrows when it rises, and what narrows when it falls.
FLOORS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
CEILINGS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
DEPTH: Final = 12
"""Levels of nesting that are compared; schemas may refer to themselves."""

app = typer.Typer(help="Find breaking changes of the API's contract.", no_args_is_help=True)

Document = Mapping[str, Any]


def current() -> dict[str, Any]:
    """Return the contract of the application as it is here, for an environment without its interactive pages."""
    from app.core.settings import Settings  # noqa: PLC0415 - `--help` needn't wait for the application.
    from app.main import create_api  # noqa: PLC0415

    contract: dict[str, Any] = json.loads(json.dumps(create_api(Settings()).openapi()))
    return contract


def text(contract: Document) -> str:
    """Return a contract as it is kept: the same for the same API, and readable in a review."""
    return json.dumps(contract, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def rendered() -> Mapping[Path, str]:
    """Return the kept contract as it should be."""
    return {FILE: text(current())}


def breaks(old: Document, new: Document) -> list[str]:
    """Return what a client of `old` may stumble over in `new`, each as a sentence that begins with the route."""
    return list(_Comparison(old, new).routes())


def allows_breaks(old: str, new: str) -> bool:
    """Return whether the step from one version to another says that something may break."""
    before, after = (tuple(map(int, version.split(".")[:3])) for version in (old, new))
    return after[0] > before[0] or (after[0] == before[0] == 0 and after[1] > before[1])


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = old, new

    def routes(self) -> Iterator[str]:
        for path, item in self._old["paths"].items():
            for method in METHODS:
                if method not in item:
                    continue
                where = f"{method.upper()} {path}"
                found = self._new["paths"].get(path, {}).get(method)
                if found is None:
                    yield _("{where} is gone").format(where=where)
                else:
                    yield from self._operation(where, item[method], found)

    def _operation(self, where: str, old: Document, new: Document) -> Iterator[str]:
        yield from self._parameters(where, old, new)
        yield from self._body(where, old.get("requestBody"), new.get("requestBody"))
        for status, answer in old.get("responses", {}).items():
            if not status.startswith("2"):
                continue  # Errors are one document everywhere, with a `code`.
            found = new.get("responses", {}).get(status)
            if found is None:
                yield _("{where} no longer responds with {status}").format(where=where, status=status)
                continue
            for name in sorted(answer.get("headers", {}).keys() - found.get("headers", {}).keys()):
                yield _("{where} no longer sends the header {name}").format(where=where, name=name)
            for kind, content in answer.get("content", {}).items():
                if kind not in found.get("content", {}):
                    yield _("{where} no longer responds with {kind}").format(where=where, kind=kind)
                elif "schema" in content:
                    schema = found["content"][kind].get("schema", {})
                    yield from self._schemas(
                        f"{where} → {status}", content["schema"], schema, DEPTH, taken=False
                    )

    def _parameters(self, where: str, old: Document, new: Document) -> Iterator[str]:
        before, after = (
            {
                (p["in"], p["name"].lower() if p["in"] == "header" else p["name"]): p
                for p in (self._resolved(document, p) for p in operation.get("parameters", ()))
            }
            for document, operation in ((self._old, old), (self._new, new))
        )
        for key, parameter in after.items():
            name = _("{where}: {place} parameter {name}").format(where=where, place=key[0], name=key[1])
            if key not in before:
                if parameter.get("required"):
                    yield _("{name} is new and required").format(name=name)
            else:
                if parameter.get("required") and not before[key].get("required"):
                    yield _("{name} has become required").format(name=name)
                was, now = (p.get("schema", {}) for p in (before[key], parameter))
                yield from self._schemas(name, was, now, DEPTH, taken=True)
        for place, name in before.keys() - after.keys():
            yield _("{where}: {place} parameter {name} is gone").format(where=where, place=place, name=name)

    def _body(self, where: str, old: Document | None, new: Document | None) -> Iterator[str]:
        if new is None:
            if old is not None:
                yield _("{where} no longer takes a body").format(where=where)
            return
        if new.get("required") and not (old or {}).get("required"):
            yield _("{where} has come to demand a body").format(where=where)
        for kind, content in (old or {}).get("content", {}).items():
            if kind not in new["content"]:
                yield _("{where} no longer takes {kind}").format(where=where, kind=kind)
            else:
                before, after = (c.get("schema", {}) for c in (content, new["content"][kind]))
                yield from self._schemas(
                    _("{where}: body").format(where=where), before, after, DEPTH, taken=True
                )

    def _schemas(self, where: str, old: Document, new: Document, depth: int, *, taken: bool) -> Iterator[str]:
        """Compare inputs (all earlier ones must still be accepted) or outputs (none may be new to a client)."""
        old, new = self._resolved(self._old, old), self._resolved(self._new, new)
        if depth == 0 or not (new if taken else old):
            return
        before, after = self._kinds(self._old, old), self._kinds(self._new, new)
        if kinds := ", ".join(sorted(before - after if taken else after - before)):
            said = _("{where} no longer takes {kinds}") if taken else _("{where} may now be {kinds}")
            yield said.format(where=where, kinds=kinds)
            return
        demanded, sure = set(new.get("required", ())), set(old.get("required", ()))
        if taken:
            yield from _narrowed(where, old, new)
            for name in sorted(demanded - sure):
                yield _("{where}.{name} has become required").format(where=where, name=name)
        properties = new.get("properties", {})
        for name, schema in old.get("properties", {}).items():
            if name in properties:
                if not taken and name in sure - demanded:
                    yield _("{where}.{name} may now be missing").format(where=where, name=name)
                yield from self._schemas(f"{where}.{name}", schema, properties[name], depth - 1, taken=taken)
            elif not taken:
                yield _("{where}.{name} is gone").format(where=where, name=name)
            elif new.get("additionalProperties") is False:
                yield _("{where}.{name} is no longer taken").format(where=where, name=name)
        if "items" in old and "items" in new:
            yield from self._schemas(f"{where}[]", old["items"], new["items"], depth - 1, taken=taken)
        # Alternatives of the same kind are compared one by one: those of `anyOf` with an object or a list in them.
        for option in _options(old):
            kind = self._kinds(self._old, option)
            fits = [o for o in _options(new) if self._kinds(self._new, o) == kind]
            found = [list(self._schemas(where, option, o, depth - 1, taken=taken)) for o in fits]
            if found and all(found):
                yield from min(found, key=len)

    def _kinds(self, document: Document, schema: Document) -> set[str]:
        """Return the types that a value may have; values of an enumeration count as types of their own."""
        schema = self._resolved(document, schema)
        options = _options(schema)
        if options:
            return set().union(*(self._kinds(document, option) for option in options))
        if "enum" in schema or "const" in schema:
            return {json.dumps(v, ensure_ascii=False) for v in schema.get("enum", [schema.get("const")])}
        kind = schema.get("type")
        kinds = set(kind) if isinstance(kind, list) else {kind} if kind else {"anything"}
        return kinds | {"integer"} if "number" in kinds else kinds

    @staticmethod
    def _resolved(document: Document, schema: Document) -> Document:
        while "$ref" in schema:
            found: Any = document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema


def _options(schema: Document) -> list[Document]:
    return [*schema.get("anyOf", ()), *schema.get("oneOf", ())]


def _narrowed(where: str, old: Document, new: Document) -> Iterator[str]:
    for name in (*FLOORS, *CEILINGS):
        if name in new and new[name] != old.get(name):
            before = old.get(name, -math.inf if name in FLOORS else math.inf)
            if (new[name] > before) == (name in FLOORS):
                yield _("{where}: {name} is now {value}").format(where=where, name=name, value=new[name])
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield _("{where} must now match {expression}").format(where=where, expression=new["pattern"])


@app.command()
def diff(
    base: Annotated[str, typer.Argument(help="Git revision to compare with, as origin/main.")],
    as_json: AsJson = False,
) -> None:
    """Fail where the contract breaks since a revision and the API's version doesn't say so."""
    name = FILE.relative_to(FILE.parents[1])
    if base.startswith("-") or not re.fullmatch(r"[\w./@{}^~-]+", base):
        sys.exit(_("{base} is no revision.").format(base=base))
    shown = subprocess.run(
        ["git", "show", f"{base}:{name}"], cwd=FILE.parents[1], capture_output=True, text=True, check=False
    )
    if shown.returncode:
        nothing = _("{base} has no {file} yet: there is nothing to compare with.")
        show(
            {"base": base, "breaks": [], "allowed": True},
            nothing.format(base=base, file=name),
            as_json=as_json,
        )
        return
    old, new = json.loads(shown.stdout), json.loads(FILE.read_text(encoding="utf-8"))
    found = breaks(old, new)
    before, after = old["info"]["version"], new["info"]["version"]
    allowed = not found or allows_breaks(before, after)
    if not found:
        verdict = _("Nothing breaks between {base} and here.")
    elif allowed:
        verdict = _("Version {after} says so after {before}.")
    else:
        verdict = _("This breaks clients of {before}, and the version is {after}: raise it.")
    lines = [*found, verdict.format(base=base, before=before, after=after)]
    details = {"base": base, "before": before, "after": after, "breaks": found, "allowed": allowed}
    show(details, "\n".join(lines), as_json=as_json)
    sys.exit(0 if allowed else 1)
