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
from app.core.write_path import idempotency, outbox
from app.posts import repository, revisions
from app.posts.editing import conflicts, working_copies
from app.posts.errors import InvalidState
from app.posts.models import ARCHIVED, DRAFT, PUBLISHED, SCHEDULED, Post
from app.posts.permission import READ, allowed, at_version
from app.posts.publication import claims, publishing, views
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
        revision.post_version = post.version
        session.add(revision)
        audit.record(session, actor.id, "post.created", f"post:{post_id}")

    post_id, _ = await idempotency.create_once(f"posts:{actor.id}", key, request, write)
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

    A post that moved in from elsewhere may have its first publication's time put right. Raises `PreconditionFailed`
    with what differs where somebody else changed the post since the expected version.
    """
    try:
        return await _update(post_id, request, expected, actor, first_published_at)
    except PreconditionFailed:
        raise await conflicts.found(post_id, request, expected, actor) from None


async def _update(
    post_id: uuid.UUID,
    request: PostUpdate,
    expected: int,
    actor: Subject,
    first_published_at: datetime | None,
) -> EditorialPost:
    async with outbox.transaction() as transaction:
        session = transaction.session
        post, _ = await at_version(session, post_id, expected, actor, "post:update")
        if request.slug and request.slug != post.shown_slug:
            await claims.wish_for_slug(transaction, post, request.slug)
        post.category = request.category
        post.first_published_at = first_published_at or post.first_published_at
        if "translation_of" in request.model_fields_set:
            await claims.relate(session, post, request, actor)
        await working_copies.drop(session, post_id, actor)
        return await _next_revision(session, post, request, actor, "post.updated")


async def restore(post_id: uuid.UUID, number: int, expected: int, actor: Subject) -> EditorialPost:
    """Make an earlier revision's content the newest revision."""
    async with outbox.transaction() as transaction:
        session = transaction.session
        post, _ = await at_version(session, post_id, expected, actor, "post:update")
        content = revisions.content_of(await revisions.read(session, post_id, number))
        return await _next_revision(session, post, content, actor, "post.restored", restored=number)


async def _next_revision(
    session: AsyncSession, post: Post, content: PostContent, actor: Subject, action: str, **detail: Any
) -> EditorialPost:
    post.revision += 1
    post.updated_at = now()
    revision = await revisions.write(session, post, content, actor, post.updated_at)
    await repository.flush(session)
    revision.post_version = post.version
    session.add(revision)
    audit.record(session, actor.id, action, f"post:{post.id}", revision=post.revision, **detail)
    return views.editorial(post, revision, actor)


async def publish(post_id: uuid.UUID, expected: int, actor: Subject) -> EditorialPost:
    """Make the current revision public."""
    async with outbox.transaction() as transaction:
        post, revision = await at_version(transaction.session, post_id, expected, actor, "post:publish")
        _forbid_archived(post)
        await publishing.publish(transaction, post, revision, actor, now())
        return views.editorial(post, revision, actor)


async def schedule(
    post_id: uuid.UUID,
    at: datetime | None,
    expected: int,
    actor: Subject,
    *,
    until: datetime | None = None,
) -> EditorialPost:
    """Plan when a post's current revision is published, and when it is taken back; replace what was planned.

    Later edits don't move the revision. A published post may be planned to change, to end, or both.
    """
    _check_times(at, until)
    async with outbox.transaction() as transaction:
        post, revision = await at_version(transaction.session, post_id, expected, actor, "post:schedule")
        _forbid_archived(post)
        if post.state != PUBLISHED:
            if at is None:
                raise ValidationFailed.on(
                    "body.publishAt", "missing", marked("Choose when to publish the post.")
                )
            await claims.claim(transaction, post)
            post.state = SCHEDULED
        if at is None:
            post.plan(None)
        else:
            post.plan(at, post.revision, post.category)
        post.plan_end(until)
        planned = (("at", at), ("until", until))
        times: dict[str, Any] = {name: timestamp(time) for name, time in planned if time}
        await publishing.record(transaction, post, actor, "post.scheduled", revision=post.revision, **times)
        for time in filter(None, (at, until)):
            transaction.wake_at(time)
        return views.editorial(post, revision, actor)


def _check_times(at: datetime | None, until: datetime | None) -> None:
    if at is not None and at <= now():
        raise ValidationFailed.on("body.publishAt", "in_the_past", marked("Choose a time in the future."))
    if until is not None and until <= (at or now()):
        raise ValidationFailed.on(
            "body.unpublishAt", "in_the_past", marked("Choose a time in the future, after the publication.")
        )
    if at is until is None:
        raise ValidationFailed.on("body.publishAt", "missing", marked("Choose when to publish the post."))


async def unschedule(post_id: uuid.UUID, expected: int, actor: Subject) -> EditorialPost:
    """Cancel the plan of a post: a scheduled one is a draft again, a published one stays as it is."""
    async with outbox.transaction() as transaction:
        post, revision = await at_version(transaction.session, post_id, expected, actor, "post:schedule")
        if post.state == SCHEDULED:
            post.state = DRAFT
        post.plan(None)
        post.plan_end(None)
        await publishing.record(transaction, post, actor, "post.unscheduled")
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
        post, revision = await at_version(transaction.session, post_id, expected, actor, asked)
        await publishing.withdraw(transaction, post, actor, state, action)
        return views.editorial(post, revision, actor)


def _forbid_archived(post: Post) -> None:
    if post.state == ARCHIVED:
        raise InvalidState(marked("The post is archived. Unpublish it first."))
