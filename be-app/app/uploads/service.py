"""Rules of files: who may send what, how much, and what becomes of it."""

import uuid
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.auth.subject import Subject
from app.authz.guard import allowed, authorise
from app.core.clock import now
from app.core.database.engine import reading
from app.core.http.problems import NotFound, ValidationFailed
from app.core.messages import marked
from app.core.settings import settings
from app.core.translation import Text
from app.core.write_path import idempotency, outbox
from app.uploads import kinds, processing, references, repository, storage
from app.uploads.errors import (
    STATES,
    QuotaExceeded,
    UploadGone,
    UploadIncomplete,
    UploadInUse,
    UploadInvalidState,
    rejected,
)
from app.uploads.kinds import KINDS, MEGABYTE
from app.uploads.models import CLEAN, DELETED, PENDING, REJECTED, Upload
from app.uploads.schemas import (
    PART_BYTES,
    PartAddresses,
    Parts,
    PartsArrived,
    PartsWanted,
    UploadCreate,
    UploadOut,
)

SINGLE = timedelta(seconds=storage.SIGNED_S)
IN_PARTS = timedelta(hours=24)
"""Time for sending parts, pauses included; afterwards the parts are dropped."""

MOST_UNDER_WAY = 50

SENDING = timedelta(minutes=10)
"""A POST that begins in time may last; only after this is a file taken for missing."""


async def create(request: UploadCreate, key: str | None, actor: Subject) -> UploadOut:
    """Create an upload; return how to send its file. With an idempotency key, once."""
    content_type = type_of(request)

    async def write(transaction: outbox.Transaction, upload_id: uuid.UUID) -> Upload:
        await _consume_quota(transaction.session, request.size, actor)
        upload = _pending(upload_id, request, content_type, actor)
        transaction.session.add(upload)
        await processing.wake_at(upload.expires_at + SENDING)
        return upload

    scope = f"uploads:{actor.id}"
    try:
        upload_id, created = await idempotency.create_once(scope, key, request, write)
    except repository.NothingYet:
        await repository.begin_usage(actor.id)
        upload_id, created = await idempotency.create_once(scope, key, request, write)
    if created is not None:
        return out(created, actor)
    async with reading() as session:
        return out(found(await repository.upload(session, upload_id)), actor)


async def _consume_quota(session: AsyncSession, size: int, actor: Subject) -> None:
    usage = await repository.usage(session, actor.id)
    if usage.bytes + size > _quota() or usage.under_way >= MOST_UNDER_WAY:
        raise QuotaExceeded(
            marked("Your files may use {megabytes} MB, with at most {most} uploads pending at a time."),
            megabytes=_quota() // MEGABYTE,
            most=MOST_UNDER_WAY,
        )
    usage.bytes += size
    usage.under_way += 1


def _pending(upload_id: uuid.UUID, request: UploadCreate, content_type: str, actor: Subject) -> Upload:
    at, single = now(), storage.count_parts(request.size) == 1
    expires_at = at + (SINGLE if single else IN_PARTS)
    return Upload(
        id=upload_id,
        owner=actor.id,
        name=request.name,
        content_type=content_type,
        purpose=request.purpose,
        size=request.size,
        sha256=request.sha256,
        state=PENDING,
        reason=None,
        multipart=None,
        part_digests={},
        verdict=None,
        scanned_etag=None,
        picture=None,
        shared=False,
        expires_at=expires_at,
        due_at=expires_at + SENDING,
        created_at=at,
        updated_at=at,
    )


async def read(upload_id: uuid.UUID, actor: Subject) -> UploadOut:
    """Return an upload as it is."""
    return out(await _allowed(upload_id, actor, "upload:read"), actor)


async def complete(upload_id: uuid.UUID, actor: Subject) -> UploadOut:
    """Check the file, and let posts refer to it if it is as declared.

    Raises `UploadIncomplete` while it hasn't arrived, `UploadRejected` with the reason if it isn't.
    """
    upload = await _allowed(upload_id, actor, "upload:complete")
    upload = found(await processing.advance(upload.id))
    if upload.state == PENDING:
        raise UploadIncomplete
    if upload.state == REJECTED:
        raise rejected(upload.reason or "malformed")
    if upload.state == DELETED:
        raise UploadInvalidState(marked("The file was deleted."))
    return out(upload, actor)


async def sign_parts(upload_id: uuid.UUID, wanted: PartsWanted, actor: Subject) -> PartAddresses:
    """Return where to send parts of a large file."""
    upload = await _sending(upload_id, actor, "upload:complete")
    last = storage.count_parts(upload.size)
    if last == 1 or any(part.number > last for part in wanted.items):
        raise ValidationFailed.on(
            "body.items", "unknown_part", marked("Number the parts from 1 to {last}."), last=last
        )
    upload = await _note(upload, {str(part.number): part.sha256 for part in wanted.items})
    return PartAddresses(items=[storage.part_address(upload, part) for part in wanted.items])


async def arrived_parts(upload_id: uuid.UUID, actor: Subject) -> PartsArrived:
    """Return which parts of a large file arrived."""
    upload = await _allowed(upload_id, actor, "upload:read")
    arrived = await storage.parts_arrived(upload) if upload.state == PENDING else ()
    return PartsArrived(numbers=[part["PartNumber"] for part in arrived])


