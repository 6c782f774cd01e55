"""Routes of the console: the page with its script and styles, and the preview of a text that isn't saved."""

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response

from app.authz.routing import Actor, GuardedRouter
from app.console.schemas import MarkdownPreview, MarkdownText
from app.core.http.problems import DatabaseUnavailable, responses
from app.core.lazy import lazy_import

if TYPE_CHECKING:
    from app.console import files
    from app.posts import queries
else:
    files = lazy_import("app.console.files")
    queries = lazy_import("app.posts.queries")

editorial = GuardedRouter("/v1/editor", "editorial: posts")


@editorial.post("/markdown", action="post:create", responses=responses(DatabaseUnavailable))
async def preview_markdown(actor: Actor, body: MarkdownText) -> MarkdownPreview:
    """Render a text that may be unsaved, as visitors would read it. Nothing is stored."""
    return MarkdownPreview(html=await queries.rendered(body.body, body.lang, actor))


def install(api: FastAPI) -> None:
    """Serve the console at `/console/`, to everybody: the page itself holds no data, and touches no store."""
    api.add_api_route("/console", _slash, include_in_schema=False)
    api.add_api_route("/console/assets/{release}/{name}", _asset, include_in_schema=False)
    api.add_api_route("/console/{page:path}", _page, include_in_schema=False)


async def _slash() -> Response:
    return Response(status_code=308, headers={"Location": "/console/"})


async def _page() -> Response:
    return files.page()


async def _asset(request: Request, release: str, name: str) -> Response:
    return files.asset(name, release, request.headers.get("accept-encoding", ""))
