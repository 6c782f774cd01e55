"""The layout of Hugo's sites."""

import re
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path, PurePosixPath
from typing import Any

from familycorp_ops.content.notes import Omitted
from familycorp_ops.content.sites.layout import DATED, Facts, Found, Layout, expanded, moments, urlized

_CONFIGS = [f"{name}.{kind}" for name in ("hugo", "config") for kind in ("toml", "yaml", "yml", "json")]
CONFIGS = [*_CONFIGS, *(f"config/_default/{name}" for name in _CONFIGS)]


class Hugo(Layout):
    """A site of Hugo, or its content alone."""

    kind = markup = "hugo"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.config = {key.lower(): value for key, value in self.read_config(*CONFIGS).items()}
        for part in ("languages", "permalinks"):
            self._read_part(part)
        content = root / str(self.config.get("contentdir", "content"))
        self.content = content if content.is_dir() else root
        self.set_prefix(str(self.config.get("baseurl", "")))
        languages = self.config.get("languages")
        self._languages: dict[str, Any] = languages if isinstance(languages, dict) else {}
        self.languages = set(self._languages)
        self.lang = str(
            self.config.get("defaultcontentlanguage") or self.config.get("languagecode") or ""
        ).lower()

    def _read_part(self, part: str) -> None:
        for suffix in ("toml", "yaml", "yml", "json"):
            path = self.root / f"config/_default/{part}.{suffix}"
            if path.is_file():
                self.config.setdefault(part, self.parsed(path))

    def pages(self) -> Iterator[Found]:
        """Yield the pages, bundles by their folder; set those of lists apart."""
        own: list[tuple[Path, str | None]] = [
            (self.root / directory, code)
            for code, language in self._languages.items()
            if isinstance(language, dict)
            and (directory := language.get("contentDir") or language.get("contentdir"))
        ]
        roots = [(top, code) for top, code in own if top.is_dir()] or [(self.content, None)]
        for top, code in roots:
            bundles: set[Path] = set()
            for path, name in self.walk(top, underscored=True):
                found = self._found(path, name, top, code)
                bundle = next((p for p in path.parents if p in bundles), None)
                stem = found.where.name if path.stem.split(".")[0] != "index" else "index"
                if path.stem.split(".")[0] == "_index":
                    self.lists.append(found)
                elif stem == "index" and path.parent != top:
                    bundles.add(path.parent)
                    yield found
                elif bundle is not None and not bundle.samefile(top):
                    self.omitted.append(Omitted(name, _("It is a part of the page of its folder.")))
                else:
                    yield found

    def _found(self, path: Path, name: str, top: Path, code: str | None) -> Found:
        where = PurePosixPath(path.relative_to(top).as_posix()).with_suffix("")
        parts = list(where.parts)
        stem, dot, suffix = parts[-1].rpartition(".")
        if dot and (lang := self.language_of(suffix)):
            code, parts[-1] = lang, stem
        elif len(parts) > 1 and (lang := self.language_of(parts[0])):
            code, parts = lang, parts[1:]
        if parts[-1] in {"index", "_index"}:
            parts = parts[:-1] or ["home"]
        listed = path.stem.partition(".")[0] == "_index" and parts != ["home"]
        section = parts[0] if len(parts) > 1 or listed else ""
        dated = DATED.fullmatch(parts[-1])
        return Found(path, name, PurePosixPath(*parts), code, section, dated[1] if dated else "")

    def address(self, facts: Facts) -> str | None:
        """Return Hugo's address of a page."""
        found, front = facts.found, facts.front
        lang = found.lang or self.lang
        inside = self._languages and lang and (lang != self.lang or self._in_subdirectory())
        prefix = self.prefix + (f"/{lang}" if inside else "")
        if url := front.get("url"):
            return (self.prefix if str(url).startswith("/") else prefix) + expanded_url(str(url))
        base = str(front.get("slug") or found.where.name)
        pattern = self._pattern(found.section) if found.path.stem.partition(".")[0] != "_index" else ""
        if pattern and (facts.at or not re.search(r":(year|month|day)", pattern)):
            sections = "/".join(found.where.parts[:-1])
            values = {
                **moments(facts.at),
                "section": found.section, "sections": sections, "title": urlized(facts.title),
                "slug": urlized(str(front.get("slug") or facts.title)),
                "slugorfilename": urlized(base), "slugorcontentbasename": urlized(base),
                "filename": urlized(found.where.name), "contentbasename": urlized(found.where.name),
            }  # fmt: skip
            return prefix + expanded(pattern, values)
        path = "/".join([*found.where.parts[:-1], base]) if str(found.where) != "home" else ""
        ugly = str(self.config.get("uglyurls", "")).lower() == "true"
        return f"{prefix}/{urlized(path)}" + (".html" if ugly else "/")

    def _in_subdirectory(self) -> bool:
        return str(self.config.get("defaultcontentlanguageinsubdir", "")).lower() == "true"

    def _pattern(self, section: str) -> str:
        found = self.config.get("permalinks", {})
        for rules in (found, found.get("page", {}) if isinstance(found, dict) else {}):
            if isinstance(rules, dict) and isinstance(rules.get(section), str):
                return str(rules[section])
        return ""

    def static(self) -> list[Path]:
        """Return the folders whose files are served as they are."""
        return [self.root / "static", self.root / "assets", self.content]


def expanded_url(url: str) -> str:
    """Return an address of front matter as a path."""
    return "/" + url.lstrip("/")
