"""The audit trail's table."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from app.core.database.engine import Base, Key


class AuditEntry(Base):
    """One change that somebody made. Entries are only ever added."""

    __tablename__ = "audit_entries"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(Key(640))  # IAM's longest ARN: a path of 512 characters, a name of 64.
    action: Mapped[str] = mapped_column(Key(64))
    target: Mapped[str] = mapped_column(Key(100), index=True)
    detail: Mapped[dict[str, Any]]
    correlation_id: Mapped[str] = mapped_column(Key(64))
