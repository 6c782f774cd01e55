"""How texts for people are written: in English, marked for the catalogue, and translated where they are sent.

It imports next to nothing, because the programs that inspect files start with it.
"""

from typing import NamedTuple


class Plural(NamedTuple):
    """A message that depends on a number; `by` names the value that holds it."""

    one: str
    other: str
    by: str


Message = str | Plural


def marked(message: str) -> str:
    """Return a message as it is; `make messages` adds it to the catalogue."""
    return message
