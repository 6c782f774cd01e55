"""How files appear in answers."""

import uuid

from pydantic import Field

from app.core.schema import Model


class AttachmentReference(Model):
    """A file that a post refers to."""

    id: uuid.UUID
    name: str = Field(description="File name as uploaded.", examples=["2026년 실적발표.pdf"])
    content_type: str = Field(examples=["application/pdf"])
    size: int = Field(description="Bytes.", examples=[482133])
