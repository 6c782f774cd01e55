"""Revisions of posts: what a post says, with the files that it names."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.subject import Subject
from app.authz.guard import permitted
from app.core.http.problems import NotFound, ValidationFailed
from app.core.messages import marked
from app.core.offload import offload
from app.posts import repository
from app.posts.files import pictures
from app.posts.models import Post, PostRevision
from app.posts.schemas import PostContent
from app.posts.text import markup
from app.uploads import repository as uploads
from app.uploads.models import Attachment
from app.uploads.pictures.renditions import Pictures
from app.uploads.schemas import AttachmentReference

MAX_HTML_BYTES = 250_000
"""A read model must fit DynamoDB's 400 KB an item, with its card and the escapes of JSON."""


async def read(session: AsyncSession, post_id: uuid.UUID, number: int) -> PostRevision:
    """Return one revision of a post; raise `NotFound` without it."""
    found = await repository.revision(session, post_id, number)
    if found is None:
        raise NotFound
    return found


async def write(
    session: AsyncSession, post: Post, content: PostContent, actor: Subject, at: datetime
) -> PostRevision:
    """Make the row of a post's newest revision; raise `ValidationFailed` for content that can't be stored."""
    rendered = await offload(markup.to_html, content.body)
    named = await offload(pictures.images, rendered)
    shown = pictures.ids(named)
    files = await _named_files(session, post, content, shown, actor)
    known = await _pictures(session, shown, files)
    filled = await offload(pictures.fill, rendered, known, post.lang, public=True)
    described = sum(len(picture.model_dump_json()) for picture in filled.pictures)
    if len(filled.html.encode()) + described > MAX_HTML_BYTES:
        raise ValidationFailed.on(
            "body.body",
            "too_long_rendered",
            marked("The rendered text may have at most {most} bytes. Shorten it."),
            most=MAX_HTML_BYTES,
        )
    return PostRevision(
        post_id=post.id,
        number=post.revision,
        title=content.title,
        excerpt=content.excerpt,
        body=content.body,
        tags=content.tags,
        thumbnail=content.thumbnail and files[content.thumbnail],
        attachments=[files[a] for a in content.attachments],
        description=content.description,
        canonical_url=content.canonical_url,
        noindex=content.noindex,
        pictures=[files[upload] for upload in shown],
        warnings=[warning.model_dump() for warning in pictures.warnings(named, known, post.lang)],
        created_by=actor.id,
        created_at=at,
    )


async def _pictures(
    session: AsyncSession, shown: Sequence[uuid.UUID], files: Mapping[uuid.UUID, Any]
) -> Pictures:
    """Return the images that a text shows; raise `ValidationFailed` naming what can't be shown."""
    if len(shown) > pictures.MOST:
        raise ValidationFailed.on(
            "body.body", "too_many_pictures", marked("Show at most {most} pictures."), most=pictures.MOST
        )
    known = await uploads.pictures(session, [upload for upload in shown if upload in files])
    if unknown := [f"{pictures.SCHEME}{upload}" for upload in shown if upload not in known]:
        raise ValidationFailed.on(
            "body.body",
            "unknown_picture",
            marked("Choose images whose upload is complete instead of {pictures}."),
            pictures=", ".join(unknown),
        )
    return known


async def _named_files(
    session: AsyncSession, post: Post, content: PostContent, shown: Sequence[uuid.UUID], actor: Subject
) -> dict[uuid.UUID, dict[str, Any]]:
    """Return the references to the files that a post's content names; raise `ValidationFailed` for unknown ones."""
    wanted = [*content.attachments, *([content.thumbnail] if content.thumbnail else []), *shown]
    known = await _attachable(session, post, wanted, actor)
    for field, ids in (("thumbnail", [content.thumbnail]), ("attachments", content.attachments)):
        if any(i is not None and i not in known for i in ids):
            raise ValidationFailed.on(
                f"body.{field}", "unknown_upload", marked("Choose files whose upload is complete.")
            )
    return {
        upload: AttachmentReference.model_validate(file).model_dump(mode="json")
        for upload, file in known.items()
    }


async def showable(session: AsyncSession, wanted: Sequence[uuid.UUID], actor: Subject) -> Pictures:
    """Return those of the wanted images that the actor may show in any post."""
    return await uploads.pictures(session, list(await _attachable(session, None, wanted, actor)))


async def _attachable(
    session: AsyncSession, post: Post | None, wanted: Sequence[uuid.UUID], actor: Subject
) -> dict[uuid.UUID, Attachment]:
    """Return those of the wanted files that exist and that the actor may attach.

    What a revision of the post names already goes with the post: who may change the post has it.
    """
    known = dict(await uploads.by_ids(session, wanted))
    foreign = [upload for upload, file in known.items() if file.created_by != actor.id]
    if foreign:
        named = {file["id"] for file in await repository.files(session, post.id)} if post else set()
        library = await uploads.shared(session, foreign)
        for upload in foreign:
            if str(upload) in named:
                continue
            public = upload in library or await repository.shows(session, upload)
            file = {"type": "upload", "owner": known[upload].created_by, "public": public}
            if not permitted(actor, "upload:attach", file):
                del known[upload]
    return known


def content_of(revision: PostRevision) -> PostContent:
    """Return what a revision says as the content of a new one. It was checked by the rules of its time."""
    return PostContent.model_construct(
        title=revision.title,
        excerpt=revision.excerpt,
        body=revision.body,
        tags=revision.tags,
        thumbnail=uuid.UUID(revision.thumbnail["id"]) if revision.thumbnail else None,
        attachments=[uuid.UUID(a["id"]) for a in revision.attachments],
        description=revision.description,
        canonical_url=revision.canonical_url,
        noindex=revision.noindex,
    )
