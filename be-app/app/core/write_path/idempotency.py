"""`Idempotency-Key`: a POST that creates, sent twice, creates once and gets the same response twice.

The key is stored in the same transaction as the created object, so neither can exist without the other.
"""

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import String, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from app.core.clock import new_id, now
from app.core.database.engine import Base, Key, reading, writing
from app.core.http.problems import IdempotencyKeyReused
from app.core.write_path import outbox

RETENTION = timedelta(days=7)

T = TypeVar("T")


class IdempotencyRow(Base):
    """The object that a key created."""

    __tablename__ = "idempotency_keys"

    scope: Mapped[str] = mapped_column(Key(100), primary_key=True)
    key: Mapped[str] = mapped_column(Key(100), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    created_id: Mapped[uuid.UUID]
    created_at: Mapped[datetime] = mapped_column(index=True)


class _LostRace(Exception):
    """A request with the same key committed first."""


async def create_once(
    scope: str,
    key: str | None,
    request: BaseModel,
    create: Callable[[outbox.Transaction, uuid.UUID], Awaitable[T]],
) -> tuple[uuid.UUID, T | None]:
    """Run `create` with a new id in a transaction, unless `key` did so before within `scope`.

    Return the id, and what `create` returned, or None where an earlier request created it.

    Raises `IdempotencyKeyReused` when the key came with another request before.
    """
    digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    while True:
        try:
            async with outbox.transaction() as transaction:
                if key is not None:
                    earlier = await transaction.session.get(IdempotencyRow, (scope, key))
                    if earlier is not None:
                        if earlier.request_hash != digest:
                            raise IdempotencyKeyReused
                        return earlier.created_id, None
                created = new_id()
                if key is not None:
                    await _claim(transaction.session, scope, key, digest, created)
                return created, await create(transaction, created)
        except _LostRace:
            continue  # The winner's row is committed; the next turn finds it.


async def _claim(session: AsyncSession, scope: str, key: str, digest: str, created: uuid.UUID) -> None:
    session.add(
        IdempotencyRow(scope=scope, key=key, request_hash=digest, created_id=created, created_at=now())
    )
    try:
        await session.flush()
    except IntegrityError:
        raise _LostRace from None


async def forget_old(at: datetime) -> None:
    """Remove keys beyond their retention at `at`; write nothing where there is none: SQLite has one writer."""
    old = IdempotencyRow.created_at < at - RETENTION
    async with reading() as session:
        found = await session.scalar(select(IdempotencyRow.key).where(old).limit(1))
    if found is not None:
        async with writing() as session:
            await session.execute(delete(IdempotencyRow).where(old))


async def forget(session: AsyncSession, scope: str, created: uuid.UUID) -> None:
    """Remove the key that created something, with the digest of its request."""
    row = IdempotencyRow
    await session.execute(delete(row).where(row.scope == scope, row.created_id == created))
