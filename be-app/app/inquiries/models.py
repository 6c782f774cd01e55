"""The table of inquiries."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database.engine import TABLE_OPTIONS, Base, Key, LongText

NEW, DONE = "new", "done"


class Inquiry(Base):
    """A message from a visitor, and how far the staff got with it."""

    __tablename__ = "inquiries"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    company: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(200))
    message: Mapped[str] = mapped_column(LongText)
    referral: Mapped[str] = mapped_column(String(100))
    category: Mapped[str | None] = mapped_column(Key(60))
    consented_at: Mapped[datetime]
    consent_version: Mapped[str | None] = mapped_column(String(40))
    status: Mapped[str] = mapped_column(Key(12))
    assignee: Mapped[uuid.UUID | None]
    note: Mapped[str] = mapped_column(LongText)
    # Null where an earlier release wrote the row.
    spam_score: Mapped[int | None]
    version: Mapped[int] = mapped_column()
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    # Null where an earlier release wrote the row; the next run of the scheduler fills it in.
    destroy_at: Mapped[datetime | None] = mapped_column(index=True)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        CheckConstraint("status IN ('new', 'in_progress', 'done')", name="status"),
        Index("ix_inquiries_status_id", "status", "id"),
        TABLE_OPTIONS,
    )


class InquiryCategoryList(Base):
    """The categories of inquiries with their retention periods: one row, replaced as a whole."""

    __tablename__ = "inquiry_categories"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    items: Mapped[list[Any]] = mapped_column()
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
