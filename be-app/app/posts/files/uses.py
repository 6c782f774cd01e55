"""Uses of files by posts."""

import re
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import now
from app.posts import repository
from app.posts.models import Post, PostRevision, WorkingCopy
from app.uploads.references import Use

_ID: Final = re.compile(
    r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.ASCII | re.IGNORECASE
)


async def survey(session: AsyncSession) -> Mapping[uuid.UUID, Sequence[Use]]:
    """Return the posts that name files, by file, each once.

    This reads the references of all revisions, and all working copies: a site has thousands, and seldom looks.
    """
    found: defaultdict[uuid.UUID, dict[uuid.UUID, Use]] = defaultdict(dict)
    for upload, post, use in [*await _of_working_copies(session), *await _of_revisions(session)]:
        known = found[upload].get(post)
        if known is None or _rank(use) > _rank(known):
            found[upload][post] = use
    return {upload: list(uses.values()) for upload, uses in found.items()}


def _rank(use: Use) -> int:
    """Return how much of a post's uses of a file one says: the public revision's most, an earlier one's least."""
    return 3 if use.public else 0 if use.former else 1 if use.unsaved else 2


_Found = list[tuple[uuid.UUID, uuid.UUID, Use]]


async def _of_revisions(session: AsyncSession) -> _Found:
    about = (Post.id, Post.created_by, Post.first_published_at, Post.revision, Post.published_revision)
    columns = (PostRevision.number, PostRevision.title, *repository.FILES)
    rows = await session.execute(select(*about, *columns).join(Post, Post.id == PostRevision.post_id))
    return [
        (
            uuid.UUID(file["id"]),
            post,
            Use(
                title,
                owner,
                public_at is None,
                text=post,
                former=number not in {current, public},
                public=number == public,
            ),
        )
        for post, owner, public_at, current, public, number, title, attachments, thumbnail, shown in rows
        for file in (*attachments, thumbnail, *(shown or ()))
        if file
    ]


async def _of_working_copies(session: AsyncSession) -> _Found:
    columns = (Post.id, PostRevision.title, WorkingCopy.editor, WorkingCopy.content)
    query = select(*columns).join(Post, Post.id == WorkingCopy.post_id).join(PostRevision, repository.CURRENT)
    rows = await session.execute(query.where(WorkingCopy.expires_at > now()))
    return [
        (uuid.UUID(named[0]), post, Use(title, editor, private=True, unsaved=True, text=post))
        for post, title, editor, content in rows
        for named in _ID.finditer(f"{content['body']} {content['thumbnail']} {content['attachments']}")
    ]
