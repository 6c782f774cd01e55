"""Queries on redirects."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.redirects.models import Redirect, RedirectList

_ROW = 1


async def advance(session: AsyncSession) -> int:
    """Lock all redirects and raise their version; return it."""
    change = update(RedirectList).where(RedirectList.id == _ROW).values(version=RedirectList.version + 1)
    await session.execute(change)
    return (await session.scalars(select(RedirectList.version).where(RedirectList.id == _ROW))).one()


async def read(session: AsyncSession, redirect_id: uuid.UUID) -> Redirect | None:
    """Return a redirect."""
    return await session.get(Redirect, redirect_id)


async def of_path(session: AsyncSession, path: str) -> Redirect | None:
    """Return the redirect of a path."""
    return (await session.scalars(select(Redirect).where(Redirect.path == path))).one_or_none()


async def leading_to(session: AsyncSession, path: str) -> Sequence[Redirect]:
    """Return the redirects whose target is a path."""
    return (await session.scalars(select(Redirect).where(Redirect.target == path))).all()


async def page(
    session: AsyncSession, *, path: str | None, target: str | None, before: uuid.UUID | None, limit: int
) -> Sequence[Redirect]:
    """Return redirects, newest first, older than `before`; with a path or a target, theirs alone."""
    query = select(Redirect)
    if path is not None:
        query = query.where(Redirect.path == path)
    if target is not None:
        query = query.where(Redirect.target == target)
    if before is not None:
        query = query.where(Redirect.id < before)
    return (await session.scalars(query.order_by(Redirect.id.desc()).limit(limit))).all()
