"""E-mail addresses: which are the same, and which only look like it."""

import re
import unicodedata
from contextlib import suppress

from app.core.http.schema import IGNORABLE

_INVISIBLE = {"Cc", "Cf", "Zs"}
_BLANK = re.compile(f"[{IGNORABLE}\u2800]+")


def is_same(one: str, other: str) -> bool:
    """Return whether two addresses are the same but for the case of ASCII letters."""
    # Bytes have no other letters. Any Unicode normalization makes more of them equal: the Kelvin sign becomes K.
    return one.encode("utf-8", "replace").lower() == other.encode("utf-8", "replace").lower()


def likeness(address: str) -> str:
    """Return a key that is equal for addresses which a person, a mail server or a database may confuse.

    Case, compatibility forms (full-width letters, the long s), invisible characters, a final dot and the two
    spellings of a domain make no difference (Unicode's NFKC_Casefold; RFC 5890).
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address).casefold())
    visible = "".join(c for c in _BLANK.sub("", folded) if unicodedata.category(c) not in _INVISIBLE)
    local, at, domain = visible.rpartition("@")
    with suppress(UnicodeError):  # What is no domain has no other spelling.
        domain = domain.rstrip(".").encode("idna").decode()
    return f"{local}{at}{domain}"
