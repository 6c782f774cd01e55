"""Addresses of posts on the site: where its front end shows them."""

import re

from app.core.http.problems import NotFound
from app.posts.publication import read_model

_OF_A_POST = re.compile(r"/(?:ko|en)/posts/([^/?]+)")


def path(lang: str, slug: str) -> str:
    """Return a post's path on the site."""
    return f"/{lang}/posts/{slug}"


async def present(known: str) -> str:
    """Return a path; where it is a former one of a post that is public now, the post's present one."""
    matched = _OF_A_POST.fullmatch(known)
    if matched is None:
        return known
    try:
        return path(*await read_model.address(matched[1]))
    except NotFound:
        return known
