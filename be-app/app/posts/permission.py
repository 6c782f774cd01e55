"""Posts that a caller may work on: the policy decides with the post as its resource."""

import uuid
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.subject import Subject
from app.authz.guard import authorise
from app.core.http.problems import NotFound, PreconditionFailed
from app.core.messages import marked
from app.posts import repository
from app.posts.models import Post, PostRevision

READ = "post:read-any"
"""The action of reading a post in any state."""


def policy_object(post: Post) -> dict[str, Any]:
    """Return a post as the policy knows it.

    `draft` is whether it never was public, in any state; `canRead` and `canEdit`, what its author lets the caller do
    then. The post must come from a query that knows the caller.
    """
    shared = post.shared_for_editing
    return {
        "type": "post",
        "id": str(post.id),
        "owner": post.created_by,
        "draft": post.private,
        "canRead": shared is not None,
        "canEdit": bool(shared),
    }


async def allowed(
    session: AsyncSession, post_id: uuid.UUID, actor: Subject, action: str
) -> tuple[Post, PostRevision]:
    """Return a post with its current revision; raise `NotFound`, `Forbidden` or `StepUpRequired`."""
    found = await repository.current(session, post_id, actor.id)
    if found is None:
        raise NotFound
    authorise(actor, action, policy_object(found[0]))
    return found


async def at_version(
    session: AsyncSession, post_id: uuid.UUID, expected: int, actor: Subject, action: str
) -> tuple[Post, PostRevision]:
    """Return a post as `allowed` does; raise `PreconditionFailed` unless it is at the expected version."""
    post, revision = await allowed(session, post_id, actor, action)
    if post.version != expected:
        raise PreconditionFailed(
            marked("The post is at version {version} now. Read it again, then repeat your change."),
            version=post.version,
        )
    return post, revision
