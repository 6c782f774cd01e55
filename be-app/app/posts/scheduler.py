"""Work on posts that no request starts: publishing due posts, and rebuilding the read model.

A text that an earlier release accepted may be more than this one renders. Such a post stays as it is and is logged;
the others are not kept waiting for it.
"""

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update as update_statement

from app.auth.subject import SYSTEM
from app.core.database.engine import reading, writing
from app.core.http.problems import PreconditionFailed
from app.core.offload import offload
from app.core.read_path import read_model as stored
from app.core.write_path import events, outbox
from app.posts import markup, pictures, read_model, repository, views
from app.posts.complexity import TooComplex
from app.posts.models import Post, PostRevision
from app.posts.publishing import publish, searched
from app.uploads import media

_DUE_BATCH = 100
_REBUILD_BATCH = 100

logger = logging.getLogger(__name__)


async def publish_due(at: datetime) -> bool:
    """Publish scheduled posts whose time has come by `at`, each in a transaction; return whether all are."""
    async with reading() as session:
        due = await repository.due(session, at, _DUE_BATCH)
    for post_id in due:
        while not await _publish_due(post_id, at):
            pass  # Another run or an editor changed it at the same moment, so the next turn reads it again.
    return len(due) < _DUE_BATCH


async def _publish_due(post_id: UUID, at: datetime) -> bool:
    """Publish a post if it is still due and can be; return False if it was changed meanwhile."""
    try:
        async with outbox.transaction() as transaction:
            found = await repository.current(transaction.session, post_id)
            # Somebody may have published or withdrawn it since; then the scheduler has nothing to do.
            if found and found[0].scheduled_at and found[0].scheduled_at <= at:
                await publish(transaction, *found, SYSTEM, found[0].scheduled_at)
    except PreconditionFailed:
        return False
    except TooComplex:
        logger.exception("post_stuck", extra={"post": str(post_id)})
    return True


async def rebuild() -> None:
    """Write to DynamoDB the posts that are public by the database, and wake-up markers for scheduled posts.

    For a table that was lost or restored from an older backup; a read model that is in date stays as it is. Search
    texts are folded again, too: an earlier release may have done so by other rules.
    """
    last = None
    while True:
        async with reading() as session:
            batch = await repository.once_published(session, after=last, limit=_REBUILD_BATCH)
            former = await repository.former_slugs(session, [post.id for post, _ in batch])
            scheduled = await repository.scheduled(session) if last is None else ()
        for at in scheduled:
            await events.mark_due(at)
        versions = {post.id: post.version for post, _ in batch}
        for moved in former:
            await stored.replace(read_model.former(moved.post_id, moved.slug), versions[moved.post_id])
        for post, revision in batch:
            try:
                await _rebuild(post, revision)
            except TooComplex:
                logger.exception("post_stuck", extra={"post": str(post.id)})
        if len(batch) < _REBUILD_BATCH:
            return
        last = batch[-1][0].id


async def _rebuild(post: Post, revision: PostRevision | None) -> None:
    if revision is None or post.first_published_at is None:
        await stored.replace(read_model.withdrawn(post.id), post.version)
        return
    async with reading() as session:
        shown = await pictures.named_by(session, revision)
    files = media.files(shown.values())
    await _write_again(post, revision, files)
    await media.place(files)
    public = await views.public(post, revision, post.first_published_at, shown)
    public.category, public.slug = post.published_category or post.category, post.slug
    public.translation_key = post.translation_key
    # Also over its own version: the addresses of pictures may be others since.
    await stored.replace(read_model.published(public, post.translation_key), post.version, again=True)


async def _write_again(post: Post, revision: PostRevision, files: dict[str, Any]) -> None:
    """Fold a published post's search text and note its pictures again, unless the post has changed meanwhile."""
    rendered = await offload(markup.to_html, revision.body)
    plain, folded = await offload(searched, revision, rendered)
    unchanged = (Post.id == post.id, Post.version == post.version)
    values = {"plain_text": plain, "search_text": folded, "media": files or None}
    statement = update_statement(Post).where(*unchanged).values(values)
    async with writing() as session:
        await session.execute(statement, execution_options={"synchronize_session": False})
