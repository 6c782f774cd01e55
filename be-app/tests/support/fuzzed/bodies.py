"""A JSON body is parsed as Python's own parser would, or refused; never with more elements than the bound counts.

Hostile bodies cost no more than their bytes: the seeds are those of `hostile_bodies.py`, cut short.
"""

import json
from typing import Any

from app.core.http.problems import MalformedBody
from app.core.http.routing import MAX_ELEMENTS, _elements, _parsed
from support.hostile_bodies import BODIES, VALID

WITHIN_S = 0.2
WORDS = (
    b'"',
    b"\\",
    b'\\"',
    b"\\\\",
    b",",
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b"\\u0022",
    b"\xff",
    b"1e9",
    b"NaN",
)


def seeds() -> list[bytes]:
    return [body()[:4096] for body in (*BODIES.values(), *VALID.values())] + [b'{"a\\\\":["\\"",{"b":[]}]}']


def check(data: bytes) -> None:
    try:
        parsed = json.loads(data.decode())
    except (ValueError, RecursionError):
        parsed = None
    else:
        assert _elements(data) >= min(_count(data), MAX_ELEMENTS + 1)
    try:
        assert str(_parsed(data)) == str(parsed)
    except MalformedBody:
        return


def _count(data: bytes) -> int:
    """Return how many elements a JSON text has, but for the first of each object and list."""
    found = 0

    def pairs(members: list[tuple[str, Any]]) -> None:
        nonlocal found
        found += max(0, len(members) - 1)

    def walk(value: Any) -> None:
        nonlocal found
        if isinstance(value, list):
            found += max(0, len(value) - 1)
            for item in value:
                walk(item)

    try:
        walk(json.loads(data.decode(), object_pairs_hook=pairs))
    except RecursionError:
        return 0
    return found
