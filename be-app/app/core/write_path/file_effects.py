"""Effects of committed changes on files: the port by which a domain delivers them, around those on the read model.

It imports nothing, so that a domain may register them without the database.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

Before = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Puts files where visitors get them, before a read model names them; raises `Unavailable`."""

After = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Removes files that no read model of an aggregate names any more; raises `Unavailable`."""


class Effects(NamedTuple):
    """A domain's effects. Each may be repeated."""

    before: Before
    after: After


_registered: list[Effects] = []


def register(before: Before, after: After) -> None:
    """Register the one domain whose changes have such effects."""
    _registered[:] = [Effects(before, after)]


def registered() -> Effects | None:
    """Return the effects; None in a process that has loaded no domain and leaves them to another."""
    return _registered[0] if _registered else None
