"""Rules of categories: changing them, and the list that visitors see."""

from collections.abc import Sequence

import orjson
from sqlalchemy.exc import IntegrityError

from app.audit import service as audit
from app.auth.subject import Subject
from app.categories import repository
from app.categories.errors import CategoryExists, CategoryInUse
from app.categories.models import Category
from app.categories.schemas import (
    CategoryCreate,
    CategoryListOut,
    CategoryOrder,
    CategoryOut,
    CategoryUpdate,
    LocalisedName,
)
from app.core.clock import now
from app.core.database.engine import reading
from app.core.http.problems import NotFound, PreconditionFailed, ValidationFailed
from app.core.messages import marked
from app.core.read_path import read_model
from app.core.write_path import outbox

_SNAPSHOT = "~categories"
_AGGREGATE = "categories"


async def public() -> bytes:
    """Return the published list as JSON, from DynamoDB."""
    item = await read_model.get(_SNAPSHOT)
    return item["list"].encode() if item else b'{"items":[]}'


async def editorial() -> tuple[CategoryListOut, int]:
    """Return the list and its version."""
    async with reading() as session:
        return _listed(await repository.ordered(session)), await repository.version(session)


async def create(request: CategoryCreate, actor: Subject) -> tuple[CategoryListOut, int]:
    """Add a category at the end; return the list and its version."""
    async with outbox.transaction() as transaction:
        categories = await _open(transaction, None)
        if any(c.slug == request.slug for c in categories):
            raise CategoryExists
        last = max((c.position for c in categories), default=0)
        category = Category(
            slug=request.slug,
            name_ko=request.name.ko,
            name_en=request.name.en,
            position=last + 1,
            created_at=now(),
        )
        transaction.session.add(category)
        return await _close(transaction, [*categories, category], actor, "category.created", request.slug)


async def rename(
    slug: str, request: CategoryUpdate, expected: int, actor: Subject
) -> tuple[CategoryListOut, int]:
    """Change a category's names; return the list and its version."""
    async with outbox.transaction() as transaction:
        categories = await _open(transaction, expected)
        category = _find(categories, slug)
        category.name_ko, category.name_en = request.name.ko, request.name.en
        return await _close(transaction, categories, actor, "category.renamed", slug)


async def reorder(request: CategoryOrder, expected: int, actor: Subject) -> tuple[CategoryListOut, int]:
    """Put the categories in the given order; return the list and its version."""
    async with outbox.transaction() as transaction:
        by_slug = {c.slug: c for c in await _open(transaction, expected)}
        if sorted(request.slugs) != sorted(by_slug):
            raise ValidationFailed.on(
                "body.slugs",
                "incomplete_order",
                marked("List each category exactly once: {slugs}."),
                slugs=", ".join(by_slug),
            )
        for position, slug in enumerate(request.slugs, start=1):
            by_slug[slug].position = position
        categories = [by_slug[slug] for slug in request.slugs]
        return await _close(transaction, categories, actor, "categories.reordered", _AGGREGATE)


async def delete(slug: str, expected: int, actor: Subject) -> tuple[CategoryListOut, int]:
    """Remove a category that no post is filed under; return the list and its version."""
    async with outbox.transaction() as transaction:
        categories = await _open(transaction, expected)
        category = _find(categories, slug)
        await transaction.session.delete(category)
        try:
            await transaction.session.flush()
        except IntegrityError:
            raise CategoryInUse from None
        left = [c for c in categories if c is not category]
        return await _close(transaction, left, actor, "category.deleted", slug)


async def rebuild() -> None:
    """Write to DynamoDB the list that the database holds; one that is in date stays as it is."""
    listed, version = await editorial()
    await read_model.replace(_snapshot(listed), version)


async def _open(transaction: outbox.Transaction, expected: int | None) -> list[Category]:
    """Lock the list at the version that the caller read, and return it."""
    if not await repository.advance(transaction.session, expected):
        raise PreconditionFailed
    return list(await repository.ordered(transaction.session))


async def _close(
    transaction: outbox.Transaction, categories: list[Category], actor: Subject, action: str, target: str
) -> tuple[CategoryListOut, int]:
    """Record the change, and emit the new list for DynamoDB."""
    version = await repository.version(transaction.session)
    listed = _listed(categories)
    audit.record(transaction.session, actor.id, action, target, version=version)
    transaction.emit(_AGGREGATE, version, "categories.changed", {}, _snapshot(listed))
    return listed, version


def _snapshot(listed: CategoryListOut) -> read_model.Snapshot:
    document = orjson.dumps(listed.model_dump(mode="json", by_alias=True))
    return read_model.Snapshot(_SNAPSHOT, {"list": document.decode()})


def _find(categories: list[Category], slug: str) -> Category:
    for category in categories:
        if category.slug == slug:
            return category
    raise NotFound


def _listed(categories: Sequence[Category]) -> CategoryListOut:
    # Stored categories were validated by the rules of their time.
    return CategoryListOut(
        items=[
            CategoryOut.model_construct(
                slug=c.slug, name=LocalisedName.model_construct(ko=c.name_ko, en=c.name_en)
            )
            for c in categories
        ]
    )
