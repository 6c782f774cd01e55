"""Tables of files: uploads, attachments, and each member's usage."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database.engine import TABLE_OPTIONS, Base, Key

PENDING, SCANNING, CLEAN, REJECTED, DELETED = "pending", "scanning", "clean", "rejected", "deleted"
_STATES = ", ".join(f"'{state}'" for state in (PENDING, SCANNING, CLEAN, REJECTED, DELETED))


class Upload(Base):
    """A file that a member uploads: pending → scanning → clean or rejected; clean → deleted and back."""

    __tablename__ = "uploads"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(Key(64))
    name: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(Key(100))
    purpose: Mapped[str] = mapped_column(Key(12))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(Key(64))
    state: Mapped[str] = mapped_column(Key(12))
    reason: Mapped[str | None] = mapped_column(Key(40))
    # S3's ID of a multipart upload, once URLs of parts were issued.
    multipart: Mapped[str | None] = mapped_column(Key(512))
    # SHA-256 of every part whose URL was issued, by number: S3 requires all of them to complete the upload.
    part_digests: Mapped[dict[str, Any]]
    # The scanner's result and the object that it scanned; it may arrive before the upload is completed.
    verdict: Mapped[str | None] = mapped_column(Key(12))
    scanned_etag: Mapped[str | None] = mapped_column(Key(100))
    # Description of an image's renditions, as `images.Made` has it; null where there are none.
    picture: Mapped[dict[str, Any] | None]
    # What its owner says of it: alternative text by language; the point that crops keep, in hundredths of width and
    # height; whether it is in the library, which all editors may use and from which nothing is collected.
    alt: Mapped[dict[str, Any] | None]
    focus: Mapped[dict[str, Any] | None]
    shared: Mapped[bool] = mapped_column(server_default=false())
    # The upload under whose id the file stands, since two changed places; null for its own.
    stored_as: Mapped[uuid.UUID | None]
    expires_at: Mapped[datetime]
    # When the scheduler next advances it, if nothing else does so before.
    due_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column()
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        Index("ix_uploads_due_at", "due_at"),
        TABLE_OPTIONS,
    )

    @property
    def place(self) -> uuid.UUID:
        """The id under which the file stands."""
        return self.stored_as or self.id

    def alt_in(self, lang: str) -> str:
        """Return the alternative text in a language; empty where there is none."""
        return str((self.alt or {}).get(lang, ""))


class UploadUsage(Base):
    """A member's usage, with uploads under way: the quota is enforced under one row's lock."""

    __tablename__ = "upload_usage"

    owner: Mapped[str] = mapped_column(Key(64), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    under_way: Mapped[int]


class Attachment(Base):
    """A file that was verified and may be attached to posts."""

    __tablename__ = "attachments"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(Key(100))
    size: Mapped[int] = mapped_column(BigInteger)
    object_key: Mapped[str] = mapped_column(Key(255), unique=True)
    created_by: Mapped[str] = mapped_column(Key(64))
    created_at: Mapped[datetime]
