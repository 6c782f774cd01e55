"""What the body of a page refers to: other pages, pictures and files of its site."""

from gettext import gettext as _
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID

from app.posts.publication import addresses
from app.uploads import kinds
from familycorp_ops.content import files, keys
from familycorp_ops.content.notes import Note
from familycorp_ops.content.sites.page import Page
from familycorp_ops.content.uploads import FileRefused

_PAGES = {*files.SUFFIXES, ".html", ".htm", ".php", ".xml"}


class Site(Protocol):
    """The pages and files of a site."""

    def named(self, name: str, lang: str | None) -> Page | None:
        """Return a page by its file's name, the one in a language first."""

    def linked(self, page: Page, target: str) -> Page | None:
        """Return the page to which a link leads."""

    def file(self, page: Page, target: str) -> Path | None:
        """Return the file to which an address leads."""

    def is_own(self, target: str) -> bool:
        """Whether an absolute address leads to the site itself."""

    def upload(self, page: Page, path: Path, line: int, subject: str, target: str) -> UUID:
        """Return the upload that a file of a page becomes; raise `FileRefused`."""


class Place:
    """What the body of a page may ask for.

    Args:
        page: the page.
        site: the pages and files around it.
    """

    def __init__(self, page: Page, site: Site) -> None:
        self._page, self._site = page, site
        self.attached: list[UUID] = []

    def post_link(self, name: str) -> str | None:
        """Return the present address of another page by its file's name."""
        page = self._site.named(name, self._page.lang)
        return addresses.path(page.lang or "", page.slug) if page else None

    def variable(self, name: str) -> str | None:
        """Return a variable of the template."""
        return self._page.variable(name)

    def address(self, target: str) -> str | None:
        """Return where a link leads now; None where it leads nowhere."""
        parts = urlsplit(target)
        elsewhere = (parts.scheme or parts.netloc) and not self._site.is_own(target)
        if elsewhere or not parts.path:
            return target
        page = (
            self._site.linked(self._page, f"{parts.path}?{parts.query}") if parts.query else None
        ) or self._site.linked(self._page, parts.path)
        suffix = f"#{parts.fragment}" if parts.fragment else ""
        if page is None and parts.path.endswith(files.SUFFIXES):
            page = self._site.named(parts.path, self._page.lang)
            if page is None:
                return None
        return addresses.path(page.lang or "", page.slug) + suffix if page else target

    def picture(self, target: str, line: int) -> str:
        """Return what a picture's address becomes; raise `FileRefused`."""
        if target.startswith("upload:"):
            return target
        path = self._site.file(self._page, target)
        if path is not None:
            return f"upload:{self._site.upload(self._page, path, line, _('picture'), target)}"
        if not target.startswith(("http:", "https:", "//")):
            raise FileRefused(_("The picture isn't part of what was imported."))
        if self._site.is_own(target):
            why = _("The picture isn't part of what was imported; it is shown from its earlier address.")
            self._page.notes.append(Note(line, "left_out", _("picture"), target, target, why))
        return target

    def attaches(self, target: str, line: int) -> bool:
        """Whether a link leads to a file, which the post has as an attachment now; raise `FileRefused`."""
        suffix = PurePosixPath(urlsplit(target).path).suffix.lower()
        if not suffix or suffix in _PAGES:
            return False
        path = self._site.file(self._page, target)
        if path is None:
            here = not urlsplit(target).scheme and not target.startswith("//")
            if kinds.by_name(suffix) and (here or self._site.is_own(target)):
                raise FileRefused(_("The file isn't part of what was imported."))
            return False
        upload = self._site.upload(self._page, path, line, _("attachment"), target)
        if upload not in self.attached:
            self.attached.append(upload)
        return True

    def cover(self) -> UUID | None:
        """Return the post's thumbnail: the first picture that the front matter names."""
        line, subject = self._page.line("picture"), self._page.keys.get("picture", "")
        for target in keys.words(self._page.said.get("picture")):
            path = self._site.file(self._page, target)
            if path is None and not (kinds.by_name(target) or "://" in target):
                continue  # Not an address, but how the theme is to show one.
            try:
                if path is not None:
                    return self._site.upload(self._page, path, line, subject, target)
                why = _("The picture isn't part of what was imported.")
            except FileRefused as refused:
                why = str(refused)
            self._page.note("picture", "left_out", target, "", why)
        return None
