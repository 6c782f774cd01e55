"""Links that show one revision of a post without a login."""

from typing import TYPE_CHECKING

from app.core.lazy import lazy_import
from app.members import endings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.previews import repository
else:
    repository = lazy_import("app.previews.repository")


@endings.register
async def _ends(session: "AsyncSession", member_id: str) -> None:
    await repository.delete_of_maker(session, member_id)
