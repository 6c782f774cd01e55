"""Input made to cost as much as its size allows, for tests, `make fuzz` and `make bench`."""

import json
from collections.abc import Callable
from functools import partial

MB = 1024 * 1024
LONGEST = 100_000
"""Characters of a post's body."""

Make = Callable[[], bytes]


def _list(item: str) -> bytes:
    return b'{"name": [' + b",".join([item.encode()] * ((MB - 100) // (len(item) + 1))) + b"]}"


def _inquiry(**more: object) -> bytes:
    fields = {"name": "a", "email": "a@example.com", "subject": "b", "message": "c", "consent": True}
    return json.dumps(fields | more).encode()


VALID: dict[str, Make] = {
    "padded": lambda: _inquiry(message="가" * 9_000).ljust(MB),
    "one long text": lambda: _inquiry(message="a,[{" * 2_500).ljust(MB),
}
"""Bodies of 1 MiB that an inquiry may have."""

BODIES: dict[str, Make] = {
    "members": lambda: json.dumps({f"k{i}": 1 for i in range(90_000)}, separators=(",", ":")).encode(),
    "members of one name": lambda: b"{" + b",".join([b'"name":1'] * 110_000) + b"}",
    "long names": lambda: json.dumps({f"{i}" + "k" * 2_000: 1 for i in range(490)}).encode(),
    "as many members as may be": lambda: json.dumps({f"k{i}": [] for i in range(240)}).encode().ljust(MB),
    "lists": lambda: _list("[]"),
    "objects": lambda: _list("{}"),
    "numbers": lambda: _list("1"),
    "texts": lambda: _list('""'),
    "escaped texts": lambda: _list('"\\\\"'),
    "fractions": lambda: _list("1e-9"),
    "nested lists": lambda: b"[" * (MB - 1),
    "nested objects": lambda: b'{"a":' * (MB // 5 - 1),
    "a large number": lambda: b'{"name":' + b"9" * (MB - 10) + b"}",
    "a long fraction": lambda: b'{"name":0.' + b"9" * (MB - 20) + b"e-9}",
    "escapes": lambda: b'{"name":"' + b"\\n" * (MB // 2 - 10) + b'"}',
    "escaped quotes": lambda: b'{"name":"' + b'\\"' * (MB // 2 - 10) + b'"}',
    "backslashes": lambda: b'{"name":"' + b"\\\\" * (MB // 2 - 10) + b'"}',
    "escaped characters": lambda: b'{"message":"' + b"\\uac00" * (MB // 6 - 10) + b'"}',
    "combining marks": lambda: _inquiry(message="a" + "\u0301\u0316" * 4_900),
    "white space": lambda: b" " * MB,
    "an open text": lambda: b'{"' + b"a" * (MB - 10),
    "bytes that are no text": lambda: b'{"name":"' + b"\xff" * (MB - 20) + b'"}',
    "UTF-16": lambda: '{"name":1,"email":2}'.encode("utf-16"),
}
"""Bodies of at most 1 MiB that no route takes."""

QUERIES: dict[str, Callable[[], str]] = {
    "parameters": lambda: "&".join(f"k{i}=1" for i in range(1_000)),
    "one parameter, often": lambda: "&".join(["lang=ko"] * 1_000),
    "separators": lambda: "lang=ko&" * 60,
    "a long value": lambda: "q=" + "a" * 20_000,
    "escapes": lambda: "q=" + "%ea%b0%80" * 3_000,
}

_MARKDOWN: dict[str, str] = {
    "images": "![",
    "brackets": "[",
    "links": "[a](",
    "references": "[a][",
    "code in brackets": "[`",
    "emphasis in brackets": "[*",
    "emphasis": "*a **a ",
    "underscores": "_a __a",
    "lines": "x\n",
    "lists": "- a\n",
    "quotes in lists": "- a\n > b\n",
    "headings": "# a\n",
    "tables": "|\n",
    "less-than signs": "<",
    "entities": "&",
    "tags": "<pre>",
    "formatting": "<p><font a=1>",
    "definitions": "[a]: b\n",
    "addresses": "<a@b.c>",
}


def _repeated(piece: str) -> str:
    return piece * (LONGEST // len(piece))


MARKDOWN: dict[str, Callable[[], str]] = {
    **{name: partial(_repeated, piece) for name, piece in _MARKDOWN.items()},
    "a long address, often": lambda: f"[a]: {'b' * 50_000}\n\n" + "[a]" * 16_000,
    "lazy quotes": lambda: "> " * 20 + "a\n" * 49_000,
    "empty cells": lambda: "|".join("a" * 100) + "\n" + "|".join("-" * 100) + "\n" + "a\n" * 49_000,
}
"""Bodies of posts."""

# Pieces that attack renderers and sanitisers, to be put together in every order.
PIECES = [
    *(
        "<script>",
        "</script>",
        "<svg",
        "<math>",
        "<style>",
        "<iframe src=x>",
        "<img src=x onerror=x>",
        "<a href=",
        "<!--",
    ),
    *(
        "-->",
        "<![CDATA[",
        "]]>",
        "<p",
        "</p>",
        ">",
        "<",
        '"',
        "'",
        "`",
        "```",
        "&lt;",
        "&#60;",
        "&#x6a;",
        "&colon;",
        "\\",
    ),
    *(
        "javascript:",
        "data:text/html,",
        "[x](",
        "![x](",
        ")",
        "](",
        "[",
        "]",
        "<javascript:x>",
        "onclick=",
        "style=",
        "\n",
        "\n\n",
    ),
    *(
        "> ",
        "- ",
        "1. ",
        "# ",
        "|",
        "---",
        "***",
        "~~",
        "\t",
        " ",
        "a",
        "가",
        "é",
        "\u200b",
        "&#1;",
        "&#xffff;",
        "&#x202e;",
    ),
    *(
        "<noscript>",
        "<template>",
        "<textarea>",
        "<title>",
        "<table><tr>",
        "<select>",
        "<xmp>",
        "<plaintext>",
        "<annotation-xml>",
    ),
]
