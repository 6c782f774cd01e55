"""News, notices and everything else that is written for the site."""

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.audit import visibility
from app.core.lazy import lazy_import
from app.core.write_path import file_effects
from app.uploads import references

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.auth.subject import Subject
    from app.core.write_path.outbox import Transaction
    from app.posts import repository, shares
    from app.posts.editing import working_copies
    from app.posts.files import media, uses
    from app.posts.publication import publishing
else:
    media = lazy_import("app.posts.files.media")
    publishing = lazy_import("app.posts.publication.publishing")
    repository = lazy_import("app.posts.repository")
    shares = lazy_import("app.posts.shares")
    uses = lazy_import("app.posts.files.uses")
    working_copies = lazy_import("app.posts.editing.working_copies")


async def _refers(session: "AsyncSession", upload_id: uuid.UUID, *, ever: bool) -> "list[references.Use]":
    named = await repository.naming_upload(session, upload_id, ever=ever)
    return named + await working_copies.naming_upload(session, upload_id)


async def _survey(session: "AsyncSession") -> Mapping[uuid.UUID, Sequence[references.Use]]:
    return await uses.survey(session)


async def _follow(transaction: "Transaction", upload_id: uuid.UUID, actor: "Subject") -> None:
    await publishing.follow(transaction, upload_id, actor)


references.register(references.Domain(_refers, _survey, _follow))


async def _place(files: Mapping[str, Any]) -> None:
    await media.place(files)


async def _settle(aggregate: str, files: Mapping[str, Any]) -> None:
    await media.settle(aggregate, files)


file_effects.register(_place, _settle)


@visibility.register
async def _shared(session: "AsyncSession", member: str) -> Sequence[str]:
    return await shares.targets(session, member)
