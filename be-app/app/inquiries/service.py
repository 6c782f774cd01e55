"""Rules of inquiries."""

import uuid
from typing import Any

from sqlalchemy.orm.exc import StaleDataError

from app.audit import service as audit
from app.auth.subject import SYSTEM, Subject
from app.core.clock import now
from app.core.database.engine import reading, writing
from app.core.http import pagination
from app.core.http.pagination import Page
from app.core.http.problems import NotFound, PreconditionFailed, ValidationFailed
from app.core.messages import marked
from app.core.write_path import idempotency, outbox
from app.inquiries import categories, repository, retention, spam
from app.inquiries.errors import ExportTooLarge
from app.inquiries.models import DONE, NEW, Inquiry
from app.inquiries.schemas import (
    InquiryCreate,
    InquiryOut,
    InquiryQuery,
    InquiryReceipt,
    InquirySearch,
    InquirySummary,
    InquiryUpdate,
    PersonalExport,
)
from app.members import repository as members

_EXPORTED_AT_ONCE = 500
_EXPORTED_IN_AN_ANSWER = 50
"""An answer of a function may have 6 MB ("Lambda quotas"); the longest inquiry with its note has 60 KB."""


async def receive(request: InquiryCreate, key: str | None) -> InquiryReceipt:
    """Keep a visitor's inquiry; with an idempotency key, once."""

    async def write(transaction: outbox.Transaction, inquiry_id: uuid.UUID) -> None:
        category = await categories.find(transaction.session, request.category)
        at = now()
        earlier = await repository.latest(transaction.session, at - spam.COMPARED_FOR, spam.COMPARED)
        inquiry = Inquiry(
            id=inquiry_id,
            **request.model_dump(exclude={"consent", "consent_version", "website"}),
            consented_at=at,
            consent_version=request.consent_version or None,
            status=NEW,
            note="",
            spam_score=spam.score(request, earlier),
            created_at=at,
            updated_at=at,
        )
        await retention.schedule(transaction, inquiry)
        transaction.session.add(inquiry)
        audit.record(transaction.session, "visitor", "inquiry.received", f"inquiry:{inquiry_id}")
        # What notices are made of, far from the database: nothing of the person.
        data: dict[str, Any] = {"inquiryId": str(inquiry_id)}
        if request.website:
            data["spam"] = True
        if category is not None:
            data |= {"category": category.slug, "ko": category.name.ko, "en": category.name.en}
        transaction.emit(retention.name(inquiry_id), 1, "inquiry.received", data)

    inquiry_id, _ = await idempotency.create_once(retention.SCOPE, key, request, write)
    return InquiryReceipt(id=inquiry_id)


async def listed(query: InquiryQuery) -> Page[InquirySummary]:
    """Return a page of inquiries, newest first."""
    return await _cards(query, **query.model_dump(exclude={"limit", "cursor"}))


async def found(query: InquirySearch) -> Page[InquirySummary]:
    """Return a page of a person's inquiries, newest first."""
    return await _cards(query, email=query.email)


async def _cards(query: InquiryQuery | InquirySearch, **chosen: Any) -> Page[InquirySummary]:
    async with reading() as session:
        found = await repository.page(
            session, before=pagination.decode_id(query.cursor), limit=query.limit + 1, **chosen
        )
    page = found[: query.limit]
    return Page[InquirySummary](
        items=[InquirySummary.model_validate(inquiry) for inquiry in await retention.present(page)],
        next_cursor=pagination.encode(str(page[-1].id)) if len(found) > query.limit else None,
    )


async def exported_of(email: str, actor: Subject) -> PersonalExport:
    """Return all inquiries of a person, newest first; the audit trail records it, without the address.

    Raises `ExportTooLarge`.
    """
    async with writing() as session:
        found = await repository.page(session, email=email, before=None, limit=_EXPORTED_IN_AN_ANSWER + 1)
        if len(found) > _EXPORTED_IN_AN_ANSWER:
            raise ExportTooLarge
        present = await retention.present(found)
        audit.record(session, actor.id, "inquiry.exported", "inquiries", count=len(present))
    return PersonalExport(items=[InquiryOut.model_validate(inquiry) for inquiry in present])


