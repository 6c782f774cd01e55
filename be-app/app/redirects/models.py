"""Tables of redirects."""

import uuid
from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.core.database.engine import Base, Key


class Redirect(Base):
    """Where a path leads. No target is the path of another redirect."""

    __tablename__ = "redirects"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(Key(500), unique=True)
    target: Mapped[str] = mapped_column(Key(500), index=True)
    # The version of the list in which it last changed, so that a path that is redirected again gets a newer one.
    version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class RedirectList(Base):
    """The one row that versions all redirects: changes are one after the other, so that two make no loop."""

    __tablename__ = "redirect_list"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int]
