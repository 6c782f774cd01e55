"""Operators' access to the database, which nothing outside the VPC reaches: `familycorp … --env ENV`.

Two functions, because IAM distinguishes functions, not their requests: `read` answers, `write` changes. Each is
called by its function URL, where Lambda verifies who calls; that ARN is what the audit trail names. A request is
`{"command": …, "arguments": {…}}`, and other members are ignored. Large arguments and results go through a bucket.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

import orjson
from anyio import to_thread
from pydantic import Field, ValidationError, validate_call

import app.previews  # noqa: F401 - it registers what ends with a member.
from app.audit import service as audit
from app.audit.schemas import AuditEntryOut, AuditQuery
from app.content import aliases, exporting, importing, undo
from app.content.importing import IMPORTER, Import, Outcome
from app.content.schemas import ImportJob
from app.core.aws import clients
from app.core.database import engine
from app.core.http.pagination import Page
from app.core.http.problems import Problem, ValidationFailed
from app.core.http.schema import Model
from app.core.messages import marked
from app.core.observability import context
from app.core.settings import Role, settings
from app.core.translation import Language
from app.functions import invocation, migrations
from app.inquiries import service as inquiries
from app.members import service as members
from app.members.schemas import MemberOut
from app.redirects import service as redirects
from app.redirects.schemas import ImportedRedirect, RedirectCreate
from app.uploads import moving
from app.uploads.moving import Arrival, Moved

IMPORTS: Final = "imports/"
EXPORTS: Final = "exports/"
"""Prefixes of the bucket: operators write below the first and read below the second."""

WRITTEN_IN_A_CALL = 100
"""Number of posts that one call writes; a call that is killed is repeated from where its last part ended."""

Event = Mapping[str, Any]
Command = Callable[..., Awaitable[Any]]


class NotAUrlCall(Problem):
    """The function was invoked without its URL, so nothing verified the caller."""

    status, code, title = 403, "not_a_url_call", marked("This function takes calls by its URL alone")


class UnknownCommand(Problem):
    """There is no such command here; one that changes something is the other function's."""

    status, code, title = 404, "unknown_command", marked("This function has no such command")


class ImportRunning(Problem):
    """Another import has to end first."""

    status, code, title = 409, "import_running", marked("Another import is running; try again")


class Request(Model):
    """An operator's request."""

    command: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Stored(Model):
    """Where in the bucket a response is."""

    object: str
    next_cursor: str | None = None


class Progress(Model):
    """Progress of an import, from which the next call goes on."""

    outcomes: list[Outcome] = Field(default_factory=list)
    categories: list[tuple[str, str]] = Field(default_factory=list)
    remaining: int = 0
    pending: bool = False
    finished: bool = False


# -- what reads ----------------------------------------------------------------------------------------------------


