"""CORS for an exact list of origins (ASVS 3.4.2); on a developer's machine, for all of its own."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.core.http.problems import Problem
from app.core.messages import marked


class PreflightRejected(Problem):
    """A preflight request names an origin, a method or a header that CORS doesn't allow."""

    status, code, title = 400, "cors_rejected", marked("This origin may not send this request")


class Cors(CORSMiddleware):
    """Starlette's CORS, but a foreign origin gets no header of it, and a refusal is a problem document."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; one that no page of another origin sent goes straight on."""
        if any(name == b"origin" for name, _ in scope.get("headers", ())):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight request."""
        answer = super().preflight_response(request_headers)
        return answer if answer.status_code == 200 else PreflightRejected().response()

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Add the headers that let the page of an allowed origin read the response."""
        if self.is_allowed_origin(request_headers.get("origin", "")):
            await super().send(message, send, request_headers)
        else:
            await send(message)

    @staticmethod
    def allow_explicit_origin(headers: MutableHeaders, origin: str) -> None:
        """Name the origin, and leave `Vary` alone: every response says that it depends on the origin."""
        headers["Access-Control-Allow-Origin"] = origin
