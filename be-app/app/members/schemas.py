"""Requests and responses about members."""

import uuid
from typing import Annotated

from pydantic import Field

from app.core.http.pagination import Cursor, Limit
from app.core.http.schema import Allowed, Input, Instant, Model
from app.core.settings import Role


class MemberOut(Model):
    """A member. What the caller may not know is left out."""

    id: uuid.UUID
    name: str = Field(examples=["김하늘"])
    email: str | None = Field(None, examples=["haneul@familycorp.example"])
    role: Annotated[
        Role | None,
        Field(description="Role that an admin gave; null means the role of the provider's groups."),
    ] = None
    group_role: Annotated[Role | None, Field(description="Role of the member's groups at the provider.")] = (
        None
    )
    disabled: bool | None = None
    former: bool | None = Field(
        None, description="Whether the member left and was erased: name and e-mail address are empty."
    )
    seen_at: Instant | None = Field(
        None, description="Time of the member's last login that the database knows."
    )
    version: int | None = None
    allowed: Allowed | None = Field(None, examples=[["member:disable", "member:set-role"]])


class MemberQuery(Input):
    """Page of members."""

    limit: Limit = 50
    cursor: Cursor = None


class RoleChange(Input):
    """A member's new role."""

    role: Role | None = Field(
        description="Role to grant; null means the role of the provider's groups.", examples=["editor"]
    )
