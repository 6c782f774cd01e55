"""The layout of Jekyll's sites."""

import re
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path, PurePosixPath
from typing import Any

from familycorp_ops.content.notes import Omitted
from familycorp_ops.content.sites.layout import DATED, Facts, Found, Layout, expanded, moments

_STYLES = {
    "date": "/:categories/:year/:month/:day/:title.html",
    "pretty": "/:categories/:year/:month/:day/:title/",
    "ordinal": "/:categories/:year/:y_day/:title.html",
    "weekdate": "/:categories/:year/W:week/:short_day/:title.html",
    "none": "/:categories/:title.html",
}
_ABOUT = {"readme", "license", "changelog", "contributing", "code_of_conduct", "security", "history"}


class Jekyll(Layout):
    """A site of Jekyll, or its posts alone."""

    kind = markup = "jekyll"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.config = self.read_config("_config.yml", "_config.yaml", "_config.toml")
        source = root / str(self.config.get("source") or ".")
        self.content = source if source.is_dir() else root
        self.set_prefix(str(self.config.get("baseurl") or ""))
        self.lang = str(self.config.get("lang") or self.config.get("locale") or "").lower()

    def pages(self) -> Iterator[Found]:
        """Yield posts, drafts, collections and pages."""
        collections = self.config.get("collections") or {}
        names = {f"_{name}" for name in collections}
        for path, name in self.walk(self.content, underscored=True):
            parts = PurePosixPath(path.relative_to(self.content).as_posix()).with_suffix("").parts
            folder = next((part for part in parts[:-1] if part.startswith("_")), "")
            if folder and folder not in {"_posts", "_drafts"} | names and self.content.name != "_posts":
                self.omitted.append(Omitted(name, _("It is a part of the site's templates."), settled=True))
            elif (parts[-1].lower() in _ABOUT and len(parts) == 1) or name.startswith("."):
                self.omitted.append(
                    Omitted(name, _("It is about the repository, and no page."), settled=True)
                )
            else:
                yield self._found(path, name, parts, folder)

    def _found(self, path: Path, name: str, parts: tuple[str, ...], folder: str) -> Found:
        dated = DATED.fullmatch(parts[-1])
        shown = [part for part in parts[:-1] if part not in {"_posts", "_drafts"}]
        section = "/".join(shown).strip("_") if folder != "_drafts" else ""
        stem, date = parts[-1], ""
        if dated:
            date, stem = dated.groups()
        lang = next((code for part in shown if (code := self.language_of(part))), None)
        if stem == "index" and shown:
            stem = shown.pop()
        where = PurePosixPath(*shown, stem)
        return Found(
            path,
            name,
            where,
            lang,
            "" if lang else section,
            date,
            folder == "_drafts",
            self._defaults(name, folder),
        )

    def _defaults(self, name: str, folder: str) -> dict[str, Any]:
        kind = {"_posts": "posts", "_drafts": "drafts", "": "pages"}.get(folder, folder.strip("_"))
        found: dict[str, Any] = {}
        rules = self.config.get("defaults")
        for rule in rules if isinstance(rules, list) else []:
            scope = rule.get("scope") if isinstance(rule, dict) else None
            if not isinstance(scope, dict):
                continue
            path = str(scope.get("path") or "").strip("/")
            wanted = scope.get("type")
            values = rule.get("values")
            if (
                (not path or name.startswith(path))
                and wanted in {None, "", kind}
                and isinstance(values, dict)
            ):
                found |= values
        return found

    def address(self, facts: Facts) -> str | None:
        """Return Jekyll's address of a page."""
        found, front = facts.found, facts.front
        post = bool(found.date) or "_posts" in found.path.parts
        pattern = str(front.get("permalink") or (self.config.get("permalink") if post else "") or "")
        if not post:
            pretty = self.config.get("permalink") == "pretty"
            pattern = pattern or (
                f"/{found.where}/" if pretty or found.path.stem == "index" else f"/{found.where}.html"
            )
        pattern = _STYLES.get(pattern or "date", pattern)
        if facts.at is None and re.search(r":(year|month|day|y_day)", pattern):
            return None
        week = facts.at.isocalendar() if facts.at else None
        values = {
            **moments(facts.at),
            "categories": "/".join(category.lower() for category in facts.categories),
            "title": str(front.get("slug") or found.where.name), "slug": facts.slug, "name": found.where.name,
            "path": str(found.where), "collection": found.section, "output_ext": ".html",
            "basename": found.where.name,
            "week": f"{week.week:02}" if week else "", "short_day": f"{facts.at:%a}" if facts.at else "",
        }  # fmt: skip
        return self.prefix + expanded(pattern, values)
