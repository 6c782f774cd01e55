"""Slugs of titles and of categories."""

import hashlib
import re
import unicodedata

from app.posts.text import markup

_FIRST = 0xAC00
_INITIALS = [
    "g",
    "kk",
    "n",
    "d",
    "tt",
    "r",
    "m",
    "b",
    "pp",
    "s",
    "ss",
    "",
    "j",
    "jj",
    "ch",
    "k",
    "t",
    "p",
    "h",
]
_VOWELS = [
    "a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu",
    "ui", "i",
]  # fmt: skip
_FINALS = [
    "", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng", "t",
    "t", "k", "t", "p", "t",
]  # fmt: skip
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")


def post_slug(text: str, otherwise: str) -> str:
    """Return the slug of a text, or one of a digest of `otherwise` where the text has no letter for slugs."""
    return markup.slugify(text) or f"post-{_digest(otherwise)}"


def category_slug(name: str) -> str:
    """Return the slug of a category: ASCII, Hangul in the Revised Romanization, letter by letter."""
    latin = "".join(map(_romanized, unicodedata.normalize("NFC", name)))
    bare = "".join(c for c in unicodedata.normalize("NFKD", latin) if not unicodedata.combining(c))
    return _NOT_PLAIN.sub("-", bare.casefold()).strip("-")[:60].strip("-") or f"category-{_digest(name)}"


def _romanized(character: str) -> str:
    code = ord(character) - _FIRST
    if not 0 <= code < 11172:
        return character
    return _INITIALS[code // 588] + _VOWELS[code % 588 // 28] + _FINALS[code % 28]


def _digest(text: str) -> str:
    return hashlib.sha256(unicodedata.normalize("NFC", text).encode()).hexdigest()[:8]
