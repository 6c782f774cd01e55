"""Keeps the Korean catalogues of the application and of the `familycorp` command up to date with the code.

`python scripts/messages.py` adds the messages that are new in the code, removes those that are gone, compiles the
catalogues, and lists the messages without a translation; `--check` changes nothing, and fails where something would
change or isn't translated. Removed translations are kept nowhere: the history has them.
"""

import ast
import io
import string
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from typer import Context
from typer.main import get_command

from app.core import translation
from familycorp_ops import messages
from familycorp_ops.cli import main as cli

FUNCTIONS = {"_", "marked"}
"""Functions whose first argument is a message."""

PLURAL = "Plural"
"""The class whose first two arguments are a message's singular and plural."""

Id = str | tuple[str, str]
"""A message, or its singular and plural."""

TYPER = ("core.py", "rich_utils.py")
"""Typer's own modules whose words are shown here; they read the same catalogue."""


class Korean(Catalog):
    """A catalogue, without the dates and names that Babel would write into it."""

    mime_headers = [  # type: ignore[override]  # noqa: RUF012
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Language", "ko"),
        ("Plural-Forms", "nplurals=1; plural=0;"),
    ]

    def __init__(self, speaker: str) -> None:
        super().__init__(locale="ko", charset="utf-8", fuzzy=False)
        self.header_comment = (
            f"# Texts of {speaker} in Korean. `make messages` adds the new ones and compiles the file."
        )


class Package(NamedTuple):
    """A package with a catalogue of its own: the application is deployed without the command."""

    name: str
    directory: Path
    file: Path

    def found(self) -> Iterator[tuple[Id, str]]:
        """Yield the messages of the package's modules, each with its module."""
        for module in self.directory.rglob("*.py"):
            for message in called_with(module):
                place = module.relative_to(self.directory.parents[1])
                yield message, str(place)


def _file(locales: Path, domain: str) -> Path:
    return locales / "ko" / "LC_MESSAGES" / f"{domain}.po"


APPLICATION = Package(
    "the application", translation.LOCALES.parent, _file(translation.LOCALES, translation.DOMAIN)
)
COMMAND = Package(
    "the command `familycorp`", messages.LOCALES.parent, _file(messages.LOCALES, messages.DOMAIN)
)


def of_command_line() -> Iterator[tuple[str, str]]:
    """Yield the messages of the command's help, and Typer's."""
    command = get_command(cli)
    for holder in messages.helps(command, Context(command)):
        yield holder.help, "help"
    spec = find_spec("typer")
    assert spec is not None and spec.origin is not None  # noqa: PT018, S101 - the command is made with it.
    for name in TYPER:
        for message in called_with(Path(spec.origin).with_name(name)):
            assert isinstance(message, str)  # noqa: S101 - Typer has no plurals of ours.
            yield message, "typer"


def called_with(module: Path) -> Iterator[Id]:
    """Yield the messages of a module.

    From its syntax tree, which is the same in every Python; Babel reads tokens, and up to Python 3.11 an f-string is
    one token, with any call inside it.
    """
    for node in ast.walk(ast.parse(module.read_bytes())):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(message)), *_]) if (
                name in FUNCTIONS
            ):
                yield message
            case ast.Call(
                func=ast.Name(id=name),
                args=[ast.Constant(value=str(one)), ast.Constant(value=str(other)), *_],
            ) if name == PLURAL:
                yield one, other


def fresh(speaker: str, found: Iterable[tuple[Id, str]], kept: Catalog) -> Catalog:
    """Return a catalogue of the messages that were found, with the translations that are kept."""
    made = Korean(speaker)
    for message, place in sorted(found, key=lambda pair: (pair[1], str(pair[0]))):
        known = kept.get(message if isinstance(message, str) else message[0])
        made.add(message, known.string if known else "", locations=[(place, None)])  # type: ignore[list-item]
    return made


def faults(catalogue: Catalog) -> list[str]:
    """Return what is wrong with translations: missing, or with other placeholders than the English has."""
    wrong = []
    for message in catalogue:
        if not message.id:
            continue
        translated = "".join(message.string or "")  # Korean has one form for every number.
        original = message.id if isinstance(message.id, str) else message.id[1]
        if not translated or message.fuzzy:
            wrong.append(f"not translated: {original!r}")
        elif _placeholders(original) != _placeholders(translated):
            wrong.append(f"other placeholders: {original!r}")
    return wrong


def _placeholders(text: str) -> set[tuple[str, str]]:
    return {(name, shape or "") for _, name, shape, _ in string.Formatter().parse(text) if name is not None}


def written(catalogue: Catalog) -> tuple[bytes, bytes]:
    """Return the catalogue as a file for people, and compiled."""
    po, mo = io.BytesIO(), io.BytesIO()
    write_po(po, catalogue, width=110, include_lineno=False)
    write_mo(mo, catalogue)
    return po.getvalue(), mo.getvalue()


def update(package: Package, found: Iterable[tuple[Id, str]]) -> list[str]:
    """Write a package's catalogue, or with `--check` only compare it; return what is wrong."""
    kept = read_po(io.BytesIO(package.file.read_bytes()), locale="ko")
    catalogue = fresh(package.name, found, kept)
    wrong = faults(catalogue)
    for path, content in zip(
        (package.file, package.file.with_suffix(".mo")), written(catalogue), strict=True
    ):
        if "--check" not in sys.argv:
            path.write_bytes(content)
        elif path.read_bytes() != content:
            wrong.append(f"{path.name} of {package.name} is out of date: make messages")
    return wrong


def main() -> None:
    """Bring the catalogues up to date, or with `--check` only compare them."""
    wrong = update(APPLICATION, APPLICATION.found())
    wrong += update(COMMAND, chain(COMMAND.found(), of_command_line()))
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
