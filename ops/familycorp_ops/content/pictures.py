"""Pictures in Markdown: where they stand, outside of code."""

import html
import re
from collections.abc import Callable
from uuid import UUID

CODE = (
    r"(?P<fence>^[ \t>]*(?:[-*+]\s+)?(?P<mark>`{3,}|~{3,})[^\n]*\n(?:.*?\n)??[ \t>]*(?P=mark)[`~]*[ \t]*(?:$|\n))"
    r"|(?P<span>(?<!`)(?P<ticks>`+)(?!`)(?:[^\n]|\n(?![ \t]*\n)){1,2000}?(?<!`)(?P=ticks)(?!`))"
)
"""Pattern of code in Markdown, with `DOTALL` and `MULTILINE`."""

_PICTURE = re.compile(
    CODE + r"|!\[(?P<alt>(?:\\.|[^\[\]\\])*)\]\(\s*(?P<target><[^<>\n]+>|[^\s()<>]+(?:\([^\s()]*\)[^\s()]*)*)"
    r"(?P<title>\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?\s*\)"
    r"|<img\b[^<>]*?\bsrc\s*=\s*\"(?P<source>[^\"<>]*)\"[^<>]*>",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
_ALT = re.compile(r"\balt\s*=\s*\"([^\"]*)\"", re.IGNORECASE)

Address = Callable[[UUID], str | None]
"""Returns where an upload's file is found; None where nowhere."""

Put = Callable[[str, int], str | None]
"""Receives a picture's address and the offset of the picture; returns the address it gets, None for no picture."""


def replaced(text: str, put: Put) -> str:
    """Return a text with other addresses of its pictures; of one that gets none, the alternative text stays."""

    def change(found: re.Match[str]) -> str:
        if found["fence"] or found["span"]:
            return found[0]
        group = "target" if found["target"] else "source"
        whole = found[group]
        address = whole.strip("<>") if group == "target" else html.unescape(whole)
        to = put(address, found.start())
        if to is None:
            return found["alt"] if group == "target" else "".join(_ALT.findall(found[0])[:1])
        if to == address:
            return found[0]
        written = destination(to) if group == "target" else html.escape(to)
        start = found.start(group) - found.start()
        return found[0][:start] + written + found[0][start + len(whole) :]

    return _PICTURE.sub(change, text)


def placed(text: str, address: Address) -> str:
    """Return a text with the addresses of the uploads that its pictures name."""

    def put(target: str, _offset: int) -> str:
        scheme, _colon, upload = target.partition("upload:")
        try:
            return target if scheme else address(UUID(upload)) or target
        except ValueError:
            return target

    return replaced(text, put)


def destination(address: str) -> str:
    """Return an address as Markdown writes one that may hold blanks or brackets."""
    return f"<{address}>" if re.search(r"[\s()]", address) else address
