"""The audit trail: written with every change, read by those who may."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pydantic.alias_generators import to_snake
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import repository, visibility
from app.audit.models import AuditEntry
from app.audit.schemas import AuditEntryOut, AuditQuery
from app.authz.grant import Grant
from app.core.clock import new_id, now
from app.core.database.engine import reading
from app.core.http import pagination
from app.core.http.pagination import Page
from app.core.observability.context import request_id

MEMBER_ERASED = "member.erased"
_BATCH = 500

_operator: ContextVar[str] = ContextVar("operator", default="")


@contextmanager
def operated_by(arn: str) -> Iterator[None]:
    """Have the entries of the block name an operator, by the ARN that AWS verified, as who made the change."""
    token = _operator.set(arn)
    try:
        yield
    finally:
        _operator.reset(token)


def record(session: AsyncSession, actor: str, action: str, target: str, **detail: Any) -> None:
    """Add an entry to the open transaction; `detail` names what changed, never people's data."""
    session.add(
        AuditEntry(
            id=new_id(),
            at=now(),
            actor=_operator.get() or actor,
            action=action,
            target=target,
            detail=detail,
            correlation_id=request_id(),
        )
    )


async def listed(query: AuditQuery, granted: Grant | None) -> Page[AuditEntryOut]:
    """Return a page of the trail, as far as the caller may know it; None is for an operator, who may know all."""
    obligations = granted.obligations if granted else {}
    drafts_of = granted.subject.id if granted and obligations.get("ownDraftsOnly") else None
    async with reading() as session:
        found = await repository.page(
            session,
            target=query.target,
            kinds=obligations.get("targets"),
            drafts_of=drafts_of,
            shared=await visibility.targets(session, drafts_of) if drafts_of else (),
            before=pagination.decode_id(query.cursor),
            limit=query.limit + 1,
        )
        page = found[: query.limit]
        former = await repository.already(session, MEMBER_ERASED, {f"member:{entry.actor}" for entry in page})
    entries = (
        AuditEntryOut.model_validate(entry).model_copy(
            update={"former_member": f"member:{entry.actor}" in former}
        )
        for entry in page
    )
    hidden = dict.fromkeys(map(to_snake, obligations.get("omit", ())))
    return Page[AuditEntryOut](
        items=[entry.model_copy(update=hidden) for entry in entries],
        next_cursor=pagination.encode(str(page[-1].id)) if len(found) > query.limit else None,
    )


async def targets(action: str) -> AsyncIterator[list[str]]:
    """Yield the targets of all entries about an action, oldest first, in parts."""
    after = None
    while True:
        async with reading() as session:
            found = await repository.of_action(session, action, after=after, limit=_BATCH)
        yield [entry.target for entry in found]
        if len(found) < _BATCH:
            return
        after = found[-1].id
