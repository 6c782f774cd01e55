"""Files that move in from elsewhere: under ids that follow from their content, so that a second move finds the first.

They pass the same checks as every upload. They are the whole organisation's, so no member's quota counts them.
"""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.auth.subject import Subject
from app.core.clock import now
from app.core.database.engine import reading
from app.core.http.problems import Problem
from app.core.http.schema import Model
from app.core.write_path import outbox
from app.uploads import processing, repository, service, storage
from app.uploads.models import CLEAN, DELETED, PENDING, REJECTED, SCANNING, Upload
from app.uploads.reasons import Rejection
from app.uploads.schemas import PartAddress, PartWanted, PostForm, UploadCreate

TOGETHER = 500
"""Maximum number of files that are looked for at once."""

_AGAIN = {"never_arrived", "not_scanned"}
"""Reasons that say nothing of the file: the same file may pass the next time."""


class Moved(UploadCreate):
    """A file to come, under the id that it is to have."""

    id: uuid.UUID
    part_digests: Annotated[list[str], Field(max_length=10_000)] = Field(default=[])
    """SHA-256 of each part of a file that comes in parts."""


class Arrival(Model):
    """State of a file; `form` or `parts` say how to send one that is awaited."""

    id: uuid.UUID
    state: str = PENDING
    reason: str | None = None
    """Why it was refused: one of `REASONS`, or a sentence."""
    form: PostForm | None = None
    parts: list[PartAddress] = Field(default=[])


async def arrivals(ids: Sequence[uuid.UUID]) -> list[Arrival]:
    """Return those of at most `TOGETHER` files that are here, are being checked, or were refused."""
    async with reading() as session:
        found = await session.scalars(select(Upload).where(Upload.id.in_(ids)))
        return [_arrival(upload) for upload in found if not _to_be_sent(upload)]


async def expect(file: Moved, actor: Subject) -> Arrival:
    """Begin to take a file; return how to send it, or that it is here or was refused."""
    try:
        content_type = service.type_of(file)
    except Problem as problem:
        said = [str(violation.text) for violation in problem.violations] or [str(problem)]
        return Arrival(id=file.id, state=REJECTED, reason=" ".join(said))
    await repository.begin_usage(actor.id)
    try:
        upload = await _begun(file, content_type, actor)
    except IntegrityError:  # Another import was first.
        upload = await _begun(file, content_type, actor)
    arrival = _arrival(upload)
    if upload.state == PENDING:
        await _address(arrival, upload, file)
    return arrival


async def sent(upload_id: uuid.UUID, *, checks: bool) -> Arrival:
    """Go on with a file that was sent: check it here, or leave that to the function that S3 notifies."""
    if checks:
        upload = await processing.advance(upload_id)
    else:
        async with reading() as session:
            upload = await repository.upload(session, upload_id)
        if upload is not None and upload.state == PENDING and upload.multipart:
            with suppress(Rejection):  # S3 notifies nobody then; the scheduler finds the same.
                await storage.join_parts(upload)
    return _arrival(upload) if upload else Arrival(id=upload_id)


def _to_be_sent(upload: Upload) -> bool:
    return upload.state in {PENDING, DELETED} or upload.reason in _AGAIN


def _arrival(upload: Upload) -> Arrival:
    reason = upload.reason if upload.state == REJECTED else None
    return Arrival(id=upload.id, state=upload.state, reason=reason)


async def _begun(file: Moved, content_type: str, actor: Subject) -> Upload:
    """Return the row of a file, which awaits it unless it is here or was refused."""
    at = now()
    until = at + (service.IN_PARTS if file.part_digests else service.SINGLE)
    async with outbox.transaction() as transaction:
        session = transaction.session
        upload = await repository.locked(session, file.id)
        if upload is not None and (upload.state in {CLEAN, SCANNING} or not _to_be_sent(upload)):
            return upload
        usage = await repository.usage(session, actor.id)
        if upload is None:
            upload = Upload(id=file.id, owner=actor.id, created_at=at, picture=None)
            session.add(upload)
            upload.state = DELETED
        if upload.state != PENDING:
            usage.bytes += file.size
            usage.under_way += 1
        upload.name, upload.content_type, upload.purpose = file.name, content_type, file.purpose
        upload.size, upload.sha256 = file.size, file.sha256
        upload.state, upload.reason, upload.verdict, upload.scanned_etag = PENDING, None, None, None
        digests = {str(number): digest for number, digest in enumerate(file.part_digests, start=1)}
        if upload.part_digests != digests:
            upload.multipart, upload.part_digests = None, digests
        upload.expires_at, upload.due_at, upload.updated_at = until, until + service.SENDING, at
        await processing.wake_at(upload.due_at)
    return upload


async def _address(arrival: Arrival, upload: Upload, file: Moved) -> None:
    """Say where to send a file."""
    if not file.part_digests:
        arrival.form = storage.post_form(upload)
        return
    if upload.multipart is None:
        begun = await storage.begin_parts(upload)
        async with outbox.transaction() as transaction:
            locked = await repository.locked(transaction.session, upload.id)
            assert locked is not None  # noqa: S101 - rows of uploads are never removed.
            locked.multipart = upload.multipart = begun
    arrived = {part["PartNumber"] for part in await storage.parts_arrived(upload)}
    wanted: Sequence[PartWanted] = [
        PartWanted(number=number, sha256=digest)
        for number, digest in enumerate(file.part_digests, start=1)
        if number not in arrived
    ]
    arrival.parts = [storage.part_address(upload, part) for part in wanted]
