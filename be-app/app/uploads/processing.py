"""Processing of an upload: it is checked, scanned, moved to its final key, or deleted.

`advance` may be called by anybody at any time and any number of times: by the client that says it is done, by S3's
event, by the scanner's, by the scheduled job after a crash. All see the same bytes (their SHA-256 was signed) and
write the same keys; one transaction under the row's lock decides, and later callers find the decision.
"""

import logging
import tempfile
import uuid
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from anyio import to_thread
from botocore.exceptions import ClientError
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.core.clock import now
from app.core.database.engine import reading
from app.core.observability import metrics
from app.core.process import process
from app.core.settings import settings
from app.core.write_path import events, outbox
from app.uploads import inspection, malware, references, repository, storage
from app.uploads.errors import StorageUnavailable, Vanished
from app.uploads.kinds import KINDS, THUMBNAILS
from app.uploads.models import CLEAN, DELETED, PENDING, REJECTED, SCANNING, Attachment, Upload
from app.uploads.pictures import images
from app.uploads.reasons import Rejection
from app.uploads.storage import Found

WAITS_FOR_SCAN = timedelta(hours=24)
"""Time that a scanner may take before an upload is rejected."""

UNATTACHED = timedelta(days=7)
"""Time after which a file that no post names is deleted as an orphan."""

_LOOK_AGAIN = timedelta(minutes=15)
_BATCH = 50
_TRIES = 3
_FINAL = {CLEAN, REJECTED, DELETED}

logger = logging.getLogger(__name__)


async def advance(upload_id: uuid.UUID, *, expired: bool = False) -> Upload | None:
    """Advance an upload as far as possible now, and return it; None if there is none of that ID.

    Raises `StorageUnavailable`; nothing is lost then, and the next call goes on.
    """
    for _ in range(_TRIES):
        with suppress(Vanished):  # Another process has decided, which the next turn finds.
            return await _advance(upload_id, expired=expired)
    raise StorageUnavailable


async def _advance(upload_id: uuid.UUID, *, expired: bool) -> Upload | None:
    upload = await _row(upload_id)
    if upload is None or upload.state in _FINAL:
        # Sent again after the decision, or left by a crash just after it.
        await storage.erase(storage.quarantine_key(upload_id))
        return upload
    try:
        found = await _arrived(upload)
        if found is None:
            if expired:
                return await _settle(upload, REJECTED, reason="never_arrived")
            # The object is deleted after the decision is written: without it, the decision must be read again.
            return await _row(upload_id)
        with tempfile.TemporaryDirectory(prefix="upload-") as directory:
            source = Path(directory, "source")
            await _check(upload, found, source)
            if not await malware.passed(upload, found):
                if expired and upload.created_at < now() - WAITS_FOR_SCAN:
                    raise Rejection("not_scanned")
                return await _settle(upload, SCANNING)
            size, picture = await _move(upload, found, source)
    except Rejection as rejection:
        return await _settle(upload, REJECTED, reason=rejection.reason)
    return await _settle(upload, CLEAN, size=size, picture=picture)


async def _row(upload_id: uuid.UUID) -> Upload | None:
    async with reading() as session:
        return await repository.upload(session, upload_id)


async def _arrived(upload: Upload) -> Found | None:
    found = await storage.find(upload)
    if found is None and upload.multipart:
        await storage.join_parts(upload)
        found = await storage.find(upload)  # Also when another process joined the parts a moment ago.
    return found


async def _check(upload: Upload, found: Found, source: Path) -> None:
    """Check an object against its declaration, and write it to `source`; raise `Rejection`."""
    if found.size != upload.size:
        raise Rejection("size_mismatch")
    checksum = found.checksum or await to_thread.run_sync(storage.digest, upload, found)
    if checksum != storage.expected_checksum(upload):
        raise Rejection("checksum_mismatch")
    await to_thread.run_sync(storage.fetch, upload, found, source)
    pixels = settings().upload_max_pixels
    await to_thread.run_sync(inspection.inspect, source, upload.content_type, pixels)


async def _move(upload: Upload, found: Found, source: Path) -> tuple[int, dict[str, Any] | None]:
    """Put the file where it stays; return its length there, and of an image the description of its renditions."""
    if KINDS[upload.content_type].family != "image":
        await storage.keep(upload, found)
        return found.size, None
    made = await to_thread.run_sync(images.render, source, upload.content_type)
    for variant, file in made.smaller.items():
        kind = variant.rpartition(".")[2]
        await storage.put(
            storage.file_key(upload.id, variant), file, f"{Path(upload.name).stem}.{kind}", THUMBNAILS[kind]
        )
    # Last, because it is what makes the file complete.
    await storage.put(storage.file_key(upload.id), made.original, upload.name, upload.content_type)
    return made.original.stat().st_size, made.picture


async def _settle(
    seen: Upload,
    state: str,
    *,
    reason: str | None = None,
    size: int = 0,
    picture: dict[str, Any] | None = None,
) -> Upload:
    """Write the decision, unless there is one already; return the upload as it is then."""
    async with outbox.transaction() as transaction:
        session = transaction.session
        upload = await repository.locked(session, seen.id)
        assert upload is not None  # noqa: S101 - rows of uploads are never removed.
        if upload.state in _FINAL or upload.state == state:
            return upload
        upload.state, upload.reason, upload.updated_at = state, reason, now()
        if state == SCANNING:
            upload.due_at = now() + _LOOK_AGAIN
            await wake_at(upload.due_at)
            return upload
        usage = await repository.usage(session, upload.owner)
        usage.under_way -= 1
        if state == CLEAN:
            usage.bytes += size - upload.size
            upload.size, upload.picture = size, picture
            attach(transaction, upload)
            upload.due_at = now() + UNATTACHED
            await wake_at(upload.due_at)
        else:
            usage.bytes -= upload.size
            upload.due_at = None
        detail = {"reason": reason} if reason else {}
        audit.record(session, upload.owner, f"upload.{state}", f"upload:{upload.id}", **detail)
    if state in {"clean", "rejected"}:
        metrics.add(f"upload_{state}")
    logger.info("upload_processed", extra={"upload": str(upload.id), "state": state, "reason": reason})
    if state == REJECTED and upload.multipart:
        await storage.drop_parts(storage.quarantine_key(upload.id), upload.multipart)
    await storage.erase(storage.quarantine_key(upload.id))
    return upload


