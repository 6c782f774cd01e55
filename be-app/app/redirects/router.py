"""Routes of redirects."""

import uuid
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path, Query, Response

from app.authz.routing import Actor, GuardedRouter, PublicRouter
from app.core.http.pagination import Page
from app.core.http.preconditions import CONFLICTS, CREATED_VERSION, VERSION, IfMatch, etag
from app.core.http.problems import DatabaseUnavailable, NotFound, StoreUnavailable, responses
from app.core.lazy import lazy_import
from app.core.read_path.public_cache import PublicResponse
from app.redirects.errors import RedirectExists, RedirectLoop
from app.redirects.schemas import (
    RedirectCreate,
    RedirectLookup,
    RedirectOut,
    RedirectQuery,
    RedirectUpdate,
)

if TYPE_CHECKING:
    from app.redirects import service
else:
    service = lazy_import("app.redirects.service")

public = PublicRouter("/v1/redirects", "redirects")
editorial = GuardedRouter("/v1/editor/redirects", "editorial: redirects")

RedirectId = Annotated[uuid.UUID, Path(description="The redirect's id.")]
STORES = (DatabaseUnavailable, StoreUnavailable)
MOVED: dict[int | str, dict[str, Any]] = {
    308: {"description": "The path leads to `Location`, a path of the site."}
}


def _answer(response: Response, redirect: RedirectOut) -> RedirectOut:
    response.headers["ETag"] = etag(redirect.version)
    return redirect


@public.get(
    "",
    action="redirect:view",
    status_code=308,
    response_class=Response,
    responses=MOVED | responses(NotFound, StoreUnavailable),
)
async def find_redirect(query: Annotated[RedirectLookup, Query()]) -> Response:
    """Learn where an earlier path of the site leads now."""
    return PublicResponse.moved(await service.location(query.path))


@editorial.get("", action="redirect:list", responses=responses(DatabaseUnavailable))
async def list_redirects(_: Actor, query: Annotated[RedirectQuery, Query()]) -> Page[RedirectOut]:
    """List redirects, newest first."""
    return await service.listed(query)


@editorial.post(
    "",
    action="redirect:create",
    status_code=201,
    responses=CREATED_VERSION | responses(RedirectExists, RedirectLoop, *STORES),
)
async def create_redirect(actor: Actor, body: RedirectCreate, response: Response) -> RedirectOut:
    """Have a path of an earlier site lead to a path of this one."""
    redirect = _answer(response, await service.create(body, actor))
    response.headers["Location"] = f"/v1/editor/redirects/{redirect.id}"
    return redirect


@editorial.get(
    "/{redirect_id}", action="redirect:list", responses=VERSION | responses(NotFound, DatabaseUnavailable)
)
async def read_redirect(_: Actor, redirect_id: RedirectId, response: Response) -> RedirectOut:
    """Read a redirect, with the ETag that every change of it must quote."""
    return _answer(response, await service.read(redirect_id))


@editorial.put(
    "/{redirect_id}",
    action="redirect:update",
    responses=CONFLICTS | responses(NotFound, RedirectLoop, *STORES),
)
async def update_redirect(
    actor: Actor, redirect_id: RedirectId, body: RedirectUpdate, if_match: IfMatch, response: Response
) -> RedirectOut:
    """Have a path lead to another target."""
    return _answer(response, await service.update(redirect_id, body, if_match, actor))


@editorial.delete(
    "/{redirect_id}",
    action="redirect:delete",
    status_code=204,
    responses=CONFLICTS | responses(NotFound, *STORES),
)
async def delete_redirect(actor: Actor, redirect_id: RedirectId, if_match: IfMatch) -> None:
    """Have a path lead nowhere."""
    await service.delete(redirect_id, if_match, actor)
