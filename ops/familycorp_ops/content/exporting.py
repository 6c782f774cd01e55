"""From posts to files, of which an import makes the same posts."""

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.content import exporting
from app.content.exporting import Exported, Outline
from app.content.importing import CATEGORIES
from familycorp_ops.content import files
from familycorp_ops.content.importing import Listener
from familycorp_ops.messages import marked

if TYPE_CHECKING:
    from familycorp_ops.admin.operator import Operator

MANIFEST = ".familycorp-export"
"""File that lists what an export wrote, so that the next one replaces and removes just that."""


_POST = re.compile(r"(ko|en)/[^/]+\.md")


class Occupied(Exception):
    """The directory holds what no export wrote."""


@dataclass
class Summary:
    """Written files, and the number of posts with data that files don't have."""

    posts: int = 0
    categories: int = 0
    removed: int = 0
    """Files of an earlier export whose posts aren't there any more."""
    with_uploads: int = 0
    with_earlier_revisions: int = 0
    with_unpublished_edits: int = 0

    def add(self, exported: Exported) -> None:
        """Count a post that was written."""
        self.posts += 1
        self.with_uploads += exported.with_uploads
        self.with_earlier_revisions += exported.with_earlier_revisions
        self.with_unpublished_edits += exported.with_unpublished_edits


class Source:
    """Where posts are exported from; this one reads the database that the settings name."""

    batch = exporting.BATCH
    """How many posts may be asked for at once."""

    async def outline(self) -> Outline:
        """Return what there is."""
        return await exporting.outline()

    async def posts(self, ids: Sequence[uuid.UUID]) -> list[Exported]:
        """Return those of the posts that exist."""
        return await exporting.posts(ids)


class Remote(Source):
    """Posts of an environment in AWS.

    Args:
        operator: its operator functions.
    """

    batch = 100  # An answer, like its posts, takes memory there; many are taken one after the other.

    def __init__(self, operator: "Operator") -> None:
        self._operator = operator

    async def outline(self) -> Outline:
        """Return what there is."""
        return Outline.model_validate(self._operator.read("content.outline"))

    async def posts(self, ids: Sequence[uuid.UUID]) -> list[Exported]:
        """Return those of the posts that exist."""
        page = self._operator.read("content.posts", ids=[str(post_id) for post_id in ids])
        return [Exported.loaded(dumped) for dumped in json.loads(self._operator.take(page["object"]))]


async def run(directory: Path, summary: Summary, listener: Listener, source: Source, *, force: bool) -> None:
    """Write all posts and categories; raise `Occupied` rather than write among foreign files, unless forced."""
    earlier = _earlier(directory, force=force)
    outline = await source.outline()
    names = {post.id: files.post_name(post.lang, post.slug) for post in outline.posts}
    listed = {post.id: post for post in outline.posts}
    manifest = {CATEGORIES, *names.values()}
    # Before anything else, so that an interrupted export can be repeated.
    _write(directory / MANIFEST, _lines(manifest | earlier))
    _write(directory / CATEGORIES, files.write_categories(outline.categories))
    summary.categories = len(outline.categories)
    ids = list(names)
    for start in range(0, len(ids), source.batch):
        for found in await source.posts(ids[start : start + source.batch]):
            known = listed[found.id]
            post = found.post.model_copy(
                update={"slug": known.slug, "translation_key": known.translation_key}
            )
            _write(directory / names[found.id], files.write_post(post))
            summary.add(found)
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
