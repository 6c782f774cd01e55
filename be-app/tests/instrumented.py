"""The real application, served by uvicorn for tests, with three additions that the deployed one lacks.

- `X-Test-Subject` names the caller; there is no way to log in yet, and without it every editorial route answers 401.
- `X-Count-SQL`, `X-Count-DynamoDB` and `X-Count-Valkey` in an answer tell how many round trips it took.
- The variable `TEST_KILL_AT=N` makes the process die, as by SIGKILL, just before its Nth round trip after the first
  commit; 0 means just before that commit.
"""

import os
import signal
from collections import Counter
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Annotated, Any

import redis.asyncio
from fastapi import Header
from sqlalchemy import event

from app.auth.subject import Subject, current_subject
from app.core import database, dynamodb
from app.core.errors import Unauthenticated
from app.main import app as real

_trips: ContextVar[Counter[str] | None] = ContextVar("trips", default=None)
_kill_at = int(os.environ.get("TEST_KILL_AT", "-1"))
_since_commit = -1


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _count(store: str) -> None:
    global _since_commit
    if _since_commit >= 0:
        _since_commit += 1
        if _since_commit == _kill_at:
            _die()
    trips = _trips.get()
    if trips is not None:
        trips[store] += 1


def _on_commit(_: Any) -> None:
    global _since_commit
    if _since_commit < 0 <= _kill_at:
        if _kill_at == 0:
            _die()
        _since_commit = 0


def _on_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if not statement.startswith("BEGIN"):  # Only SQLite's is visible here; the others' drivers send their own.
        _count("SQL")


def _instrument() -> None:
    engine = database.engine().sync_engine
    event.listen(engine, "before_cursor_execute", _on_statement)
    event.listen(engine, "commit", _on_commit)
    dynamodb.client().meta.events.register("before-send.dynamodb", lambda **_: _count("DynamoDB"))
    execute = redis.asyncio.Redis.execute_command

    async def counted(self: Any, *args: Any, **options: Any) -> Any:
        _count("Valkey")
        return await execute(self, *args, **options)

    redis.asyncio.Redis.execute_command = counted


async def _named_subject(x_test_subject: Annotated[str | None, Header()] = None) -> Subject:
    if x_test_subject is None:
        raise Unauthenticated
    return Subject(x_test_subject)


real.dependency_overrides[current_subject] = _named_subject
_instrument()


async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Serve a request, counting its round trips."""
    trips = Counter[str]()
    _trips.set(trips)

    async def with_counts(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            for store in ("SQL", "DynamoDB", "Valkey"):
                message["headers"] = [
                    *message["headers"],
                    (f"x-count-{store}".lower().encode(), str(trips[store]).encode()),
                ]
        await send(message)

    await real(scope, receive, with_counts)
