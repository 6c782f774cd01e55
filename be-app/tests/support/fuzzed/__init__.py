"""What is fuzzed: one module for each place where a stranger's bytes are read.

A module's docstring says what it promises. `check(data)` raises where that is broken, `seeds()` gives what to start
from, `WORDS` are pieces that a mutation would hardly produce, and `WITHIN_S` is the CPU time that one input may take.
`make fuzz` seeks inputs that break a promise; `test_fuzzed.py` gives the seeds, and every earlier find, to each.
"""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
"""The targets."""

LONGEST = 4096
"""Bytes of an input, unless a target's `LONGEST` says otherwise."""


class Target(Protocol):
    """A module of this package."""

    WITHIN_S: float
    WORDS: tuple[bytes, ...]

    def seeds(self) -> list[bytes]: ...

    def check(self, data: bytes) -> None: ...


def target(name: str) -> Target:
    """Return the target of a name."""
    return cast("Target", import_module(f"support.fuzzed.{name}"))
