"""How a generator lays a site out: which files are pages, and under which addresses they were found."""

import json
import os
import re
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from gettext import gettext as _
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any
from urllib.parse import urlsplit

import yaml

from familycorp_ops.content import files
from familycorp_ops.content.files import SUFFIXES
from familycorp_ops.content.notes import Omitted
from familycorp_ops.content.sites import frontmatter
from familycorp_ops.content.sites.frontmatter import Front

_CODES = re.compile(
    "(?:ar|az|bg|bn|ca|cs|da|de|el|en|eo|es|et|eu|fa|fi|fil|fr|gl|he|hi|hr|hu|id|it|ja|ka|ko|lt|lv|mn|ms|nb|nl|nn|no|pl|pt"
    "|ro|ru|sk|sl|sr|sv|ta|th|tr|uk|ur|uz|vi|zh)(?:-[a-z]{2,4})?"
)
_SKIPPED = {"node_modules", "vendor", "themes", "public", "_site", "resources"}
DATED = re.compile(r"(\d{4}-\d{1,2}-\d{1,2})[-_ ](.+)")
_CONFIGS = {".toml": tomllib.loads, ".json": json.loads, ".yaml": None, ".yml": None}


@dataclass
class Found:
    """A page's file, and what its place says of it."""

    path: Path
    name: str
    """Its path below the folder that is imported, for messages."""
    where: PurePosixPath
    """Its path below the content, without suffix, language and date; a bundle's is its folder."""
    lang: str | None = None
    section: str = ""
    date: str = ""
    draft: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Front matter that the site sets for it."""


@dataclass
class Facts:
    """What an address may be made of."""

    found: Found
    front: Mapping[str, Any]
    title: str
    slug: str
    """The slug by the generator's rules."""
    categories: list[str]
    at: datetime | None
    """When the page was published, in the site's time zone."""


