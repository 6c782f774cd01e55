"""The list of inquiries' categories: what the form offers, and how long each kind is kept."""

from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.exc import StaleDataError

from app.audit import service as audit
from app.auth.subject import Subject
from app.core.clock import now
from app.core.database.engine import reading
from app.core.http.problems import PreconditionFailed, ValidationFailed
from app.core.messages import marked
from app.core.read_path import read_model
from app.core.settings import settings
from app.core.write_path import events, outbox
from app.inquiries import repository
from app.inquiries.schemas import InquiryCategories, InquiryCategoriesOut, InquiryCategory, InquiryCategoryOut

_AGGREGATE = "inquiry-categories"
_SNAPSHOT = f"~{_AGGREGATE}"


async def public() -> bytes:
    """Return what the form shows, as JSON: categories with their retention periods, and the period without one."""
    item = await read_model.get(_SNAPSHOT)
    return orjson.dumps(
        _listed(orjson.loads(item["list"]) if item else []).model_dump(mode="json", by_alias=True)
    )


async def editorial() -> tuple[InquiryCategoriesOut, int]:
    """Return the list and its version."""
    async with reading() as session:
        found = await repository.category_list(session)
    return _listed(found.items), found.version


async def replace(
    request: InquiryCategories, expected: int, actor: Subject
) -> tuple[InquiryCategoriesOut, int]:
    """Replace the list; return it and its version. Inquiries of a category that is gone keep its slug."""
    async with outbox.transaction() as transaction:
        found = await repository.category_list(transaction.session)
        if found.version != expected:
            raise PreconditionFailed(
                marked("The list is at version {version} now. Read it again, then repeat your change."),
                version=found.version,
            )
        items = [item.model_dump(mode="json", by_alias=True) for item in request.items]
        if items == found.items:
            return _listed(items), found.version
        found.items = items
        try:
            await transaction.session.flush()
        except StaleDataError:
            raise PreconditionFailed from None
        audit.record(
            transaction.session, actor.id, "inquiry.categories_changed", _AGGREGATE, version=found.version
        )
        transaction.emit(_AGGREGATE, found.version, "inquiry-categories.changed", {}, _snapshot(items))
        # The marker is due after the commit, so that the run which recomputes the times reads these periods.
        await events.mark_retention(now() + outbox.GRACE)
        return _listed(items), found.version


async def find(session: AsyncSession, category: str | None) -> InquiryCategory | None:
    """Return the category that an inquiry names; raise `ValidationFailed` where it isn't in the list."""
    if category is None:
        return None
    for item in (await repository.category_list(session)).items:
        if item["slug"] == category:
            return InquiryCategory.model_validate(item)
    raise ValidationFailed.on(
        "body.category", "unknown_category", marked("There is no category {category}."), category=category
    )


async def rebuild() -> None:
    """Write to DynamoDB the list that the database holds; one that is in date stays as it is."""
    async with reading() as session:
        found = await repository.category_list(session)
    await read_model.replace(_snapshot(found.items), found.version)


def _snapshot(items: list[dict[str, Any]]) -> read_model.Snapshot:
    return read_model.Snapshot(_SNAPSHOT, {"list": orjson.dumps(items).decode()})


def _listed(items: list[dict[str, Any]]) -> InquiryCategoriesOut:
    return InquiryCategoriesOut(
        items=[InquiryCategoryOut.model_validate(item) for item in items],
        retention_days=settings().inquiry_retention_days,
    )
