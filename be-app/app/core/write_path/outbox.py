"""The transactional outbox: effects of committed changes that the other stores don't have yet.

A transaction writes the change and, with `Transaction.emit`, a row that holds everything its effects need.
Before the commit a wake-up marker is left in DynamoDB, so that the scheduler finds a crash at any later point.
After the commit the rows are relayed in order: read model, event, cache, then the row, then the marker. Every
effect can be repeated without harm, so relays may run side by side.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Literal

from sqlalchemy import BigInteger, Integer, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.aws import dynamodb
from app.core.clock import now
from app.core.database.engine import Base, Key, reading, writing
from app.core.http.problems import Unavailable
from app.core.observability import metrics
from app.core.observability.context import request_id
from app.core.read_path import cache, read_model
from app.core.read_path.read_model import POSTS, Snapshot
from app.core.write_path import destructions, events, file_effects

GRACE = timedelta(seconds=60)
"""Time for which the effects of a change may be pending before the scheduler takes over.

At least twice the longest that a transaction may take: the scheduler must not read a marker before its commit.
"""

_BATCH = 100

logger = logging.getLogger(__name__)

_shared: ContextVar["_SharedMarkers | None"] = ContextVar("shared_markers", default=None)


class OutboxRow(Base):
    """One change and its pending effects."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    aggregate: Mapped[str] = mapped_column(Key(64))
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(Key(64))
    data: Mapped[dict[str, Any]]
    snapshot: Mapped[dict[str, Any] | None]
    # What `file_effects` delivers before and after the read model names files; null where it names none.
    files: Mapped[dict[str, Any] | None]
    correlation_id: Mapped[str] = mapped_column(Key(64))


class _FilesUnavailable(Exception):
    """Files can't be put or removed now, which keeps back no other aggregate."""


_IDENTITY = tuple_(OutboxRow.aggregate, OutboxRow.version, OutboxRow.kind)


class Transaction:
    """One unit of work: a session, and the effects to deliver once it is committed."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.has_effects = False
        self.wakes_at: list[tuple[datetime, str | None]] = []
        self.obsolete: list[str] = []
        self.destroyed: list[tuple[str, str]] = []

    def wake_at(self, at: datetime, about: str | None = None) -> None:
        """Have the scheduler read the database at `at`; `about` names the marker, so that it can be removed."""
        self.wakes_at.append((at, about))

    def forget_waking_at(self, at: datetime, about: str) -> None:
        """Remove the marker of an earlier `wake_at` once this change is committed."""
        self.obsolete.append(events.due_marker(at, about))

    def record_destruction(self, aggregate: str, reason: str) -> None:
        """Note in the destruction record that this transaction destroys personal data (see `destructions`)."""
        self.destroyed.append((aggregate, reason))

    def emit(
        self,
        aggregate: str,
        version: int,
        kind: str,
        data: dict[str, Any],
        snapshot: Snapshot | None = None,
        *,
        files: dict[str, Any] | None = None,
    ) -> None:
        """Add an event, its read model and effects on files to the outbox.

        Aggregate, version and kind are its identity.
        """
        self.session.add(
            OutboxRow(
                aggregate=aggregate,
                version=version,
                kind=kind,
                data=data,
                snapshot=snapshot and snapshot._asdict(),
                files=files,
                correlation_id=request_id(),
            )
        )
        self.has_effects = True


@asynccontextmanager
async def transaction() -> AsyncIterator[Transaction]:
    """Run the block in one transaction; on success commit, then deliver its effects.

    When DynamoDB can't take the marker, nothing is committed and `StoreUnavailable` is raised: an accepted
    change must never depend on luck. When a delivery fails after the commit, the change stands and its effects
    are delivered later.
    """
    marker = shared = None
    async with writing() as session:
        opened = Transaction(session)
        yield opened
        await session.flush()
        for at, about in opened.wakes_at:
            await events.mark_due(at, about=about)
            if at < now() + GRACE:  # That run may be too early to see what this transaction changes.
                await events.mark_due(now() + GRACE)
        for aggregate, reason in opened.destroyed:
            await destructions.record(aggregate, reason)
        if opened.has_effects:
            shared = _shared.get()
            marker = await (shared.live() if shared else events.mark_due(now() + GRACE))
    # At a marker that stays, the scheduler finds nothing to do.
    with suppress(Unavailable, dynamodb.Refused):
        for name in opened.obsolete:
            await events.clear_due(name)
    if marker is not None and shared is None:
        await _relay([marker])


@asynccontextmanager
async def batched() -> AsyncIterator[None]:
    """Deliver the effects of the block's transactions at its end, together, instead of after each.

    For many small changes in a row: they share markers, the cache's invalidation and the drain's statements.
    When the block ends by an exception, the scheduler delivers them. A block inside of another is a part of that.
    """
    if _shared.get() is not None:
        yield
        return
    shared = _SharedMarkers()
    token = _shared.set(shared)
    try:
        yield
    finally:
        _shared.reset(token)
    if shared.names:
        await _relay(shared.names)


class _SharedMarkers:
    """The markers of a block of transactions, as many as its length demands."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._due = now()

    async def live(self) -> str:
        """Return a marker that isn't due for a while yet: one that is due sooner may be read before the commit."""
        if self._due - now() < GRACE / 2:
            due = now() + GRACE
            self.names.append(await events.mark_due(due))
            self._due = due
        return self.names[-1]