class Layout(ABC):
    """The layout of a site.

    Args:
        root: the folder that is imported.
    """

    kind = "plain"
    markup = "plain"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.omitted: list[Omitted] = []
        self.config: dict[str, Any] = {}
        self.content = root
        self.prefix = ""
        """Path of the site below its domain."""
        self.base = ""
        """Address of the site."""
        self.languages: set[str] = set()
        self.lang: str | None = None
        """Language of pages that name none."""
        self.category_slugs: dict[str, str] = {}
        """Addresses of categories in ASCII, by their names, where the site has such."""
        self.lists: list[Found] = []
        """Pages of lists, once `pages` has yielded the others."""

    @abstractmethod
    def pages(self) -> Iterator[Found]:
        """Yield the pages in a stable order."""

    def front(self, found: Found) -> tuple[Front, list[tuple[str, str, str]]]:
        """Return a page's front matter and body, and how its file was read; raise `Unreadable`."""
        text, notes = files.read_text(found.path)
        return frontmatter.split(text), notes

    @abstractmethod
    def address(self, facts: Facts) -> str | None:
        """Return the path under which the generator published a page, if it did."""

    def file(self, found: Found, target: str) -> Path | None:
        """Return the file that an address on a page leads to, if it is one of the site's."""
        if self.is_own(target):
            target = self.prefix + target.removeprefix(self.base)
        relative = target.removeprefix(self.prefix).lstrip("/") if target.startswith("/") else ""
        if relative:
            places = [base / relative for base in self.static()]
        else:  # Beside the file, or where a browser finds it from the page's address.
            around = [base / folder for base in self.static() for folder in (found.where, found.where.parent)]
            places = [Path(normpath(folder / target)) for folder in (found.path.parent, *around)]
        return next((place for place in places if place.is_file()), None)

    def is_own(self, target: str) -> bool:
        """Whether an absolute address leads to the site itself."""
        return bool(self.base) and target.startswith(f"{self.base}/")

    def static(self) -> list[Path]:
        """Return the folders whose files are served as they are."""
        return [self.content]

    # -- for the generators' own -------------------------------------------------------------------------

    def walk(self, top: Path, *, underscored: bool = False) -> Iterator[tuple[Path, str]]:
        """Yield Markdown files below a folder with their names; note the others that are pages elsewhere."""
        for place, directories, names in os.walk(top):
            directories[:] = sorted(
                d
                for d in directories
                if d[0] != "."
                and d not in _SKIPPED
                and (underscored or d[0] != "_" or d in {"_posts", "_drafts"})
            )
            for name in sorted(names):
                path = Path(place, name)
                if path.suffix.lower() in SUFFIXES and name[0] != ".":
                    yield path, self.name(path)
                elif path.suffix.lower() in {
                    ".html",
                    ".htm",
                    ".njk",
                    ".liquid",
                    ".mdx",
                    ".adoc",
                    ".org",
                    ".rst",
                    ".ipynb",
                }:
                    self.omitted.append(
                        Omitted(self.name(path), _("It is a template or page that isn't Markdown."))
                    )

    def name(self, path: Path) -> str:
        """Return what messages call a file."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name

    def read_config(self, *names: str) -> dict[str, Any]:
        """Return the first configuration of these names that there is, as text, lists and mappings."""
        for name in names:
            path = self.root / name
            if path.is_file():
                return self.parsed(path)
        return {}

    def parsed(self, path: Path) -> dict[str, Any]:
        """Return a file of YAML, TOML or JSON; one that can't be read is noted, and empty."""
        try:
            text = path.read_text("utf-8-sig")
            reader = _CONFIGS[path.suffix]
            value = reader(text) if reader else yaml.load(text, yaml.BaseLoader)  # noqa: S506 - text alone.
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            why = _("The configuration can't be read: {reason}").format(reason=str(error).split("\n")[0])
            self.omitted.append(Omitted(self.name(path), why))
            return {}
        return frontmatter.texts(value) if isinstance(value, dict) else {}

    def language_of(self, part: str) -> str | None:
        """Return the language that a part of a file's name or path stands for."""
        code = part.lower().replace("_", "-")
        known = code in {language.lower() for language in self.languages}
        usual = _CODES.fullmatch(code)
        return code if known or (usual and not self.languages) else None

    def set_prefix(self, url: str) -> None:
        """Take the site's path from its URL."""
        path = urlsplit(url).path if "://" in url or url.startswith("/") else ""
        self.prefix = "/" + path.strip("/") if path.strip("/") else ""
        self.base = url.rstrip("/") if "://" in url else ""


def expanded(pattern: str, values: Mapping[str, str]) -> str:
    """Return a permalink's pattern with its `:tokens` replaced."""
    names = sorted(values, key=len, reverse=True)
    token = re.compile(":(" + "|".join(map(re.escape, names)) + r")(?![a-z])")
    path = token.sub(lambda match: values[match[1]], pattern)
    return re.sub(r"/{2,}", "/", "/" + path.lstrip("/"))


def moments(at: datetime | None) -> dict[str, str]:
    """Return the tokens of a time."""
    if at is None:
        return {}
    return {
        "year": f"{at:%Y}", "short_year": f"{at:%y}", "month": f"{at:%m}", "i_month": str(at.month),
        "short_month": f"{at:%b}", "monthname": f"{at:%B}".lower(), "day": f"{at:%d}", "i_day": str(at.day),
        "y_day": f"{at:%j}", "yearday": str(int(f"{at:%j}")), "weekday": str(at.isoweekday() % 7),
        "hour": f"{at:%H}", "minute": f"{at:%M}", "second": f"{at:%S}",
    }  # fmt: skip


def urlized(text: str) -> str:
    """Return a text as generators write it into addresses: lower case, hyphens, no punctuation."""
    return re.sub(r"-{2,}", "-", re.sub(r"[^\w./-]+", "", re.sub(r"\s+", "-", text.strip().lower()))).strip(
        "-"
    )
