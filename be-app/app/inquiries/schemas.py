"""Requests and answers about inquiries."""

import uuid
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.core.http.pagination import Cursor, Limit
from app.core.http.schema import Input, Instant, Line, Model, Text, pattern
from app.core.messages import marked

Status = Literal["new", "in_progress", "done"]
# What a mail server would say is not for a form to guess; this only catches what can't be an address.
Email = Annotated[
    str,
    StringConstraints(
        pattern=pattern(
            r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\.[^@\s\x00-\x1f\x7f]+$",
            marked("This is not an email address."),
        ),
        max_length=254,
    ),
    Line,
]


class InquiryCreate(Input):
    """The contact form."""

    company: Annotated[str, Field(max_length=100), Line] = Field("", examples=["한빛상사"])
    name: Annotated[str, Field(min_length=1, max_length=100), Line] = Field(examples=["김하늘"])
    email: Email = Field(examples=["haneul@example.com"])
    subject: Annotated[str, Field(min_length=1, max_length=200), Line] = Field(examples=["견적 문의"])
    message: Annotated[str, Field(min_length=1, max_length=10_000), Text] = Field(
        examples=["안녕하세요. 제품 견적을 부탁드립니다."]
    )
    consent: Literal[True] = Field(description="The visitor consents to the processing of this data.")
    referral: Annotated[str, Field(max_length=100), Line] = Field(
        "", description="How the visitor found the site."
    )
    website: str = Field(
        "",
        max_length=500,
        description="Honeypot: hide this field from people and leave it empty. Only spam bots fill it in.",
    )


class InquiryReceipt(Model):
    """Confirms that an inquiry arrived."""

    id: uuid.UUID


class InquiryCard(Model):
    """An inquiry in a list."""

    id: uuid.UUID
    company: str
    name: str
    subject: str
    status: Status
    created_at: Instant


class InquiryOut(InquiryCard):
    """An inquiry."""

    email: str
    message: str
    referral: str
    consented_at: Instant
    note: str
    version: int
    updated_at: Instant


class InquiryCards(Model):
    """A page of inquiries, newest first."""

    items: list[InquiryCard]
    next_cursor: str | None


class InquiryExport(Model):
    """A page of whole inquiries, newest first."""

    items: list[InquiryOut]
    next_cursor: str | None


class InquiryUpdate(Input):
    """How far the staff got."""

    status: Status
    note: Annotated[str, Field(max_length=10_000), Text] = Field(
        "", description="For the staff; the visitor never sees it."
    )


class InquiryQuery(Input):
    """Which inquiries to list."""

    status: Status | None = None
    limit: Limit = 20
    cursor: Cursor = None
