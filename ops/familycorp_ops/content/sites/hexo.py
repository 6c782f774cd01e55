"""The layout of Hexo's sites."""

import re
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path, PurePosixPath

from familycorp_ops.content.notes import Omitted
from familycorp_ops.content.sites.layout import DATED, Facts, Found, Layout, expanded, moments

_DEFAULT = ":year/:month/:day/:title/"


class Hexo(Layout):
    """A site of Hexo, or its source folder alone."""

    kind = markup = "hexo"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.config = self.read_config("_config.yml", "_config.yaml", "_config.json")
        source = root / str(self.config.get("source_dir") or "source")
        self.content = source if source.is_dir() else root
        self.set_prefix(
            str(self.config.get("root") or "/")
            if self.config.get("root")
            else str(self.config.get("url") or "")
        )
        language = self.config.get("language")
        self.lang = str(
            (language[0] if language else "") if isinstance(language, list) else language or ""
        ).lower()

    def pages(self) -> Iterator[Found]:
        """Yield posts, drafts and pages."""
        for path, name in self.walk(self.content, underscored=True):
            parts = PurePosixPath(path.relative_to(self.content).as_posix()).with_suffix("").parts
            folder = parts[0] if len(parts) > 1 and parts[0].startswith("_") else ""
            if self.content.name in {"_posts", "_drafts"}:
                folder, parts = self.content.name, (self.content.name, *parts)
            if folder not in {"", "_posts", "_drafts"}:
                self.omitted.append(Omitted(name, _("It is a part of the site's templates."), settled=True))
                continue
            if self.content == self.root and not folder and len(parts) == 1 and parts[0].lower() == "readme":
                self.omitted.append(
                    Omitted(name, _("It is about the repository, and no page."), settled=True)
                )
                continue
            shown = list(parts[1:] if folder else parts)
            dated, date = DATED.fullmatch(shown[-1]), ""
            if dated and ":year" in str(self.config.get("new_post_name", ":year")):
                date, shown[-1] = dated.groups()
            if shown[-1] == "index" and len(shown) > 1:
                shown.pop()
            lang = self.language_of(shown[0]) if len(shown) > 1 else None
            yield Found(path, name, PurePosixPath(*shown), lang, "", date, folder == "_drafts")

    def address(self, facts: Facts) -> str | None:
        """Return Hexo's address of a page."""
        found, front = facts.found, facts.front
        if own := front.get("permalink"):
            path = re.sub(r"^https?://[^/]+", "", str(own)).strip("/")
            return f"{self.prefix}/{path}" + ("" if "." in path.rpartition("/")[2] else "/")
        if not {"_posts", "_drafts"} & set(found.path.parts):
            index = found.path.stem == "index"
            return f"{self.prefix}/{found.where}{'/' if index else '.html'}"
        pattern = str(self.config.get("permalink") or _DEFAULT)
        if facts.at is None and re.search(r":(year|month|day|i_month|i_day)", pattern):
            return None
        path = str(found.where) if not found.date else found.where.name
        default = str(self.config.get("default_category") or "uncategorized")
        values = {
            **{key: str(value) for key, value in front.items() if isinstance(value, str)},
            **moments(facts.at),
            "title": path, "name": found.where.name, "post_title": str(front.get("slug") or facts.slug),
            "category": "/".join(facts.categories) or default, "lang": found.lang or self.lang or "",
        }  # fmt: skip
        return self.prefix + expanded(pattern, values)

    def file(self, found: Found, target: str) -> Path | None:
        """Return a file of the site; a post's own are in the folder of its name."""
        own = found.path.with_suffix("") / target
        return own if "/" not in target.lstrip("./") and own.is_file() else super().file(found, target)
