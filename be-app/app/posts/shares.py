"""Queries on posts that are shared with a member."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import with_expression
from sqlalchemy.orm.interfaces import ORMOption

from app.posts.models import Post, PostShare


def of(member: str) -> ORMOption:
    """Return the option by which a query of posts loads a member's share of each."""
    mine = select(PostShare.can_edit).where(PostShare.post_id == Post.id, PostShare.member_id == member)
    return with_expression(Post.shared_for_editing, mine.correlate(Post).scalar_subquery())


def with_member(member: str) -> ColumnElement[bool]:
    """Return the condition for posts that are shared with a member."""
    return exists().where(PostShare.post_id == Post.id, PostShare.member_id == member)


async def targets(session: AsyncSession, member: str) -> Sequence[str]:
    """Return the posts that are shared with a member, as the audit trail names them."""
    found = await session.scalars(select(PostShare.post_id).where(PostShare.member_id == member))
    return [f"post:{post_id}" for post_id in found]
