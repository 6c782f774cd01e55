"""Routes of posts."""

import uuid
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import Path, Query, Response
from fastapi.responses import RedirectResponse

from app.authz.routing import Actor, Granted, GuardedRouter, PublicRouter
from app.core.http.pagination import Page
from app.core.http.preconditions import CONFLICTS, CREATED_VERSION, VERSION, IdempotencyKey, IfMatch, etag
from app.core.http.problems import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    NotFound,
    StoreUnavailable,
    ValidationFailed,
    responses,
)
from app.core.http.schema import Digits
from app.core.lazy import lazy_import
from app.core.read_path.public_cache import PublicResponse
from app.posts.errors import InvalidState, SlugTaken, TranslationExists
from app.posts.schemas import (
    EditorialPost,
    EditorialQuery,
    EditorialSummary,
    PostCreate,
    PostSummary,
    PostUpdate,
    PublicPost,
    PublicQuery,
    Revision,
    RevisionDiff,
    Revisions,
    Schedule,
    SearchHit,
    SearchQuery,
)
from app.uploads.router import MOVED, AttachmentId, redirect
from app.uploads.schemas import DownloadCounts, DownloadQuery

if TYPE_CHECKING:
    from app.posts import commands, queries
    from app.posts.publication import read_model
else:
    commands = lazy_import("app.posts.commands")
    queries = lazy_import("app.posts.queries")
    read_model = lazy_import("app.posts.publication.read_model")

public = PublicRouter("/v1", "posts")
editorial = GuardedRouter("/v1/editor/posts", "editorial: posts")

JSON = "application/json"
IdOrSlug = Annotated[str, Path(max_length=120, description="The post's id or slug.")]
PostId = Annotated[uuid.UUID, Path(description="The post's id.")]
RevisionNumber = Annotated[int, Path(ge=1, le=1_000_000), Digits]
STORES = responses(DatabaseUnavailable, StoreUnavailable)
RENAMED: dict[int | str, dict[str, Any]] = {
    308: {"description": "The slug of the post has changed. `Location`, a path, has the new one."}
}


@public.get(
    "/posts",
    action="post:view",
    response_model=Page[PostSummary],
    responses=responses(StoreUnavailable),
)
async def list_posts(query: Annotated[PublicQuery, Query()]) -> Response:
    """List published posts of one language, newest first."""
    return PublicResponse(await read_model.listed(query), media_type=JSON)


@public.get(
    "/posts/{id_or_slug}",
    action="post:view",
    response_model=PublicPost,
    responses=RENAMED | responses(NotFound, StoreUnavailable),
)
async def read_post(id_or_slug: IdOrSlug) -> Response:
    """Read one published post; by a former slug, learn where it is now."""
    found = await read_model.page(id_or_slug)
    if isinstance(found, bytes):
        return PublicResponse(found, media_type=JSON)
    return PublicResponse.moved(f"/v1/posts/{quote(found.slug)}")


@public.post(
    "/posts/{post_id}/views",
    action="post:count-view",
    status_code=204,
    responses=responses(NotFound, StoreUnavailable),
)
async def count_view(post_id: PostId) -> None:
    """Count one view of a published post. Reading alone counts nothing: a GET changes nothing."""
    await read_model.count_view(post_id)


@public.get(
    "/search",
    action="post:search",
    cost=5,
    response_model=Page[SearchHit],
    responses=responses(DatabaseUnavailable),
)
async def search_posts(query: Annotated[SearchQuery, Query()]) -> Response:
    """Find published posts that hold every word: first those whose titles hold more of them, then the newest."""
    return PublicResponse(await queries.search(query), media_type=JSON)


def _answer(response: Response, post: EditorialPost) -> EditorialPost:
    response.headers["ETag"] = etag(post.version)
    return post


@editorial.get("", action="post:list", responses=responses(NotFound, DatabaseUnavailable))
async def list_all_posts(
    granted: Granted, query: Annotated[EditorialQuery, Query()]
) -> Page[EditorialSummary]:
    """Search and sort posts in any state; of others' posts only those that were public before."""
    return await queries.listed(query, granted)


