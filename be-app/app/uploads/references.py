"""References to files: the port by which other domains say whether they refer to one."""

import uuid
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Refers(Protocol):
    """Tells whether a domain's texts name a file."""

    async def __call__(self, session: "AsyncSession", upload_id: uuid.UUID, *, ever: bool) -> bool:
        """Tell whether a current or public text names the file; with `ever`, whether any revision does."""


_domains: list[Refers] = []


def register(refers: Refers) -> Refers:
    """Register a domain's function that is called before a file is deleted."""
    _domains.append(refers)
    return refers


async def in_use(session: "AsyncSession", upload_id: uuid.UUID, *, ever: bool) -> bool:
    """Tell whether any domain names a file.

    Raises `RuntimeError` in a process that has loaded no domain: without their answers no file is known to be unused.
    """
    if not _domains:
        raise RuntimeError("no domain has registered whether it refers to files")
    return any([await refers(session, upload_id, ever=ever) for refers in _domains])
