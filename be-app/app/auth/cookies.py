"""The cookies of a login: HttpOnly, Secure, and of this host alone (RFC 6265bis, `__Host-` and `__Secure-`)."""

from typing import NamedTuple

from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.core import grammar

ACCESS = "__Host-access"
"""The access token, a JWT of 15 minutes."""

SESSION = "__Host-session"
"""The session that a refresh token must belong to. A neighbouring subdomain can plant a `__Secure-` cookie, but
never a `__Host-` one, so that no attacker can plant a session in another browser."""

REFRESH = "__Secure-refresh"
"""The refresh token. It needs a path, which `__Host-` forbids."""

LOGIN = "__Host-login"
"""Binds a login under way to this browser. Lax, because the provider's page sends people back."""

PENDING = "__Host-pending"
"""Binds a login that still wants its second factor to this browser. Never an access token."""

REFRESH_PATH = "/v1/auth"


class Tokens(NamedTuple):
    """Cookies of a session; ages in seconds."""

    access: str
    access_age: int
    session: str
    refresh: str
    refresh_age: int


def values(request: HTTPConnection, name: str) -> list[str]:
    """Return every value that a request has for a cookie."""
    return grammar.cookies(request.scope["headers"], name.encode())


def read(request: HTTPConnection, name: str) -> str | None:
    """Return a cookie's value; None where there is none, or several, of which any may be planted."""
    found = values(request, name)
    return found[0] if len(found) == 1 and found[0] else None


def put(response: Response, name: str, value: str, max_age: int) -> None:
    """Set a cookie for `max_age` seconds; 0 removes it."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=REFRESH_PATH if name == REFRESH else "/",
        secure=True,
        httponly=True,
        samesite="lax" if name == LOGIN else "strict",
    )


def put_session(response: Response, tokens: Tokens) -> None:
    """Set the cookies of a session, and end those of the login that led to it."""
    put(response, ACCESS, tokens.access, tokens.access_age)
    put(response, SESSION, tokens.session, tokens.refresh_age)
    put(response, REFRESH, tokens.refresh, tokens.refresh_age)
    put(response, PENDING, "", 0)


def remove_session(response: Response) -> None:
    """Remove every cookie of a session."""
    for name in (ACCESS, SESSION, REFRESH, PENDING):
        put(response, name, "", 0)
