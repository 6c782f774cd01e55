"""Requests and answers about inquiries."""

import uuid
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from app.core.http.pagination import Cursor, Limit
from app.core.http.schema import Digits, Input, Instant, Line, Model, PlainSlug, Text, pattern, refused
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


CategorySlug = Annotated[
    str,
    PlainSlug,
    Field(description="Slug of a category of inquiries.", examples=["quote"]),
]
_CategoryName = Annotated[str, Field(min_length=1, max_length=100), Line]


class InquiryCategoryName(Input):
    """A category's name in the site's languages."""

    ko: _CategoryName = Field(examples=["견적"])
    en: _CategoryName = Field(examples=["Quotes"])


class InquiryCategory(Input):
    """A category of inquiries."""

    slug: CategorySlug
    name: InquiryCategoryName
    retention_days: Annotated[
        int | None,
        Field(
            ge=1,
            le=3650,
            description="Days after which inquiries of this category are destroyed, where that is sooner than in "
            "general; null means the general period.",
            examples=[180],
        ),
    ] = None


class InquiryCategories(Input):
    """All categories of inquiries, in their order."""

    items: list[InquiryCategory] = Field(
        max_length=50,
        examples=[[{"slug": "quote", "name": {"ko": "견적", "en": "Quotes"}, "retentionDays": 365}]],
    )

    @field_validator("items")
    @classmethod
    def _name_each_once(cls, items: list[InquiryCategory]) -> list[InquiryCategory]:
        if len({item.slug for item in items}) < len(items):
            raise refused("duplicate_slug", marked("Give each category a slug of its own."))
        return items


class InquiryCategoryOut(Model):
    """A category of inquiries."""

    slug: str = Field(description="Slug of the category.", examples=["quote"])
    name: InquiryCategoryName
    retention_days: int | None = Field(
        None,
        description="Days after which inquiries of this category are destroyed; null means the general period.",
        examples=[180],
    )


class InquiryCategoriesOut(Model):
    """All categories of inquiries, in their order, and the general retention period."""

    items: list[InquiryCategoryOut]
    retention_days: int = Field(
        description="Days after which an inquiry is destroyed, counted from when it was done, or from its last "
        "change if it never was.",
        examples=[1095],
    )


class InquiryCreate(Input):
    """The contact form."""

    company: Annotated[str, Field(max_length=100), Line] = Field("", examples=["한빛상사"])
    name: Annotated[str, Field(min_length=1, max_length=100), Line] = Field(examples=["김하늘"])
    email: Email = Field(examples=["haneul@example.com"])
    subject: Annotated[str, Field(min_length=1, max_length=200), Line] = Field(examples=["견적 문의"])
    message: Annotated[str, Field(min_length=1, max_length=10_000), Text] = Field(
        examples=["안녕하세요. 제품 견적을 부탁드립니다."]
    )
    category: CategorySlug | None = None
    consent: Literal[True] = Field(description="The visitor consents to the processing of this data.")
    consent_version: Annotated[str, Field(max_length=40), Line] = Field(
        "",
        description="Version of the consent text that the form showed; stored with the time of consent.",
        examples=["2026-12-01"],
    )
    referral: Annotated[str, Field(max_length=100), Line] = Field(
        "", description="How the visitor found the site."
    )
    website: str = Field(
        "",
        max_length=500,
        description="Honeypot: hide this field from people and leave it empty. What spam bots fill in gets the "
        "highest spam score, and nobody a notice of it.",
    )


class InquiryReceipt(Model):
    """Confirms that an inquiry arrived."""

    id: uuid.UUID


class InquirySummary(Model):
    """An inquiry in a list."""

    id: uuid.UUID
    company: str = Field(examples=["한빛상사"])
    name: str = Field(examples=["김하늘"])
    subject: str = Field(examples=["견적 문의"])
    category: str | None = Field(None, examples=["quote"])
    assignee: uuid.UUID | None = Field(None, description="Id of the member who answers the inquiry.")
    spam_score: int | None = Field(
        None,
        description="0 to 100: how much the inquiry looks like spam, by links, repeated text and inquiries of the "
        "same address within a day. Null where an earlier release took it.",
    )
    status: Status
    created_at: Instant


class InquiryOut(InquirySummary):
    """An inquiry."""

    email: str = Field(examples=["haneul@example.com"])
    message: str = Field(examples=["안녕하세요. 제품 견적을 부탁드립니다."])
    referral: str = Field(examples=["검색"])
    consented_at: Instant
    consent_version: str | None = Field(
        description="Version of the consent text that the form showed; null where the form named none.",
        examples=["2026-12-01"],
    )
    note: str = Field(examples=["견적서를 보냈습니다."])
    version: int
    updated_at: Instant
    done_at: Instant | None
    destroy_at: Instant | None = Field(
        description="When the inquiry will be destroyed if nothing changes; null until the next run of the "
        "scheduler where an earlier release wrote it."
    )


class InquiryUpdate(Input):
    """State of an inquiry. Category and assignee stay as they are where they are left out."""

    status: Status
    category: CategorySlug | None = None
    assignee: uuid.UUID | None = Field(
        None, description="Id of the member who answers the inquiry; null for nobody."
    )
    note: Annotated[str, Field(max_length=10_000), Text] = Field(
        "", description="For the staff; the visitor never sees it."
    )


SpamScore = Annotated[int | None, Field(ge=0, le=100), Digits]


class InquiryQuery(Input):
    """Filters of inquiries."""

    status: Status | None = None
    category: CategorySlug | None = None
    assignee: uuid.UUID | None = Field(None, description="Only those that this member answers.")
    max_spam_score: SpamScore = Field(None, description="Only those with at most this score.")
    min_spam_score: SpamScore = Field(None, description="Only those with at least this score.")
    limit: Limit = 20
    cursor: Cursor = None


class InquirySearch(Input):
    """Whose inquiries to list. The address is in the body, because servers log URLs."""

    email: Email = Field(examples=["haneul@example.com"])
    limit: Limit = 20
    cursor: Cursor = None


class InquiryExportRequest(Input):
    """Whose inquiries to export."""

    email: Email = Field(examples=["haneul@example.com"])


class PersonalExport(Model):
    """Everything that is stored of a person's inquiries, newest first."""

    items: list[InquiryOut]
