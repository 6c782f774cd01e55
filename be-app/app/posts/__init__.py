"""News, notices and everything else that is written for the site."""

import uuid
from typing import TYPE_CHECKING

from app.core.lazy import lazy_import
from app.uploads import references

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.posts import repository
else:
    repository = lazy_import("app.posts.repository")


@references.register
async def _refers(session: "AsyncSession", upload_id: uuid.UUID, *, ever: bool) -> bool:
    return await repository.refers_to_upload(session, upload_id, ever=ever)
