"""The interactive API documentation, for developers: Swagger UI, from a package that nothing deployed has."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

# The API's own policy lets a page load nothing at all.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<p class="swagger-ui"><a class="link" id="sign-in" href="/v1/auth/login">Sign in as staff</a></p>
<main id="docs"></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
"""
_START: Final = """document.getElementById("sign-in").search =
  new URLSearchParams({ returnTo: location.origin + location.pathname });
const text = (operation) => ["summary", "description", "operationId"]
  .map((name) => operation.getIn(["operation", name]))
  .concat(operation.get("path"), operation.get("method"))
  .join(" ").toLowerCase();
// Swagger UI itself looks at the names of tags alone.
const opsFilter = (tags, phrase) => tags
  .map((tag, name) => tag.update("operations", (operations) => operations.filter((operation) =>
    phrase.toLowerCase().split(" ").every((word) => `${name} ${text(operation)}`.includes(word)))))
  .filter((tag) => tag.get("operations").size);
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  filter: true,
  plugins: [() => ({ fn: { opsFilter } })],
  onComplete: () => {
    document.querySelector(".operation-filter-input").placeholder = "Search names, addresses and descriptions";
  },
  // What changes something must carry it; a login is the browser's cookies.
  requestInterceptor: (request) => { request.headers["X-CSRF-Protection"] = "1"; return request; },
});
"""


def install(api: FastAPI) -> None:
    """Serve the documentation at `/docs`, where the extra `docs` of this package is installed."""
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        return
    from starlette.staticfiles import StaticFiles  # noqa: PLC0415 - deployed processes serve none.

    async def docs() -> HTMLResponse:
        return HTMLResponse(_PAGE.format(title=api.title), headers={"Content-Security-Policy": _POLICY})

    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    api.add_api_route("/docs", docs, include_in_schema=False)
    api.add_api_route("/docs/start.js", start, include_in_schema=False)
    api.mount("/docs", StaticFiles(directory=Path(package.origin).parent / "static"))
