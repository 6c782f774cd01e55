"""Rules of redirects: changing them, and where a visitor's path leads."""

import uuid
from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit import service as audit
from app.auth.subject import Subject
from app.core.clock import new_id, now
from app.core.database.engine import reading
from app.core.http import pagination
from app.core.http.pagination import Page
from app.core.http.problems import NotFound, PreconditionFailed, Problem, Unavailable
from app.core.read_path import read_model
from app.core.translation import Language
from app.core.write_path import outbox
from app.posts.publication import read_model as public_posts
from app.redirects import repository
from app.redirects.errors import RedirectExists, RedirectLoop
from app.redirects.models import Redirect
from app.redirects.schemas import (
    ImportedRedirect,
    RedirectCreate,
    RedirectOut,
    RedirectQuery,
    RedirectUpdate,
)

_REBUILD_BATCH = 500
_KEPT = "/?:@!$&'()*+,;=~"  # What paths and queries may have (RFC 3986 §3.3, §3.4).


async def location(path: str) -> str:
    """Return where a path leads, as `Location` has it; raise `NotFound` where it leads nowhere.

    A target that is the address of a post which has moved since is the post's present address.
    """
    item = await read_model.get(_key(path))
    if item is None or "target" not in item:
        raise NotFound
    return quote(await public_posts.present_path(item["target"]), safe=_KEPT)


async def listed(query: RedirectQuery) -> Page[RedirectOut]:
    """Return a page of redirects, newest first."""
    before = pagination.decode_id(query.cursor)
    async with reading() as session:
        found = await repository.page(
            session, path=query.path, target=query.target, before=before, limit=query.limit + 1
        )
    page = found[: query.limit]
    return Page[RedirectOut](
        items=[RedirectOut.model_validate(redirect) for redirect in page],
        next_cursor=pagination.encode(str(page[-1].id)) if len(found) > query.limit else None,
    )


async def read(redirect_id: uuid.UUID) -> RedirectOut:
    """Return a redirect."""
    async with reading() as session:
        redirect = await repository.read(session, redirect_id)
    if redirect is None:
        raise NotFound
    return RedirectOut.model_validate(redirect)


async def create(request: RedirectCreate, actor: Subject) -> RedirectOut:
    """Have a path lead to a target; raise `RedirectExists` or `RedirectLoop`."""
    async with outbox.transaction() as transaction:
        version = await repository.advance(transaction.session)
        if await repository.of_path(transaction.session, request.path):
            raise RedirectExists
        at = now()
        redirect = Redirect(id=new_id(), path=request.path, created_at=at)
        await _lead(transaction, redirect, request.target, version)
        transaction.session.add(redirect)
        _record(transaction, redirect, actor, "redirect.created", to=redirect.target)
        return RedirectOut.model_validate(redirect)


async def update(
    redirect_id: uuid.UUID, request: RedirectUpdate, expected: int, actor: Subject
) -> RedirectOut:
    """Have a path lead to another target; raise `RedirectLoop`."""
    async with outbox.transaction() as transaction:
        version = await repository.advance(transaction.session)
        redirect = await _open(transaction, redirect_id, expected)
        await _lead(transaction, redirect, request.target, version)
        _record(transaction, redirect, actor, "redirect.updated", to=redirect.target)
        return RedirectOut.model_validate(redirect)


async def delete(redirect_id: uuid.UUID, expected: int, actor: Subject) -> None:
    """Have a path lead nowhere. Redirects whose wanted target it was keep the end that it led to."""
    async with outbox.transaction() as transaction:
        version = await repository.advance(transaction.session)
        redirect = await _open(transaction, redirect_id, expected)
        await transaction.session.delete(redirect)
        _record(transaction, redirect, actor, "redirect.deleted")
        gone = read_model.Snapshot(_key(redirect.path), {}, ("target",))
        _emit(transaction, redirect, version, "redirect.deleted", gone)


async def imported(
    requests: Sequence[RedirectCreate], actor: Subject, language: Language = "en"
) -> list[ImportedRedirect]:
    """Have each path lead to its target, whether it led somewhere before or not; raise `Unavailable`."""
    outcomes = []
    async with outbox.batched():
        for request in requests:
            try:
                outcomes.append(ImportedRedirect(result=await _put(request, actor)))
            except Unavailable:
                raise
            except Problem as problem:
                outcomes.append(ImportedRedirect(result="failed", message=problem.in_language(language)))
    return outcomes


async def _put(request: RedirectCreate, actor: Subject) -> Literal["created", "changed", "unchanged"]:
    async with reading() as session:
        found = await repository.of_path(session, request.path)
        unchanged = found is not None and found.target == await _end(session, request.target)
    if found is None:
        await create(request, actor)
        return "created"
    if unchanged:
        return "unchanged"
    await update(found.id, RedirectUpdate(target=request.target), found.version, actor)
    return "changed"


async def rebuild() -> None:
    """Write to DynamoDB the redirects that the database holds; one that is in date stays as it is."""
    last = None
    while True:
        async with reading() as session:
            batch = await repository.page(session, path=None, target=None, before=last, limit=_REBUILD_BATCH)
        for redirect in batch:
            await read_model.replace(_snapshot(redirect), redirect.version)
        if len(batch) < _REBUILD_BATCH:
            return
        last = batch[-1].id


async def _open(transaction: outbox.Transaction, redirect_id: uuid.UUID, expected: int) -> Redirect:
    redirect = await repository.read(transaction.session, redirect_id)
    if redirect is None:
        raise NotFound
    if redirect.version != expected:
        raise PreconditionFailed
    return redirect


async def _lead(transaction: outbox.Transaction, redirect: Redirect, target: str, version: int) -> None:
    """Have a redirect lead to the end of its target, and those that lead to its path as well."""
    end = await _end(transaction.session, target)
    if redirect.path in {target, end}:
        raise RedirectLoop
    for changed in (redirect, *await repository.leading_to(transaction.session, redirect.path)):
        changed.target, changed.version, changed.updated_at = end, version, now()
        _emit(transaction, changed, version, "redirect.changed", _snapshot(changed))


async def _end(session: AsyncSession, target: str) -> str:
    further = await repository.of_path(session, target)
    return further.target if further else target


def _record(
    transaction: outbox.Transaction, redirect: Redirect, actor: Subject, action: str, **detail: str
) -> None:
    audit.record(transaction.session, actor.id, action, _name(redirect), path=redirect.path, **detail)


def _emit(
    transaction: outbox.Transaction,
    redirect: Redirect,
    version: int,
    kind: str,
    snapshot: read_model.Snapshot,
) -> None:
    data = {"path": redirect.path, "target": redirect.target}
    transaction.emit(_name(redirect), version, kind, data, snapshot)


def _snapshot(redirect: Redirect) -> read_model.Snapshot:
    return read_model.Snapshot(_key(redirect.path), {"target": redirect.target})


def _name(redirect: Redirect) -> str:
    return f"redirect:{redirect.id}"


def _key(path: str) -> str:
    return f"~redirect:{path}"
