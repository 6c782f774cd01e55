"""Taking back what an import created."""

import uuid
from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.audit.models import AuditEntry
from app.content.importing import IMPORTER, TOGETHER
from app.core.database.engine import reading, writing
from app.core.http.problems import PreconditionFailed, Problem
from app.core.http.schema import Model
from app.core.messages import marked
from app.core.write_path import outbox
from app.posts import commands as posts
from app.posts.models import ARCHIVED, Post
from app.redirects import repository as stored_redirects
from app.redirects import service as redirects

T = TypeVar("T")
TAKEN_BACK = "content.import_undone"
PART = 4 * TOGETHER
"""Number of posts that one call takes back."""


class NoSuchImport(Problem):
    """No import of this id has created anything."""

    status, code, title = 404, "no_such_import", marked("No import with this id has created anything")


class Undone(Model):
    """Outcome of one part of taking an import back."""

    withdrawn: list[str]
    """Slugs of posts that are archived now."""
    kept: list[str]
    """Slugs of posts that somebody has changed since the import, which stay as they are."""
    redirects: int
    """Number of redirects that were deleted."""
    remaining: int


async def undo(job: uuid.UUID) -> Undone:
    """Archive posts that an import created and nobody has changed since, and delete its redirects likewise.

    Each call does a part; `remaining` is zero after the last. Raises `NoSuchImport`.
    """
    async with reading() as session:
        created = await _created(session, job, "post.created")
        leading = await _created(session, job, "redirect.created")
        if not created and not leading:
            raise NoSuchImport
        touched = await _touched(session, job, [*created, *leading])
        ids = [_id(target) for target in created]
        found = [post for part in _parts(ids) for post in await _posts(session, part)]
    kept = sorted(
        post.shown_slug for post in found if f"post:{post.id}" in touched and post.state != ARCHIVED
    )
    open_ = [post for post in found if f"post:{post.id}" not in touched]
    withdrawn = []
    async with outbox.batched():
        for post in open_[:PART]:
            try:
                await posts.archive(post.id, post.version, IMPORTER)
            except PreconditionFailed:
                kept.append(post.shown_slug)
            else:
                withdrawn.append(post.shown_slug)
    deleted = await _delete([target for target in leading if target not in touched])
    remaining = max(0, len(open_) - PART)
    if not remaining:
        async with writing() as session:
            audit.record(session, IMPORTER.id, TAKEN_BACK, f"import:{job}", kept=len(kept))
    return Undone(withdrawn=withdrawn, kept=kept, redirects=deleted, remaining=remaining)


async def _created(session: AsyncSession, job: uuid.UUID, action: str) -> list[str]:
    """Return the targets of an action of a job. Ids are UUIDv7, so the job's entries follow its own id."""
    query = select(AuditEntry.target).where(
        AuditEntry.id > job, AuditEntry.correlation_id == str(job), AuditEntry.action == action
    )
    return list(await session.scalars(query))


async def _touched(session: AsyncSession, job: uuid.UUID, targets: Sequence[str]) -> set[str]:
    """Return those of some targets that something else than the job has changed."""
    found: set[str] = set()
    for part in _parts(targets):
        where: ColumnElement[bool] = AuditEntry.target.in_(part)
        query = select(AuditEntry.target).where(where, AuditEntry.correlation_id != str(job)).distinct()
        found |= set(await session.scalars(query))
    return found


async def _posts(session: AsyncSession, ids: Sequence[uuid.UUID]) -> Sequence[Post]:
    return (await session.scalars(select(Post).where(Post.id.in_(ids)).order_by(Post.id))).all()


async def _delete(targets: Sequence[str]) -> int:
    number = 0
    async with outbox.batched():
        for target in targets:
            async with reading() as session:
                redirect = await stored_redirects.read(session, _id(target))
            if redirect is not None:
                await redirects.delete(redirect.id, redirect.version, IMPORTER)
                number += 1
    return number


def _id(target: str) -> uuid.UUID:
    return uuid.UUID(target.partition(":")[2])


def _parts(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + 500] for start in range(0, len(items), 500)]
