"""Syntax of PDF (ISO 32000-2, 7.2 and 7.3): tokens, and the values that they make.

Each dictionary goes to `Facts` as it is made: nobody need walk through the values of a whole file afterwards.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from app.uploads.reasons import Rejection

MOST_TOKENS = 8_000_000
"""Tokens of the file's syntax; the longest standards have about three million."""

MOST_OF_OBJECT = 1_000_000
_LONGEST_QUICK = 1_000_000
MOST_DEEP = 200

WHITE = rb"\0\t\n\f\r "
SPACE = rb"(?:[" + WHITE + rb"]++|%[^\r\n]*+)*+"
_FLAT = rb"[^()\\]++|\\.|\\\Z"
_NESTED = rb"\((?:" + _FLAT + rb"|\((?:" + _FLAT + rb"|\((?:" + _FLAT + rb")*+\))*+\))*+\)"
REGULAR = rb"[^" + WHITE + rb"()<>\[\]{}/%]"
TOKEN = re.compile(
    SPACE
    + rb"(?:(<<|>>|\[|\])|(/"
    + REGULAR
    + rb"*+)|("
    + REGULAR
    + rb"++)|("
    + _NESTED
    + rb")|(<[^<>]*+>)|(.))",
    re.DOTALL,
)
_BRACKET, _NAME, WORD, _TEXT, _HEX = range(1, 6)
_TOKENS = re.compile(
    rb"<<|>>|[\[\]]|/" + REGULAR + rb"*+|" + REGULAR + rb"++|" + _NESTED + rb"|<[^<>]*+>|[^" + WHITE + rb"]",
    re.DOTALL,
)
_STOP = re.compile(
    rb"(?<=[" + WHITE + rb">\])}])(?:endobj|stream|obj|xref|trailer|startxref)(?!" + REGULAR + rb")"
)
_PARENTHESIS = re.compile(rb"(?:[^()\\]++|\\.|\\\Z)*+([()])", re.DOTALL)
_ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")
_STOPS = {b"endobj", b"stream", b"obj", b"xref", b"trailer", b"startxref"}
_PLAIN = frozenset(b"0123456789+-.")
_SLASH = ord("/")
_LONE = frozenset(b"%()<>{}")
_ODD_NUMBER = re.compile(rb"\+?0*([0-9]{1,10})(?:\.0*)?")
"""A whole number in another form, which some readers take in a reference as well."""

Value = Any
"""A dictionary, a list, a reference (its object's number as `int`), or a token as `bytes`."""


class Parsed(NamedTuple):
    """One object: its value, where it ends, and the word that ended it."""

    value: Value
    end: int
    stop: bytes


class Facts(Protocol):
    """Receiver of the values that a parser reads."""

    def dictionary(self, items: list[Value]) -> dict[bytes, Value]:
        """Make a dictionary of its keys and values."""

    def object_of(self, items: list[Value]) -> Value:
        """Return the value of an object whose region holds items."""


class Parser:
    """Reads values, and counts their tokens."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._tokens = 0

    def value(self, data: Any, position: int) -> Parsed:
        """Read an object's value, up to the word that ends the object."""
        stop = _STOP.search(data, position, position + _LONGEST_QUICK)
        if stop:
            items = self.items(data[position : stop.start()])
            if items is not None:
                return Parsed(self._facts.object_of(items), stop.end(), stop[0])
        return self.slowly(data, position)

    def items(self, region: bytes) -> list[Value] | None:
        """Return what stands in a region; None if it begins or ends amidst something, or needs a closer look."""
        tokens = _TOKENS.findall(region)
        self.count(len(tokens))
        escaped = b"#" in region
        items: list[Value] = []
        stack = [items]
        for token in tokens:
            kind = token[0]
            if kind in _PLAIN:
                items.append(token)
            elif kind == _SLASH:
                items.append(_unescaped(token) if escaped else token)
            elif token == b"R":
                _refer(items)
            elif token in {b"<<", b"["}:
                items = []
                stack.append(items)
            elif token in {b">>", b"]"}:
                if len(stack) == 1:
                    return None
                closed = stack.pop()
                items = stack[-1]
                items.append(self._facts.dictionary(closed) if token == b">>" else closed)
            elif len(token) == 1 and kind in _LONE:
                return None
            else:
                items.append(token)
        if len(stack) > 1:
            return None
        return items

    def slowly(self, data: Any, position: int, *, single: bool = False) -> Parsed:
        """Read an object's value token by token; with `single` stop after it."""
        items: list[Value] = []
        stack = [items]
        limit = self._tokens + MOST_OF_OBJECT
        while (token := TOKEN.match(data, position)) is not None:
            self.count()
            position = token.end()
            kind = token.lastindex or 0
            found = token[kind]
            if kind in {_NAME, _TEXT, _HEX}:
                items.append(_unescaped(found) if kind == _NAME else found)
            elif kind == WORD:
                if found == b"R":
                    _refer(items)
                elif found in _STOPS:
                    return self._closed(stack, position, found)
                else:
                    items.append(found)
            elif kind == _BRACKET:
                if found in {b"<<", b"["}:
                    items = []
                    stack.append(items)
                elif len(stack) > 1:
                    closed = stack.pop()
                    items = stack[-1]
                    items.append(self._facts.dictionary(closed) if found == b">>" else closed)
            elif found == b"(":
                start, position = position - 1, self.end_of_text(data, position)
                items.append(data[start:position])
            # Three numbers may be a reference, of which one is too little to know.
            if (
                single
                and len(stack) == 1
                and items
                and (len(items) > 2 or kind != WORD or items[0] is not found)
            ):
                break
            if self._tokens > limit or len(stack) > MOST_DEEP:
                raise Rejection("too_complex")
        return self._closed(stack, position, b"")

    def _closed(self, stack: list[list[Value]], position: int, stop: bytes) -> Parsed:
        """Return an object's value, of which brackets may have been left open."""
        while len(stack) > 1:
            opened = self._facts.dictionary(stack.pop())
            stack[-1].append(opened)
        return Parsed(self._facts.object_of(stack[0]), position, stop)

    def end_of_text(self, data: Any, position: int) -> int:
        """Return where a literal string ends, after whose first parenthesis a position is."""
        depth = 1
        while depth and (found := _PARENTHESIS.match(data, position)):
            self.count()
            depth += 1 if found[1] == b"(" else -1
            position = found.end()
        return position if not depth else len(data)

    def count(self, tokens: int = 1) -> None:
        """Count tokens; raise `Rejection` above `MOST_TOKENS`."""
        self._tokens += tokens
        if self._tokens > MOST_TOKENS:
            raise Rejection("too_complex")


def _refer(items: list[Value]) -> None:
    """Make a reference of the last two items, if they are the numbers of one."""
    number = items[-2] if len(items) > 1 else None
    if isinstance(number, bytes) and number.isdigit() and len(number) <= 10:
        items[-2:] = [int(number)]
    elif isinstance(number, bytes) and (found := _ODD_NUMBER.fullmatch(number)):
        items[-2:] = [int(found[1])]


def _unescaped(name: bytes) -> bytes:
    """Return a name without its escapes (7.3.5): `/J#53` is `/JS`."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), name) if b"#" in name else name


def integer(value: Value, otherwise: int) -> int:
    """Return the whole number that a token stands for."""
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= 10 else otherwise


def sequence(value: Value) -> Sequence[Value]:
    """Return an array; nothing of another value."""
    return value if isinstance(value, list) else ()
