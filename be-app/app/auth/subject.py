"""The caller of a request, as the rest of the application knows them."""

from dataclasses import dataclass

from fastapi import Request

from app.core.errors import Unauthenticated


@dataclass(frozen=True)
class Subject:
    """Somebody who proved who they are."""

    id: str


SYSTEM = Subject("system")
"""The application itself, where it acts without a request (a scheduled post)."""


async def current_subject(request: Request) -> Subject:  # noqa: ARG001 - what will tell who is calling
    """Return the caller. There is no way to log in yet, so there is never one."""
    raise Unauthenticated
