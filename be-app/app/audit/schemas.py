"""Answers about the audit trail."""

import uuid
from typing import Any

from pydantic import Field

from app.core.http.pagination import Cursor, Limit
from app.core.http.schema import Input, Instant, Model


class AuditEntryOut(Model):
    """One change that somebody made. What the caller may not know is left out."""

    id: uuid.UUID
    at: Instant
    actor: str = Field(
        description="A member's id; the ARN of an operator; `system`, `import` or `visitor` where it was none.",
        examples=["0192f0c1-2b3c-7d4e-8f50-617283940a1b"],
    )
    former_member: bool = Field(
        False,
        description="Whether the actor is a member who left and was erased; nothing names them any more.",
    )
    action: str = Field(examples=["post.published"])
    target: str = Field(examples=["post:01900000-0000-7000-8000-000000000000"])
    detail: dict[str, Any] | None = Field(None, examples=[{"revision": 2}])
    correlation_id: str | None = Field(None, examples=["0192f0c1-2b3c-7d4e-8f50-617283940a1c"])


class AuditQuery(Input):
    """Filters of the audit trail."""

    target: str | None = Field(None, max_length=100, description="Only what happened to this.")
    limit: Limit = 50
    cursor: Cursor = None
