"""The language of what `familycorp` says: English stands in the code, Korean in `locale/`.

Modules take `gettext` of the standard library as `_`. Which catalogue it reads is set here, once the command line is
known. Helps are plain
strings where they are declared, and translated here, all of them in one walk through the commands.
"""

import gettext
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

DOMAIN: Final = "familycorp"
LOCALES: Final = Path(__file__).with_name("locale")


class Language(StrEnum):
    """Languages of the variable; without it, LANGUAGE, LC_ALL, LC_MESSAGES and LANG decide, as everywhere."""

    ko = "ko"
    en = "en"


def choose(language: str | None) -> None:
    """Say everything in a language from now on, and have the programs that are started do so, too."""
    gettext.bindtextdomain(DOMAIN, LOCALES)
    gettext.textdomain(DOMAIN)
    if language in set(Language):
        os.environ["LANGUAGE"] = str(language)


def chosen() -> Literal["ko", "en"]:
    """Return the language in which the command prints, for texts of the application."""
    return "ko" if gettext.find(DOMAIN, LOCALES) else "en"


@contextmanager
def in_english() -> Iterator[None]:
    """Say everything in English for a while: documents are, in every locale."""
    before = os.environ.get("LANGUAGE", "")
    choose(Language.en)
    try:
        yield
    finally:
        os.environ["LANGUAGE"] = before


def marked(message: str) -> str:
    """Return a message as it is: it belongs into the catalogue, and is translated where it is shown."""
    return message


def helps(command: Any, context: Any) -> Iterator[Any]:
    """Yield what has a help: a command and its parameters, `--help` among them, and all below it."""
    yield from (holder for holder in (command, *command.get_params(context)) if holder.help)
    for below in getattr(command, "commands", {}).values():
        yield from helps(below, context)


def translate(command: Any, context: Any) -> None:
    """Translate the helps of a command and of all below it."""
    for holder in helps(command, context):
        holder.help = gettext.gettext(holder.help)
