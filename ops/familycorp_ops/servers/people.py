"""The people whom the local login providers know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Person:
    """Somebody with an account at a provider.

    Args:
        username: what they type, and their `sub`.
        password: what else they type.
        name: claim `name`.
        email: claim `email`.
        groups: claim `groups`.
        acr: how strongly they prove who they are (claim `acr`); NanoIDP gives none.
        amr: by which means (claim `amr`); NanoIDP decides that by itself.
        totp_secret: base32 secret of the code that NanoIDP then asks for beside the password.
    """

    username: str
    password: str
    name: str
    email: str
    groups: Sequence[str] = ()
    acr: str | None = None
    amr: Sequence[str] = ("pwd",)
    totp_secret: str | None = None


PEOPLE: Final = (
    Person("admin", "admin", "김은지", "admin@familycorp.example", ("admins",)),
    Person("editor", "editor", "이준호", "editor@familycorp.example", ("editors",)),
    Person("viewer", "viewer", "박서연", "viewer@familycorp.example", ("viewers",)),
)
"""Whom everybody may be in a demonstration: one for each role, with passwords that are no secret."""

CLIENT_ID: Final = "familycorp"
"""The application's name at the providers."""


def callback(api_url: str) -> str:
    """Return the redirect URI of the application at an origin."""
    return f"{api_url}/v1/auth/callback"
