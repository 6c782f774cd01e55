"""Private objects whose history a member may know: the port by which other domains say which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Shares(Protocol):
    """Names a domain's objects that are shared with a member."""

    async def __call__(self, session: "AsyncSession", member: str) -> Sequence[str]:
        """Return the objects as the audit trail names them, such as `post:ID`."""


_domains: list[Shares] = []


def register(shares: Shares) -> Shares:
    """Register a domain's function that is called before a member reads the trail."""
    _domains.append(shares)
    return shares


async def targets(session: "AsyncSession", member: str) -> list[str]:
    """Return what any domain shares with a member."""
    return [target for shares in _domains for target in await shares(session, member)]
