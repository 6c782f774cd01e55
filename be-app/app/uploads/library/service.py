"""The media library: complete uploads with their uses, descriptions, and replacement in place."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, String, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.auth.subject import Subject
from app.authz.grant import Grant
from app.authz.guard import allowed
from app.core.clock import now
from app.core.database.engine import reading
from app.core.http import pagination
from app.core.http.pagination import Page
from app.core.http.problems import ValidationFailed
from app.core.messages import marked
from app.core.offload import offload
from app.core.write_path import outbox
from app.uploads import processing, references, repository, storage
from app.uploads.kinds import THUMBNAILS
from app.uploads.library.schemas import LibraryItem, LibraryQuery, UploadDescription, UploadUse
from app.uploads.models import CLEAN, Attachment, Upload
from app.uploads.pictures.renditions import DRAFT_LINK_S
from app.uploads.references import Use
from app.uploads.schemas import CENTRE, UploadOut
from app.uploads.service import authorise_on, found, out, policy_object

_Uses = Mapping[uuid.UUID, Sequence[Use]]


async def listed(query: LibraryQuery, granted: Grant) -> Page[LibraryItem]:
    """Return a page of complete uploads, without others' private ones where the caller may not see them."""
    before = pagination.decode_id(query.cursor)
    async with reading() as session:
        uses = await references.domain().survey(session)
        conditions = _conditions(query, uses)
        if granted.obligations.get("ownPrivateOnly"):
            conditions.append(_known_to(granted.subject, uses))
        if before is not None:
            conditions.append(Upload.id < before)
        newest = select(Upload).where(*conditions).order_by(Upload.id.desc()).limit(query.limit + 1)
        page = (await session.scalars(newest)).all()
    items = await offload(_items, page[: query.limit], uses, granted.subject)
    more = len(page) > query.limit
    return Page[LibraryItem](items=items, next_cursor=pagination.encode(str(items[-1].id)) if more else None)


def _conditions(query: LibraryQuery, uses: _Uses) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Upload.state == CLEAN]
    if query.id is not None:
        conditions.append(Upload.id == query.id)
    if query.q:
        # Stores keep JSON's letters beyond ASCII as they are, or escaped.
        spellings = {json.dumps(query.q, ensure_ascii=escaped)[1:-1] for escaped in (False, True)}
        named = [cast(Upload.alt, String).icontains(spelling, autoescape=True) for spelling in spellings]
        conditions.append(or_(Upload.name.icontains(query.q, autoescape=True), *named))
    if query.type is not None:
        image = Upload.content_type.startswith("image/")
        conditions.append(image if query.type == "image" else ~image)
    if query.owner is not None:
        conditions.append(Upload.owner == query.owner)
    if query.since is not None:
        conditions.append(Upload.created_at >= query.since)
    if query.until is not None:
        conditions.append(Upload.created_at < query.until)
    if query.unused:
        conditions.append(Upload.id.not_in(uses))
    return conditions


def _known_to(member: Subject, uses: _Uses) -> ColumnElement[bool]:
    """Return the condition for uploads that a member has, that are in the library, or that a public post shows."""
    public = [upload for upload, named in uses.items() if any(use.public for use in named)]
    return or_(Upload.owner == member.id, Upload.shared, Upload.id.in_(public))


def _items(page: Sequence[Upload], uses: _Uses, member: Subject) -> list[LibraryItem]:
    objects = [
        policy_object(upload)
        | {"public": upload.shared or any(use.public for use in uses.get(upload.id, ()))}
        for upload in page
    ]
    return [
        _item(upload, uses.get(upload.id, ()), member, actions)
        for upload, actions in zip(page, allowed(member, objects), strict=True)
    ]


def _item(upload: Upload, uses: Sequence[Use], member: Subject, actions: list[str]) -> LibraryItem:
    shown = [use for use in uses if use.text and not use.former and use.seen_by(member.id)]
    name = f"{upload.name.rpartition('.')[0]}.webp"
    key = storage.file_key(upload.place, "thumbnail.webp")
    columns = ("id", "name", "content_type", "size", "owner", "created_at", "shared")
    return LibraryItem.model_validate(
        {
            **{column: getattr(upload, column) for column in columns},
            "alt": upload.alt or {"ko": "", "en": ""},
            "focus": upload.focus or CENTRE,
            "thumbnail": storage.link(key, name, THUMBNAILS["webp"], DRAFT_LINK_S)
            if upload.picture
            else None,
            "uses": [UploadUse(post_id=use.text, title=use.title) for use in shown if use.text],
            "hidden_uses": len(uses) - len(shown),
            "allowed": actions,
        }
    )


