"""Comparison of searches: text and queries folded alike, and the snippet that shows a hit.

People can't see what a search must not depend on: case, width, invisible characters, the form of a quote or dash. And
Korean is written with and without spaces (창립 40주년, 창립40주년), its particles joined to the word before them.
"""

import re
import unicodedata
from collections.abc import Sequence

from app.core.http.schema import IGNORABLE

SNIPPET = 160
_BEFORE = 50
SCANNED = 1_000_000
"""Characters that are scanned for snippets, in all hits of a page together."""

# Each line is a character and its look-alikes.
_ALIKE = {
    '"': "\u201c\u201d\u201e\u201f\u2033",
    "'": "\u2018\u2019\u201a\u201b\u2032\u02bc",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "·": "\u318d\u30fb\uff65\u2027\u22c5",
    "~": "\u301c",
    " ": "\u3164\uffa0\u2800",
}
_FORMS = str.maketrans({form: char for char, forms in _ALIKE.items() for form in forms})
_IGNORED = re.compile(f"[{IGNORABLE}]+")
_BLANKS = re.compile(r"\s+")

_CJK = (
    "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_LOOSE_SPACE = re.compile(rf"(?<=[{_CJK}]) | (?=[{_CJK}])")

# Particles, longest first, and whether the syllable before them ends in a consonant; None for those that follow any.
_PARTICLES: tuple[tuple[str, bool | None], ...] = (
    ("으로부터", True),
    ("로부터", False),
    ("에서는", None),
    ("에서", None),
    ("에게", None),
    ("까지", None),
    ("부터", None),
    ("으로", True),
    ("로", False),
    ("은", True),
    ("는", False),
    ("이", True),
    ("가", False),
    ("을", True),
    ("를", False),
    ("과", True),
    ("와", False),
    ("의", None),
    ("에", None),
)
_RIEUL = 8


def fold(text: str) -> str:
    """Normalise text for comparison: compatibility forms, case, quotes and dashes, white space, what is invisible."""
    visible = _IGNORED.sub("", text.translate(_FORMS))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    return _BLANKS.sub(" ", folded.translate(_FORMS)).strip()


def searchable(title: str, tags: Sequence[str], plain: str) -> str:
    """Return the search text of a post: title, tags and text, a block in each line, the title in the first.

    A space beside a CJK character is dropped, so that a word is found however it is spaced; no word is found across
    two blocks.
    """
    blocks = (title, *tags, *plain.split("\n"))
    return "\n".join(_LOOSE_SPACE.sub("", fold(block)) for block in blocks)


def words(query: str) -> list[str]:
    """Return what must occur in a text for a query to find it: each word once, without a Korean particle."""
    return list(dict.fromkeys(_stem(word) for word in fold(query).split()))


def _stem(word: str) -> str:
    """Return a word without its particle, where at least two characters are left that can take this one."""
    for particle, after_consonant in _PARTICLES:
        stem = word.removesuffix(particle)
        if stem == word or len(stem) < 2 or not stem[-2:].isalnum():
            continue
        final = (ord(stem[-1]) - 0xAC00) % 28 if "가" <= stem[-1] <= "힣" else None
        if (
            after_consonant is None
            or final is None
            or after_consonant == (final != 0)
            or (final == _RIEUL and particle.startswith("로"))
        ):
            return stem
    return word


def snippet(plain: str, wanted: Sequence[str], scanned: int) -> str:
    """Return the text around the first place that shows one of `wanted`, or the beginning, where none does.

    Args:
        plain: a post's text, a block in each line.
        wanted: folded words.
        scanned: how many characters are read.
    """
    text = plain.replace("\n", " ")
    found = next((at for word in wanted if (at := _seen(word, text[:scanned])) is not None), 0)
    start = max(0, found - _BEFORE)
    if start:  # Not in the midst of a word, where another begins near.
        start = text.find(" ", start, found) + 1 or start
    end = start + SNIPPET
    if end < len(text):
        space = text.rfind(" ", end - _BEFORE, end)
        end = space if space > found else end
    shown = text[start:end].strip()
    return f"{'…' if start else ''}{shown}{'…' if end < len(text) else ''}"


def _seen(word: str, text: str) -> int | None:
    """Return where a text shows a folded word, in any form."""
    compatible = unicodedata.normalize("NFKC", text)
    # Where that changes lengths, places in it say nothing about the text.
    compared = compatible if len(compatible) == len(text) else text
    found = re.compile(shown_as(word), re.IGNORECASE).search(compared)
    return found.start() if found else None


def shown_as(word: str) -> str:
    """Return an expression for a folded word in any form in which a text shows it."""
    between = rf"[\s{IGNORABLE}]*"
    return between.join(f"[{re.escape(char + _ALIKE.get(char, ''))}]" for char in word)
