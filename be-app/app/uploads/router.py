"""Routes of files."""

import uuid
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path, Query, Response
from fastapi.responses import RedirectResponse

from app.authz.routing import Actor, Granted, GuardedRouter, PublicRouter
from app.core.http.pagination import Page
from app.core.http.preconditions import IdempotencyKey
from app.core.http.problems import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    NotFound,
    PreconditionFailed,
    StoreUnavailable,
    ValidationFailed,
    responses,
)
from app.core.http.schema import pattern
from app.core.lazy import lazy_import
from app.core.messages import marked
from app.uploads.errors import (
    QuotaExceeded,
    StorageUnavailable,
    UploadGone,
    UploadIncomplete,
    UploadInUse,
    UploadInvalidState,
    UploadRejected,
)
from app.uploads.library.schemas import LibraryItem, LibraryQuery, Replacement, UploadDescription
from app.uploads.schemas import (
    DownloadQuery,
    PartAddresses,
    PartsArrived,
    PartsWanted,
    UploadCreate,
    UploadOut,
)

if TYPE_CHECKING:
    from app.uploads import downloads, service
    from app.uploads.library import service as library
    from app.uploads.pictures import media
else:
    downloads = lazy_import("app.uploads.downloads")
    library = lazy_import("app.uploads.library.service")
    media = lazy_import("app.uploads.pictures.media")
    service = lazy_import("app.uploads.service")

staff = GuardedRouter("/v1/uploads", "uploads")
public = PublicRouter("/v1/posts/{post_id}/attachments", "posts")

UploadId = Annotated[uuid.UUID, Path(description="The upload's id.")]
PostId = Annotated[uuid.UUID, Path(description="The post's id.")]
pictures = PublicRouter("/media", "posts")
AttachmentId = Annotated[uuid.UUID, Path(description="Id of a file that the post names.")]
DIGEST = pattern(r"^[0-9a-f]{32}$", marked("Send the 32 hexadecimal digits of a picture's address."))
VARIANT = pattern(r"^[1-9][0-9]{0,3}\.(avif|webp|jpg)$", marked("Send a width and a kind, such as 640.webp."))
STORES = responses(DatabaseUnavailable, StorageUnavailable)
CHANGED = responses(
    NotFound, UploadInUse, ValidationFailed, PreconditionFailed, DatabaseUnavailable, StoreUnavailable
)
MOVED: dict[int | str, dict[str, Any]] = {
    302: {"description": "The file is where `Location` says, for a minute."}
}


