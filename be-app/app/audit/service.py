"""Writing the audit trail."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.models import AuditEntry
from app.core.clock import new_id, now
from app.core.context import request_id


def record(session: AsyncSession, actor: str, action: str, target: str, **detail: Any) -> None:
    """Add an entry to the open transaction; `detail` names what changed, never people's data."""
    session.add(
        AuditEntry(
            id=new_id(),
            at=now(),
            actor=actor,
            action=action,
            target=target,
            detail=detail,
            correlation_id=request_id(),
        )
    )
