"""The application: `app` for ASGI servers (uvicorn, also behind the Lambda Web Adapter), `handler` for Mangum."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.middleware.cors import CORSMiddleware

from app.categories import router as categories
from app.core import edge, errors, logging
from app.core.settings import settings
from app.feeds import router as feeds
from app.inquiries import router as inquiries
from app.posts import router as posts
from app.system import router as system

MAX_BODY_BYTES = 1024 * 1024
PUBLIC_CACHED = ("/v1/categories", "/v1/posts", "/v1/search", "/v1/feed.", "/v1/sitemap.xml")

ROUTERS = (
    system.public,
    categories.public,
    posts.public,
    feeds.public,
    inquiries.public,
    categories.editorial,
    posts.editorial,
    inquiries.editorial,
)


def create_app() -> FastAPI:
    """Build the application of this process's settings. Connects to nothing."""
    chosen = settings()
    app = FastAPI(
        title="FamilyCorp API",
        version=chosen.version,
        summary="News, notices and inquiries of FamilyCorp's public site.",
        description="Errors are RFC 9457 problem documents with a stable `code`. Lists are paginated by cursor. "
        "Every answer carries `X-Request-ID`; quote it when you report a problem.",
        docs_url="/docs" if chosen.docs_enabled else None,
        redoc_url=None,
        openapi_url="/openapi.json" if chosen.docs_enabled else None,
        max_body_size=MAX_BODY_BYTES,
        generate_unique_id_function=_operation_id,
        responses=errors.responses(errors.ValidationFailed, errors.Problem),
    )
    errors.install(app)
    # The last added is the outermost.
    app.add_middleware(edge.PublicCache, prefixes=PUBLIC_CACHED)
    app.add_middleware(edge.UnhandledErrors)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=chosen.cors_origins,
        allow_credentials=True,
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=["Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID"],
        expose_headers=["ETag", "Location", "Retry-After", "X-Request-ID"],
        max_age=600,
    )
    app.add_middleware(edge.RequestContext)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
        )
        _, problem = models_json_schema(
            [(errors.ProblemDocument, "serialization")], ref_template="#/components/schemas/{model}"
        )
        schemas = schema["components"]["schemas"]
        schemas.update(problem["$defs"])
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = schema
    return app.openapi_schema


logging.configure("familycorp-backend", settings().log_level)
app = create_app()


def __getattr__(name: str) -> Any:
    """Make Mangum's `handler` when Lambda asks for it; other servers never import Mangum."""
    if name == "handler":
        from mangum import Mangum  # noqa: PLC0415

        globals()["handler"] = handler = Mangum(app, lifespan="off")
        return handler
    raise AttributeError(name)
