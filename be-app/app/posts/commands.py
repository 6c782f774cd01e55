"""Writing posts: what editors change, each in one transaction with its audit entry and outbox row."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.auth.subject import Subject
from app.core.clock import now, timestamp
from app.core.database.engine import reading
from app.core.http.problems import PreconditionFailed, ValidationFailed
from app.core.messages import marked
from app.core.translation import Text
from app.core.write_path import idempotency, outbox
from app.posts import claims, media, publishing, read_model, repository, revisions, views
from app.posts.errors import STATES, InvalidState
from app.posts.models import ARCHIVED, DRAFT, PUBLISHED, SCHEDULED, Post, PostRevision
from app.posts.permission import READ, allowed
from app.posts.schemas import EditorialPost, PostContent, PostCreate, PostUpdate

_WITHDRAWALS = {
    "post:unpublish": (DRAFT, "post.unpublished"),
    "post:archive": (ARCHIVED, "post.archived"),
}


async def create(
    request: PostCreate, key: str | None, actor: Subject, *, first_published_at: datetime | None = None
) -> EditorialPost:
    """Write a new draft; with an idempotency key, once.

    A post that moves in from elsewhere brings along when it was first published there.
    """

    async def write(transaction: outbox.Transaction, post_id: uuid.UUID) -> None:
        session = transaction.session
        post = _draft(request, post_id, actor, first_published_at)
        await claims.relate(session, post, request, actor)
        revision = await revisions.write(session, post, request, actor, post.created_at)
        session.add(post)
        await repository.flush(session)
        session.add(revision)
        audit.record(session, actor.id, "post.created", f"post:{post_id}")

    post_id = await idempotency.create_once(f"posts:{actor.id}", key, request, write)
    async with reading() as session:
        return views.editorial(*await allowed(session, post_id, actor, READ), actor)


def _draft(
    request: PostCreate, post_id: uuid.UUID, actor: Subject, first_published_at: datetime | None
) -> Post:
    at = now()
    return Post(
        id=post_id,
        slug=claims.placeholder(post_id),
        wished_slug=request.slug or claims.slug_for(request.title),
        lang=request.lang,
        category=request.category,
        translation_key=post_id,
        state=DRAFT,
        revision=1,
        published_revision=None,
        published_category=None,
        first_published_at=first_published_at,
        published_at=None,
        scheduled_at=None,
        created_by=actor.id,
        created_at=at,
        updated_at=at,
    )


async def update(
    post_id: uuid.UUID,
    request: PostUpdate,
    expected: int,
    actor: Subject,
    *,
    first_published_at: datetime | None = None,
) -> EditorialPost:
    """Write a new revision of a post. The public revision stays until the post is published again.

    A post that moved in from elsewhere may have its first publication's time put right.
    """
    async with outbox.transaction() as transaction:
        session = transaction.session
        post, _ = await _open(session, post_id, expected, actor, "post:update")
        if request.slug and request.slug != post.shown_slug:
            await claims.wish_for_slug(transaction, post, request.slug)
        post.category = request.category
        post.first_published_at = first_published_at or post.first_published_at
        await claims.relate(session, post, request, actor)
        return await _next_revision(session, post, request, actor, "post.updated")


async def restore(post_id: uuid.UUID, number: int, expected: int, actor: Subject) -> EditorialPost:
    """Make an earlier revision's content the newest revision."""
    async with outbox.transaction() as transaction:
        session = transaction.session
        post, _ = await _open(session, post_id, expected, actor, "post:update")
        content = revisions.content_of(await revisions.read(session, post_id, number))
        return await _next_revision(session, post, content, actor, "post.restored", restored=number)


async def _next_revision(
    session: AsyncSession, post: Post, content: PostContent, actor: Subject, action: str, **detail: Any
) -> EditorialPost:
    post.revision += 1
    post.updated_at = now()
    revision = await revisions.write(session, post, content, actor, post.updated_at)
    await repository.flush(session)
    session.add(revision)
    audit.record(session, actor.id, action, f"post:{post.id}", revision=post.revision, **detail)
    return views.editorial(post, revision, actor)


async def publish(post_id: uuid.UUID, expected: int, actor: Subject) -> EditorialPost:
    """Make the current revision public."""
    async with outbox.transaction() as transaction:
        post, revision = await _open(transaction.session, post_id, expected, actor, "post:publish")
        _forbid(post, ARCHIVED)
        await publishing.publish(transaction, post, revision, actor, now())
        return views.editorial(post, revision, actor)


async def schedule(post_id: uuid.UUID, at: datetime, expected: int, actor: Subject) -> EditorialPost:
    """Have a draft's current revision published at a future time."""
    if at <= now():
        raise ValidationFailed.on("body.publishAt", "in_the_past", marked("Choose a time in the future."))
    async with outbox.transaction() as transaction:
        post, revision = await _open(transaction.session, post_id, expected, actor, "post:schedule")
        _forbid(post, PUBLISHED, ARCHIVED)
        await claims.claim(transaction, post)
        post.state, post.scheduled_at = SCHEDULED, at
        await publishing.record(transaction, post, actor, "post.scheduled", at=timestamp(at))
        transaction.wake_at(at)
        return views.editorial(post, revision, actor)


async def unpublish(post_id: uuid.UUID, expected: int, actor: Subject) -> EditorialPost:
    """Make a post a draft again, from any state."""
    return await _withdraw(post_id, expected, actor, "post:unpublish")


async def archive(post_id: uuid.UUID, expected: int, actor: Subject) -> EditorialPost:
    """Put a post away: not public, not in the way."""
    return await _withdraw(post_id, expected, actor, "post:archive")


async def _withdraw(post_id: uuid.UUID, expected: int, actor: Subject, asked: str) -> EditorialPost:
    state, action = _WITHDRAWALS[asked]
    async with outbox.transaction() as transaction:
        post, revision = await _open(transaction.session, post_id, expected, actor, asked)
        was_public = post.state == PUBLISHED
        post.state, post.scheduled_at = state, None
        post.published_revision = post.published_category = post.search_text = post.plain_text = None
        snapshot = read_model.withdrawn(post.id) if was_public else None
        await publishing.record(transaction, post, actor, action, snapshot, files=media.change(post, {}))
        return views.editorial(post, revision, actor)


async def _open(
    session: AsyncSession, post_id: uuid.UUID, expected: int, actor: Subject, action: str
) -> tuple[Post, PostRevision]:
    post, revision = await allowed(session, post_id, actor, action)
    if post.version != expected:
        raise PreconditionFailed(
            marked("The post is at version {version} now. Read it again, then repeat your change."),
            version=post.version,
        )
    return post, revision


def _forbid(post: Post, *states: str) -> None:
    if post.state in states:
        raise InvalidState(marked("The post is {state}. Unpublish it first."), state=Text(STATES[post.state]))
