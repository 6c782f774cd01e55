"""Routes beside a post's revisions and states: its editors' working copies, sharing, and its deletion."""

import uuid
from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Response

from app.authz.routing import Actor, GuardedRouter
from app.core.http.preconditions import CONFLICTS, CREATED_VERSION, VERSION, IfMatch, etag
from app.core.http.problems import DatabaseUnavailable, NotFound, ValidationFailed, responses
from app.core.lazy import lazy_import
from app.posts.editing.schemas import Purge, Share, Shares, ShareUpdate, WorkingCopyOut, WorkingCopyUpdate
from app.posts.errors import InvalidState, WorkingCopyExists
from app.posts.router import STORES, PostId

if TYPE_CHECKING:
    from app.posts.editing import sharing, working_copies
    from app.posts.publication import removal
else:
    removal = lazy_import("app.posts.publication.removal")
    sharing = lazy_import("app.posts.editing.sharing")
    working_copies = lazy_import("app.posts.editing.working_copies")

editorial = GuardedRouter("/v1/editor/posts", "editorial: posts")

_COPY, _SHARE = "/{post_id}/working-copy", "/{post_id}/shares/{member_id}"
MemberId = Annotated[uuid.UUID, Path(description="The colleague's id, from `GET /v1/members`.")]


def _answer(response: Response, copy: WorkingCopyOut) -> WorkingCopyOut:
    response.headers["ETag"] = etag(copy.version)
    return copy


@editorial.get(_COPY, action="post:update", responses=VERSION | responses(NotFound, DatabaseUnavailable))
async def read_working_copy(actor: Actor, post_id: PostId, response: Response) -> WorkingCopyOut:
    """Read your own unsaved text of a post, with the ETag that its next change must quote."""
    return _answer(response, await working_copies.read(post_id, actor))


@editorial.post(
    _COPY,
    action="post:update",
    status_code=201,
    responses=CREATED_VERSION | STORES | responses(NotFound, WorkingCopyExists),
)
async def create_working_copy(
    actor: Actor, post_id: PostId, body: WorkingCopyUpdate, response: Response
) -> WorkingCopyOut:
    """Begin to keep your unsaved text of a post. It is no revision, and nobody else sees it."""
    copy = _answer(response, await working_copies.create(post_id, body, actor))
    response.headers["Location"] = f"/v1/editor/posts/{post_id}/working-copy"
    return copy


@editorial.put(_COPY, action="post:update", responses=CONFLICTS | STORES | responses(NotFound))
async def update_working_copy(
    actor: Actor, post_id: PostId, body: WorkingCopyUpdate, if_match: IfMatch, response: Response
) -> WorkingCopyOut:
    """Keep your unsaved text of a post. The ETag is the working copy's own; saving the post drops the copy."""
    return _answer(response, await working_copies.update(post_id, body, if_match, actor))


@editorial.delete(
    _COPY, action="post:update", status_code=204, responses=responses(NotFound, DatabaseUnavailable)
)
async def discard_working_copy(actor: Actor, post_id: PostId) -> None:
    """Discard your unsaved text of a post; discarding it twice is harmless."""
    await working_copies.discard(post_id, actor)


@editorial.get("/{post_id}/shares", action="post:share", responses=responses(NotFound, DatabaseUnavailable))
async def list_shares(actor: Actor, post_id: PostId) -> Shares:
    """List the colleagues who may read, or also edit, a post before it is public."""
    return await sharing.listed(post_id, actor)


@editorial.put(
    _SHARE, action="post:share", responses=responses(NotFound, ValidationFailed, DatabaseUnavailable)
)
async def share_post(actor: Actor, post_id: PostId, member_id: MemberId, body: ShareUpdate) -> Share:
    """Let a colleague read a post before it is public, or also edit it."""
    return await sharing.grant(post_id, member_id, actor, can_edit=body.can_edit)


@editorial.delete(
    _SHARE, action="post:share", status_code=204, responses=responses(NotFound, DatabaseUnavailable)
)
async def unshare_post(actor: Actor, post_id: PostId, member_id: MemberId) -> None:
    """Take back what a colleague may do to a post."""
    await sharing.revoke(post_id, member_id, actor)


@editorial.delete(
    "/{post_id}",
    action="post:delete",
    status_code=204,
    responses=CONFLICTS | STORES | responses(NotFound, InvalidState),
)
async def delete_post(actor: Actor, post_id: PostId, if_match: IfMatch) -> None:
    """Delete a post that never was public, with its revisions."""
    await removal.delete(post_id, if_match, actor)


@editorial.post(
    "/{post_id}/purge",
    action="post:purge",
    status_code=204,
    responses=CONFLICTS | STORES | responses(NotFound, InvalidState, ValidationFailed),
)
async def purge_post(actor: Actor, post_id: PostId, body: Purge, if_match: IfMatch) -> None:
    """Delete an archived post for good, with its revisions, its addresses, and the files that no other post names."""
    await removal.purge(post_id, body.slug, if_match, actor)
