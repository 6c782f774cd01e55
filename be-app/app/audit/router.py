"""Routes of the audit trail."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Query

from app.audit.schemas import AuditEntryOut, AuditQuery
from app.authz.routing import Granted, GuardedRouter
from app.core.http.pagination import Page
from app.core.http.problems import DatabaseUnavailable, responses
from app.core.lazy import lazy_import

if TYPE_CHECKING:
    from app.audit import service
else:
    service = lazy_import("app.audit.service")

staff = GuardedRouter("/v1/audit", "audit")


@staff.get("", action="audit:list", responses=responses(DatabaseUnavailable))
async def list_audit_entries(granted: Granted, query: Annotated[AuditQuery, Query()]) -> Page[AuditEntryOut]:
    """List who changed what, newest first.

    Editors see what happened to content, without details, and nothing about others' posts that were never published.
    """
    return await service.listed(query, granted)
