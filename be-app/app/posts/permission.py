"""Posts that a caller may work on: the policy decides with the post as its resource."""

import uuid
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.subject import Subject
from app.authz.guard import authorise
from app.core.http.problems import NotFound
from app.posts import repository
from app.posts.models import Post, PostRevision

READ = "post:read-any"
"""The action of reading a post in any state."""


def policy_object(post: Post) -> dict[str, Any]:
    """Return a post as the policy knows it; `draft` is whether it never was public, in any state."""
    return {"type": "post", "id": str(post.id), "owner": post.created_by, "draft": post.private}


async def allowed(
    session: AsyncSession, post_id: uuid.UUID, actor: Subject, action: str
) -> tuple[Post, PostRevision]:
    """Return a post with its current revision; raise `NotFound`, `Forbidden` or `StepUpRequired`."""
    found = await repository.current(session, post_id)
    if found is None:
        raise NotFound
    authorise(actor, action, policy_object(found[0]))
    return found
