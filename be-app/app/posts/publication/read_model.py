"""The posts' read model: a post as it is published to DynamoDB, and reading it back.

Nothing here imports the database; a visitor's request never opens a connection to it.
"""

import asyncio
import uuid
from functools import partial
from typing import Any, NamedTuple

import orjson

from app.core.http import pagination
from app.core.http.problems import NotFound
from app.core.process import process
from app.core.read_path import lists, read_model
from app.core.read_path.read_model import Snapshot
from app.posts.fields import as_id
from app.posts.publication import addresses, metadata
from app.posts.schemas import DescribedPost, PostSummary, PublicPost, PublicQuery

_PUBLIC_ATTRIBUTES = (
    "slug",
    "lang",
    "categoryLang",
    "listedAt",
    "translationKey",
    "title",
    "card",
    "page",
    "lists",
)


def sort_key(post: PostSummary) -> str:
    """Return where a post stands in lists."""
    return pagination.timed_key(post.published_at, post.id)


def card(post: PostSummary) -> str:
    """Return a post's card as JSON."""
    return orjson.dumps(post.model_dump(mode="json", by_alias=True, include=_CARD_FIELDS)).decode()


_CARD_FIELDS = set(PostSummary.model_fields)
_FORMER = "~"


def published(post: PublicPost, translation_key: uuid.UUID) -> Snapshot:
    """Return the change that makes `post` public."""
    page = post.model_dump(mode="json", by_alias=True, exclude={"view_count", "translations", "metadata"})
    return Snapshot(
        str(post.id),
        {
            "slug": post.slug,
            "lang": post.lang,
            "categoryLang": f"{post.category}#{post.lang}",
            "listedAt": sort_key(post),
            "translationKey": str(translation_key),
            "title": post.title,
            "card": card(post),
            "lists": "\n".join(
                _of_tag(post.lang, category, tag) for tag in post.tags for category in ("", post.category)
            ),
            "page": orjson.dumps(page).decode(),
        },
    )


def former(post_id: uuid.UUID, slug: str) -> Snapshot:
    """Return the change that has a slug lead to a post that was public under it before."""
    # The index of slugs holds keys alone, so the key names the post.
    return Snapshot(f"{post_id}{_FORMER}{slug}", {"slug": slug})


def former_withdrawn(post_id: uuid.UUID, slug: str) -> Snapshot:
    """Return the change that has a former slug lead nowhere."""
    return Snapshot(f"{post_id}{_FORMER}{slug}", {}, ("slug",))


def withdrawn(post_id: uuid.UUID) -> Snapshot:
    """Return the change that takes a post from the public."""
    return Snapshot(str(post_id), {}, _PUBLIC_ATTRIBUTES)


async def listed(query: PublicQuery) -> bytes:
    """Return a page of cards as JSON: one DynamoDB query, and for a tag a read of the posts."""
    after = pagination.decode_timed(query.cursor)
    before = after and pagination.timed_key(*after)
    if query.tag is not None:
        name = _of_tag(query.lang, query.category or "", query.tag)
        page = await lists.query_newest(name, partial(_has, query), before=before, limit=query.limit)
    elif query.category is None:
        page = await read_model.query_newest("byLang", "lang", query.lang, before=before, limit=query.limit)
    else:
        hash_key = f"{query.category}#{query.lang}"
        page = await read_model.query_newest(
            "byCategory", "categoryLang", hash_key, before=before, limit=query.limit
        )
    return cards(page.cards, page.next)


def _of_tag(lang: str, category: str, tag: str) -> str:
    """Return the name of the list of a tag, in a category if it names one. No category looks so."""
    return f"~{lang}#{category}#{tag}"


def _has(query: PublicQuery, card: str) -> bool:
    post = orjson.loads(card)
    return (
        query.tag in post["tags"]
        and query.category in {None, post["category"]}
        and query.lang == post["lang"]
    )


def cards(ready_made: list[str], next_sort_key: str | None) -> bytes:
    """Put ready-made cards into one JSON document, without parsing them."""
    return orjson.dumps(
        {
            "items": [orjson.Fragment(card) for card in ready_made],
            "nextCursor": pagination.encode(next_sort_key),
        }
    )


async def present_path(path: str) -> str:
    """Return a path of the site; where it is a former one of a post that is public now, the post's present one."""
    slug = addresses.slug_of(path)
    if slug is None:
        return path
    try:
        post, _ = await _public(await _id_of(slug))
    except NotFound:
        return path
    return addresses.path(post["lang"], post["slug"]) if post else path


class Moved(NamedTuple):
    """The slug of a post that was requested by a former one."""

    slug: str


async def page(id_or_slug: str) -> bytes | Moved:
    """Return a published post as JSON, or where it is now; raise `NotFound` for anything that is not public now."""
    item, views, siblings = None, 0, list[dict[str, Any]]()
    if hint := _hints().pop(id_or_slug, None):
        (item, views), siblings = await asyncio.gather(_public(hint.post_id), _siblings(hint.group))
    if item is None:
        item, views = await _public(str(as_id(id_or_slug) or await _id_of(id_or_slug)))
    if item is None:
        raise NotFound
    if item["slug"] != id_or_slug and not as_id(id_or_slug):
        return Moved(item["slug"])
    found = _Hint(item[read_model.KEY], item["translationKey"])
    if found != hint:
        siblings = await _siblings(found.group)
    _remember(id_or_slug, found)
    document: dict[str, Any] = orjson.loads(item["page"])
    # Rendered from the stored document with today's settings, so that every post has it.
    made = metadata.of(DescribedPost.model_validate(document))
    document["metadata"] = made.model_dump(mode="json", by_alias=True)
    document["viewCount"] = views
    document["translations"] = [
        {name: sibling[name] for name in ("lang", "slug", "title")}
        for sibling in siblings
        if sibling[read_model.KEY] != item[read_model.KEY]
    ]
    return orjson.dumps(document)


class _Hint(NamedTuple):
    post_id: str
    group: str


_MOST_HINTS = 1024


@process.keeps
def _hints() -> dict[str, _Hint]:
    """Return this process's cache of hints where posts are, so that all of a page is requested at once.

    A stale hint that leads to no public post is dropped and the post is looked up; a group that has changed is
    replaced by the one that the post itself names.
    """
    return {}


def _remember(id_or_slug: str, hint: _Hint) -> None:
    hints = _hints()
    if len(hints) >= _MOST_HINTS:
        hints.clear()
    hints[id_or_slug] = hint


async def _id_of(slug: str) -> str:
    found = await read_model.query_index("bySlug", "slug", slug)
    if not found:
        raise NotFound
    # A post that moves is found by both for a moment.
    return min(str(item[read_model.KEY]) for item in found).partition(_FORMER)[0]


async def _public(post_id: str) -> tuple[dict[str, Any] | None, int]:
    """Return a post's item, or None where it isn't public, and how often it was viewed."""
    item, counters = await read_model.with_counters(post_id)
    return item if item and "page" in item else None, counters["views"]


async def _siblings(group: str) -> list[dict[str, Any]]:
    """Return what a post shows of each of its translations, and the same of itself."""
    return await read_model.query_index("byTranslation", "translationKey", group)


async def count_view(post_id: uuid.UUID) -> None:
    """Add one view; raise `NotFound` for anything that is not public now."""
    if not await read_model.is_public(str(post_id)):
        raise NotFound
    await read_model.increment(str(post_id), "views")
