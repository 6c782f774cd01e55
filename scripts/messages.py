"""Keeps the catalogue of the `familycorp` command: adds what is new in the code, takes out what is gone, compiles it.

`python scripts/messages.py` does so, and says what is to be translated; `--check` changes nothing, and fails where
something would change or isn't translated. What is no longer there is kept nowhere: the history has it.
"""

import ast
import io
import string
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from typer import Context
from typer.main import get_command

from familycorp_ops import messages
from familycorp_ops.cli import main as cli

PACKAGE = Path(messages.__file__).parent
FILE = messages.LOCALES / "ko" / "LC_MESSAGES" / f"{messages.DOMAIN}.po"
FUNCTIONS = {"_", "marked"}
"""What a message is the first argument of."""

TYPER = ("core.py", "rich_utils.py")
"""Typer's own modules whose words are shown here; they read the same catalogue."""


class Korean(Catalog):
    """The catalogue, without the dates and names that Babel would write into it."""

    mime_headers = [("Content-Type", "text/plain; charset=utf-8"), ("Language", "ko")]  # type: ignore[override]  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(locale="ko", charset="utf-8", fuzzy=False)
        self.header_comment = (
            "# What `familycorp` says, in Korean. `make messages` adds what is new, and compiles it."
        )


def found() -> Iterator[tuple[str, str]]:
    """Yield every message with where it stands: of the code, of the helps, and of Typer."""
    for module in PACKAGE.rglob("*.py"):
        for message in called_with(module):
            yield message, f"ops/{PACKAGE.name}/{module.relative_to(PACKAGE)}"
    command = get_command(cli)
    for holder in messages.helps(command, Context(command)):
        yield holder.help, "help"
    spec = find_spec("typer")
    assert spec is not None and spec.origin is not None  # noqa: PT018, S101 - the command is made with it.
    for name in TYPER:
        for message in called_with(Path(spec.origin).with_name(name)):
            yield message, "typer"


def called_with(module: Path) -> Iterator[str]:
    """Yield the messages of a module.

    From its syntax tree, which is the same in every Python; Babel reads tokens, and up to Python 3.11 an f-string is
    one token, whatever is called inside it.
    """
    for node in ast.walk(ast.parse(module.read_bytes())):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(message)), *_]) if (
                name in FUNCTIONS
            ):
                yield message


def fresh(kept: Catalog) -> Catalog:
    """Return a catalogue of what is there today, with the translations that are kept."""
    made = Korean()
    for message, place in sorted(found(), key=lambda pair: (pair[1], pair[0])):
        known = kept.get(message)
        made.add(message, known.string if known else "", locations=[(place, None)])  # type: ignore[list-item]
    return made


def faults(catalogue: Catalog) -> list[str]:
    """Return what is wrong with translations: missing, or with other placeholders than the English has."""
    wrong = []
    for message in catalogue:
        if not message.id:
            continue
        if not message.string or message.fuzzy:
            wrong.append(f"not translated: {message.id!r}")
        elif _placeholders(str(message.id)) != _placeholders(str(message.string)):
            wrong.append(f"other placeholders: {message.id!r}")
    return wrong


def _placeholders(text: str) -> set[tuple[str, str]]:
    return {(name, shape or "") for _, name, shape, _ in string.Formatter().parse(text) if name is not None}


def written(catalogue: Catalog) -> tuple[bytes, bytes]:
    """Return the catalogue as a file for people, and compiled."""
    po, mo = io.BytesIO(), io.BytesIO()
    write_po(po, catalogue, width=110, include_lineno=False)
    write_mo(mo, catalogue)
    return po.getvalue(), mo.getvalue()


def main() -> None:
    """Bring the files up to date, or with `--check` only look."""
    kept = read_po(io.BytesIO(FILE.read_bytes()), locale="ko", domain=messages.DOMAIN)
    catalogue = fresh(kept)
    wrong = faults(catalogue)
    for path, content in zip((FILE, FILE.with_suffix(".mo")), written(catalogue), strict=True):
        if "--check" in sys.argv:
            if path.read_bytes() != content:
                wrong.append(f"{path.name} is out of date: make messages")
        else:
            path.write_bytes(content)
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