async def _relay(markers: Sequence[str]) -> None:
    try:
        if await drain():
            for marker in markers:
                await events.clear_due(marker)
    except Unavailable:
        logger.warning("outbox_relay_deferred", exc_info=True)


async def drain() -> bool:
    """Deliver all pending effects in the order of their commits; return whether none is left.

    A row that a store refuses keeps back later rows of its own aggregate only; an outage ends the drain.
    """
    stuck = set[str]()
    while True:
        pending = select(OutboxRow).order_by(OutboxRow.id).limit(_BATCH)
        if stuck:
            pending = pending.where(OutboxRow.aggregate.not_in(stuck))
        async with reading() as session:
            rows = (await session.scalars(pending)).all()
        delivered, outage, change = await _deliver_all(rows, stuck)
        await _forget(change)
        if delivered:
            # An id isn't all: SQLite may give that of a row which is gone to the next one ("SQLite Autoincrement").
            named = _IDENTITY.in_([(row.aggregate, row.version, row.kind) for row in delivered])
            async with writing() as session:
                await session.execute(
                    delete(OutboxRow).where(OutboxRow.id.in_([row.id for row in delivered]), named)
                )
        if outage:
            return False
        if len(rows) < _BATCH:
            return not stuck


class _Change(IntEnum):
    """Effect of a batch on cached responses."""

    NONE = 0
    ADDS = 1
    REPLACES = 2


async def _forget(change: _Change) -> None:
    """Have the cache end the responses that a change ends; what Valkey doesn't get is due in a minute."""
    if change is _Change.ADDS:
        await cache.expire()
    elif change is _Change.REPLACES and not await cache.invalidate():
        await events.mark_due(now() + GRACE, invalidation=True)


async def _deliver_all(rows: Sequence[OutboxRow], stuck: set[str]) -> tuple[list[OutboxRow], bool, _Change]:
    """Deliver rows except those of `stuck` aggregates, and add to these.

    Return the delivered rows, whether a store is unavailable, and what has changed for visitors.
    """
    delivered, change = list[OutboxRow](), _Change.NONE
    for row in rows:
        if row.aggregate in stuck:
            continue
        try:
            await _with_files(row, "before")
            change = max(change, await _show(row))
            await events.publish(row.aggregate, row.version, row.kind, row.data)
            await _with_files(row, "after")
        except (Unavailable, dynamodb.Refused, _FilesUnavailable) as error:
            metrics.add("outbox_failed")
            logger.warning(
                "outbox_effect_failed",
                extra={"outbox_id": row.id, "kind": row.kind, "caused_by": row.correlation_id},
                exc_info=True,
            )
            if row.snapshot and row.snapshot["absent"]:
                change = (
                    _Change.REPLACES
                )  # A withdrawn post must not be served because DynamoDB is unavailable.
            if isinstance(error, Unavailable):
                return delivered, True, change
            stuck.add(row.aggregate)
        else:
            delivered.append(row)
    return delivered, False, change


async def _with_files(row: OutboxRow, when: Literal["before", "after"]) -> None:
    if not row.files:
        return
    effects = file_effects.registered()
    if effects is None:  # The scheduler has them.
        raise _FilesUnavailable
    try:
        await (effects.before(row.files) if when == "before" else effects.after(row.aggregate, row.files))
    except Unavailable as error:
        raise _FilesUnavailable from error


async def _show(row: OutboxRow) -> _Change:
    """Write a row's read model to DynamoDB."""
    if row.snapshot is None:
        return _Change.NONE
    snapshot = Snapshot(**row.snapshot)
    added = await read_model.replace(snapshot, row.version)
    if snapshot.table != POSTS:
        return _Change.NONE
    return _Change.ADDS if added else _Change.REPLACES
