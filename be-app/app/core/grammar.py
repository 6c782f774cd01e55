"""Text of protocols: header fields, cookies and media types, read by their RFCs' grammars.

Python's `str` methods follow Unicode. `strip()` also removes U+0085 and U+00A0, which the bytes 0x85 and 0xA0 of a
header become, `lower()` turns the Kelvin sign into `k`, and `int()` reads full-width digits. Protocol text is ASCII,
so a name that needs any of this is another name. `test_grammar.py` keeps such calls out of the other modules.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

WHITESPACE: Final = " \t"
"""Optional white space around a part of a header field: OWS of RFC 9110 §5.6.3."""

# RFC 6265 §4.1.1: cookie-octet, perhaps between quotation marks, which belong to the value.
_COOKIE_VALUE: Final = re.compile(rb"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")
# An element of Accept-Encoding and Accept-Language with its weight (RFC 9110 §12.4.2).
_WEIGHTED: Final = re.compile(
    r"(?:^|,)[ \t]*([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*"
    r"(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?(?=,|$)"
)
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
# RFC 9110 §8.3.1 and RFC 6839 §3.1, with any parameters.
_JSON: Final = re.compile(
    r"application/(?:[!#$%&'*+.^_`|~0-9a-z-]*\+)?json[ \t]*(?:;.*)?", re.ASCII | re.IGNORECASE | re.DOTALL
)

Headers = Sequence[tuple[bytes, bytes]]


def lower(text: str) -> str:
    """Return text with `A` to `Z` in lower case and all else as it was."""
    return text.lower() if text.isascii() else re.sub("[A-Z]+", lambda found: found[0].lower(), text)


def number(text: str) -> int | None:
    """Return the number that ASCII digits stand for; None for anything else, and for more than 18 digits."""
    return int(text) if _DIGITS.fullmatch(text) else None


def is_json(media_type: str) -> bool:
    """Return whether a Content-Type names JSON, or a type whose syntax is JSON (`+json`)."""
    return _JSON.fullmatch(media_type.strip(WHITESPACE)) is not None


def weighted(field: str) -> list[tuple[str, float]]:
    """Return the elements of an Accept-Encoding or Accept-Language field in lower case, each with its weight."""
    return [(element, float(weight or 1)) for element, weight in _WEIGHTED.findall(lower(field))]


def field(headers: Headers, name: bytes) -> str | None:
    """Return the first header field of a name in an ASGI scope; None without one."""
    for key, value in headers:
        if key == name:
            return bytes(value).decode("latin-1")
    return None


def cookies(headers: Headers, name: bytes) -> list[str]:
    """Return the value of every cookie of exactly that name, in each Cookie field of an ASGI scope (RFC 6265 §4.2.1).

    A value that is no sequence of `cookie-octet` counts as empty: this application sets none.
    """
    found = []
    for field, content in headers:
        if field == b"cookie" and name in content:
            for pair in content.split(b";"):
                key, _, value = pair.strip(b" ").partition(b"=")
                if key == name:
                    found.append(value.decode() if _COOKIE_VALUE.fullmatch(value) else "")
    return found


def matches(if_none_match: str, etag: str) -> bool:
    """Compare an If-None-Match field weakly with an entity tag (RFC 9110 §13.1.2, §8.8.3.2)."""
    opaque = etag.removeprefix("W/")
    given = (tag.strip(WHITESPACE) for tag in if_none_match.split(","))
    return if_none_match.strip(WHITESPACE) == "*" or any(tag.removeprefix("W/") == opaque for tag in given)


@lru_cache(64)
def takes_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding (RFC 9110 §12.5.3) allows gzip and doesn't like it less than identity."""
    weights = dict(weighted(accepted))
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)
