"""Routes of the audit trail."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query

from app.audit.schemas import AuditEntries, AuditQuery
from app.authz.grant import Grant
from app.authz.guard import grant, guarded_router
from app.core.http.problems import DatabaseUnavailable, responses
from app.core.lazy import lazy_import

if TYPE_CHECKING:
    from app.audit import service
else:
    service = lazy_import("app.audit.service")

staff: APIRouter = guarded_router("/v1/audit", "audit")


@staff.get("", responses=responses(DatabaseUnavailable))
async def list_audit_entries(
    granted: Annotated[Grant, grant("audit:list")], query: Annotated[AuditQuery, Query()]
) -> AuditEntries:
    """List who changed what, newest first.

    Editors see what happened to content, without details, and nothing about others' posts that were never published.
    """
    return await service.listed(query, granted)
