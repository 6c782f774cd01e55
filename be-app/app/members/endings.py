"""Port by which other domains end the work of a member who is disabled or erased."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Ends(Protocol):
    """Ends what a member has under way in a domain."""

    async def __call__(self, session: "AsyncSession", member_id: str) -> None:
        """End it, in the transaction that disables or erases the member."""


_domains: list[Ends] = []


def register(ends: Ends) -> Ends:
    """Register a domain's function that is called when a member is disabled or erased."""
    _domains.append(ends)
    return ends


async def end_all(session: "AsyncSession", member_id: str) -> None:
    """End what a member has under way.

    Raises `RuntimeError` in a process that has loaded no domain: something would outlive the member.
    """
    if not _domains:
        raise RuntimeError("no domain has registered what ends with a member")
    for ends in _domains:
        await ends(session, member_id)
