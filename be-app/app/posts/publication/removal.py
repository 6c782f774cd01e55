"""Posts that go: drafts that their authors delete, and archived posts that admins purge.

What is left is the audit trail. The scheduler deletes the files, as it does all that no post names, so that a crash
after the commit leaves none behind.
"""

import uuid
from datetime import timedelta
from typing import Any

from sqlalchemy import delete as delete_statement

from app.audit import service as audit
from app.auth.subject import Subject
from app.core.clock import now
from app.core.database.engine import Base
from app.core.http.problems import ValidationFailed
from app.core.messages import marked
from app.core.read_path import read_model as stored
from app.core.write_path import idempotency, outbox
from app.posts import repository
from app.posts.errors import InvalidState
from app.posts.models import ARCHIVED, Post
from app.posts.permission import at_version
from app.posts.publication import read_model
from app.uploads import processing

PURGED = "post.purged"
_LAST_VERSION = 2**31 - 1


async def delete(post_id: uuid.UUID, expected: int, actor: Subject) -> None:
    """Delete a post that never was public. Files that no post names then are orphans, and last as long."""
    async with outbox.transaction() as transaction:
        post, _ = await at_version(transaction.session, post_id, expected, actor, "post:delete")
        if not post.private:
            raise InvalidState(marked("The post was public. Archive it; an admin can purge it then."))
        await _remove(transaction, post, files_last=processing.UNATTACHED)
        audit.record(transaction.session, actor.id, "post.deleted", f"post:{post_id}")


async def purge(post_id: uuid.UUID, confirmed: str, expected: int, actor: Subject) -> None:
    """Delete an archived post for good, and at the scheduler's next run the files that no other post names."""
    async with outbox.transaction() as transaction:
        session = transaction.session
        post, _ = await at_version(session, post_id, expected, actor, "post:purge")
        if post.state != ARCHIVED:
            raise InvalidState(marked("Archive the post first."))
        if confirmed != post.shown_slug:
            raise ValidationFailed.on("body.slug", "not_confirmed", marked("Enter the slug of this post."))
        former = [moved.slug for moved in await repository.former_slugs(session, [post_id])]
        files = await _remove(transaction, post, files_last=timedelta(0))
        audit.record(session, actor.id, PURGED, f"post:{post_id}", slug=confirmed, files=files)
        data = {"postId": str(post_id), "slug": post.slug, "lang": post.lang, "category": post.category}
        gone = [
            read_model.withdrawn(post_id),
            *(read_model.former_withdrawn(post_id, slug) for slug in former),
        ]
        for snapshot in gone:
            transaction.emit(f"post:{post_id}", post.version, PURGED, data, snapshot)


async def purge_again() -> None:
    """Withdraw purged posts that a restored read model shows again."""
    async for targets in audit.targets(PURGED):
        for target in targets:
            post_id = uuid.UUID(target.partition(":")[2])
            await stored.replace(read_model.withdrawn(post_id), _LAST_VERSION)


async def _remove(transaction: outbox.Transaction, post: Post, *, files_last: timedelta) -> int:
    """Delete a post's row and all that refer to it; return how many files its revisions named."""
    session = transaction.session
    # The row first: it is locked then, and its version checked, before rows that others' changes of it write.
    post.updated_at = now()
    await repository.flush(session)
    files = {uuid.UUID(file["id"]) for file in await repository.files(session, post.id)}
    for column in _references():
        await session.execute(delete_statement(column.table).where(column == post.id))
    await idempotency.forget(session, f"posts:{post.created_by}", post.id)
    await session.delete(post)
    await session.flush()
    if files:
        due = now() + files_last
        await processing.let_go(session, files, due)
        transaction.wake_at(due)
    return len(files)


def _references() -> list[Any]:
    """Return the columns of other tables that name a post."""
    key = Post.__table__.c.id
    return [
        fk.parent for table in Base.metadata.tables.values() for fk in table.foreign_keys if fk.column is key
    ]
