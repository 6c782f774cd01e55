"""Routes of previews."""

import uuid
from typing import TYPE_CHECKING, Annotated

from fastapi import Header, Path, Query, Response

from app.authz.routing import Actor, GuardedRouter, PublicRouter
from app.core.http.problems import DatabaseUnavailable, NotFound, StoreUnavailable, responses
from app.core.lazy import lazy_import
from app.core.rate_limits import fixed_window
from app.posts.schemas import PublicPost
from app.previews.headers import HEADER
from app.previews.schemas import PreviewCreate, PreviewCreated, PreviewFile, Previews, Token
from app.uploads.router import AttachmentId
from app.uploads.schemas import DownloadQuery

if TYPE_CHECKING:
    from app.previews import service
else:
    service = lazy_import("app.previews.service")

public = PublicRouter("/v1/preview", "previews")
editorial = GuardedRouter("/v1/editor/posts/{post_id}/previews", "editorial: posts")

PostId = Annotated[uuid.UUID, Path(description="The post's id.")]
PreviewId = Annotated[uuid.UUID, Path(description="The preview link's id.")]
PreviewToken = Annotated[
    Token, Header(alias=HEADER, description="The fragment of the preview link, without `#`.")
]
NOT_INDEXED = {"X-Robots-Tag": "noindex"}
SHOWN = responses(NotFound, DatabaseUnavailable, StoreUnavailable)


@public.get("", action="preview:view", limit=fixed_window.PREVIEW, responses=SHOWN)
async def read_preview(token: PreviewToken, response: Response) -> PublicPost:
    """Read the revision of a preview link as visitors would read it."""
    response.headers.update(NOT_INDEXED)
    return await service.show(token)


@public.get(
    "/attachments/{attachment_id}", action="preview:view", limit=fixed_window.PREVIEW, responses=SHOWN
)
async def locate_preview_file(
    token: PreviewToken,
    attachment_id: AttachmentId,
    query: Annotated[DownloadQuery, Query()],
    response: Response,
) -> PreviewFile:
    """Learn where a file is that the revision of a preview link names."""
    response.headers.update(NOT_INDEXED)
    return await service.file(token, attachment_id, query.variant)


@editorial.get("", action="preview:list", responses=responses(NotFound, DatabaseUnavailable))
async def list_previews(actor: Actor, post_id: PostId) -> Previews:
    """List the preview links of a post that work, newest first."""
    return await service.listed(post_id, actor)


@editorial.post(
    "", action="preview:create", status_code=201, responses=responses(NotFound, DatabaseUnavailable)
)
async def create_preview(actor: Actor, post_id: PostId, body: PreviewCreate) -> PreviewCreated:
    """Make a link that shows a revision to people without a login, whatever becomes of the post later."""
    return await service.create(post_id, body, actor)


@editorial.delete(
    "/{preview_id}",
    action="preview:revoke",
    status_code=204,
    responses=responses(NotFound, DatabaseUnavailable),
)
async def revoke_preview(actor: Actor, post_id: PostId, preview_id: PreviewId) -> None:
    """End a preview link."""
    await service.revoke(post_id, preview_id, actor)
