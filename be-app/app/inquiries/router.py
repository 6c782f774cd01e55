"""Routes of inquiries."""

import uuid
from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Query, Response

from app.auth.errors import StepUpRequired
from app.authz.routing import Actor, GuardedRouter, PublicRouter
from app.core.http.pagination import Page
from app.core.http.preconditions import CONFLICTS, VERSION, IdempotencyKey, IfMatch, etag
from app.core.http.problems import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    NotFound,
    StoreUnavailable,
    TooManyRequests,
    ValidationFailed,
    merged,
    responses,
)
from app.core.lazy import lazy_import
from app.core.rate_limits import fixed_window
from app.core.read_path.public_cache import PublicResponse
from app.inquiries.errors import ExportTooLarge
from app.inquiries.schemas import (
    InquiryCategories,
    InquiryCategoriesOut,
    InquiryCreate,
    InquiryExportRequest,
    InquiryOut,
    InquiryQuery,
    InquiryReceipt,
    InquirySearch,
    InquirySummary,
    InquiryUpdate,
    PersonalExport,
)

if TYPE_CHECKING:
    from app.inquiries import categories, exporting, service
else:
    exporting = lazy_import("app.inquiries.exporting")
    categories = lazy_import("app.inquiries.categories")
    service = lazy_import("app.inquiries.service")

public = PublicRouter("/v1/inquiries", "inquiries")
editorial = GuardedRouter("/v1/editor", "editorial: inquiries")

STORES = (DatabaseUnavailable, StoreUnavailable)
InquiryId = Annotated[uuid.UUID, Path(description="The inquiry's id.")]


@public.post(
    "",
    action="inquiry:send",
    cost=5,
    limit=fixed_window.INQUIRY,
    status_code=201,
    responses=responses(
        TooManyRequests,
        ValidationFailed,
        IdempotencyKeyReused,
        DatabaseUnavailable,
        StoreUnavailable,
    ),
)
async def send_inquiry(body: InquiryCreate, idempotency_key: IdempotencyKey = None) -> InquiryReceipt:
    """Send the contact form."""
    return await service.receive(body, idempotency_key)


@public.get(
    "/categories",
    action="inquiry:view-categories",
    response_model=InquiryCategoriesOut,
    responses=responses(StoreUnavailable),
)
async def list_inquiry_categories() -> Response:
    """List the categories that the contact form offers, with retention periods."""
    return PublicResponse(await categories.public(), media_type="application/json")


@editorial.get("/inquiries", action="inquiry:list", responses=responses(*STORES))
async def list_inquiries(_: Actor, query: Annotated[InquiryQuery, Query()]) -> Page[InquirySummary]:
    """List inquiries, newest first."""
    return await service.listed(query)


@editorial.get(
    "/inquiry-categories", action="inquiry:list", responses=VERSION | responses(DatabaseUnavailable)
)
async def read_inquiry_categories(_: Actor, response: Response) -> InquiryCategoriesOut:
    """Read the categories of inquiries, with the ETag that their replacement must quote."""
    return _listed(response, await categories.editorial())


@editorial.put(
    "/inquiry-categories", action="inquiry:set-categories", responses=CONFLICTS | responses(*STORES)
)
async def replace_inquiry_categories(
    actor: Actor, body: InquiryCategories, if_match: IfMatch, response: Response
) -> InquiryCategoriesOut:
    """Replace the categories of inquiries; a new retention period also counts for inquiries that are there."""
    return _listed(response, await categories.replace(body, if_match, actor))


def _listed(response: Response, listed: tuple[InquiryCategoriesOut, int]) -> InquiryCategoriesOut:
    response.headers["ETag"] = etag(listed[1])
    return listed[0]


@editorial.post("/inquiry-search", action="inquiry:search", responses=responses(*STORES))
async def search_inquiries(_: Actor, body: InquirySearch) -> Page[InquirySummary]:
    """List the inquiries of a person, by e-mail address whatever the case of its letters, newest first."""
    return await service.found(body)


_TABLE = "\ufeffid,name,email\r\n0192f0c1-2b3c-7d4e-8f50-617283940a1b,김하늘,haneul@example.com\r\n"
EXPORTS = responses(ExportTooLarge, StepUpRequired, *STORES)


@editorial.post("/inquiry-export", action="inquiry:export", responses=EXPORTS)
async def export_inquiries(actor: Actor, body: InquiryExportRequest) -> PersonalExport:
    """Export everything that is stored of a person's inquiries.

    Needs a second factor proven in the last five minutes.
    """
    return await service.exported_of(body.email, actor)


@editorial.post(
    "/inquiry-export.csv",
    action="inquiry:export",
    response_class=Response,
    responses=merged(
        EXPORTS, {200: {"content": {"text/csv": {"schema": {"type": "string", "examples": [_TABLE]}}}}}
    ),
)
async def export_inquiries_as_table(actor: Actor, body: InquiryExportRequest) -> Response:
    """Export everything that is stored of a person's inquiries, as CSV.

    It begins with a byte order mark, by which spreadsheets know UTF-8. Needs a second factor proven in the last five
    minutes.
    """
    found = await service.exported_of(body.email, actor)
    table = exporting.as_csv(found.items).encode("utf-8-sig")
    headers = {"Content-Disposition": 'attachment; filename="inquiries.csv"'}
    return Response(table, media_type="text/csv; charset=utf-8", headers=headers)


@editorial.get(
    "/inquiries/{inquiry_id}", action="inquiry:read", responses=VERSION | responses(NotFound, *STORES)
)
async def read_inquiry(_: Actor, inquiry_id: InquiryId, response: Response) -> InquiryOut:
    """Read an inquiry, with the ETag that its update must quote."""
    inquiry = await service.read(inquiry_id)
    response.headers["ETag"] = etag(inquiry.version)
    return inquiry


@editorial.put(
    "/inquiries/{inquiry_id}", action="inquiry:update", responses=CONFLICTS | responses(NotFound, *STORES)
)
async def update_inquiry(
    actor: Actor,
    inquiry_id: InquiryId,
    body: InquiryUpdate,
    if_match: IfMatch,
    response: Response,
) -> InquiryOut:
    """Set an inquiry's status and note."""
    inquiry = await service.update(inquiry_id, body, if_match, actor)
    response.headers["ETag"] = etag(inquiry.version)
    return inquiry


@editorial.delete(
    "/inquiries/{inquiry_id}",
    action="inquiry:destroy",
    status_code=204,
    responses=CONFLICTS | responses(NotFound, StepUpRequired, *STORES),
)
async def destroy_inquiry(actor: Actor, inquiry_id: InquiryId, if_match: IfMatch) -> None:
    """Destroy an inquiry for good, everywhere. Needs a second factor proven in the last five minutes."""
    await service.destroy(inquiry_id, if_match, actor)
