"""Tables of previews."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database.engine import TABLE_OPTIONS, Base, Key


class PreviewLink(Base):
    """A link that shows one revision of a post. It goes with the revision; of its token, only a hash is stored."""

    __tablename__ = "preview_links"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    post_id: Mapped[uuid.UUID]
    revision: Mapped[int]
    token_hash: Mapped[str] = mapped_column(Key(64), unique=True)
    created_by: Mapped[str] = mapped_column(Key(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (
        ForeignKeyConstraint(
            ["post_id", "revision"], ["post_revisions.post_id", "post_revisions.number"], ondelete="CASCADE"
        ),
        Index("ix_preview_links_post_id_revision", "post_id", "revision"),
        TABLE_OPTIONS,
    )