async def describe(upload_id: uuid.UUID, request: UploadDescription, actor: Subject) -> UploadOut:
    """Store the description of an upload, and update the public posts that show it."""
    async with outbox.transaction() as transaction:
        upload = await _changeable(transaction.session, upload_id, actor)
        before = upload.alt, upload.focus
        alt = request.alt.model_dump()
        upload.alt = alt if any(alt.values()) else None
        upload.focus = request.focus.model_dump() if request.focus else None
        if upload.shared and not request.shared:
            upload.due_at = now() + processing.UNATTACHED
            await processing.wake_at(upload.due_at)
        upload.shared, upload.updated_at = request.shared, now()
        audit.record(transaction.session, actor.id, "upload.described", f"upload:{upload_id}")
        if (upload.alt, upload.focus) != before:
            await transaction.session.flush()
            await references.domain().follow(transaction, upload_id, actor)
        return out(upload, actor)


async def replace(upload_id: uuid.UUID, by: uuid.UUID, actor: Subject) -> UploadOut:
    """Have an image take the place of another: all posts show it, public ones by the outbox as at publication.

    The two change places, and nothing is copied or overwritten: what was replaced is the other upload's from now on.
    `by` names the upload as which the image came, wherever it is now; so a repeated request changes nothing, and the
    upload's own id takes a replacement back until the earlier image is collected.
    """
    async with outbox.transaction() as transaction:
        session = transaction.session
        holder = await repository.holder(session, by)
        both = {each: await _changeable(session, each, actor) for each in sorted({upload_id, holder})}
        upload, new = both[upload_id], both[holder]
        if new.place != by or not (upload.picture and new.picture):
            raise _refused("unknown_picture", marked("Choose another image whose upload is complete."))
        if new is upload:
            return out(upload, actor)
        if new.shared or await references.domain().refers(session, new.id, ever=True):
            raise _refused(
                "in_use", marked("A post names this file, or it is in the library. Upload a copy.")
            )
        sizes = {upload.owner: new.size - upload.size, new.owner: upload.size - new.size}
        if len(sizes) > 1:
            for owner in sorted(sizes):
                (await repository.usage(session, owner)).bytes += sizes[owner]
        _swap(upload, new)
        new.due_at = now() + processing.UNATTACHED
        await processing.wake_at(new.due_at)
        for each in (upload, new):
            attachment = await repository.attachment(session, each.id)
            assert attachment is not None  # noqa: S101 - complete uploads have one.
            _name_as(attachment, each)
        audit.record(session, actor.id, "upload.replaced", f"upload:{upload_id}", by=str(by))
        await session.flush()
        await references.domain().follow(transaction, upload_id, actor)
        return out(upload, actor)


def _swap(one: Upload, other: Upload) -> None:
    places = one.place, other.place
    for column in ("name", "content_type", "size", "sha256", "picture"):
        mine, theirs = getattr(one, column), getattr(other, column)
        setattr(one, column, theirs)
        setattr(other, column, mine)
    for each, place in ((one, places[1]), (other, places[0])):
        each.stored_as = None if place == each.id else place
        each.updated_at = now()


def _name_as(attachment: Attachment, upload: Upload) -> None:
    attachment.name, attachment.content_type, attachment.size = upload.name, upload.content_type, upload.size


async def _changeable(session: AsyncSession, upload_id: uuid.UUID, actor: Subject) -> Upload:
    upload = found(await repository.locked(session, upload_id))
    authorise_on(actor, "upload:update", upload)
    if upload.state != CLEAN:
        raise _refused("unknown_upload", marked("Choose files whose upload is complete."))
    return upload


def _refused(code: str, text: str, **values: Any) -> ValidationFailed:
    return ValidationFailed.on("body.uploadId", code, text, **values)