async def delete(upload_id: uuid.UUID, actor: Subject) -> None:
    """Delete a file that no post shows; it can be restored for 30 days."""
    async with outbox.transaction() as transaction:
        upload = found(await repository.locked(transaction.session, upload_id))
        authorise_on(actor, "upload:delete", upload)
        if upload.state == CLEAN:
            if uses := await references.domain().refers(transaction.session, upload_id, ever=False):
                known = (use.title for use in uses if use.seen_by(actor.id))
                raise UploadInUse.by(list(dict.fromkeys(known)))
            await processing.remove(transaction, upload, actor.id)
            await processing.wake_at(now())
        elif upload.state != DELETED:
            raise UploadInvalidState(marked("The upload is {state}."), state=Text(STATES[upload.state]))
    await processing.hide(upload_id)


async def restore(upload_id: uuid.UUID, actor: Subject) -> UploadOut:
    """Take a deletion back; raise `UploadGone` when it was too long ago."""
    async with outbox.transaction() as transaction:
        session = transaction.session
        upload = found(await repository.locked(session, upload_id))
        authorise_on(actor, "upload:delete", upload)
        if upload.state == CLEAN:
            return out(upload, actor)
        if upload.state != DELETED:
            raise UploadInvalidState(marked("The upload is {state}."), state=Text(STATES[upload.state]))
        usage = await repository.usage(session, upload.owner)
        if usage.bytes + upload.size > _quota():
            raise QuotaExceeded
        if not await storage.show(upload.place):
            raise UploadGone
        usage.bytes += upload.size
        processing.attach(transaction, upload)
        upload.state, upload.updated_at = CLEAN, now()
        upload.due_at = now() + processing.UNATTACHED
        await processing.wake_at(upload.due_at)
        audit.record(session, actor.id, "upload.restored", f"upload:{upload_id}")
        return out(upload, actor)


# -- how ----------------------------------------------------------------------------------------------------


def type_of(request: UploadCreate) -> str:
    """Return the type that a file is stored as: by its name, since clients' names of types vary.

    Raises `ValidationFailed` for a file that isn't taken.
    """
    known = ", ".join(kind for kind in KINDS if kinds.allowed(kind, request.purpose))
    kind = kinds.by_name(request.name)
    if kind is None and request.content_type in KINDS:
        suffixes = ", ".join(KINDS[request.content_type].suffixes)
        raise ValidationFailed.on(
            "body.name",
            "suffix_mismatch",
            marked("The file name must end in one of these: {suffixes}."),
            suffixes=suffixes,
        )
    if kind is None or not kinds.allowed(kind, request.purpose):
        raise ValidationFailed.on(
            "body.contentType",
            "type_not_allowed",
            marked("Choose a file of one of these types: {types}."),
            types=known,
        )
    most = settings().upload_limits.get(kind, KINDS[kind].limit_mb) * MEGABYTE
    if request.size > most:
        raise ValidationFailed.on(
            "body.size", "too_large", marked("A file of this type may have at most {most} bytes."), most=most
        )
    return kind


def _quota() -> int:
    return settings().upload_quota_mb * MEGABYTE


def found(upload: Upload | None) -> Upload:
    """Return an upload; raise `NotFound` where there is none."""
    if upload is None:
        raise NotFound
    return upload


def authorise_on(actor: Subject, action: str, upload: Upload) -> None:
    """Raise `NotFound` or `Forbidden` unless the policy allows an action on an upload."""
    authorise(actor, action, policy_object(upload))


def policy_object(upload: Upload) -> dict[str, Any]:
    """Return an upload as the policy knows it; public posts may show it besides."""
    return {"type": "upload", "owner": upload.owner, "public": upload.shared}


async def _allowed(upload_id: uuid.UUID, actor: Subject, action: str) -> Upload:
    async with reading() as session:
        upload = found(await repository.upload(session, upload_id))
    authorise_on(actor, action, upload)
    return upload


async def _sending(upload_id: uuid.UUID, actor: Subject, action: str) -> Upload:
    upload = await _allowed(upload_id, actor, action)
    if upload.state != PENDING or upload.expires_at <= now():
        raise UploadInvalidState(marked("The time to send the file is over. Create a new upload."))
    return upload


async def _note(upload: Upload, digests: dict[str, str]) -> Upload:
    """Note parts to come, and begin to take parts, once: of two requests at the same time one gives up its own."""
    begun = upload.multipart or await storage.begin_parts(upload)
    async with outbox.transaction() as transaction:
        locked = found(await repository.locked(transaction.session, upload.id))
        if open_ := locked.state == PENDING:
            locked.multipart = locked.multipart or begun
            locked.part_digests = locked.part_digests | digests
    if locked.multipart != begun:
        await storage.drop_parts(storage.quarantine_key(upload.id), begun)
    if not open_:
        raise UploadInvalidState(marked("The time to send the file is over. Create a new upload."))
    return locked


def out(upload: Upload, actor: Subject) -> UploadOut:
    """Return an upload as a caller sees it."""
    # Whether a public post shows the file doesn't matter to its owner and to admins, and isn't looked up for others.
    (actions,) = allowed(actor, [policy_object(upload)])
    answer = UploadOut.model_validate(upload)
    answer.allowed = actions
    if upload.state == PENDING and upload.expires_at > now():
        parts = storage.count_parts(upload.size)
        if parts == 1:
            answer.form = storage.post_form(upload)
        else:
            answer.parts = Parts(part_bytes=PART_BYTES, count=parts)
    return answer
