"""From the folder of another generator to posts, with a report of what was changed and what was left out."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from app.categories.schemas import CategoryCreate, LocalisedName
from app.content.importing import Finding
from app.content.schemas import FilePost
from app.core.http import rules
from app.core.http.schema import CONTROLS
from app.posts.publication import addresses
from familycorp_ops import messages
from familycorp_ops.content import files, keys
from familycorp_ops.content.files import Source
from familycorp_ops.content.notes import Note, Omitted
from familycorp_ops.content.sites import names
from familycorp_ops.content.sites.body import Body
from familycorp_ops.content.sites.eleventy import Eleventy
from familycorp_ops.content.sites.ghost import Ghost
from familycorp_ops.content.sites.hexo import Hexo
from familycorp_ops.content.sites.hugo import Hugo
from familycorp_ops.content.sites.jekyll import Jekyll
from familycorp_ops.content.sites.layout import Facts, Found, Layout
from familycorp_ops.content.sites.mapping import Mapping as SiteMapping
from familycorp_ops.content.sites.mapping import Proposal
from familycorp_ops.content.sites.page import Page, line_of
from familycorp_ops.content.sites.place import Place
from familycorp_ops.content.sites.wordpress import WordPress
from familycorp_ops.content.uploads import Naming, Uploads
from familycorp_ops.content.yamltext import Unreadable

LAYOUTS: Mapping[str, type[Layout]] = {
    "hugo": Hugo, "jekyll": Jekyll, "hexo": Hexo, "eleventy": Eleventy, "wordpress": WordPress, "ghost": Ghost,
}  # fmt: skip
_NO_CATEGORY = CategoryCreate(slug="other", name=LocalisedName(ko="기타", en="Other"))
_MOST_ALIASES = 20
_MOST_ATTACHMENTS = 20


@dataclass
class Site:
    """What was read of a site."""

    sources: list[Source] = field(default_factory=list)
    categories: dict[str, CategoryCreate] = field(default_factory=dict)
    omitted: list[Omitted] = field(default_factory=list)
    proposal: Proposal = field(default_factory=Proposal)


@dataclass
class Options:
    """How to read a site, and what receives the files that its pages name."""

    zone: ZoneInfo
    mapping: SiteMapping
    uploads: Uploads


class Reader:
    """Reads a site.

    Args:
        layout: its layout.
        options: how to read it.
        progress: receives how many of how many pages are read.
    """

    def __init__(self, layout: Layout, options: Options, progress: Callable[[int, int], None]) -> None:
        self._layout, self._options, self._progress = layout, options, progress
        self._site = Site()
        self._pages: list[Page] = []
        self._by_file: dict[Path, Page] = {}
        self._by_name = defaultdict[str, list[Page]](list)
        self._by_address: dict[str, Page] = {}
        self._former: dict[int, list[str]] = {}
        self._langs = defaultdict[str, list[str | None]](list)

    def read(self) -> Site:
        """Return the posts of the site."""
        try:
            found = list(self._layout.pages())
        except Unreadable as error:
            self._site.sources.append(Source(self._layout.root.name, [error.fault]))
            return self._site
        sections = self._sections(found)
        for number, each in enumerate(found, start=1):
            if self._options.mapping.leaves_out(each.name):
                self._site.omitted.append(
                    Omitted(each.name, _("The mapping file leaves it out."), settled=True)
                )
            elif page := self._opened(each, sections):
                self._pages.append(page)
            self._progress(number, len(found))
        self._name_apart()
        self._index()
        for page in self._pages:
            self._site.sources.append(self._source(page))
        self._site.sources.sort(key=lambda source: source.name)
        self._site.omitted += [
            omitted._replace(settled=omitted.settled or self._options.mapping.leaves_out(omitted.file))
            for omitted in self._layout.omitted
        ]
        self._site.proposal.leave_out = [o.file for o in self._site.omitted if not (o.settled or o.proposed)]
        return self._site

    def _sections(self, found: list[Found]) -> dict[str, str]:
        """Return the titles of sections, which name their categories; add the pages of lists that have a text."""
        titles: dict[str, str] = {}
        for listing in self._layout.lists:
            try:
                front, __ = self._layout.front(listing)
            except Unreadable:
                found.append(listing)  # The error is reported with those of the other pages.
                continue
            if len(listing.where.parts) == 1 and (title := line_of(front.value.get("title"))):
                titles.setdefault(listing.where.name, title)
            if front.body.strip():
                found.append(listing)
            else:
                self._site.omitted.append(Omitted(listing.name, _("It is the page of a list."), settled=True))
        return titles

    def _opened(self, found: Found, sections: Mapping[str, str]) -> Page | None:
        try:
            front, notes = self._layout.front(found)
        except Unreadable as error:
            self._site.sources.append(Source(found.name, [error.fault]))
            return None
        page = Page(
            found, front, self._options.mapping, self._layout.kind, self._options.zone, self._layout.lang or "",
            sections, self._site.proposal, [Note(1, "changed", _("encoding"), *note) for note in notes],
        )  # fmt: skip
        if page.lang is None:
            code = str(page.said.get("lang") or found.lang)
            why = _("Its language, {lang}, is neither ko nor en.").format(lang=code)
            settled = code.lower().replace("_", "-") in self._options.mapping.languages
            self._site.omitted.append(Omitted(found.name, why, settled=settled, proposed=True))
            return None
        if reason := self._no_post(page):
            self._site.omitted.append(Omitted(found.name, reason, settled=not front.body.strip()))
            return None
        return page

    def _no_post(self, page: Page) -> str | None:
        if "redirect_to" in page.said:
            return _("It leads to another page: {target}.").format(target=page.said["redirect_to"])
        if not page.front.body.strip():
            return _("It has no text: the generator or a theme fills it.")
        return None

    def _name_apart(self) -> None:
        """Give every page a slug of its own: one in two languages its language, others their folder, or a number."""
        taken: dict[str, Page] = {}
        for page in sorted(self._pages, key=lambda page: (page.lang != "ko", page.found.name)):
            slug = page.slug
            folder = page.found.where.parent.name
            wishes = [slug]
            if slug in taken and taken[slug].lang != page.lang:
                wishes.append(f"{slug[:110]}-{page.lang}")
            if folder:
                wishes.append(names.post_slug(f"{folder}-{slug}", str(page.found.where))[:110].strip("-"))
            wishes += [f"{slug[:110].rstrip('-')}-{number}" for number in range(2, len(self._pages) + 2)]
            page.slug = next(wish for wish in wishes if wish not in taken)
            if page.slug != slug:
                page.note("slug", "changed", slug, page.slug, _("Another page has this slug, too."))
            taken[page.slug] = page

    def _index(self) -> None:
        for page in self._pages:
            self._by_file[page.found.path.resolve()] = page
            self._by_name[page.found.path.stem].append(page)
            self._by_name[page.found.where.name].append(page)
            self._langs[self._key(page)].append(page.lang)
            former = self._former_addresses(page)
            self._former[id(page)] = former
            for address in former:
                self._by_address.setdefault(address.rstrip("/") or "/", page)

    def _former_addresses(self, page: Page) -> list[str]:
        """Return the paths under which the page was found: its generator's, and those that its front matter lists."""
        at = page.at.astimezone(self._options.zone) if page.at else None
        slug = str(page.said.get("slug") or page.found.where.name)
        facts = Facts(
            page.found, {**page.found.defaults, **page.front.value}, page.title, slug, page.categories, at
        )
        own = self._layout.address(facts)
        prefix = self._layout.prefix
        listed = [
            path if path.startswith(("/", "http")) else f"/{path}"
            for path in keys.words(page.said.get("aliases"))
        ]
        paths = [own, *(path if "://" in path else prefix + path for path in listed)]
        bare = [unquote(_path(path)) for path in paths if path]
        target = addresses.path(page.lang or "", page.slug)
        return [path for path in dict.fromkeys(bare) if path not in {target, "/", ""}][:_MOST_ALIASES]

    def _source(self, page: Page) -> Source:
        place = Place(page, self)
        unknown = self._site.proposal.shortcodes
        text = Body(
            self._layout.markup,
            place,
            self._options.mapping.shortcodes,
            page.notes,
            lambda name: unknown.update([name]),
        ).translated(page.front.body, page.front.body_line)
        if CONTROLS.search(text):
            page.notes.append(
                Note(page.front.body_line, "changed", "body", "", "", _("Control characters were removed."))
            )
            text = CONTROLS.sub("", text)
        if authors := page.authors():
            byline = ("글 " if page.lang == "ko" else "By ") + ", ".join(map(line_of, authors))
            text = f"{text.rstrip()}\n\n*{byline}*"
            page.note(
                "author", "changed", authors, byline, _("The author's name is the last line of the text.")
            )
        source = Source(page.found.name, [], {}, page.slug, notes=page.notes)
        source.lines = {
            ("body",): page.front.body_line,
            **{(keys.OURS.get(meaning, meaning),): page.line(meaning) for meaning in page.keys},
        }
        try:
            source.post = FilePost.model_validate(self._content(page, text, place))
        except ValidationError as error:
            for broken in error.errors(include_url=False):
                where = str(broken["loc"][0]) if broken["loc"] else None
                source.faults.append(
                    source.at_line(
                        Finding(where, broken["type"], rules.text(broken).in_language(messages.chosen()))
                    )
                )
        return source

    def _content(self, page: Page, text: str, place: Place) -> dict[str, Any]:
        public = page.state in {"published", "scheduled"}
        if len(place.attached) > _MOST_ATTACHMENTS:
            why = _("A post has at most {most} attachments.").format(most=_MOST_ATTACHMENTS)
            page.note("attachments", "left_out", len(place.attached), _MOST_ATTACHMENTS, why)
        return {
            "title": page.title,
            "slug": page.slug,
            "lang": page.lang,
            "category": self._category(page),
            "tags": page.tags(),
            "excerpt": page.excerpt(),
            "body": text,
            "thumbnail": place.cover(),
            "attachments": place.attached[:_MOST_ATTACHMENTS],
            "state": page.state,
            "publishedAt": page.at,
            "scheduledAt": page.scheduled,
            "translationKey": self._translation_key(page),
            "aliases": self._former[id(page)] if public else [],
        }

    def _translation_key(self, page: Page) -> str | None:
        langs = self._langs[key := self._key(page)]
        return key[:200] if len(langs) > 1 and langs.count(page.lang) == 1 else None

    @staticmethod
    def _key(page: Page) -> str:
        return str(page.said.get("translationKey") or page.found.where)

    def _category(self, page: Page) -> str:
        name, of = page.category()
        mapped = self._options.mapping.category_of(name) if name else None
        if isinstance(mapped, str):
            return mapped
        if mapped is None and not name and self._options.mapping.category:
            return self._options.mapping.category
        if mapped is None:
            mapped = _NO_CATEGORY
            if name:
                plain = line_of(name)[:100]
                mapped = CategoryCreate(
                    slug=self._layout.category_slugs.get(name) or names.category_slug(name),
                    name=LocalisedName(ko=plain, en=plain),
                )
                self._site.proposal.categories.setdefault(name, mapped)
        if of != "categories":
            why = _("The page has no category; its folder, or none, stands for one.")
            page.note("category", "changed", "", mapped.slug, why)
        self._site.categories.setdefault(mapped.slug, mapped)
        return mapped.slug

    # -- what pages ask for ------------------------------------------------------------------------------

    def named(self, name: str, lang: str | None) -> Page | None:
        """Return a page by its file's name, the one in a language first."""
        stem = PurePosixPath(name.strip().removesuffix("/")).name
        for suffix in files.SUFFIXES:
            stem = stem.removesuffix(suffix)
        if stem in {"index", "_index"}:
            stem = PurePosixPath(name.strip()).parent.name
        found = self._by_name.get(stem) or []
        return next((page for page in found if page.lang == lang), found[0] if found else None)

    def linked(self, page: Page, target: str) -> Page | None:
        """Return the page to which a link leads."""
        if target.startswith("/"):
            former = unquote(target).rstrip("/") or "/"
            return self._by_address.get(former) or self._by_address.get(self._layout.prefix + former)
        path = Path(normpath(page.found.path.parent / unquote(target)))
        return self._by_file.get(path.resolve())

    def file(self, page: Page, target: str) -> Path | None:
        """Return the file to which an address leads."""
        try:
            return self._layout.file(page.found, unquote(re.split(r"[?#]", target, maxsplit=1)[0]))
        except (OSError, ValueError):  # Too long a name, or one with a null character.
            return None

    def is_own(self, target: str) -> bool:
        """Whether an absolute address leads to the site itself."""
        return self._layout.is_own(target)

    def upload(self, page: Page, path: Path, line: int, subject: str, target: str) -> UUID:
        """Return the upload that a file of a page becomes; raise `FileRefused`."""
        return self._options.uploads.add(path, Naming(page.found.name, line, subject, target))


def _path(url: str) -> str:
    parts = urlsplit(url)
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path
