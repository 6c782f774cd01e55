"""The interactive API documentation, for developers."""

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse

_ASSETS = "https://cdn.jsdelivr.net"
# The API's own policy lets a page load nothing at all. The page's one script of its own is inline.
_POLICY = (
    f"default-src 'none'; script-src {_ASSETS} 'unsafe-inline'; style-src {_ASSETS} 'unsafe-inline'; "
    "img-src data: https://fastapi.tiangolo.com; connect-src 'self'; frame-ancestors 'none'"
)


def install(api: FastAPI) -> None:
    """Serve the documentation at `/docs`."""

    async def docs() -> HTMLResponse:
        page = get_swagger_ui_html(openapi_url=api.openapi_url or "", title=api.title)
        page.headers["Content-Security-Policy"] = _POLICY
        return page

    api.add_api_route("/docs", docs, include_in_schema=False)
