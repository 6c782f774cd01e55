"""Working copies: what editors are writing and have not saved, one for each post and editor.

Each has a version of its own, so that two windows of one editor do not overwrite each other; the version of the post
stays as it is. Saving drops the copy of its editor. One that nobody changes is dropped within 30 days.
"""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import String, cast, delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from app.auth.subject import Subject
from app.core.clock import now
from app.core.database.engine import reading, writing
from app.core.http.problems import NotFound, PreconditionFailed
from app.core.write_path import events, outbox
from app.posts import repository
from app.posts.editing.schemas import WorkingCopyOut, WorkingCopyUpdate
from app.posts.errors import WorkingCopyExists
from app.posts.models import Post, PostRevision, WorkingCopy
from app.posts.permission import allowed
from app.uploads.references import Use

UPDATE = "post:update"
RETENTION = timedelta(days=30)
_ABOUT = "working-copies"


async def read(post_id: uuid.UUID, actor: Subject) -> WorkingCopyOut:
    """Return the caller's own working copy of a post; raise `NotFound` without one."""
    async with reading() as session:
        await allowed(session, post_id, actor, UPDATE)
        found = await _own(session, post_id, actor)
    if found is None:
        raise NotFound
    return _out(found)


async def create(post_id: uuid.UUID, request: WorkingCopyUpdate, actor: Subject) -> WorkingCopyOut:
    """Begin the caller's working copy of a post; raise `WorkingCopyExists` where there is one."""
    async with outbox.transaction() as transaction:
        session = transaction.session
        await allowed(session, post_id, actor, UPDATE)
        if await _own(session, post_id, actor) is not None:
            raise WorkingCopyExists
        # An expired one may still be there.
        await drop(session, post_id, actor)
        copy = WorkingCopy(post_id=post_id, editor=actor.id)
        _write(transaction, copy, request)
        session.add(copy)
        try:
            await session.flush()
        except IntegrityError:
            raise WorkingCopyExists from None
        return _out(copy)


async def update(
    post_id: uuid.UUID, request: WorkingCopyUpdate, expected: int, actor: Subject
) -> WorkingCopyOut:
    """Replace the caller's working copy; raise `PreconditionFailed` where another window of theirs was faster."""
    async with outbox.transaction() as transaction:
        session = transaction.session
        await allowed(session, post_id, actor, UPDATE)
        copy = await _own(session, post_id, actor)
        # One that was dropped by saving must not come back by an autosave that was under way.
        if copy is None or copy.version != expected:
            raise PreconditionFailed(extensions={"version": copy.version} if copy else None)
        _write(transaction, copy, request)
        try:
            await session.flush()
        except StaleDataError:
            raise PreconditionFailed from None
        return _out(copy)


async def discard(post_id: uuid.UUID, actor: Subject) -> None:
    """Drop the caller's working copy of a post, if there is one."""
    async with writing() as session:
        await allowed(session, post_id, actor, UPDATE)
        await drop(session, post_id, actor)


async def drop(session: AsyncSession, post_id: uuid.UUID, editor: Subject) -> None:
    """Drop an editor's working copy of a post in the open transaction."""
    mine = (WorkingCopy.post_id == post_id, WorkingCopy.editor == editor.id)
    await session.execute(delete(WorkingCopy).where(*mine), execution_options={"synchronize_session": False})


async def forget_old(at: datetime) -> None:
    """Drop the copies that expired by `at`; write nothing where there is none: SQLite has one writer."""
    old = WorkingCopy.expires_at <= at
    async with reading() as session:
        found = await session.scalar(select(WorkingCopy.editor).where(old).limit(1))
    if found is not None:
        async with writing() as session:
            await session.execute(delete(WorkingCopy).where(old))


async def naming_upload(session: AsyncSession, upload_id: uuid.UUID) -> list[Use]:
    """Return posts of which somebody's working copy names a file, ten at most. This reads all working copies."""
    # Whatever spelling of the id a text uses: databases that keep JSON as such compare the case of letters too.
    spellings = (str(upload_id), upload_id.hex)
    names = or_(*(cast(WorkingCopy.content, String).icontains(spelling) for spelling in spellings))
    columns = (Post.id, PostRevision.title, WorkingCopy.editor)
    query = select(*columns).join(Post, Post.id == WorkingCopy.post_id)
    query = query.join(PostRevision, repository.CURRENT).where(names, WorkingCopy.expires_at > now())
    rows = await session.execute(query.limit(repository.USES))
    return [Use(title, editor, private=True, unsaved=True, text=post) for post, title, editor in rows]


async def mark_again() -> None:
    """Leave the wake-up markers of all copies again, for a table that was lost."""
    async with reading() as session:
        ends = (await session.scalars(select(WorkingCopy.expires_at).distinct())).all()
    for at in ends:
        await events.mark_due(at, about=_ABOUT)


async def _own(session: AsyncSession, post_id: uuid.UUID, actor: Subject) -> WorkingCopy | None:
    found = await session.get(WorkingCopy, (post_id, actor.id))
    return found if found and found.expires_at > now() else None


def _write(transaction: outbox.Transaction, copy: WorkingCopy, request: WorkingCopyUpdate) -> None:
    copy.content = request.model_dump(mode="json", exclude={"base_version"})
    copy.base_version, copy.updated_at = request.base_version, now()
    # The end is a midnight, so that all copies of a day share a marker and autosaving seldom leaves one.
    end = (copy.updated_at + RETENTION).replace(hour=0, minute=0, second=0, microsecond=0)
    if end != copy.expires_at:
        copy.expires_at = end
        transaction.wake_at(end, _ABOUT)


def _out(copy: WorkingCopy) -> WorkingCopyOut:
    names = ("base_version", "version", "updated_at", "expires_at")
    return WorkingCopyOut.model_validate(copy.content | {name: getattr(copy, name) for name in names})