def attach(transaction: outbox.Transaction, upload: Upload) -> None:
    """Let posts name a verified file."""
    transaction.session.add(
        Attachment(
            id=upload.id,
            name=upload.name,
            content_type=upload.content_type,
            size=upload.size,
            object_key=storage.file_key(upload.id),
            created_by=upload.owner,
            created_at=now(),
        )
    )


async def remove(transaction: outbox.Transaction, upload: Upload, actor: str) -> None:
    """Take a file away from posts and from its owner's quota, for `hide`, which the caller calls then."""
    session = transaction.session
    if (attachment := await repository.attachment(session, upload.id)) is not None:
        await session.delete(attachment)
    (await repository.usage(session, upload.owner)).bytes -= upload.size
    upload.state, upload.due_at, upload.updated_at = DELETED, now(), now()
    audit.record(session, actor, "upload.deleted", f"upload:{upload.id}")


async def let_go(session: AsyncSession, uploads: Collection[uuid.UUID], due: datetime) -> None:
    """Have files deleted at `due`, unless a post names them then; the caller leaves the wake-up marker."""
    named = update(Upload).where(Upload.id.in_(uploads), Upload.state == CLEAN)
    await session.execute(named.values(due_at=due), execution_options={"synchronize_session": False})


async def hide(upload_id: uuid.UUID) -> None:
    """Hide a deleted file, whose versions stay for 30 days, unless it was restored meanwhile.

    Its row is locked as it is for a restoration. Until then it is due, so that a crash or an outage leaves no file.
    """
    async with outbox.transaction() as transaction:
        upload = await repository.locked(transaction.session, upload_id)
        if upload is not None and upload.state == DELETED:
            await storage.hide(upload.place)
            upload.due_at = None


async def scanned(upload_id: uuid.UUID, etag: str, verdict: str) -> None:
    """Note what the scanner says of an object, and go on with it."""
    async with outbox.transaction() as transaction:
        upload = await repository.locked(transaction.session, upload_id)
        if upload is None or upload.state in _FINAL:
            return
        upload.verdict, upload.scanned_etag = verdict, etag.strip('"')
    await advance(upload_id)


async def work_due(at: datetime) -> bool:
    """Look at every upload whose time has come by `at`; return whether there is no more."""
    async with reading() as session:
        ids = await repository.due(session, at, _BATCH)
    for upload_id in ids:
        upload = await _row(upload_id)
        if upload is not None and upload.state == CLEAN:
            await _collect(upload)
        elif upload is not None and upload.state == DELETED:
            await hide(upload_id)
        elif upload is not None:
            await _finish(upload_id)
    return len(ids) < _BATCH


async def _finish(upload_id: uuid.UUID) -> None:
    """Bring an upload to its end if it can be; one that S3 refuses must not keep back the others."""
    try:
        settled = await advance(upload_id, expired=True)
    except ClientError:
        metrics.add("upload_processing_failed")
        logger.exception("upload_processing_failed", extra={"upload": str(upload_id)})
        settled = None
    if settled is None or settled.state not in _FINAL:
        await _look_again(upload_id)


async def _collect(upload: Upload) -> None:
    """Delete a file that no text names, neither a revision nor an unsaved one; keep the others."""
    async with outbox.transaction() as transaction:
        found = await repository.locked(transaction.session, upload.id)
        if found is None or found.state != CLEAN:
            return
        if found.shared:
            found.due_at = None
            return
        uses = await references.domain().refers(transaction.session, upload.id, ever=True)
        if not uses:
            await remove(transaction, found, "system")
        elif all(use.unsaved for use in uses):
            found.due_at = now() + UNATTACHED
            await wake_at(found.due_at)
        else:
            found.due_at = None
    if not uses:
        await hide(upload.id)


async def _look_again(upload_id: uuid.UUID) -> None:
    async with outbox.transaction() as transaction:
        upload = await repository.locked(transaction.session, upload_id)
        if upload is not None and upload.state in {PENDING, SCANNING}:
            upload.due_at = now() + _LOOK_AGAIN
            await wake_at(upload.due_at)


async def rebuild() -> None:
    """Leave the markers that the uploads under way need, after DynamoDB lost them."""
    _marked().clear()
    async with reading() as session:
        dues = await repository.dues(session)
    for due in dues:
        await wake_at(due)


_SLOT_S = 600


@process.keeps
def _marked() -> set[datetime]:
    """Return the slots for which this process left a wake-up marker."""
    return set()


async def wake_at(due: datetime) -> None:
    """Have the scheduler advance uploads soon after `due`; called before the commit of the work that is due then.

    Uploads share markers of ten minutes, and a process that left one needn't leave it again: none is removed
    before its time. So creating an upload seldom costs a round trip for it.
    """
    slot = datetime.fromtimestamp((due.timestamp() // _SLOT_S + 1) * _SLOT_S, tz=UTC)
    marked = _marked()
    if slot not in marked:
        await events.mark_due(slot)
        marked.difference_update([earlier for earlier in marked if earlier < now()])
        marked.add(slot)