async def _audit(
    target: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[AuditEntryOut]:
    return await audit.listed(AuditQuery(target=target, limit=limit, cursor=cursor), None)


async def _schema() -> dict[str, Any]:
    # Alembic runs an event loop of its own.
    return await to_thread.run_sync(migrations.look)


async def _posts(ids: list[uuid.UUID]) -> Stored:
    return await _exported([found.dumped() for found in await exporting.posts(ids)])


async def _redirects() -> Stored:
    return await _exported([redirect.model_dump() for redirect in await exporting.redirects()])


async def _inquiries(cursor: str | None = None, email: str | None = None) -> Stored:
    page = await inquiries.exported(cursor, email)
    stored = await _exported([inquiry.model_dump(mode="json", by_alias=True) for inquiry in page.items])
    return stored.model_copy(update={"next_cursor": page.next_cursor})


# -- what writes ---------------------------------------------------------------------------------------------------


async def _grant_role(who: str, role: Role | None) -> MemberOut:
    return await members.grant_role(who, role)


async def _import(name: str, dry_run: bool = False, resume: bool = False) -> Progress:
    """Do a part of an import, from where an earlier call of the same job ended.

    A finished job starts again, unless the call is to `resume`: then its response was lost on the way.
    """
    job = ImportJob.model_validate_json(await _get(IMPORTS + name))
    if dry_run:
        return await _advance(Import(job, dry_run=True), Progress())
    state = f"{IMPORTS}{name}.progress"
    async with engine.exclusively(importing.LOCK, waits=_refuse):
        progress = await _progress(state)
        if progress.finished and not resume:
            progress = Progress()
        done = [outcome.file for outcome in progress.outcomes]
        return await _advance(Import(job, done=done), progress, state)


async def _advance(work: Import, progress: Progress, state: str | None = None) -> Progress:
    """Take an import's steps until it ends or the call has done its part, and keep after each how far it is."""
    begun_with = len(progress.outcomes)
    async with aclosing(work.steps()) as steps:
        async for step in steps:
            progress.outcomes += step.outcomes
            progress.categories += step.categories
            progress.remaining, progress.pending = step.remaining, step.pending
            if state:
                await _put(state, progress.model_dump_json().encode())
            if step.remaining and len(progress.outcomes) - begun_with >= WRITTEN_IN_A_CALL:
                return progress
    progress.finished = True
    if state:
        await _put(state, progress.model_dump_json().encode())
    return progress


async def _expect(file: Moved) -> Arrival:
    return await moving.expect(file, IMPORTER)


async def _sent(file: uuid.UUID) -> Arrival:
    # S3 notifies the function of uploads, which has the memory that images take.
    return await moving.sent(file, checks=False)


async def _undo(job: str) -> undo.Undone:
    async with engine.exclusively(importing.LOCK, waits=_refuse):
        return await undo.undo(uuid.UUID(job))


async def _progress(state: str) -> Progress:
    bucket = settings().exchange_bucket
    found = await clients.call("s3", "list_objects_v2", Bucket=bucket, Prefix=state, MaxKeys=1)
    return Progress.model_validate_json(await _get(state)) if found.get("Contents") else Progress()


async def _import_redirects(items: list[dict[str, str]], language: Language = "en") -> list[ImportedRedirect]:
    wanted = [RedirectCreate.model_validate(item) for item in items]
    return await redirects.imported(wanted, IMPORTER, language)


def _refuse() -> None:
    raise ImportRunning


# -- the bucket ----------------------------------------------------------------------------------------------------


async def _exported(items: list[Any]) -> Stored:
    name = f"{uuid.uuid4()}.json"
    await _put(EXPORTS + name, orjson.dumps(items))
    return Stored(object=name)


async def _get(key: str) -> bytes:
    found = await clients.call("s3", "get_object", Bucket=settings().exchange_bucket, Key=key)
    content: bytes = await to_thread.run_sync(found["Body"].read)
    return content


async def _put(key: str, content: bytes) -> None:
    await clients.call("s3", "put_object", Bucket=settings().exchange_bucket, Key=key, Body=content)


# -- the functions -------------------------------------------------------------------------------------------------

READS: Final[Mapping[str, Command]] = {
    "members.list": members.everybody,
    "audit.list": _audit,
    "db.status": _schema,
    "content.outline": exporting.outline,
    "content.posts": _posts,
    "content.redirects": _redirects,
    "inquiries.export": _inquiries,
}
WRITES: Final[Mapping[str, Command]] = {
    "members.grant-role": _grant_role,
    "members.disable": members.disable,
    "members.end-sessions": members.log_out,
    "members.erase": members.erase_for_operator,
    "content.import": _import,
    "content.files": moving.arrivals,
    "content.expect-file": _expect,
    "content.sent-file": _sent,
    "content.redirect-targets": aliases.targets_of,
    "content.undo": _undo,
    "redirects.import": _import_redirects,
}


def read(event: Event, _: object) -> dict[str, Any]:
    """Serve Lambda: answer an operator's request."""
    return _serve("operator-read", event, READS)


def write(event: Event, _: object) -> dict[str, Any]:
    """Serve Lambda: change what an operator says."""
    return _serve("operator-write", event, WRITES)


def _serve(function: str, event: Event, commands: Mapping[str, Command]) -> dict[str, Any]:
    # All calls of one command of an operator's have the id that it made.
    token = context.bind(context.accept_request_id(event.get("headers", {}).get("x-request-id")))
    try:
        return invocation.serve(function, _answered(event, commands))
    finally:
        context.unbind(token)


async def _answered(event: Event, commands: Mapping[str, Command]) -> dict[str, Any]:
    """Return the response of a function URL (payload format 2.0); a failure that is no `Problem` is raised."""
    try:
        caller = _caller(event)
        asked = Request.model_validate_json(event.get("body") or "")
        command = commands.get(asked.command)
        if command is None:
            raise UnknownCommand
        with audit.operated_by(caller):
            answer = await validate_call(command)(**asked.arguments)
    except ValidationError as error:
        return _response(ValidationFailed.of(error.errors(include_url=False, include_input=False)))
    except Problem as problem:
        return _response(problem)
    body = orjson.dumps(answer, default=_as_json).decode()
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": body}


async def done_here(command: str, arguments: Mapping[str, Any]) -> Any:
    """Return what a command answers, as JSON has it, in this process; for a machine that reaches the database."""
    answer = await {**READS, **WRITES}[command](**arguments)
    return orjson.loads(orjson.dumps(answer, default=_as_json))


def _caller(event: Event) -> str:
    try:
        caller: str = event["requestContext"]["authorizer"]["iam"]["userArn"]
    except (KeyError, TypeError):
        raise NotAUrlCall from None
    return caller


def _as_json(value: Any) -> Any:
    return value.model_dump(mode="json", by_alias=True)


def _response(problem: Problem) -> dict[str, Any]:
    response = problem.response()
    return {
        "statusCode": response.status_code,
        "headers": {"Content-Type": "application/problem+json"},
        "body": bytes(response.body).decode(),
    }
