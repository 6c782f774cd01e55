"""Routes of inquiries."""

import uuid
from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Query, Response

from app.authz.routing import Actor, GuardedRouter, PublicRouter
from app.core.http.preconditions import CONFLICTS, IdempotencyKey, IfMatch, etag
from app.core.http.problems import (
    DatabaseUnavailable,
    IdempotencyKeyReused,
    NotFound,
    StoreUnavailable,
    TooManyRequests,
    ValidationFailed,
    responses,
)
from app.core.lazy import lazy_import
from app.core.rate_limits import fixed_window
from app.inquiries.schemas import (
    InquiryCards,
    InquiryCreate,
    InquiryOut,
    InquiryQuery,
    InquiryReceipt,
    InquiryUpdate,
)

if TYPE_CHECKING:
    from app.inquiries import service
else:
    service = lazy_import("app.inquiries.service")

public = PublicRouter("/v1/inquiries", "inquiries")
editorial = GuardedRouter("/v1/editor/inquiries", "editorial: inquiries")

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


@editorial.get("", action="inquiry:list", responses=responses(DatabaseUnavailable))
async def list_inquiries(_: Actor, query: Annotated[InquiryQuery, Query()]) -> InquiryCards:
    """List inquiries, newest first."""
    return await service.listed(query)


@editorial.get("/{inquiry_id}", action="inquiry:read", responses=responses(NotFound, DatabaseUnavailable))
async def read_inquiry(_: Actor, inquiry_id: InquiryId, response: Response) -> InquiryOut:
    """Read an inquiry, with the ETag that its update must quote."""
    inquiry = await service.read(inquiry_id)
    response.headers["ETag"] = etag(inquiry.version)
    return inquiry


@editorial.put(
    "/{inquiry_id}", action="inquiry:update", responses=CONFLICTS | responses(NotFound, DatabaseUnavailable)
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
