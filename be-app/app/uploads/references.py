"""References to files: the port by which another domain says what of its own names one, and follows its changes."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.auth.subject import Subject
    from app.core.write_path.outbox import Transaction


class Use(NamedTuple):
    """Something that names a file."""

    title: str
    owner: str
    private: bool
    """Whether only its owner may know of it."""

    unsaved: bool = False
    """Whether it may end without notice, so that the file must be looked at again."""

    text: uuid.UUID | None = None
    """The post."""

    former: bool = False
    """Whether only an earlier text of it names the file."""

    public: bool = False
    """Whether visitors see the file there."""

    def seen_by(self, member: str) -> bool:
        """Return whether a member may know of it."""
        return not self.private or self.owner == member


class Refers(Protocol):
    """Finds what of a domain names a file."""

    async def __call__(self, session: "AsyncSession", upload_id: uuid.UUID, *, ever: bool) -> Sequence[Use]:
        """Return some of what names the file in a current, public or unsaved text; with `ever`, in any revision."""


Survey = Callable[["AsyncSession"], Awaitable[Mapping[uuid.UUID, Sequence[Use]]]]
"""Returns all that names files, by file."""

Follow = Callable[["Transaction", uuid.UUID, "Subject"], Awaitable[None]]
"""Has public texts show a file as it is from this transaction on; raises `UploadInUse` where they are too many."""


class Domain(NamedTuple):
    """Callbacks of a domain whose objects name files."""

    refers: Refers
    survey: Survey
    follow: Follow


_registered: list[Domain] = []


def register(domain: Domain) -> None:
    """Register the one domain that names files."""
    _registered[:] = [domain]


def domain() -> Domain:
    """Return the domain that names files.

    Raises `RuntimeError` in a process that has loaded none: without its response no file is known to be unused.
    """
    if not _registered:
        raise RuntimeError("no domain has registered whether it refers to files")
    return _registered[0]
