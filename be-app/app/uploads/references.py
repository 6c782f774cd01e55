"""References to files: the port by which other domains say what of theirs refers to one."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Use(NamedTuple):
    """Something that names a file."""

    title: str
    owner: str
    private: bool
    """Whether only its owner may know of it."""

    unsaved: bool = False
    """Whether it may end without notice, so that the file must be looked at again."""


class Refers(Protocol):
    """Finds what of a domain names a file."""

    async def __call__(self, session: "AsyncSession", upload_id: uuid.UUID, *, ever: bool) -> Sequence[Use]:
        """Return some of what names the file in a current, public or unsaved text; with `ever`, in any revision."""


_domains: list[Refers] = []


def register(refers: Refers) -> Refers:
    """Register a domain's function that is called before a file is deleted."""
    _domains.append(refers)
    return refers


async def uses(session: "AsyncSession", upload_id: uuid.UUID, *, ever: bool) -> list[Use]:
    """Return some of what names a file, in all domains; nothing if the file is unused.

    Raises `RuntimeError` in a process that has loaded no domain: without their answers no file is known to be unused.
    """
    if not _domains:
        raise RuntimeError("no domain has registered whether it refers to files")
    return [use for refers in _domains for use in await refers(session, upload_id, ever=ever)]
