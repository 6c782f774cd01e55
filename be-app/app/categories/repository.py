"""Queries on categories."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.categories.models import Category, CategoryList

_ROW = 1


async def ordered(session: AsyncSession) -> Sequence[Category]:
    """Return all categories, first to last."""
    return (await session.scalars(select(Category).order_by(Category.position, Category.slug))).all()


async def version(session: AsyncSession) -> int:
    """Return the version of the list."""
    return (await session.scalars(select(CategoryList.version).where(CategoryList.id == _ROW))).one()


async def advance(session: AsyncSession, expected: int | None) -> bool:
    """Lock the list and raise its version, with `expected` only from that one; return whether it was so."""
    change = update(CategoryList).where(CategoryList.id == _ROW).values(version=CategoryList.version + 1)
    if expected is not None:
        change = change.where(CategoryList.version == expected)
    changed = await session.execute(change)
    return bool(changed.rowcount)  # type: ignore[attr-defined]
