"""Tables of categories."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database.engine import Base, Key


class Category(Base):
    """A section. Its slug is its identity and never changes: published read models and URLs contain it."""

    __tablename__ = "categories"

    slug: Mapped[str] = mapped_column(Key(60), primary_key=True)
    name_ko: Mapped[str] = mapped_column(String(100))
    name_en: Mapped[str] = mapped_column(String(100))
    position: Mapped[int]
    created_at: Mapped[datetime]


class CategoryList(Base):
    """The one row that versions the whole ordered list, so that two people can't reorder past each other."""

    __tablename__ = "category_list"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int]
