"""The layout of Eleventy's sites."""

import re
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path, PurePosixPath
from typing import Any

from familycorp_ops.content.notes import Omitted
from familycorp_ops.content.sites.layout import DATED, Facts, Found, Layout

CONFIGS = [".eleventy.js", *(f"eleventy.config.{kind}" for kind in ("js", "mjs", "cjs", "ts"))]
_INPUT = re.compile(r"""\binput:\s*["'`]([^"'`]+)["'`]""")
_PREFIX = re.compile(r"""\bpathPrefix:\s*["'`]([^"'`]+)["'`]""")
_ABOUT = {"readme", "license", "changelog", "contributing", "code_of_conduct", "security"}
_EXPRESSION = re.compile(r"\{\{-?\s*([\w.]+)\s*(?:\|[^}]*)?-?\}\}")


class Eleventy(Layout):
    """A site of Eleventy, or its content alone."""

    kind = markup = "eleventy"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        config = next((path for name in CONFIGS if (path := root / name).is_file()), None)
        # The configuration is a program, which isn't run.
        text = config.read_text("utf-8", errors="replace") if config else ""
        named = _INPUT.search(text)
        content = root / named[1] if named else root
        if not named and (root / "content").is_dir():
            content = root / "content"
        self.content = content if content.is_dir() else root
        prefix = _PREFIX.search(text)
        self.set_prefix(prefix[1] if prefix else "")
        self._data: dict[Path, dict[str, Any]] = {}

    def pages(self) -> Iterator[Found]:
        """Yield the pages with the data that their folders give them."""
        for path, name in self.walk(self.content):
            where = PurePosixPath(path.relative_to(self.content).as_posix()).with_suffix("")
            parts = list(where.parts)
            if len(parts) == 1 and parts[0].lower() in _ABOUT:
                self.omitted.append(
                    Omitted(name, _("It is about the repository, and no page."), settled=True)
                )
                continue
            dated, date = DATED.fullmatch(parts[-1]), ""
            if dated:
                date, parts[-1] = dated.groups()
            if parts[-1] in {"index", parts[-2] if len(parts) > 1 else "index"} and len(parts) > 1:
                parts.pop()
            lang = self.language_of(parts[0]) if len(parts) > 1 else None
            section = parts[0] if len(parts) > 1 and not lang else ""
            yield Found(path, name, PurePosixPath(*parts), lang, section, date, defaults=self._defaults(path))

    def _defaults(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        folders = [p for p in reversed(path.parents) if p.is_relative_to(self.content)]
        for base in [*(folder / folder.name for folder in folders), path.with_suffix("")]:
            for suffix in (".json", ".11tydata.json"):
                file = base.with_name(base.name + suffix)
                if file not in self._data:
                    self._data[file] = self.parsed(file) if file.is_file() else {}
                found |= self._data[file]
            program = base.with_name(f"{base.name}.11tydata.js")
            if program not in self._data and program.is_file():
                self._data[program] = {}
                why = _("It is a program, and isn't run: what it sets for its folder is unknown.")
                self.omitted.append(Omitted(self.name(program), why))
        return found

    def address(self, facts: Facts) -> str | None:
        """Return Eleventy's address of a page."""
        own = facts.front.get("permalink")
        if own in {"false", ""}:
            return None
        where = facts.found.where
        if own is None:
            return f"{self.prefix}/{where}/" if str(where) != "index" else f"{self.prefix}/"
        values = {
            "page.fileSlug": where.name, "page.filePathStem": f"/{where}", "slug": facts.slug, "title": facts.slug,
            "lang": facts.found.lang or "", "locale": facts.found.lang or "",
            **{k: v for k, v in facts.front.items() if isinstance(v, str) and k not in {"title", "permalink"}},
        }  # fmt: skip
        path = _EXPRESSION.sub(lambda match: values.get(match[1], match[0]), str(own))
        if "{{" in path or "{%" in path:
            return None
        return self.prefix + "/" + re.sub(r"/{2,}", "/", path).removesuffix("index.html").lstrip("/")
