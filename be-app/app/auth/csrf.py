"""Keeps pages of other sites from acting for a member (OWASP, "Cross-Site Request Forgery Prevention").

Three barriers beside SameSite=Strict, each of which suffices: browsers send the page's origin, browsers say
whether it is of the same site, and no page can send our header across origins unless CORS allows it.
"""

from starlette.requests import HTTPConnection

from app.auth.errors import CsrfRejected
from app.core.settings import settings

HEADER = "X-CSRF-Protection"
"""Header that every unsafe request must have, with any value."""

_SAFE = {"GET", "HEAD", "OPTIONS"}


def check(request: HTTPConnection) -> None:
    """Raise `CsrfRejected` for a request with an unsafe method that a foreign page may have sent."""
    if request.scope["method"] in _SAFE:
        return
    headers = request.headers
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if (
        HEADER not in headers
        or (origin is not None and not settings().staff_origins.fullmatch(origin))
        or (site is not None and site not in {"same-origin", "same-site"})
    ):
        raise CsrfRejected
