"""The real application, served by uvicorn for tests, with a few additions that the deployed one lacks.

- `X-Test-Subject` names the caller, an admin unless `X-Test-Role` says otherwise, for tests of what isn't about
  logging in; without it the application itself identifies the caller.
- `X-Count-SQL`, `X-Count-DynamoDB` and `X-Count-Valkey` in an answer are the round trips that it took, and
  `X-Test-Steps` names the points that the request passed: round trips, commits, the answer.
- `X-Test-Signal: 5 KILL` makes the process die by SIGKILL just before the fifth of those points, `5 STOP`
  suspends it there, and `5 STOP 4711` suspends another process.
- `POST /test/run-due?ahead=61` runs the scheduler, with a clock that many seconds ahead.
- `POST /test/clock?ahead=3600` sets the process's clock that many seconds ahead of the machine's.
- Names take as long to resolve as the file exists that `TEST_DNS_HANGS` names: for a process with asyncio's own loop.
- The variable `TEST_CACHE_HOLD_S` replaces the cache's pause after a publication, `TEST_PATIENCE_S` the time after
  which a stale answer is served instead of a late one (30 s: a busy machine must not change what tests see), and
  limits on clients hold only where `TEST_LIMITS` is set.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import MutableMapping
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis.asyncio
from sqlalchemy import event
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.auth.authentication import current_subject
from app.auth.sessions import Identity, State
from app.auth.subject import Subject
from app.core import clock
from app.core.aws import clients as aws
from app.core.database import engine as database
from app.core.http.problems import Problem
from app.core.rate_limits import fixed_window, gcra
from app.core.read_path import cache, public_cache
from app.functions import drain
from app.main import api
from app.main import app as real
from support import recording

STORES = ("SQL", "DynamoDB", "Valkey")


class Way:
    """The points that a request passed, and what is to happen at one of them."""

    def __init__(self, plan: str | None) -> None:
        self.steps: list[str] = []
        point, name, *pid = (plan or "0 KILL").split()
        self._point = int(point)
        self._signal = signal.Signals[f"SIG{name}"]
        self._pid = int(pid[0]) if pid else None

    def step(self, name: str) -> None:
        self.steps.append(name)
        if len(self.steps) == self._point:
            if self._pid:
                os.kill(self._pid, self._signal)
            else:  # Sent to the thread, it works before the thread's next instruction.
                signal.pthread_kill(threading.get_ident(), self._signal)


_way: ContextVar[Way | None] = ContextVar("way", default=None)


def _step(name: str) -> None:
    way = _way.get()
    if way is not None:
        way.step(name)


def _on_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if not statement.startswith("BEGIN"):  # SQLite's is the only one that is visible here.
        _step("SQL")


def _instrument() -> None:
    recording.start()
    engine = database.engine().sync_engine
    event.listen(engine, "before_cursor_execute", _on_statement)
    event.listen(engine, "commit", lambda _: _step("commit"))
    aws.client("dynamodb").meta.events.register("before-send.dynamodb", lambda **_: _step("DynamoDB"))
    aws.client("s3").meta.events.register("before-send.s3", lambda **_: _step("S3"))
    execute: Any = redis.asyncio.Redis.execute_command  # It has no types.

    async def counted(self: Any, *args: Any, **options: Any) -> Any:
        _step("Valkey")
        return await execute(self, *args, **options)

    redis.asyncio.Redis.execute_command = counted  # type: ignore[method-assign] # Every client of the process counts.
    cache.HOLD_S = float(os.environ.get("TEST_CACHE_HOLD_S", cache.HOLD_S))
    public_cache.PATIENCE_S = float(os.environ.get("TEST_PATIENCE_S", "30"))
    if "TEST_LIMITS" not in os.environ:
        fixed_window.consume = gcra.count = _nothing


async def _nothing(*_: Any, **__: Any) -> None:
    """Stand in for what counts requests: a suite sends from one address what a crowd would send from many."""


async def _named_subject(request: Request) -> Subject:
    name = request.headers.get("X-Test-Subject")
    if name is None:
        return await current_subject(request)
    role, at = request.headers.get("X-Test-Role", "admin"), int(time.time())
    identity = Identity("https://test.example", name, f"{name}@test.example", name, role, "")
    state = State(name, "test", identity, role, at, at * 1000, at + 900, provisioned=True)
    return Subject(name, role, second_factor_at=at, state=state)


api.state.identify = _named_subject
_instrument()


def _hanging(resolve: Any, marker: Path) -> Any:
    def resolved(*args: Any, **options: Any) -> Any:
        while marker.exists():
            time.sleep(0.1)
        return resolve(*args, **options)

    return resolved


if "TEST_DNS_HANGS" in os.environ:
    socket.getaddrinfo = _hanging(socket.getaddrinfo, Path(os.environ["TEST_DNS_HANGS"]))

_travel: Any = None


def _set_clock(request: Request) -> JSONResponse:
    import time_machine

    global _travel  # noqa: PLW0603 - the process has one clock
    if _travel is not None:
        _travel.stop()
    _travel = time_machine.travel(clock.now() + timedelta(seconds=float(request.query_params["ahead"])))
    _travel.start()
    return JSONResponse({"now": clock.now().isoformat()})


async def _run_due(request: Request) -> JSONResponse:
    ahead = timedelta(seconds=float(request.query_params["ahead"]))
    drain.now = lambda: clock.now() + ahead  # type: ignore[attr-defined] # Only this function's clock is ahead.
    try:
        return JSONResponse({"due": await drain.run_due()})
    except Problem as problem:
        return JSONResponse({"code": problem.code}, problem.status)


async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """Serve a request, noting its way."""
    if scope["type"] != "http":
        await real(scope, receive, send)
        return
    recording.acts_as(scope["path"])
    request = Request(scope, receive)
    way = Way(request.headers.get("x-test-signal"))
    _way.set(way)

    async def with_counts(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            _step("answer")
            noted = {f"X-Count-{store}": str(way.steps.count(store)) for store in STORES}
            noted["X-Test-Steps"] = " ".join(way.steps)
            message["headers"] = [
                *message["headers"],
                *((name.lower().encode(), value.encode()) for name, value in noted.items()),
            ]
        await send(message)

    if scope["path"] == "/test/clock":
        await _set_clock(request)(scope, receive, send)
    elif scope["path"] == "/test/run-due":
        await (await _run_due(request))(scope, receive, with_counts)
    else:
        await real(scope, receive, with_counts)
