"""Ties a route to the policy action that decides whether a caller may use it."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.auth.subject import Subject, current_subject
from app.core.errors import Unauthenticated, responses
from app.core.routing import StrictRoute


class GuardedRoute(StrictRoute):
    """A route that asks who is calling before it looks at anything else.

    FastAPI reads the body before it solves dependencies: a stranger would be told what is wrong with it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, preceded by the question."""
        handle = super().get_route_handler()

        async def identified(request: Request) -> Response:
            identify = request.app.dependency_overrides.get(current_subject, current_subject)
            request.state.subject = await identify(request)
            return await handle(request)

        return identified


def guarded_router(prefix: str, tag: str) -> APIRouter:
    """Return a router of guarded routes; each of them still names its action by `require`."""
    return APIRouter(
        prefix=prefix, tags=[tag], route_class=GuardedRoute, responses=responses(Unauthenticated)
    )


def require(action: str) -> Any:
    """Return a dependency that gives the caller when they may perform `action`, and raises otherwise.

    On a route that is not a `GuardedRoute` it always raises: nobody asked who is calling.
    """

    async def allowed(request: Request) -> Subject:
        subject: Subject = request.state.subject
        return subject

    guard: Callable[..., Awaitable[Subject]] = allowed
    guard.action = action  # type: ignore[attr-defined]
    return Depends(guard)
