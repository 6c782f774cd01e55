"""Routes of feeds."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query, Response

from app.authz.routing import PublicRouter
from app.core.http.problems import StoreUnavailable, responses
from app.core.lazy import lazy_import
from app.core.read_path.public_cache import PublicResponse
from app.feeds.schemas import FeedQuery

if TYPE_CHECKING:
    from app.feeds import service
else:
    service = lazy_import("app.feeds.service")

public = PublicRouter("/v1", "feeds")

RSS, ATOM, XML = "application/rss+xml", "application/atom+xml", "application/xml"


_RSS = '<rss version="2.0"><channel><title>FamilyCorp</title></channel></rss>'
_ATOM = '<feed xmlns="http://www.w3.org/2005/Atom"><title>FamilyCorp</title></feed>'
_SITEMAP = (
    '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>https://www.familycorp.example/ko/posts/'
    "2026-q3</loc></url></urlset>"
)


def _documented(media_type: str, example: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string", "examples": [example]}}}
    return {200: {"content": content}} | responses(StoreUnavailable)


@public.get("/feed.rss", action="feed:view", response_class=Response, responses=_documented(RSS, _RSS))
async def rss_feed(query: Annotated[FeedQuery, Query()]) -> Response:
    """Follow the newest posts by RSS 2.0."""
    return PublicResponse(await service.rss(query), media_type=RSS)


@public.get("/feed.atom", action="feed:view", response_class=Response, responses=_documented(ATOM, _ATOM))
async def atom_feed(query: Annotated[FeedQuery, Query()]) -> Response:
    """Follow the newest posts by Atom."""
    return PublicResponse(await service.atom(query), media_type=ATOM)


@public.get("/sitemap.xml", action="feed:view", response_class=Response, responses=_documented(XML, _SITEMAP))
async def sitemap() -> Response:
    """List every published post's address for search engines."""
    return PublicResponse(await service.sitemap(), media_type=XML)
