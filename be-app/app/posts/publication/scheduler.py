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
from app.categories.models import Category
from app.core.database.engine import reading, writing
from app.core.http.problems import PreconditionFailed
from app.core.offload import offload
from app.core.read_path import read_model as stored
from app.core.write_path import events, outbox
from app.posts import repository, revisions
from app.posts.editing import working_copies
from app.posts.files import pictures
from app.posts.models import DRAFT, PUBLISHED, Post, PostRevision
from app.posts.publication import read_model, removal, views
from app.posts.publication.publishing import publish, searched, withdraw
from app.posts.text import markup
from app.posts.text.complexity import TooComplex
from app.uploads.pictures import media

_DUE_BATCH = 100
_REBUILD_BATCH = 100

logger = logging.getLogger(__name__)


async def run(at: datetime) -> bool:
    """Publish and withdraw the posts that are due at `at`; return whether none is left."""
    await working_copies.forget_old(at)
    # What was to be public for a time that is over now is published first, so that its end follows.
    return await _publish_all(at) and await _unpublish_all(at)


async def _publish_all(at: datetime) -> bool:
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
                await _publish_planned(transaction, *found, found[0].scheduled_at)
    except PreconditionFailed:
        return False
    except TooComplex:
        logger.exception("post_stuck", extra={"post": str(post_id)})
    return True


async def _publish_planned(
    transaction: outbox.Transaction, post: Post, newest: PostRevision, at: datetime
) -> None:
    revision, category = newest, post.scheduled_category
    if post.scheduled_revision and post.scheduled_revision != newest.number:
        revision = await revisions.read(transaction.session, post.id, post.scheduled_revision)
    if category and await transaction.session.get(Category, category) is None:
        category = None  # It was deleted meanwhile, which only the post's present one can't be.
    if post.wish_is_taken:
        # A published post claims a new slug with its change. That another was faster must not keep the change back.
        logger.warning("slug_wish_dropped", extra={"post": str(post.id)})
        post.wished_slug = None
    await publish(transaction, post, revision, SYSTEM, at, category=category)


async def _unpublish_all(at: datetime) -> bool:
    """Take published posts back whose time has come by `at`; return whether all are."""
    async with reading() as session:
        ending = await repository.ending(session, at, _DUE_BATCH)
    for post_id in ending:
        while not await _unpublish_due(post_id, at):
            pass  # As above.
    return len(ending) < _DUE_BATCH


async def _unpublish_due(post_id: UUID, at: datetime) -> bool:
    """Take a post back if it is still to be; return False if it was changed meanwhile."""
    try:
        async with outbox.transaction() as transaction:
            found = await repository.current(transaction.session, post_id)
            if (
                found
                and found[0].state == PUBLISHED
                and found[0].unpublish_at
                and found[0].unpublish_at <= at
            ):
                await withdraw(transaction, found[0], SYSTEM, DRAFT, "post.unpublished")
    except PreconditionFailed:
        return False
    return True


async def rebuild() -> None:
    """Write to DynamoDB the posts that are public by the database, and wake-up markers for scheduled posts.

    For a table that was lost or restored from an older backup; a read model that is in date stays as it is. Search
    texts are folded again, too: an earlier release may have done so by other rules.
    """
    await working_copies.mark_again()
    await removal.purge_again()
    last = None
    while True:
        async with reading() as session:
            batch = await repository.once_published(session, after=last, limit=_REBUILD_BATCH)
            former = await repository.former_slugs(session, [post.id for post, _ in batch])
            planned = await repository.planned(session) if last is None else ()
        for at in planned:
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
        known = await pictures.named_by(session, revision)
    files = media.files(pictures.shown_by(revision, known).values())
    await _write_again(post, revision, files)
    await media.place(files)
    public = await views.public(post, revision, post.first_published_at, known)
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
