"""Rules of previews: a link shows one revision until it expires, is revoked, or its maker or its post goes."""

import hashlib
import secrets
import uuid
from contextlib import suppress
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.auth.subject import Subject
from app.core.clock import new_id, now
from app.core.database.engine import reading, writing
from app.core.http.problems import NotFound
from app.core.settings import settings
from app.members import repository as members
from app.posts import revisions
from app.posts.files import pictures
from app.posts.models import Post, PostRevision
from app.posts.permission import allowed
from app.posts.publication import views
from app.posts.schemas import PublicPost
from app.previews import repository
from app.previews.models import PreviewLink
from app.previews.schemas import (
    TOKEN_BYTES,
    PreviewCreate,
    PreviewCreated,
    PreviewFile,
    PreviewOut,
    Previews,
)
from app.uploads import downloads


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def create(post_id: uuid.UUID, request: PreviewCreate, actor: Subject) -> PreviewCreated:
    """Make a link that shows a revision of a post; raise `NotFound` without the revision."""
    token, at = secrets.token_urlsafe(TOKEN_BYTES), now()
    async with writing() as session:
        post, revision = await allowed(session, post_id, actor, "preview:create")
        if request.revision is not None:
            revision = await revisions.read(session, post_id, request.revision)
        await repository.delete_expired(session, post_id, at)
        link = PreviewLink(
            id=new_id(),
            post_id=post.id,
            revision=revision.number,
            token_hash=_hash(token),
            created_by=actor.id,
            created_at=at,
            expires_at=at + timedelta(hours=request.hours),
        )
        session.add(link)
        _record(session, link, actor, "preview.created")
        url = f"{settings().preview_page}#{token}"
        return PreviewCreated(**PreviewOut.model_validate(link).model_dump(), url=url)


async def listed(post_id: uuid.UUID, actor: Subject) -> Previews:
    """Return the links of a post that work, newest first."""
    async with reading() as session:
        await allowed(session, post_id, actor, "preview:list")
        found = await repository.of_post(session, post_id, now())
        return Previews(
            items=[PreviewOut.model_validate(link) for link in found if await _has_its_maker(session, link)]
        )


async def revoke(post_id: uuid.UUID, preview_id: uuid.UUID, actor: Subject) -> None:
    """End a link of a post; raise `NotFound` without it."""
    async with writing() as session:
        await allowed(session, post_id, actor, "preview:revoke")
        link = await repository.read(session, post_id, preview_id)
        if link is None:
            raise NotFound
        await session.delete(link)
        _record(session, link, actor, "preview.revoked")


async def show(token: str) -> PublicPost:
    """Return the revision of a link as visitors would read it; raise `NotFound` for a link that has ended."""
    post, revision = await _shown(token)
    async with reading() as session:
        known = await pictures.named_by(session, revision)
    return await views.public(post, revision, post.first_published_at or now(), known, preview=True)


async def file(token: str, attachment_id: uuid.UUID, variant: str) -> PreviewFile:
    """Return where a file is that the revision of a link names."""
    _, revision = await _shown(token)
    found = downloads.named([*revision.attachments, revision.thumbnail], attachment_id)
    async with reading() as session:
        return PreviewFile(url=downloads.link(await pictures.replaced(session, found), variant))


async def _shown(token: str) -> tuple[Post, PostRevision]:
    async with reading() as session:
        found = await repository.shown(session, _hash(token), now())
        if found is None or not await _has_its_maker(session, found[0]):
            raise NotFound
    return found[1], found[2]


async def _has_its_maker(session: AsyncSession, link: PreviewLink) -> bool:
    """Return whether the member who made a link is neither disabled nor erased."""
    with suppress(ValueError):  # Only members have ids of this kind.
        return await members.is_present(session, uuid.UUID(link.created_by))
    return True


def _record(session: AsyncSession, link: PreviewLink, actor: Subject, action: str) -> None:
    detail = {"preview": str(link.id), "revision": link.revision}
    audit.record(session, actor.id, action, f"post:{link.post_id}", **detail)
