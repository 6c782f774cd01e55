"""Two editors of one post: what differs between the change of the one who came second and the post as it is now."""

import uuid
from typing import Any

from app.auth.subject import Subject
from app.core.database.engine import reading
from app.core.http.problems import FieldDifference, PreconditionFailed
from app.core.messages import marked
from app.posts import repository, revisions
from app.posts.models import Post, PostRevision
from app.posts.permission import allowed
from app.posts.schemas import PostContent, PostUpdate


async def found(post_id: uuid.UUID, request: PostUpdate, expected: int, actor: Subject) -> PreconditionFailed:
    """Return the problem of a change that starts from an older version than the post's, with what differs."""
    async with reading() as session:
        post, current = await allowed(session, post_id, actor, "post:update")
        base = await repository.revision_of_version(session, post_id, expected)
    return PreconditionFailed(
        marked("The post is at version {version} now. Merge the differences, then save again."),
        extensions={"version": post.version, "differences": _differences(post, current, base, request)},
        version=post.version,
    )


def _differences(
    post: Post, current: PostRevision, base: PostRevision | None, request: PostUpdate
) -> list[dict[str, Any]]:
    """Return the fields of the request whose values differ from the post's."""
    yours = request.model_dump(mode="json", by_alias=True)
    now = _content(current) | {"category": post.category}
    if request.slug is not None:
        now["slug"] = post.shown_slug
    # Category and slug are the post's, and no revision keeps what they were.
    before = _content(base) if base else {}
    return [
        FieldDifference(field=name, yours=yours[name], current=value, base=before.get(name)).model_dump(
            exclude=set() if name in before else {"base"}
        )
        for name, value in now.items()
        if yours[name] != value
    ]


def _content(revision: PostRevision) -> dict[str, Any]:
    content: PostContent = revisions.content_of(revision)
    return content.model_dump(mode="json", by_alias=True)