@staff.post(
    "",
    action="upload:create",
    status_code=201,
    responses=responses(
        QuotaExceeded, ValidationFailed, IdempotencyKeyReused, DatabaseUnavailable, StoreUnavailable
    ),
)
async def create_upload(
    actor: Actor,
    body: UploadCreate,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> UploadOut:
    """Announce a file and learn how to send it: in one form up to 10 MB, else in parts."""
    upload = await service.create(body, idempotency_key, actor)
    response.headers["Location"] = f"/v1/uploads/{upload.id}"
    return upload


@staff.get("", action="upload:list", responses=responses(DatabaseUnavailable))
async def list_uploads(granted: Granted, query: Annotated[LibraryQuery, Query()]) -> Page[LibraryItem]:
    """List and search complete uploads: your own, those in the library, and those of public posts."""
    return await library.listed(query, granted)


@staff.put("/{upload_id}/description", action="upload:update", responses=CHANGED)
async def describe_upload(actor: Actor, upload_id: UploadId, body: UploadDescription) -> UploadOut:
    """Set alternative texts and focal point, and share the upload into the library. Public posts follow."""
    return await library.describe(upload_id, body, actor)


@staff.put("/{upload_id}/replacement", action="upload:update", responses=CHANGED)
async def replace_upload(actor: Actor, upload_id: UploadId, body: Replacement) -> UploadOut:
    """Replace an image by that of another upload, which no post names. Posts follow; its own id takes it back."""
    return await library.replace(upload_id, body.upload_id, actor)


@staff.get("/{upload_id}", action="upload:read", responses=responses(NotFound, DatabaseUnavailable))
async def read_upload(actor: Actor, upload_id: UploadId) -> UploadOut:
    """Read what became of an upload."""
    return await service.read(upload_id, actor)


@staff.post(
    "/{upload_id}/complete",
    action="upload:complete",
    responses=STORES
    | responses(
        NotFound,
        UploadIncomplete,
        UploadInvalidState,
        UploadRejected,
        ValidationFailed,
        StoreUnavailable,
    ),
)
async def complete_upload(actor: Actor, upload_id: UploadId) -> UploadOut:
    """Have a file checked that was sent. It is then `clean`, or `scanning` until the malware scanner is done."""
    return await service.complete(upload_id, actor)


@staff.post(
    "/{upload_id}/parts", action="upload:complete", responses=STORES | responses(NotFound, UploadInvalidState)
)
async def sign_parts(actor: Actor, upload_id: UploadId, body: PartsWanted) -> PartAddresses:
    """Learn where to PUT parts of a large file."""
    return await service.sign_parts(upload_id, body, actor)


@staff.get("/{upload_id}/parts", action="upload:read", responses=STORES | responses(NotFound))
async def list_parts(actor: Actor, upload_id: UploadId) -> PartsArrived:
    """Learn which parts of a large file have arrived, to send the others."""
    return await service.arrived_parts(upload_id, actor)


@staff.delete(
    "/{upload_id}",
    action="upload:delete",
    status_code=204,
    responses=STORES | responses(NotFound, UploadInUse, UploadInvalidState),
)
async def delete_upload(actor: Actor, upload_id: UploadId) -> None:
    """Delete a file that no post shows. It can be restored for 30 days."""
    await service.delete(upload_id, actor)


@staff.post(
    "/{upload_id}/restore",
    action="upload:delete",
    responses=STORES | responses(NotFound, UploadInvalidState, UploadGone, QuotaExceeded, StoreUnavailable),
)
async def restore_upload(actor: Actor, upload_id: UploadId) -> UploadOut:
    """Take a deletion back."""
    return await service.restore(upload_id, actor)


def redirect(url: str) -> Response:
    """Redirect to a download link; the response must not be stored."""
    return RedirectResponse(url, 302)


@public.get(
    "/{attachment_id}",
    action="post:view",
    status_code=302,
    response_class=RedirectResponse,
    responses=MOVED | responses(NotFound, StoreUnavailable),
)
async def download_attachment(
    post_id: PostId, attachment_id: AttachmentId, query: Annotated[DownloadQuery, Query()]
) -> Response:
    """Download a file of a published post."""
    return redirect(await downloads.public(post_id, attachment_id, query.variant))


@public.post(
    "/{attachment_id}/downloads",
    action="post:count-view",
    status_code=204,
    responses=responses(NotFound, StoreUnavailable),
)
async def count_download(post_id: PostId, attachment_id: AttachmentId) -> None:
    """Count one download. Downloading alone counts nothing: a GET changes nothing."""
    await downloads.count(post_id, attachment_id)


@pictures.get(
    "/{digest}/{variant}",
    action="post:view",
    status_code=302,
    response_class=RedirectResponse,
    responses={302: {"description": "The picture is where `Location` says, for an hour."}},
)
async def read_picture(
    digest: Annotated[str, Path(pattern=DIGEST, description="The picture's content, as its hash.")],
    variant: Annotated[
        str,
        Path(pattern=VARIANT, description="Width and kind of the rendition."),
    ],
) -> Response:
    """Fetch a picture of a public post, where no CDN serves the bucket of pictures."""
    # The link outlives the redirect, so that a browser never keeps one that leads nowhere.
    return RedirectResponse(
        media.link(digest, variant), 302, {"Cache-Control": f"public, max-age={media.LINK_S // 2}"}
    )
