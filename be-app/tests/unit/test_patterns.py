"""Every regular expression of application and operators' tools takes time in proportion to its text (no ReDoS).

They are found in the source, also those that `pattern=` gives to Pydantic, and used as they are there, on texts made
to be slow for them: what matches the beginning of the expression, then one or two of its characters over and over.
"""

import ast
import re
import time
from collections.abc import Iterator
from importlib import import_module
from itertools import chain, product
from pathlib import Path
from re import _constants as kind  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, TypeGuard

import pytest

import app
import app.core.http.schema
import familycorp_ops
from app.posts.text import searching
from app.uploads.inspection.pdf import document

SOURCES = [
    path for package in (app, familycorp_ops) for path in Path(str(package.__file__)).parent.rglob("*.py")
]
FUNCTIONS = {"compile", "search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"}
LENGTHS = (*range(16, 40, 2), *(40 * 2**i for i in range(1, 10)))
"""Small steps first: an expression that takes exponential time must be caught before it takes a lifetime."""

SLOW_S = 0.25
"""CPU time that one search may take; of 20,000 characters a linear one takes less than a millisecond."""

ROOTS = [Path(str(package.__file__)).parents[1] for package in (app, familycorp_ops)]

COMPUTED = {(app.core.http.schema.CONTROLS.pattern, "search"), (searching.shown_as("가나다'"), "search")}
"""Those that are used elsewhere, or put together of what a stranger sends."""


def is_of_re(function: ast.expr) -> TypeGuard[ast.Attribute]:
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "re"
    )


def expressions() -> Iterator[tuple[Path, str, str]]:
    """Yield the file of each, what it is, and how it is used: by `fullmatch`, `match` or `search`."""
    for source in SOURCES:
        text = source.read_text()
        tree = ast.parse(text)
        nodes = list(ast.walk(tree))
        calls = (
            a for a in nodes if isinstance(a, ast.Assign | ast.AnnAssign) and isinstance(a.value, ast.Call)
        )
        names = {
            id(a.value): ast.unparse(a.targets[0] if isinstance(a, ast.Assign) else a.target) for a in calls
        }
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            for keyword in call.keywords:
                if keyword.arg == "pattern":
                    yield source, ast.unparse(keyword.value), "search"
            if is_of_re(call.func):
                function = call.func.attr
                used = {function}
                if function == "compile":
                    used = set(re.findall(rf"\b{re.escape(names.get(id(call), '?'))}\.(\w+)\(", text))
                if function in FUNCTIONS:
                    anchored = used and used <= {"fullmatch", "match"}
                    yield source, ast.unparse(call.args[0]), min(used) if anchored else "search"


def literal(source: Path, written: str) -> str | None:
    """Return the expression that source code writes out, or makes of its module's constants.

    Braces of an f-string become letters; one of bytes is read as Latin-1.
    """
    node = ast.parse(written, mode="eval").body
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "abc" for part in node.values)
    try:
        found = ast.literal_eval(node)
    except ValueError:
        try:
            found = eval(written, vars(import_module(module_of(source))))
        except NameError:
            return None
    return found.decode("latin-1") if isinstance(found, bytes) else str(found)


def module_of(source: Path) -> str:
    (root,) = [r for r in ROOTS if source.is_relative_to(r)]
    return ".".join(source.relative_to(root).with_suffix("").parts)


FOUND = list(expressions())
BOUNDED = {document._NUMBERS_BEFORE.pattern.decode()}
"""Those that read only a few bytes of any file."""
WRITTEN_OUT = sorted(
    ({(found, how) for source, written, how in FOUND if (found := literal(source, written))} | COMPUTED)
    - {(pattern, "search") for pattern in BOUNDED}
)


def characters(parsed: Any) -> Iterator[str]:
    """Yield characters that each part of an expression takes."""
    for what, value in parsed:
        if what in {kind.LITERAL, kind.NOT_LITERAL}:
            yield chr(value) if what is kind.LITERAL else "a"
        elif what is kind.ANY:
            yield "a"
        elif what is kind.RANGE:
            yield chr(value[0])
        elif what is kind.CATEGORY:
            yield {kind.CATEGORY_DIGIT: "0", kind.CATEGORY_SPACE: " "}.get(value, "a")
        elif what is kind.BRANCH:
            yield from chain.from_iterable(characters(branch) for branch in value[1])
        elif what in {kind.MAX_REPEAT, kind.MIN_REPEAT, kind.POSSESSIVE_REPEAT}:
            yield from characters(value[2])
        elif what is kind.SUBPATTERN:
            yield from characters(value[3])
        elif what is kind.IN:
            yield from characters(value)
        elif what in {kind.ASSERT, kind.ASSERT_NOT}:
            yield from characters(value[1])


def shortest(parsed: Any) -> str:
    """Return a short text that an expression's parts match, as far as such a simple way finds one."""
    text = ""
    for what, value in parsed:
        if what in {kind.MAX_REPEAT, kind.MIN_REPEAT, kind.POSSESSIVE_REPEAT}:
            text += shortest(value[2]) * max(value[0], 1)
        elif what is kind.SUBPATTERN:
            text += shortest(value[3])
        elif what is kind.BRANCH:
            text += shortest(value[1][0])
        elif what not in {kind.ASSERT, kind.ASSERT_NOT}:
            text += next(characters([(what, value)]), "")
    return text


def attacks(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield how texts may begin, and what is repeated then."""
    parsed = parser.parse(pattern)
    beginnings = {shortest(parsed[:end]) for end in range(len(parsed) + 1)}
    own = sorted({*characters(parsed), "\n"})[:8]
    return product(sorted(beginnings), [*own, *map("".join, product(own, own)), shortest(parsed)])


def slowest(pattern: str, how: str = "search") -> tuple[float, str]:
    """Return the longest time that it took, and of what; nothing is begun after what was slow."""
    use, worst = getattr(re.compile(pattern), how), (0.0, "")
    for beginning, repeated in attacks(pattern):
        for length in LENGTHS:
            text = beginning + repeated * (length // max(len(repeated), 1)) + "\x00"
            began = time.process_time()
            use(text)
            took = time.process_time() - began
            worst = max(worst, (took, f"{beginning!r} + {repeated!r} * {length}"))
            if took > SLOW_S:
                return worst
    return worst


@pytest.mark.slow  # Each expression is used on thousands of texts.
@pytest.mark.parametrize(("pattern", "how"), WRITTEN_OUT)
def test_an_expression_takes_time_in_proportion_to_the_text(pattern: str, how: str) -> None:
    took, text = slowest(pattern, how)
    assert took < SLOW_S, text


def test_every_expression_is_checked() -> None:
    assert len(WRITTEN_OUT) > 30
    unread = {source.name for source, written, _ in FOUND if literal(source, written) is None}
    # What a query is searched by is in COMPUTED; AWS's models, templates, reports and documents are no stranger's. Of
    # an imported site it is names, escaped: of a tag whose end is searched, and of what an address is made of;
    # and the few bytes that a file begins with.
    of_sites = {"body.py", "layout.py", "uploads.py"}
    assert unread - of_sites == {
        "searching.py",
        "zip_template.py",
        "commands.py",
        "aws_models.py",
        "lines.py",
        "scale.py",
    }


@pytest.mark.parametrize("pattern", ["(a|aa)*b", "x[a-c]*[b-d]*y"])
def test_an_expression_that_is_slow_is_found_out(pattern: str) -> None:
    assert slowest(pattern)[0] > SLOW_S
