"""A limit on request bodies, with and without Content-Length."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import grammar


class BodyLimit:
    """Refuses a body beyond the limit when it is read, so that a route which reads none never minds.

    Starlette's own limiter answers outside of every other middleware: without correlation id, headers and
    problem document.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a bounded body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        length = grammar.number(declared)
        too_large = length is not None and length > self._max_bytes
        read = 0

        async def bounded() -> Message:
            nonlocal read
            if too_large:
                raise HTTPException(413)
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise HTTPException(413)
            return message

        await self._app(scope, bounded, send)
