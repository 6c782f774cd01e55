"""The table of files."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, Key


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
