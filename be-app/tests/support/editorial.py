"""What tests of posts share: the editors' address, times to come, files without their bytes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.core.clock import new_id, timestamp
from support.stack import Stack

EDITORIAL = "/v1/editor/posts"


def in_seconds(seconds: float) -> str:
    return timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


def upload(
    stack: Stack, name: str = "실적.pdf", content_type: str = "application/pdf", owner: str = "editor-1"
) -> dict[str, Any]:
    """Put a file into the database as if it had been uploaded; return how posts refer to it."""
    upload_id = new_id()
    file = {"id": str(upload_id), "name": name, "contentType": content_type, "size": 482_133}
    stack.sql(
        "INSERT INTO attachments (id, name, content_type, size, object_key, created_by, created_at)"
        " VALUES (:id, :name, :content_type, :size, :id, :owner, '2026-11-23 00:00:00')",
        owner=owner,
        id=upload_id.hex,  # As each of the databases stores an id.
        name=name,
        content_type=content_type,
        size=482_133,
    )
    return file