async def exported(cursor: str | None, email: str | None = None) -> Page[InquiryOut]:
    """Return a page of whole inquiries, newest first, for an operator; the audit trail records the export.

    With `email` those of one person alone.
    """
    async with writing() as session:
        found = await repository.page(
            session, email=email, before=pagination.decode_id(cursor), limit=_EXPORTED_AT_ONCE + 1
        )
        page = found[:_EXPORTED_AT_ONCE]
        present = await retention.present(page)
        audit.record(session, SYSTEM.id, "inquiry.exported", "inquiries", count=len(present))
    return Page[InquiryOut](
        items=[InquiryOut.model_validate(inquiry) for inquiry in present],
        next_cursor=pagination.encode(str(page[-1].id)) if len(found) > len(page) else None,
    )


async def read(inquiry_id: uuid.UUID) -> InquiryOut:
    """Return one inquiry."""
    async with reading() as session:
        inquiry = await repository.by_id(session, inquiry_id)
    if inquiry is None or not await retention.present([inquiry]):
        raise NotFound
    return InquiryOut.model_validate(inquiry)


async def update(inquiry_id: uuid.UUID, request: InquiryUpdate, expected: int, actor: Subject) -> InquiryOut:
    """Record how far the staff got."""
    async with outbox.transaction() as transaction:
        inquiry = await _open(transaction, inquiry_id, expected)
        if not await retention.present([inquiry]):
            raise NotFound
        await _sort(transaction, inquiry, request)
        at = now()
        if request.status != DONE:
            inquiry.done_at = None
        elif inquiry.status != DONE:
            inquiry.done_at = at
        inquiry.status, inquiry.note, inquiry.updated_at = request.status, request.note, at
        await retention.schedule(transaction, inquiry)
        audit.record(
            transaction.session,
            actor.id,
            "inquiry.updated",
            retention.name(inquiry_id),
            status=request.status,
            category=inquiry.category,
            assignee=inquiry.assignee and str(inquiry.assignee),
        )
        await _flush(transaction)
        return InquiryOut.model_validate(inquiry)


async def _sort(transaction: outbox.Transaction, inquiry: Inquiry, request: InquiryUpdate) -> None:
    """Set category and assignee where the request names them."""
    if "category" in request.model_fields_set and request.category != inquiry.category:
        await categories.find(transaction.session, request.category)
        inquiry.category = request.category
    if "assignee" in request.model_fields_set and request.assignee != inquiry.assignee:
        if request.assignee and not await members.is_present(transaction.session, request.assignee):
            raise ValidationFailed.on(
                "body.assignee", "unknown_member", marked("There is no active member with this id.")
            )
        inquiry.assignee = request.assignee


async def destroy(inquiry_id: uuid.UUID, expected: int, actor: Subject) -> None:
    """Destroy an inquiry at once."""
    async with outbox.transaction() as transaction:
        inquiry = await _open(transaction, inquiry_id, expected)
        await retention.destroy(transaction, inquiry, "request", actor.id)
        await _flush(transaction)


async def _open(transaction: outbox.Transaction, inquiry_id: uuid.UUID, expected: int) -> Inquiry:
    inquiry = await repository.by_id(transaction.session, inquiry_id)
    if inquiry is None:
        raise NotFound
    if inquiry.version != expected:
        raise PreconditionFailed(
            marked("The inquiry is at version {version} now. Read it again, then repeat your change."),
            version=inquiry.version,
        )
    return inquiry


async def _flush(transaction: outbox.Transaction) -> None:
    try:
        await transaction.session.flush()
    except StaleDataError:
        raise PreconditionFailed from None
