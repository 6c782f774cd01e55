"""Addresses of posts on the site: where its front end shows them."""

import re

_OF_A_POST = re.compile(r"/(?:ko|en)/posts/([^/?]+)")


def path(lang: str, slug: str) -> str:
    """Return a post's path on the site."""
    return f"/{lang}/posts/{slug}"


def slug_of(path: str) -> str | None:
    """Return the slug in a post's path on the site; None where the path isn't a post's."""
    matched = _OF_A_POST.fullmatch(path)
    return matched and matched[1]
