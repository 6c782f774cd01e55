"""The application: `app` for ASGI servers such as uvicorn, `handler` for Mangum.

Lambda starts both through `app.functions.http`, which tunes the start of a process first.
"""

import os
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI

from app.auth import csrf
from app.auth.authentication import current_subject
from app.core.http import middleware, problems
from app.core.http.body_limit import BodyLimit
from app.core.http.cors import Cors
from app.core.http.load_shedding import Shedding
from app.core.lazy import lazy_import
from app.core.observability import logging
from app.core.read_path.public_cache import PublicCache
from app.core.settings import Settings, settings
from app.previews.headers import HEADER as PREVIEW_HEADER

if TYPE_CHECKING:
    from app import openapi
    from app.auth.sessions import State
    from app.auth.subject import Subject
    from app.console import router as console
    from app.members import service as members_service
    from app.system import docs
else:
    openapi = lazy_import("app.openapi")
    console = lazy_import("app.console.router")
    docs = lazy_import("app.system.docs")
    members_service = lazy_import("app.members.service")

# API Gateway routes /v1/auth alone to the auth function: the other routers are a third of a start.
AUTH_ALONE = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "").endswith("-auth")
if AUTH_ALONE:
    from app.account.routers import ROUTERS
else:
    from app.routers import ROUTERS

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
EXEMPT = frozenset({"/health"})
"""Paths that load shedding exempts."""


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
    if not AUTH_ALONE:
        console.install(api)
        if chosen.docs_enabled:
            docs.install(api)
    api.openapi = lambda: _openapi(api)  # type: ignore[method-assign]
    return api


CORS: Final[dict[str, Any]] = {
    "allow_methods": ("DELETE", "GET", "HEAD", "POST", "PUT"),
    "allow_headers": (
        *("Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID"),
        *(csrf.HEADER, PREVIEW_HEADER),
    ),
    "expose_headers": (
        *("Age", "ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"),
    ),
    "max_age": 600,
}
"""CORS: what pages of other origins may send and read; `familycorp render cors` writes it for API Gateway."""


def wrap_middleware(api: FastAPI, chosen: Settings) -> middleware.RequestContext:
    """Wrap the routes in what every request passes. A response from the cache never enters the framework."""
    bounded = Shedding(api, limit=chosen.max_concurrency, exempt=EXEMPT)
    return middleware.RequestContext(
        Cors(
            middleware.UnhandledErrors(PublicCache(bounded, prefixes=PUBLIC_CACHED)),
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
        api.openapi_schema = openapi.document(api, ROUTERS, cached=PUBLIC_CACHED, exempt=EXEMPT)
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
