"""Which generator a folder is of."""

import re
from collections.abc import Callable
from gettext import gettext as _
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from app.content.importing import CATEGORIES
from familycorp_ops.content.files import SUFFIXES
from familycorp_ops.content.sites import eleventy, hugo
from familycorp_ops.content.sites.kinds import Kind

_LOOKED_INTO = 200
_OWN = re.compile(r"^(publishedAt|translationKey|scheduledAt|state):", re.MULTILINE)
_NEEDED = [re.compile(rf"^{key}:", re.MULTILINE) for key in ("slug", "lang", "category")]


class Recognised(NamedTuple):
    """What a folder is of, and by what it was recognised."""

    kind: Kind
    by: str


def recognised(root: Path) -> Recognised:
    """Return what a folder is of; one with nothing to go by is taken for this service's own format."""
    if (root / CATEGORIES).is_file():
        return Recognised(Kind.familycorp, CATEGORIES)
    if exported := _export(root):
        return exported
    for kind, look in _MARKERS:
        if found := look(root):
            return Recognised(kind, found)
    return _by_files(root)


def _export(root: Path) -> Recognised | None:
    """Recognise a file that a system exported, given itself or as the one thing in a folder beside its uploads."""
    for path in [root] if root.is_file() else sorted([*root.glob("*.xml"), *root.glob("*.json")]):
        head = _head(path)
        if path.suffix == ".xml" and "wordpress.org/export/" in head:
            return Recognised(Kind.wordpress, path.name)
        if (
            path.suffix == ".json"
            and re.match(r'\s*\{\s*"(db|meta)"\s*:\s*[\[{]', head)
            and '"exported_on"' in head
        ):
            return Recognised(Kind.ghost, path.name)
    return None


def _any(*names: str) -> Callable[[Path], str | None]:
    return lambda root: next((name for name in names if (root / name).exists()), None)


def _package(word: str) -> Callable[[Path], str | None]:
    def look(root: Path) -> str | None:
        path = root / "package.json"
        return (
            f"package.json ({word})"
            if path.is_file() and f'"{word}"' in path.read_text("utf-8", errors="replace")
            else None
        )

    return look


def _hugo_config(root: Path) -> str | None:
    named = next((name for name in hugo.CONFIGS if (root / name).is_file()), None)
    return named if named and ("hugo" in named or (root / "content").is_dir()) else None


_MARKERS: list[tuple[Kind, Callable[[Path], str | None]]] = [
    (Kind.eleventy, _any(*eleventy.CONFIGS)),
    (Kind.eleventy, _package("@11ty/eleventy")),
    (Kind.hexo, _package("hexo")),
    (Kind.hexo, _any("scaffolds", "source/_posts", "source/_drafts")),
    (Kind.hugo, _hugo_config),
    (Kind.hugo, _any("archetypes", "content/_index.md")),
    (Kind.jekyll, _any("_layouts", "_includes", "_config.yml", "_config.yaml")),
]


def _by_files(root: Path) -> Recognised:
    """Recognise content without a configuration by the names of files and by their front matter."""
    paths = [p for p in islice(root.rglob("*"), 20_000) if p.suffix.lower() in SUFFIXES]
    paths = sorted(p for p in paths if not any(part.startswith(".") for part in p.relative_to(root).parts))
    heads = [(path, _head(path)) for path in paths[:_LOOKED_INTO]]
    fronted = [(path, head) for path, head in heads if head.startswith(("---", "+++", "{", ";;;"))]
    if not fronted or any(_is_own(head) for _path, head in fronted):
        return Recognised(Kind.familycorp, _("front matter"))
    if any(p.parent.name in {"_posts", "_drafts"} for p in [*paths, root / "_"]):
        dated = sum(bool(re.match(r"\d{4}-\d{1,2}-\d{1,2}-", p.name)) for p in paths)
        return Recognised(Kind.jekyll if dated * 2 >= len(paths) else Kind.hexo, "_posts")
    return Recognised(Kind.hugo, _("front matter"))


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(2000).decode("utf-8", errors="replace").removeprefix("\ufeff")


def _is_own(head: str) -> bool:
    return bool(_OWN.search(head)) or all(key.search(head) for key in _NEEDED)
