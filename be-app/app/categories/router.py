"""Routes of categories."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Response

from app.authz.routing import Actor, GuardedRouter, PublicRouter
from app.categories.errors import CategoryExists, CategoryInUse
from app.categories.schemas import CategoryCreate, CategoryListOut, CategoryOrder, CategoryUpdate
from app.core.http.preconditions import CONFLICTS, CREATED_VERSION, VERSION, IfMatch, etag
from app.core.http.problems import DatabaseUnavailable, NotFound, StoreUnavailable, responses
from app.core.lazy import lazy_import
from app.core.read_path.public_cache import PublicResponse

if TYPE_CHECKING:
    from app.categories import service
else:
    service = lazy_import("app.categories.service")

public = PublicRouter("/v1/categories", "categories")
editorial = GuardedRouter("/v1/editor/categories", "editorial: categories")

Slug = Annotated[str, Path(max_length=60)]
STORES = (DatabaseUnavailable, StoreUnavailable)


def _answer(response: Response, listed: tuple[CategoryListOut, int]) -> CategoryListOut:
    response.headers["ETag"] = etag(listed[1])
    return listed[0]


@public.get(
    "",
    action="category:view",
    response_model=CategoryListOut,
    responses=responses(StoreUnavailable),
)
async def list_categories() -> Response:
    """List the categories in their order."""
    return PublicResponse(await service.public(), media_type="application/json")


@editorial.get("", action="category:read", responses=VERSION | responses(DatabaseUnavailable))
async def read_categories(_: Actor, response: Response) -> CategoryListOut:
    """Read the list with its ETag, which every change of it must quote."""
    return _answer(response, await service.editorial())


@editorial.post(
    "",
    action="category:create",
    status_code=201,
    responses=CREATED_VERSION | responses(CategoryExists, *STORES),
)
async def create_category(actor: Actor, body: CategoryCreate, response: Response) -> CategoryListOut:
    """Add a category at the end of the list."""
    return _answer(response, await service.create(body, actor))


@editorial.put("", action="category:reorder", responses=CONFLICTS | responses(*STORES))
async def reorder_categories(
    actor: Actor,
    body: CategoryOrder,
    if_match: IfMatch,
    response: Response,
) -> CategoryListOut:
    """Put all categories in a new order."""
    return _answer(response, await service.reorder(body, if_match, actor))


@editorial.put("/{slug}", action="category:update", responses=CONFLICTS | responses(NotFound, *STORES))
async def rename_category(
    actor: Actor,
    slug: Slug,
    body: CategoryUpdate,
    if_match: IfMatch,
    response: Response,
) -> CategoryListOut:
    """Change a category's names."""
    return _answer(response, await service.rename(slug, body, if_match, actor))


@editorial.delete(
    "/{slug}", action="category:delete", responses=CONFLICTS | responses(NotFound, CategoryInUse, *STORES)
)
async def delete_category(actor: Actor, slug: Slug, if_match: IfMatch, response: Response) -> CategoryListOut:
    """Remove a category that no post is filed under."""
    return _answer(response, await service.delete(slug, if_match, actor))
