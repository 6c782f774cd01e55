"""Markdown of a post's body becomes HTML that does nothing, and text that XML can carry, in little time."""

import re
from xml.etree import ElementTree as ET

from pydantic import TypeAdapter, ValidationError

from app.core.http.problems import ValidationFailed
from app.posts.fields import Body
from app.posts.text.markup import excerpt, slugify, to_html, to_text
from app.posts.text.searching import fold
from support.hostile_bodies import MARKDOWN, PIECES
from support.sanitised import check_html

WITHIN_S = 1.0
WORDS = (
    *(
        b"<script>",
        b"<svg",
        b"<style>",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"javascript:",
        b"data:",
        b"](",
        b"![",
        b"```",
    ),
    *(
        b"&#x6a;",
        b"&colon;",
        b"&lt;",
        b"onerror=",
        b"<template>",
        b"<noscript>",
        b"\n\n",
        b"> ",
        b"- ",
        b"1. ",
        b"|",
        b"---",
    ),
    *(
        b"[a]: ",
        b"~~",
        b"**",
        b"__",
        b"\\",
        b"<http://",
        b"&#0;",
        b"&#xffff;",
        "가".encode(),
        "\u202e".encode(),
        b"</textarea>",
    ),
)
_DEMO = """# 제목

본문 **굵게** [링크](https://www.familycorp.example "a") ![그림](/a.png)

| a | b |
|---|---|
| 1 | ~~2~~ |

1. a
   - b

> c

```py
d
```
"""
_body: TypeAdapter[str] = TypeAdapter(Body)


def seeds() -> list[bytes]:
    hostile = [text().encode()[:300] for text in MARKDOWN.values()]
    return [_DEMO.encode(), *(piece.encode() for piece in PIECES), *hostile]


def check(data: bytes) -> None:
    try:
        body = _body.validate_python(data.decode("utf-8", "replace"))
    except ValidationError:
        return
    try:
        rendered = to_html(body)
    except ValidationFailed as refused:
        if [error.rule for error in refused.violations] != ["too_complex"]:
            raise
        return
    check_html(rendered)
    for text in (excerpt(body), to_text(rendered)):
        assert "\n" not in text
        root = ET.Element("t")
        root.text = text
        assert (ET.fromstring(ET.tostring(root)).text or "") == text
    folded = fold(body)
    assert fold(folded) == folded
    assert re.fullmatch(r"([a-z0-9가-힣]+(-[a-z0-9가-힣]+)*)?", slugify(body[:200]))
