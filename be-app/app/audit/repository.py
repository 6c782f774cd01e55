"""Queries on the audit trail."""

import uuid
from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.models import AuditEntry


async def page(
    session: AsyncSession,
    *,
    target: str | None,
    kinds: Sequence[str] | None,
    before: uuid.UUID | None,
    limit: int,
) -> Sequence[AuditEntry]:
    """Return up to `limit` entries, newest first, about `target` and about one of `kinds` where these are given."""
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if target is not None:
        query = query.where(AuditEntry.target == target)
    if kinds is not None:
        query = query.where(or_(*(AuditEntry.target.startswith(f"{kind}:") for kind in kinds)))
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return (await session.scalars(query)).all()
