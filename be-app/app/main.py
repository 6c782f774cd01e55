"""The application: `app` for ASGI servers such as uvicorn, `handler` for Mangum.

Lambda starts both through `app.functions.http`, which tunes the start of a process first.
"""

from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI

from app.account import login, second_factor
from app.account import router as account
from app.audit import router as audit
from app.auth import csrf
from app.auth.authentication import current_subject
from app.categories import router as categories
from app.console import router as console
from app.core.http import middleware, problems
from app.core.http.body_limit import BodyLimit
from app.core.http.cors import Cors
from app.core.http.load_shedding import Shedding
from app.core.lazy import lazy_import
from app.core.observability import logging
from app.core.settings import Settings, settings
from app.feeds import router as feeds
from app.inquiries import router as inquiries
from app.members import router as members
from app.posts import drafting, overview
from app.posts import router as posts
from app.previews import router as previews
from app.redirects import router as redirects
from app.system import docs
from app.system import router as system
from app.uploads import router as uploads

if TYPE_CHECKING:
    from app import openapi
    from app.auth.sessions import State
    from app.auth.subject import Subject
    from app.members import service as members_service
else:
    openapi = lazy_import("app.openapi")
    members_service = lazy_import("app.members.service")

MAX_BODY_BYTES = 1024 * 1024
PUBLIC_CACHED = (
    "/v1/categories",
    "/v1/inquiries/categories",
    "/v1/posts",
    "/v1/redirects",
    "/v1/search",
    "/v1/feed.",
    "/v1/sitemap.xml",
)
SPARED = frozenset({"/health"})
"""Paths that load shedding exempts."""

ROUTERS = (
    system.public,
    categories.public,
    posts.public,
    uploads.public,
    uploads.pictures,
    feeds.public,
    redirects.public,
    previews.public,
    inquiries.public,
    categories.editorial,
    posts.editorial,
    previews.editorial,
    drafting.editorial,
    overview.editorial,
    console.editorial,
    redirects.editorial,
    inquiries.editorial,
    uploads.staff,
    login.public,
    second_factor.public,
    account.staff,
    account.me,
    members.staff,
    audit.staff,
)


def create_api(chosen: Settings) -> FastAPI:
    """Build the routes. Connects to nothing."""
    api = FastAPI(
        title="FamilyCorp API",
        version=chosen.version,
        summary="News, notices and inquiries of FamilyCorp's public site.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if chosen.docs_enabled else None,
        redirect_slashes=False,  # A redirect would name the host that the caller's Host header claims.
    )
    problems.install(api)
    # What the guard's routes call of the application; tests replace it.
    api.state.identify, api.state.provision = current_subject, _provision
    api.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)
    # `include_router` would build each route a second time: 30 ms of a cold start.
    for router in ROUTERS:
        api.router.routes.extend(router.routes)
    console.install(api)
    if chosen.docs_enabled:
        docs.install(api)
    api.openapi = lambda: _openapi(api)  # type: ignore[method-assign]
    return api


CORS: Final[dict[str, Any]] = {
    "allow_methods": ("DELETE", "GET", "HEAD", "POST", "PUT"),
    "allow_headers": (
        *("Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID"),
        *(csrf.HEADER, previews.HEADER),
    ),
    "expose_headers": (
        *("Age", "ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"),
    ),
    "max_age": 600,
}
"""CORS: what pages of other origins may send and read; `familycorp render cors` writes it for API Gateway."""


def wrap_middleware(api: FastAPI, chosen: Settings) -> middleware.RequestContext:
    """Wrap the routes in what every request passes. An answer from the cache never enters the framework."""
    bounded = Shedding(api, most=chosen.max_concurrency, spared=SPARED)
    return middleware.RequestContext(
        Cors(
            middleware.UnhandledErrors(middleware.PublicCache(bounded, prefixes=PUBLIC_CACHED)),
            allow_origins=chosen.cors_origins,
            allow_origin_regex=chosen.development_origins,
            allow_credentials=True,
            **CORS,
        )
    )


async def _provision(state: "State") -> "Subject":
    return await members_service.provision(state)


def _openapi(api: FastAPI) -> dict[str, Any]:
    if api.openapi_schema is None:
        api.openapi_schema = openapi.document(api, ROUTERS, cached=PUBLIC_CACHED, exempt=SPARED)
    return api.openapi_schema


logging.configure("familycorp-backend", settings().log_level)
api = create_api(settings())
app = wrap_middleware(api, settings())


def __getattr__(name: str) -> Any:
    """Make Mangum's `handler` when Lambda imports it; other servers never import Mangum."""
    if name == "handler":
        from app.core.http.gateway import Gateway  # noqa: PLC0415

        globals()["handler"] = handler = Gateway(app, lifespan="off")
        return handler
    raise AttributeError(name)
