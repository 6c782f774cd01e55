"""From posts to files, of which an import makes the same posts."""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.content import exporting
from app.content.exporting import Exported, Outline
from app.content.importing import CATEGORIES
from app.redirects.schemas import RedirectCreate
from familycorp_ops.content import files, manifest, redirects, wxr
from familycorp_ops.content.importing import Listener
from familycorp_ops.content.redirects import Redirects
from familycorp_ops.content.taking import Taking
from familycorp_ops.content.uploads import Exported as UploadedFile
from familycorp_ops.messages import marked

if TYPE_CHECKING:
    from familycorp_ops.admin.operator import Operator

_HUGO = b"""# `hugo --source` this folder builds it, with a theme or layouts of yours.
baseURL = "/"
defaultContentLanguage = "ko"

[frontmatter]
date = ["publishedAt", "scheduledAt"]
publishDate = ["scheduledAt", "publishedAt"]

[[module.mounts]]
source = "ko"
target = "content/ko/posts"

[[module.mounts]]
source = "en"
target = "content/en/posts"

[[module.mounts]]
source = "files"
target = "static/files"

[[module.mounts]]
source = "layouts"
target = "layouts"
"""

_WRITTEN = re.compile(
    rf"(?:ko|en)/[^/]+\.md|files/(?!\.\.?$)[^/]+|{re.escape(redirects.NAME)}|{re.escape(wxr.NAME)}"
)


class Occupied(Exception):
    """The directory holds what no export wrote."""


@dataclass
class Summary:
    """Written files, and the number of posts with data that files don't have."""

    posts: int = 0
    categories: int = 0
    removed: int = 0
    """Files of an earlier export whose posts aren't there any more."""
    files: int = 0
    """Pictures and attachments."""
    redirects: int = 0
    """Redirects that no post's file has as an earlier address."""
    missing_files: int = 0
    """Those of them that the storage doesn't have; their posts name the uploads."""
    with_earlier_revisions: int = 0
    with_unpublished_edits: int = 0

    def add(self, exported: Exported) -> None:
        """Count a post that was written."""
        self.posts += 1
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

    async def redirects(self) -> list[RedirectCreate]:
        """Return all redirects."""
        return await Redirects().there()


class Remote(Source):
    """Posts of an environment in AWS.

    Args:
        operator: its operator functions.
    """

    batch = 100  # A response, like its posts, takes memory there; many are taken one after the other.

    def __init__(self, operator: "Operator") -> None:
        self._operator = operator

    async def outline(self) -> Outline:
        """Return what there is."""
        return Outline.model_validate(self._operator.read("content.outline"))

    async def posts(self, ids: Sequence[uuid.UUID]) -> list[Exported]:
        """Return those of the posts that exist."""
        page = self._operator.read("content.posts", ids=[str(post_id) for post_id in ids])
        return [Exported.loaded(dumped) for dumped in json.loads(self._operator.take(page["object"]))]

    async def redirects(self) -> list[RedirectCreate]:
        """Return all redirects."""
        return await Redirects(self._operator).there()


async def run(
    directory: Path,
    summary: Summary,
    listener: Listener,
    source: Source,
    *,
    force: bool = False,
    site: str | None = None,
) -> None:
    """Write all posts and categories; raise `Occupied` rather than write among foreign files, unless forced.

    Raises `CommandError` where a file can't be taken.

    Args:
        directory: the folder.
        summary: the counts that it adds to.
        listener: what it reports progress to.
        source: where the posts are.
        force: whether to write among foreign files.
        site: the address that WordPress will find the folder at, for a file that it imports; None writes none.
    """
    earlier = _earlier(directory, force=force)
    outline = await source.outline()
    names = {post.id: files.post_name(post.lang, post.slug) for post in outline.posts}
    listed = {post.id: post for post in outline.posts}
    others = (CATEGORIES, files.HUGO, redirects.NAME, *([wxr.NAME] if site else []))
    written: dict[str, UploadedFile | None] = dict.fromkeys((*others, *names.values()))
    # Before anything else, so that an interrupted export can be repeated.
    _write(directory / manifest.NAME, manifest.written({**earlier, **written}))
    _write(directory / files.HUGO, _HUGO)
    _write(directory / CATEGORIES, files.write_categories(outline.categories))
    summary.categories = len(outline.categories)
    ids, carried = list(names), set[str]()
    async with AsyncExitStack() as stack:
        taking = await stack.enter_async_context(Taking(directory, earlier))
        document = wxr.Wxr(directory / wxr.NAME, site, outline.categories, taking.address) if site else None
        if document:
            stack.enter_context(document)
        for start in range(0, len(ids), source.batch):
            batch = ids[start : start + source.batch]
            found = {exported.id: exported for exported in await source.posts(batch)}
            # Names of files follow from the order of the posts.
            ordered = [found[post_id] for post_id in batch if post_id in found]
            await taking.take(file for exported in ordered for file in exported.files)
            for exported in ordered:
                known = listed[exported.id]
                post = exported.post.model_copy(
                    update={"slug": known.slug, "translation_key": known.translation_key}
                )
                _write(directory / names[exported.id], files.write_post(post, taking.address))
                if document:
                    document.add(post, exported.files)
                carried.update(post.aliases)
                summary.add(exported)
                listener.progress(marked("Exporting"), summary.posts, len(ids))
            written |= taking.written
            _write(directory / manifest.NAME, manifest.written({**earlier, **written}))
    summary.files, summary.missing_files = len(taking.written), len(taking.missing)
    leading = [redirect for redirect in await source.redirects() if redirect.path not in carried]
    summary.redirects = len(leading)
    if leading:
        _write(directory / redirects.NAME, redirects.written(leading))
    else:
        del written[redirects.NAME]
    for name in earlier.keys() - written.keys():
        (directory / name).unlink(missing_ok=True)
        summary.removed += 1
    _write(directory / manifest.NAME, manifest.written(written))


def _earlier(directory: Path, *, force: bool) -> Mapping[str, UploadedFile | None]:
    """Return what an earlier export wrote into the directory; make sure that there is one."""
    directory.mkdir(parents=True, exist_ok=True)
    listed = manifest.read(directory)
    if listed is None and not force and any(directory.iterdir()):
        raise Occupied
    # The list may have been edited, and nothing outside is ours to remove.
    return {name: file for name, file in (listed or {}).items() if _WRITTEN.fullmatch(name)}


def _write(path: Path, data: bytes) -> None:
    """Write a file, unless it is there just so."""
    try:
        if path.read_bytes() == data:
            return
    except FileNotFoundError:
        path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
