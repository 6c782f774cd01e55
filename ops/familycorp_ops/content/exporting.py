"""From posts to files, of which an import makes the same posts."""

import re
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from app.categories import service as categories
from app.categories.schemas import CategoryCreate
from app.content import stored
from app.content.stored import Address, Stored
from app.posts.models import PUBLISHED
from app.posts.schemas import Lang, State
from familycorp_ops.content import files
from familycorp_ops.content.files import FilePost
from familycorp_ops.content.importing import Listener
from familycorp_ops.messages import marked

MANIFEST = ".familycorp-export"
"""File that lists what an export wrote, so that the next one replaces and removes just that."""


_POST = re.compile(r"(ko|en)/[^/]+\.md")


class Occupied(Exception):
    """The directory holds what no export wrote."""


@dataclass
class Summary:
    """What was written, and in how many posts there is what files don't carry."""

    posts: int = 0
    categories: int = 0
    removed: int = 0
    """Files of an earlier export whose posts aren't there any more."""
    with_uploads: int = 0
    with_earlier_revisions: int = 0
    with_unpublished_edits: int = 0


async def run(directory: Path, summary: Summary, listener: Listener, *, force: bool) -> None:
    """Write all posts and categories; raise `Occupied` rather than write among foreign files, unless forced."""
    earlier = _earlier(directory, force=force)
    listed, __ = await categories.editorial()
    addresses = await stored.addresses()
    names = {address.id: files.post_name(address.lang, address.slug) for address in addresses}
    manifest = {files.CATEGORIES, *names.values()}
    # Before anything else, so that an interrupted export can be repeated.
    _write(directory / MANIFEST, _lines(manifest | earlier))
    _write(
        directory / files.CATEGORIES,
        files.write_categories([CategoryCreate(slug=c.slug, name=c.name) for c in listed.items]),
    )
    summary.categories = len(listed.items)
    keys, ids = _translation_keys(addresses), list(names)
    for start in range(0, len(ids), stored.BATCH):
        for found in await stored.by_id(ids[start : start + stored.BATCH]):
            _write(directory / names[found.post.id], files.write_post(_content(found, keys, summary)))
            summary.posts += 1
            listener.progress(marked("Exporting"), summary.posts, len(ids))
    for name in earlier - manifest:
        (directory / name).unlink(missing_ok=True)
        summary.removed += 1
    _write(directory / MANIFEST, _lines(manifest))


def _earlier(directory: Path, *, force: bool) -> set[str]:
    """Return what an earlier export wrote into the directory; make sure that there is one."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        names = set((directory / MANIFEST).read_text("utf-8").splitlines())
    except FileNotFoundError:
        if not force and any(directory.iterdir()):
            raise Occupied from None
        return set()
    # The list may have been edited, and nothing outside is ours to remove.
    return {name for name in names if _POST.fullmatch(name)}


def _content(found: Stored, keys: dict[uuid.UUID, str], summary: Summary) -> FilePost:
    """Return what a post's file says: of a published one what is public, of any other its newest revision."""
    post, revision, category = found.post, found.newest, found.post.category
    if post.state == PUBLISHED and found.public and post.published_category:
        revision, category = found.public, post.published_category
        summary.with_unpublished_edits += revision is not found.newest or category != post.category
    summary.with_uploads += bool(revision.thumbnail or revision.attachments)
    summary.with_earlier_revisions += post.revision > 1
    # What is stored was checked when it was written, and some of the rules are about the present.
    return FilePost.model_construct(
        title=revision.title,
        slug=post.slug,
        lang=cast("Lang", post.lang),
        category=category,
        tags=revision.tags,
        excerpt=revision.excerpt,
        body=revision.body,
        state=cast("State", post.state),
        published_at=post.first_published_at,
        scheduled_at=post.scheduled_at,
        translation_key=keys.get(post.translation_key),
    )


def _translation_keys(addresses: Sequence[Address]) -> dict[uuid.UUID, str]:
    """Return for each group of translations a key that doesn't depend on the ids: the first of its slugs."""
    groups = defaultdict[uuid.UUID, list[str]](list)
    for address in addresses:
        groups[address.translation_key].append(address.slug)
    return {key: min(slugs) for key, slugs in groups.items() if len(slugs) > 1}


def _lines(names: set[str]) -> bytes:
    return "".join(f"{name}\n" for name in sorted(names)).encode()


def _write(path: Path, data: bytes) -> None:
    """Write a file, unless it is there just so."""
    try:
        if path.read_bytes() == data:
            return
    except FileNotFoundError:
        path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
