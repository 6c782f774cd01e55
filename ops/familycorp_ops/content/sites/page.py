"""One page of another generator's site, on its way to a post."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from gettext import gettext as _
from typing import Any
from zoneinfo import ZoneInfo

from app.core.clock import now
from app.core.http.schema import CONTROLS
from familycorp_ops.content import keys
from familycorp_ops.content.notes import Kind, Note, shortened
from familycorp_ops.content.sites import dates, names
from familycorp_ops.content.sites.frontmatter import Front
from familycorp_ops.content.sites.layout import Found
from familycorp_ops.content.sites.mapping import Mapping as SiteMapping
from familycorp_ops.content.sites.mapping import Proposal

_HEADING = re.compile(r"^#[ \t]+(\S.*)$", re.MULTILINE)
_HANGUL = re.compile(r"[가-힣]")
_MOST_TAGS, _LONGEST_TAG, _LONGEST_TITLE, _LONGEST_EXCERPT = 20, 50, 200, 500
_SERVED = {"ko", "en"}
_COLLECTIONS = {"post", "posts", "all", "nav"}


@dataclass
class Page:
    """A page: what its front matter says, in the order in which the parts depend on each other.

    Args:
        found: its file.
        front: its front matter and body.
        mapping: the mapping file.
        kind: the generator.
        zone: time zone of dates without offset.
    """

    found: Found
    front: Front
    mapping: SiteMapping
    kind: str
    zone: ZoneInfo
    site_lang: str = ""
    sections: Mapping[str, str] = field(default_factory=dict)
    proposal: Proposal = field(default_factory=Proposal)
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.said: dict[str, Any] = {}
        """Values by what they say."""
        self.keys: dict[str, str] = {}
        """Keys of the file by what they say."""
        self.notes += self.front.notes
        self._sort_keys()
        self.title = self._title()
        self.at = self._time()
        self.state, self.scheduled = self._state()
        self.lang = self._language()
        self.slug = self._slug()
        if "comments" in self.said:
            self.proposal.keys[self.keys["comments"]] += 1
            self.note("comments", "left_out", self.said["comments"], "", _("Comments aren't imported."))
        self.categories = keys.words(self.said.get("categories"), " " if self._spaced("categories") else None)
        if self.kind == "jekyll" and not self.categories and self.found.section not in {"", "posts"}:
            self.categories = self.found.section.split("/")

    def line(self, meaning: str) -> int:
        """Return the line of the key that says something, or the first."""
        return self.front.lines.get((self.keys.get(meaning, ""),), 1)

    def note(self, meaning: str, kind: Kind, before: object, after: object, why: str) -> None:
        """Note a difference at the line of what it is about."""
        self.notes.append(
            Note(
                self.line(meaning),
                kind,
                self.keys.get(meaning, meaning),
                shortened(before),
                shortened(after),
                why,
            )
        )

    def _sort_keys(self) -> None:
        """Find out what each key says, and note those that say nothing here."""
        params = self.front.value.get("params")
        own = {**(params if isinstance(params, dict) else {}), **self.front.value}
        own.pop("params", None)
        for key, value in [*own.items(), *((k, v) for k, v in self.found.defaults.items() if k not in own)]:
            mapped = self.mapping.keys.get(key)
            meaning = keys.meaning(key) if mapped is None else keys.meaning(mapped) if mapped else None
            if value in (None, "", [], {}) or mapped == "":
                continue
            if meaning and not (meaning == "published" and self._is_time(value)):
                self._say(key, meaning, value)
            elif meaning == "published":
                self._say(key, "date", value)
            elif key in self.front.value:
                self._unsaid(key, value)

    def _is_time(self, value: Any) -> bool:
        return isinstance(value, str) and dates.read(value, self.zone) is not None

    def _say(self, key: str, meaning: str, value: Any) -> None:
        known = self.keys.get(meaning)
        order = keys.MEANT[meaning]
        if meaning in {"aliases", "picture", "tags", "categories"} and known:
            self.said[meaning] = [*_listed(self.said[meaning]), *_listed(value)]
        elif known is None or _rank(order, key) < _rank(order, known):
            self.said[meaning], self.keys[meaning] = value, key

    def _unsaid(self, key: str, value: Any) -> None:
        line = self.front.lines.get((key,), 1)
        if key.lower() in keys.UNCARRIED:
            why = _("The key directs the generator and has no counterpart.")
            self.notes.append(Note(line, "no_counterpart", key, shortened(value), "", why))
            return
        self.proposal.keys[key] += 1
        near = keys.nearest(key)
        why = _("The key is unknown; is {key} meant?").format(key=near) if near else _("The key is unknown.")
        self.notes.append(Note(line, "left_out", key, shortened(value), "", why))

    def _spaced(self, meaning: str) -> bool:
        """Whether the items of a text are separated by spaces."""
        return self.kind == "jekyll" and self.keys.get(meaning) in {"categories", "tags"}

    def _title(self) -> str:
        title = line_of(self.said.get("title"))
        if not title:
            heading = _HEADING.search(self.front.body)
            title = line_of(heading[1].rstrip(" \t#") if heading else self.found.where.name) or "-"
            self.note(
                "title", "changed", "", title, _("The page has no title; its heading or file name serves.")
            )
        return self._cut("title", title, _LONGEST_TITLE)

    def _cut(self, meaning: str, text: str, most: int) -> str:
        if len(text) <= most:
            return text
        cut = text[: most - 1].rstrip() + "…"
        why = _("The text was cut after {most} characters.").format(most=most)
        self.note(meaning, "left_out", text[most - 1 :], cut, why)
        return cut

    def _time(self) -> datetime | None:
        said = self.said.get("date") or self.found.date
        at = dates.read(str(said), self.zone) if said else None
        if said and at is None:
            self.note("date", "left_out", said, "", _("The date can't be read."))
        if at is None:
            at = next(
                (
                    at
                    for key in ("lastmod", "updated", "last_modified_at", "modified")
                    if (at := self._own_time(key))
                ),
                None,
            )
            if at:
                self.note(
                    "date",
                    "changed",
                    "",
                    at.isoformat(),
                    _("The page has no date; that of its last change serves."),
                )
            else:
                self.note(
                    "date", "changed", "", "", _("The page has no date; the time of the import serves.")
                )
        return at

    def _own_time(self, key: str) -> datetime | None:
        value = self.front.value.get(key)
        return dates.read(value, self.zone) if isinstance(value, str) else None

    def _state(self) -> tuple[str, datetime | None]:
        reason = ""
        if self.found.draft or keys.true(self.said.get("draft")) or keys.false(self.said.get("published")):
            return "draft", None
        if self.said.get("password"):
            reason = "password"
        elif keys.true(self.said.get("hidden")):
            reason = "hidden"
        if reason:
            self.note(
                reason,
                "changed",
                self.said[reason] if reason == "hidden" else "…",
                "draft",
                _("Not everybody was to see the page: it is a draft."),
            )
            return "draft", None
        if "expires" in self.said:
            at = dates.read(str(self.said["expires"]), self.zone)
            if at and at <= now():
                self.note("expires", "changed", self.said["expires"], "archived", _("The page had expired."))
                return "archived", None
            self.note(
                "expires",
                "left_out",
                self.said["expires"],
                "",
                _("A time at which a page expires isn't imported."),
            )
        if self.at and self.at > now():
            at, self.at = self.at, None
            self.note(
                "date",
                "changed",
                self.said.get("date"),
                "scheduled",
                _("The date is in the future: the post is scheduled."),
            )
            return "scheduled", at
        return "published", None

    def _language(self) -> str | None:
        """Return the post's language; None where the page is in one that this service doesn't serve."""
        own = str(self.said.get("lang") or self.found.lang or "").strip().lower().replace("_", "-")
        for code in (own, self.site_lang.replace("_", "-")):
            served = self.mapping.languages.get(code, code.partition("-")[0])
            if served in _SERVED:
                return served
            if own and code == own:
                self.proposal.languages[own] += 1
                return None
        if self.mapping.lang:
            return self.mapping.lang
        return "ko" if _HANGUL.search(self.title + self.front.body) else "en"

    def _slug(self) -> str:
        said = self.said.get("slug")
        name = str(said) if isinstance(said, str) and said.strip("/ ") else self.found.where.name
        name = unicodedata.normalize("NFC", name)
        slug = names.post_slug(name, str(self.found.where))
        if said and slug != said:
            self.note(
                "slug", "changed", said, slug, _("A slug has lower-case letters, Hangul, digits and hyphens.")
            )
        return slug

    def category(self) -> tuple[str, str]:
        """Return the name of the post's category, and of what it was made."""
        if self.categories:
            return self.categories[0], "categories"
        if self.found.section:
            return self.sections.get(self.found.section, self.found.section), "section"
        return "", ""

    def tags(self) -> list[str]:
        """Return the post's tags: its own, and the categories beyond the first."""
        own = keys.words(self.said.get("tags"), " " if self._spaced("tags") else None)
        more = self.categories[1:]
        if more:
            self.note(
                "categories",
                "changed",
                self.categories,
                more,
                _("A post has one category; the others are tags."),
            )
        if self.kind == "eleventy":
            own = [tag for tag in own if tag not in _COLLECTIONS]
        mapped = [self.mapping.tags.get(tag, tag) for tag in own + more]
        cut = [self._cut("tags", line_of(tag), _LONGEST_TAG) for tag in mapped if tag]
        tags = list(dict.fromkeys(tag for tag in cut if tag))
        if len(tags) > _MOST_TAGS:
            why = _("A post has at most {most} tags.").format(most=_MOST_TAGS)
            self.note("tags", "left_out", tags[_MOST_TAGS:], tags[:_MOST_TAGS], why)
        return tags[:_MOST_TAGS]

    def excerpt(self) -> str:
        """Return the post's excerpt."""
        said = self.said.get("excerpt")
        return self._cut("excerpt", line_of(said), _LONGEST_EXCERPT) if isinstance(said, str) else ""

    def authors(self) -> list[str]:
        """Return the names of the authors as they are to be printed."""
        found = keys.words(self.said.get("author"))
        return [name for author in found if (name := self.mapping.authors.get(author, author))]

    def variable(self, name: str) -> str | None:
        """Return a variable of the template."""
        name = name.strip()
        if name in {"site.baseurl", "site.url", "site.root"}:
            return ""
        return self.title if name in {"page.title", "title"} else None


def line_of(value: Any) -> str:
    """Return a value as one line, in NFC and without what can't stand in one."""
    text = "" if value is None else value if isinstance(value, str) else shortened(value)
    return " ".join(CONTROLS.sub("", unicodedata.normalize("NFC", text)).split())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _rank(order: tuple[str, ...], key: str) -> int:
    return order.index(key.lower()) if key.lower() in order else len(order)
