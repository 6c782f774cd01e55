"""Keys of front matter: which mean what, and which direct a generator alone."""

import difflib
from collections.abc import Mapping
from typing import Any

MEANT: Mapping[str, tuple[str, ...]] = {
    "title": ("title",),
    "date": (
        "date", "publishdate", "pubdate", "publishedat", "published_at", "published_date",
        "publish_date", "created", "created_at", "datetime",
    ),
    "expires": ("expirydate", "unpublishdate"),
    "draft": ("draft",),
    "published": ("published",),
    "hidden": ("hidden", "private", "unlisted"),
    "password": ("password",),
    "slug": ("slug",),
    "permalink": ("permalink", "url"),
    "aliases": ("aliases", "alias", "redirect_from", "redirects", "old_url"),
    "redirect_to": ("redirect_to", "redirect"),
    "categories": ("categories", "category", "cat"),
    "tags": ("tags", "tag"),
    "author": ("author", "authors"),
    "excerpt": ("excerpt", "summary", "description", "subtitle", "desc"),
    "picture": (
        "image", "images", "cover", "cover_image", "coverimage", "thumbnail", "thumb", "featured_image",
        "featuredimage", "featureimage", "feature_image", "banner", "banner_img", "index_img", "top_img", "hero",
        "hero_image", "photos", "og_image", "header", "preview",
    ),
    "comments": ("commentcount",),
    "lang": ("lang", "language", "locale"),
    "translationKey": ("translationkey",),
}  # fmt: skip
"""Keys of generators and of their usual themes, in lower case, by what they say."""

UNCARRIED = frozenset(
    """
    layout type weight toc comments comment math mathjax katex latex mermaid menu nav navigation eleventynavigation
    eleventyexcludefromcollections cascade build _build outputs markup sitemap robots lastmod updated last_modified_at
    modified lastmodified updated_at updatedat last_modified date_updated layoutcanonical top sticky pin pinned
    copyright copyright_author copyright_author_href copyright_url copyright_info toc_number toc_style_simple
    tableofcontents showtoc tocopen hidetoc share sharing social_share sidebar classes read_time readtime reading_time
    related order nav_order parent grand_parent has_children headless linktitle iscjklanguage resources pagination
    paginate dynamicpermalink eleventycomputed templateengineoverride templateclass bodyclass class
    keywords id abbrlink comments_id disqus searchhidden hidemeta hidesummary showbreadcrumbs highlight
    highlight_shrink aside aplayer noindex sitemap_exclude lightgallery code codemaxlines fontawesome
    linktotmarkdown rssfulltext
    author_profile show_date excerpt_separator render_with_liquid mode icon js css scripts styles output
    """.split()  # noqa: SIM905 - a table of words.
)
"""Keys that direct the generator or a theme, or that this service keeps by itself: none has content."""

_MEANING = {key: meaning for meaning, keys in MEANT.items() for key in keys}
OURS = {
    "date": "publishedAt", "categories": "category", "draft": "state", "published": "state", "permalink": "slug",
    "lang": "lang", "picture": "thumbnail",
}  # fmt: skip
"""This service's keys where the name differs."""


def meaning(key: str) -> str | None:
    """Return what a key says, or None."""
    return _MEANING.get(key.lower())


def nearest(key: str) -> str | None:
    """Return this service's key that an unknown one is nearest to."""
    plain = key.replace("-", "_").lower()
    found = _MEANING.get(plain) or next(
        (_MEANING[near] for near in difflib.get_close_matches(plain, _MEANING, 1, 0.75)), None
    )
    return OURS.get(found, found) if found else None


def words(value: Any, separated: str | None = None) -> list[str]:
    """Return a value as a list of texts; nested lists and mappings (Hexo's, Hugo's) are made flat.

    Args:
        value: the value.
        separated: what separates the items of a text, if anything does; `" "` stands for white space.
    """
    if value is None:
        return []
    if isinstance(value, dict):
        named = value.get("name") or value.get("title")
        return words(named) if named else [word for inner in value.values() for word in words(inner)]
    if isinstance(value, list):
        return list(dict.fromkeys(word for inner in value for word in words(inner)))
    text = str(value).strip()
    parts = (text.split() if separated == " " else text.split(separated)) if separated else [text]
    return [part.strip() for part in parts if part.strip()]


def true(value: Any) -> bool:
    """Return whether a value means yes."""
    return str(value).strip().lower() in {"true", "yes", "on", "1"}


def false(value: Any) -> bool:
    """Return whether a value means no."""
    return str(value).strip().lower() in {"false", "no", "off", "0"}
