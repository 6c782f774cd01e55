"""Changes of a post's state, with their audit entry, event and read model; commands and the scheduler share them."""

import uuid
from datetime import datetime
from typing import Any, Final

from app.audit import service as audit
from app.auth.subject import Subject
from app.core.clock import now
from app.core.messages import marked
from app.core.offload import offload
from app.core.read_path.read_model import Snapshot
from app.core.write_path import outbox
from app.posts import repository
from app.posts.files import media, pictures
from app.posts.models import PUBLISHED, Post, PostRevision
from app.posts.publication import claims, read_model, views
from app.posts.text import markup, searching
from app.uploads.errors import UploadInUse

MOST_FOLLOWING: Final = 200
"""Public posts that follow the change of a file in one transaction."""


async def publish(
    transaction: outbox.Transaction,
    post: Post,
    revision: PostRevision,
    actor: Subject,
    at: datetime,
    *,
    category: str | None = None,
) -> None:
    """Make a revision public at `at`, by default in the post's category; raise `SlugTaken` or `TranslationExists`."""
    await claims.claim(transaction, post)
    post.state = PUBLISHED
    post.plan(None)
    post.published_revision, post.published_category = revision.number, category or post.category
    post.first_published_at, post.published_at = post.first_published_at or at, at
    known = await pictures.named_by(transaction.session, revision)
    public = await views.public(post, revision, post.first_published_at, known)
    public.category = post.published_category
    post.plain_text, post.search_text = await offload(searched, revision, public.html)
    snapshot = read_model.published(public, post.translation_key)
    files = media.change(post, pictures.shown_by(revision, known))
    await record(transaction, post, actor, "post.published", snapshot, files=files, revision=revision.number)


async def withdraw(
    transaction: outbox.Transaction, post: Post, actor: Subject, state: str, action: str
) -> None:
    """Take a post to a state that isn't public; nothing is planned for it then."""
    was_public = post.state == PUBLISHED
    post.state = state
    post.plan(None)
    post.plan_end(None)
    post.published_revision = post.published_category = post.search_text = post.plain_text = None
    snapshot = read_model.withdrawn(post.id) if was_public else None
    await record(transaction, post, actor, action, snapshot, files=media.change(post, {}))


async def follow(transaction: outbox.Transaction, upload_id: uuid.UUID, actor: Subject) -> None:
    """Have public posts show a picture as it is now, by the outbox as at their publication.

    Their public revisions stay. Raises `UploadInUse` where more than `MOST_FOLLOWING` name it.
    """
    session = transaction.session
    found = await repository.publicly_naming(session, upload_id, MOST_FOLLOWING + 1)
    if len(found) > MOST_FOLLOWING:
        raise UploadInUse(
            marked(
                "More than {most} public posts show the file. Upload another one, and use it from now on."
            ),
            most=MOST_FOLLOWING,
        )
    for post, revision in found:
        assert post.first_published_at  # noqa: S101 - only public posts are found.
        known = await pictures.named_by(session, revision)
        public = await views.public(post, revision, post.first_published_at, known)
        # What editors wish for the next publication isn't public yet.
        public.category, public.slug = post.published_category or post.category, post.slug
        public.translation_key = post.translation_key
        snapshot = read_model.published(public, post.translation_key)
        await record(
            transaction,
            post,
            actor,
            "post.picture_changed",
            snapshot,
            files=media.change(post, pictures.shown_by(revision, known)),
            upload=str(upload_id),
        )


async def record(
    transaction: outbox.Transaction,
    post: Post,
    actor: Subject,
    action: str,
    snapshot: Snapshot | None = None,
    *,
    files: dict[str, Any] | None = None,
    **detail: Any,
) -> None:
    """Record a change of state: its audit entry, and where visitors notice it, its event, read model and files."""
    post.updated_at = now()
    await repository.flush(transaction.session)
    audit.record(transaction.session, actor.id, action, f"post:{post.id}", **detail)
    if snapshot:
        data = {"postId": str(post.id), "slug": post.slug, "lang": post.lang}
        data["category"] = post.published_category or post.category
        transaction.emit(f"post:{post.id}", post.version, action, data, snapshot, files=files)


def searched(revision: PostRevision, rendered: str) -> tuple[str, str]:
    """Return a revision's text as people read it, and as it is searched."""
    plain = "\n".join([*([revision.excerpt] if revision.excerpt else []), *markup.to_blocks(rendered)])
    return plain, searching.searchable(revision.title, revision.tags, plain)
