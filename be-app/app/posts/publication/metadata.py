"""Metadata of a post for search engines and messengers, as schema.org and the Open Graph protocol define it."""

from typing import Any
from urllib.parse import quote

import orjson

from app.core.clock import timestamp
from app.core.settings import settings
from app.posts.fields import Lang
from app.posts.publication import addresses
from app.posts.schemas import DescribedPost, Metadata, Picture, PostSummary

SITE_NAMES: dict[Lang, str] = {"ko": "패밀리코퍼레이션", "en": "FamilyCorp"}

# None of these may stand in a script element (HTML, "Restrictions for contents of script elements").
_ESCAPED = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def address(post: PostSummary) -> str:
    """Return the URL of a post's page on the site."""
    return settings().site_url + quote(addresses.path(post.lang, post.slug))


def of(post: DescribedPost) -> Metadata:
    """Return the metadata of a post."""
    description, picture = post.description or post.excerpt, _picture(post)
    canonical = post.canonical_url or address(post)
    return Metadata(
        description=description,
        picture=picture,
        canonical_url=canonical,
        noindex=post.noindex,
        json_ld=_embeddable(_article(post, description, canonical, picture)),
    )


def _picture(post: DescribedPost) -> Picture | None:
    if post.picture:
        return Picture(url=post.picture.src, content_type="image/jpeg")
    if post.thumbnail is None:
        return None
    # Messengers read neither AVIF nor files of any size.
    path = f"/v1/posts/{post.id}/attachments/{post.thumbnail.id}?variant=thumbnail.jpg"
    return Picture(url=settings().api_url + path, content_type="image/jpeg")


def _article(post: DescribedPost, description: str, url: str, picture: Picture | None) -> dict[str, Any]:
    site = {"@type": "Organization", "name": SITE_NAMES[post.lang], "url": settings().site_url}
    return {
        "@context": "https://schema.org",
        "@type": "Article",
        "mainEntityOfPage": url,
        "headline": post.title,
        "description": description,
        "inLanguage": post.lang,
        "datePublished": timestamp(post.published_at),
        "dateModified": timestamp(post.updated_at),
        "author": site,
        "publisher": site,
        **({"keywords": post.tags} if post.tags else {}),
        **({"image": [picture.url]} if picture else {}),
    }


def _embeddable(data: dict[str, Any]) -> str:
    return orjson.dumps(data).decode().translate(_ESCAPED)
