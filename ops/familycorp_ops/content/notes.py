"""What a report says of a file: what was changed on the way, and what was left out and why."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["changed", "left_out", "no_counterpart"]
"""`no_counterpart` is a key that directs the generator alone, such as its layout: nothing of the content is lost."""

_LONGEST = 200


class Note(NamedTuple):
    """A difference between a file and its post, with the line where the file has it."""

    line: int
    kind: Kind
    subject: str
    """The key of the front matter, or what of the body it is about."""
    before: str = ""
    after: str = ""
    why: str = ""


class Omitted(NamedTuple):
    """A file that no post was made of."""

    file: str
    why: str
    settled: bool = False
    """Whether nothing is lost by it, or the mapping file says so."""
    proposed: bool = False
    """Whether another line of the proposed mapping file settles it."""


def shortened(value: object) -> str:
    """Return a value as one line of a report."""
    text = ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value
    line = " ".join(str("" if text is None else text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
