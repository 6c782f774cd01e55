"""Retention periods of inquiries, and their destruction.

The period begins when an inquiry is done, or with its last change if it never was. Its end stands in the row, and a
wake-up marker for it in DynamoDB, so that the database sleeps until an inquiry is due.
"""

import asyncio
import logging
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from app.audit import service as audit
from app.auth.subject import SYSTEM
from app.core.database.engine import reading, writing
from app.core.settings import settings
from app.core.write_path import destructions, events, idempotency, outbox
from app.inquiries import repository
from app.inquiries.models import DONE, Inquiry

SCOPE = "inquiries"
DESTROYED = "inquiry.destroyed"
_BATCH = 100

logger = logging.getLogger(__name__)


def name(inquiry_id: uuid.UUID) -> str:
    """Return the name of an inquiry in audit trail, markers and destruction record."""
    return f"inquiry:{inquiry_id}"


class Periods:
    """The retention periods of today: the setting's, and those of categories that are shorter."""

    def __init__(self, categories: Iterable[dict[str, Any]]) -> None:
        self._general = timedelta(days=settings().inquiry_retention_days)
        self._own = {c["slug"]: timedelta(days=c["retentionDays"]) for c in categories if c["retentionDays"]}

    @classmethod
    async def of_today(cls, session: AsyncSession) -> "Periods":
        """Return the periods as setting and database say them."""
        return cls((await repository.category_list(session)).items)

    def days(self, category: str | None) -> int:
        """Return the period of a category; None is for inquiries without one."""
        return min(self._general, self._own.get(category or "", self._general)).days

    def end(self, inquiry: Inquiry) -> datetime:
        """Return when an inquiry is to be destroyed."""
        done = inquiry.done_at if inquiry.status == DONE else None
        return (done or inquiry.updated_at) + timedelta(days=self.days(inquiry.category))


async def schedule(transaction: outbox.Transaction, inquiry: Inquiry) -> None:
    """Have an inquiry that the transaction adds or changes destroyed at the end of its period."""
    at = (await Periods.of_today(transaction.session)).end(inquiry)
    if at != inquiry.destroy_at:
        if inquiry.destroy_at is not None:
            transaction.forget_waking_at(inquiry.destroy_at, name(inquiry.id))
        inquiry.destroy_at = at
        transaction.wake_at(at, name(inquiry.id))


async def destroy(transaction: outbox.Transaction, inquiry: Inquiry, reason: str, actor: str) -> None:
    """Remove an inquiry and what was derived from it; destruction record and audit trail keep its id."""
    await idempotency.forget(transaction.session, SCOPE, inquiry.id)
    await transaction.session.delete(inquiry)
    transaction.record_destruction(name(inquiry.id), reason)
    audit.record(transaction.session, actor, DESTROYED, name(inquiry.id), reason=reason)
    if inquiry.destroy_at is not None:
        transaction.forget_waking_at(inquiry.destroy_at, name(inquiry.id))


async def present(found: Sequence[Inquiry]) -> list[Inquiry]:
    """Return inquiries without those that were destroyed and are back from a backup."""
    destroyed = await destructions.among(name(inquiry.id) for inquiry in found)
    return [inquiry for inquiry in found if name(inquiry.id) not in destroyed]


async def run(at: datetime, *, recompute: bool) -> bool:
    """Destroy the inquiries that are due at `at`; return whether none is left.

    Args:
        at: the time that counts.
        recompute: whether periods may have changed since the rows were written.
    """
    await idempotency.forget_old(at)
    if recompute:
        await _recompute()
    async with reading() as session:
        # Periods last: a row without a time was written by an earlier release, at any moment.
        unscheduled = await repository.unscheduled(session, _BATCH)
        due = await repository.due(session, at, _BATCH)
        periods = await Periods.of_today(session)
    for inquiry in unscheduled:
        await _reschedule(inquiry, periods)
    destroyed = [await _destroy_due(inquiry_id, at) for inquiry_id in due]
    if count := destroyed.count(True):
        await _account(count, "retention")
    return None not in destroyed and len(due) < _BATCH and len(unscheduled) < _BATCH


async def _destroy_due(inquiry_id: uuid.UUID, at: datetime) -> bool | None:
    """Destroy an inquiry if it is due; return whether it was, and None if somebody changed it meanwhile."""
    try:
        async with outbox.transaction() as transaction:
            inquiry = await repository.by_id(transaction.session, inquiry_id)
            if inquiry is None:
                return False
            # An earlier release changes an inquiry without its time.
            if (await Periods.of_today(transaction.session)).end(inquiry) > at:
                await schedule(transaction, inquiry)
                return False
            await destroy(transaction, inquiry, "retention", SYSTEM.id)
            await transaction.session.flush()
            return True
    except StaleDataError:
        return None


async def _account(count: int, reason: str) -> None:
    async with writing() as session:
        audit.record(session, SYSTEM.id, "inquiries.destroyed", "inquiries", count=count, reason=reason)
    logger.info("inquiries_destroyed", extra={"count": count, "reason": reason})


async def _recompute(*, mark_all: bool = False) -> None:
    """Bring the times of all inquiries in step with the periods; with `mark_all` also leave every marker again."""
    after = None
    while True:
        async with reading() as session:
            batch = await repository.after(session, after, _BATCH)
            periods = await Periods.of_today(session)
        for inquiry in batch:
            await _reschedule(inquiry, periods)
        if mark_all:
            marks = (events.mark_due(periods.end(inquiry), about=name(inquiry.id)) for inquiry in batch)
            await asyncio.gather(*marks)
        if len(batch) < _BATCH:
            return
        after = batch[-1].id


async def _reschedule(inquiry: Inquiry, periods: Periods) -> None:
    """Change when an inquiry is destroyed, unless somebody has changed the inquiry meanwhile."""
    at = periods.end(inquiry)
    if at == inquiry.destroy_at:
        return
    # Not through the mapped object: its version is the staff's ETag, and nothing that they see has changed.
    unchanged = (Inquiry.id == inquiry.id, Inquiry.version == inquiry.version)
    async with outbox.transaction() as transaction:
        transaction.wake_at(at, name(inquiry.id))
        if inquiry.destroy_at is not None:
            transaction.forget_waking_at(inquiry.destroy_at, name(inquiry.id))
        await transaction.session.execute(
            update(Inquiry).where(*unchanged).values(destroy_at=at),
            execution_options={"synchronize_session": False},
        )


async def rebuild() -> None:
    """Bring database, destruction record and markers in step after one of them was lost or restored from a backup.

    What the record names and the database has again is destroyed first.
    """
    await _replay()
    async for targets in audit.targets(DESTROYED):
        await destructions.record_again(targets)
    await _recompute(mark_all=True)


async def _replay() -> None:
    count = 0
    batch: list[uuid.UUID] = []
    async for recorded in destructions.recorded("inquiry"):
        batch.append(uuid.UUID(recorded.partition(":")[2]))
        if len(batch) == _BATCH:
            count += await _destroy_again(batch)
            batch = []
    count += await _destroy_again(batch)
    if count:
        await _account(count, "restore")


async def _destroy_again(ids: Sequence[uuid.UUID]) -> int:
    async with outbox.transaction() as transaction:
        found = await repository.by_ids(transaction.session, ids)
        for inquiry in found:
            await destroy(transaction, inquiry, "restore", SYSTEM.id)
    return len(found)
