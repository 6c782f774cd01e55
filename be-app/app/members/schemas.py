"""Requests and answers about members."""

import uuid
from typing import Annotated

from pydantic import Field

from app.core.http.pagination import Cursor, Limit
from app.core.http.schema import Input, Instant, Model
from app.core.settings import Role


class MemberOut(Model):
    """A member. What the caller may not know is left out."""

    id: uuid.UUID
    name: str
    email: str | None = Field(None, examples=["haneul@familycorp.example"])
    role: Annotated[
        Role | None, Field(description="What an admin made them; null leaves it to the provider's groups.")
    ] = None
    group_role: Annotated[Role | None, Field(description="What their groups at the provider make them.")] = (
        None
    )
    disabled: bool | None = None
    seen_at: Instant | None = Field(None, description="When they last logged in, as far as is known here.")
    version: int | None = None


class MemberCards(Model):
    """A page of members."""

    items: list[MemberOut]
    next_cursor: str | None


class MemberQuery(Input):
    """Which members to list."""

    limit: Limit = 50
    cursor: Cursor = None


class RoleChange(Input):
    """What a member shall be."""

    role: Role | None = Field(description="Null leaves it to the provider's groups.", examples=["editor"])
