"""Pictures of public posts in the media bucket: there before a read model names them, gone when none does.

A drain may be slow, and others run beside it. So each looks after its work whether the database, which knows what is
public, still says the same, and if not, takes the work back.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from app.core.database.engine import reading
from app.posts import repository
from app.posts.models import Post
from app.uploads.pictures import media
from app.uploads.pictures.renditions import Pictures


def change(post: Post, shown: Pictures) -> dict[str, Any] | None:
    """Note which pictures a post shows to the public from now on; return the effects for the outbox."""
    before, now = post.media or {}, media.files(shown.values())
    post.media = now or None
    return (
        {"place": now, "remove": [digest for digest in before if digest not in now]}
        if before or now
        else None
    )


async def place(files: Mapping[str, Any]) -> None:
    """Copy what a change shows into the media bucket; raise `StorageUnavailable`."""
    await media.place(files["place"])


async def settle(aggregate: str, files: Mapping[str, Any]) -> None:
    """Delete what a change doesn't show any more, or what it showed and another change has hidden since."""
    async with reading() as session:
        public = await repository.media(session, uuid.UUID(aggregate.partition(":")[2]))
    await _remove_unused({*files["place"], *files["remove"]} - public.keys())


async def _remove_unused(digests: set[str]) -> None:
    """Delete those of the pictures that no public post shows; raise `StorageUnavailable`."""
    if not digests:
        return
    async with reading() as session:
        unused = digests - (await repository.media_in_use(session, digests)).keys()
    for digest in unused:
        await media.remove(digest)
    if unused:
        async with reading() as session:  # A post may have been published with one of them meanwhile.
            await media.place(await repository.media_in_use(session, unused))
