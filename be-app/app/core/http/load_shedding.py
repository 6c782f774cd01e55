"""Load shedding: a bound on concurrent requests of one process, which refuses those that it couldn't serve in time.

Beyond a process's capacity every further request makes all others slower, until none is answered before its caller
gave up (Amazon Builders' Library, "Using load shedding to avoid overload"). Answers from the public cache aren't
counted: one takes as long as a refusal.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.http.problems import Overloaded
from app.core.observability import metrics


class Shedding:
    """Answers 503 `overloaded` to requests that come while `limit` others are in the application.

    Lambda sends a process one request at a time, so there it never does. `exempt` paths are always let in: a busy
    process isn't a broken one.
    """

    def __init__(self, app: ASGIApp, *, limit: int, exempt: frozenset[str]) -> None:
        self._app = app
        self._limit = limit
        self._exempt = exempt
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        if self._inside >= self._limit:
            metrics.add("shed")
            await Overloaded().response()(scope, receive, send)
            return
        arrived = False

        async def patient() -> Message:
            nonlocal arrived
            if arrived:
                return await receive()
            self._inside -= 1  # Requests still uploading their body don't count against the limit.
            try:
                message = await receive()
            finally:
                self._inside += 1
            arrived = not message.get("more_body", False)
            return message

        self._inside += 1
        try:
            await self._app(scope, patient, send)
        finally:
            self._inside -= 1
