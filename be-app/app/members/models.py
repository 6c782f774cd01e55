"""The members table."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database.engine import TABLE_OPTIONS, Base, Key
from app.core.settings import ROLES

_NAMES = ", ".join(f"'{role}'" for role in ROLES)


class Member(Base):
    """Somebody who logged in at least once. Issuer and subject name them; e-mail and name only describe them."""

    __tablename__ = "members"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    issuer: Mapped[str] = mapped_column(Key(255))
    subject: Mapped[str] = mapped_column(Key(255))
    email: Mapped[str] = mapped_column(String(254), index=True)
    name: Mapped[str] = mapped_column(String(200))
    # What an admin made them; null leaves it to their groups at the provider, which `group_role` follows.
    role: Mapped[str | None] = mapped_column(Key(12))
    group_role: Mapped[str | None] = mapped_column(Key(12))
    disabled_at: Mapped[datetime | None]
    # From then on name and e-mail are empty, and a keyed hash of issuer and subject stands in place of the subject.
    erased_at: Mapped[datetime | None]
    seen_at: Mapped[datetime]
    version: Mapped[int] = mapped_column()
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        CheckConstraint(f"role IN ({_NAMES})", name="role"),
        CheckConstraint(f"group_role IN ({_NAMES})", name="group_role"),
        TABLE_OPTIONS,
    )