@editorial.post(
    "",
    action="post:create",
    status_code=201,
    responses=CREATED_VERSION
    | responses(TranslationExists, ValidationFailed, IdempotencyKeyReused, DatabaseUnavailable),
)
async def create_post(
    actor: Actor,
    body: PostCreate,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> EditorialPost:
    """Write a new draft."""
    post = _answer(response, await commands.create(body, idempotency_key, actor))
    response.headers["Location"] = f"/v1/editor/posts/{post.id}"
    return post


@editorial.get(
    "/{post_id}", action="post:read-any", responses=VERSION | responses(NotFound, DatabaseUnavailable)
)
async def read_any_post(actor: Actor, post_id: PostId, response: Response) -> EditorialPost:
    """Read a post in any state, with the ETag that every change of it must quote."""
    return _answer(response, await queries.read(post_id, actor))


@editorial.put(
    "/{post_id}",
    action="post:update",
    responses=CONFLICTS | STORES | responses(NotFound, SlugTaken, TranslationExists),
)
async def update_post(
    actor: Actor,
    post_id: PostId,
    body: PostUpdate,
    if_match: IfMatch,
    response: Response,
) -> EditorialPost:
    """Write a new revision. The public keeps reading the published one until the post is published again."""
    return _answer(response, await commands.update(post_id, body, if_match, actor))


@editorial.get(
    "/{post_id}/preview", action="post:preview", responses=responses(NotFound, DatabaseUnavailable)
)
async def preview_post(actor: Actor, post_id: PostId) -> PublicPost:
    """Read the current revision as visitors would."""
    return await queries.preview(post_id, actor)


CLAIMS = CONFLICTS | STORES | responses(NotFound, InvalidState, SlugTaken, TranslationExists)


@editorial.post("/{post_id}/publish", action="post:publish", responses=CLAIMS)
async def publish_post(actor: Actor, post_id: PostId, if_match: IfMatch, response: Response) -> EditorialPost:
    """Make the current revision public."""
    return _answer(response, await commands.publish(post_id, if_match, actor))


@editorial.post("/{post_id}/schedule", action="post:schedule", responses=CLAIMS)
async def schedule_post(
    actor: Actor,
    post_id: PostId,
    body: Schedule,
    if_match: IfMatch,
    response: Response,
) -> EditorialPost:
    """Have the current revision published at a future time, and taken back at another; edits don't move it."""
    planned = commands.schedule(post_id, body.publish_at, if_match, actor, until=body.unpublish_at)
    return _answer(response, await planned)


@editorial.delete(
    "/{post_id}/schedule", action="post:schedule", responses=CONFLICTS | STORES | responses(NotFound)
)
async def unschedule_post(
    actor: Actor, post_id: PostId, if_match: IfMatch, response: Response
) -> EditorialPost:
    """Cancel the plan: a scheduled post is a draft again, a published one stays as it is."""
    return _answer(response, await commands.unschedule(post_id, if_match, actor))


@editorial.post(
    "/{post_id}/unpublish", action="post:unpublish", responses=CONFLICTS | STORES | responses(NotFound)
)
async def unpublish_post(
    actor: Actor,
    post_id: PostId,
    if_match: IfMatch,
    response: Response,
) -> EditorialPost:
    """Take a published, scheduled or archived post back to a draft."""
    return _answer(response, await commands.unpublish(post_id, if_match, actor))


@editorial.post(
    "/{post_id}/archive", action="post:archive", responses=CONFLICTS | STORES | responses(NotFound)
)
async def archive_post(actor: Actor, post_id: PostId, if_match: IfMatch, response: Response) -> EditorialPost:
    """Put a post away."""
    return _answer(response, await commands.archive(post_id, if_match, actor))


@editorial.get(
    "/{post_id}/attachments/{attachment_id}",
    action="post:read-any",
    status_code=302,
    response_class=RedirectResponse,
    responses=MOVED | responses(NotFound, DatabaseUnavailable),
)
async def download_any_attachment(
    actor: Actor,
    post_id: PostId,
    attachment_id: AttachmentId,
    query: Annotated[DownloadQuery, Query()],
) -> Response:
    """Download a file that any revision of a post in any state names."""
    return redirect(await queries.download(post_id, attachment_id, query.variant, actor))


@editorial.get("/{post_id}/downloads", action="post:read-any", responses=STORES | responses(NotFound))
async def list_downloads(actor: Actor, post_id: PostId) -> DownloadCounts:
    """Learn how often a post's files were downloaded."""
    return await queries.downloads(post_id, actor)


@editorial.get(
    "/{post_id}/revisions", action="post:read-any", responses=responses(NotFound, DatabaseUnavailable)
)
async def list_revisions(actor: Actor, post_id: PostId) -> Revisions:
    """List a post's revisions, newest first."""
    return await queries.history(post_id, actor)


@editorial.get(
    "/{post_id}/revisions/{number}",
    action="post:read-any",
    responses=responses(NotFound, DatabaseUnavailable),
)
async def read_revision(actor: Actor, post_id: PostId, number: RevisionNumber) -> Revision:
    """Read one revision."""
    return await queries.revision(post_id, number, actor)


@editorial.get(
    "/{post_id}/revisions/{number}/diff",
    action="post:read-any",
    responses=responses(NotFound, DatabaseUnavailable),
)
async def diff_revisions(
    actor: Actor,
    post_id: PostId,
    number: RevisionNumber,
    against: Annotated[int, Query(ge=1, le=1_000_000, description="The revision to compare with."), Digits],
) -> RevisionDiff:
    """Compare a revision with another."""
    return await queries.diff(post_id, number, against, actor)


@editorial.post(
    "/{post_id}/revisions/{number}/restore",
    action="post:update",
    responses=CONFLICTS | responses(NotFound, DatabaseUnavailable),
)
async def restore_revision(
    actor: Actor,
    post_id: PostId,
    number: RevisionNumber,
    if_match: IfMatch,
    response: Response,
) -> EditorialPost:
    """Make an earlier revision's content the newest revision."""
    return _answer(response, await commands.restore(post_id, number, if_match, actor))
