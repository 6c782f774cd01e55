"""Exports of Ghost: one file of JSON."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path, PurePosixPath
from typing import Any

from familycorp_ops.content.notes import Note, Omitted, shortened
from familycorp_ops.content.sites import ghost_cards
from familycorp_ops.content.sites.frontmatter import Front
from familycorp_ops.content.sites.html_markdown import converted
from familycorp_ops.content.sites.layout import Facts, Found, Layout
from familycorp_ops.content.yamltext import Unreadable

_HERE = "__GHOST_URL__"


class Ghost(Layout):
    """A file of Ghost's export, and the content folder beside it."""

    kind = "ghost"

    def __init__(self, root: Path) -> None:
        super().__init__(root if root.is_dir() else root.parent)
        self._file = next(iter(sorted(root.glob("*.json"))), root) if root.is_dir() else root
        self._items: dict[str, Front] = {}

    def pages(self) -> Iterator[Found]:
        """Yield posts and pages."""
        try:
            data = json.loads(self._file.read_text("utf-8-sig"))["db"][0]["data"]
            posts = data["posts"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            why = _("the file isn't an export of Ghost: {reason}").format(reason=error)
            raise Unreadable(getattr(error, "lineno", 1), "json", why) from None
        settings = {s["key"]: s["value"] for s in data.get("settings", ())}
        self.lang = str(settings.get("locale") or settings.get("lang") or "").lower()
        tags = _joined(data, "tags", "posts_tags", "tag_id", "name")
        authors = _joined(data, "users", "posts_authors", "author_id", "name")
        metas = {meta["post_id"]: meta for meta in data.get("posts_meta", ())}
        for number, post in enumerate(posts, start=1):
            name = f"{self.name(self._file)}#{post.get('slug') or number}"
            if post.get("type") not in {"post", "page", None}:
                self.omitted.append(Omitted(name, _("It is a newsletter alone."), settled=True))
                continue
            self._items[name] = self._front(
                post, tags[post["id"]], authors[post["id"]], metas.get(post["id"], {})
            )
            section = "pages" if post.get("type") == "page" or post.get("page") == 1 else ""
            yield Found(
                self._file, name, PurePosixPath(post.get("slug") or f"post-{number}"), section=section
            )

    def _front(
        self, post: dict[str, Any], tags: list[str], authors: list[str], meta: dict[str, Any]
    ) -> Front:
        notes: list[Note] = []
        shown = [tag for tag in tags if not tag.startswith("#")]
        hidden = post.get("visibility") not in {"public", None}
        at = post.get("published_at")
        value = {
            "title": post.get("title"),
            "slug": post.get("slug"),
            "date": f"{at}Z" if isinstance(at, str) and at[-1:].isdigit() and "T" not in at else at,
            "draft": "true" if post.get("status") in {"draft", "sent"} else None,
            "private": "true" if hidden else None,
            "categories": shown[:1],
            "tags": shown[1:],
            "authors": authors,
            "excerpt": post.get("custom_excerpt") or meta.get("meta_description"),
            "feature_image": _here(post.get("feature_image") or ""),
            "locale": post.get("locale"),
        }
        value = {key: inner for key, inner in value.items() if inner}
        html = _here(post.get("html") or self._rendered(post, notes))
        why = _("Markdown can't carry the element; it stays as HTML.")
        body = converted(
            html, lambda kept: notes.append(Note(1, "changed", "HTML", shortened(kept), "", why))
        )
        return Front(value, {(): 1}, body, 1, notes)

    @staticmethod
    def _rendered(post: dict[str, Any], notes: list[Note]) -> str:
        def unknown(name: str) -> None:
            notes.append(Note(1, "left_out", name, "", "", _("The tag has no counterpart.")))

        try:
            if post.get("lexical"):
                return ghost_cards.lexical(json.loads(post["lexical"]), unknown)
            return ghost_cards.mobiledoc(json.loads(post.get("mobiledoc") or "{}"), unknown)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            notes.append(
                Note(
                    1, "left_out", "body", "", "", _("The text can't be read: {reason}").format(reason=error)
                )
            )
            return f"<p>{post.get('plaintext') or ''}</p>"

    def front(self, found: Found) -> tuple[Front, list[tuple[str, str, str]]]:
        """Return what an item says, once."""
        return self._items.pop(found.name), []

    def address(self, facts: Facts) -> str | None:
        """Return Ghost's address of a post."""
        return f"/{facts.found.where}/"

    def is_own(self, target: str) -> bool:
        """Whether an address leads to a file of the site."""
        return "/content/images/" in target or "/content/files/" in target

    def file(self, _found: Found, target: str) -> Path | None:
        """Return a file of the content folder."""
        _before, content, name = target.partition("content/")
        name = re.sub(r"^images/size/[^/]+/(?:format/[^/]+/)?", "images/", name)
        places = [base / name for base in (self.root, self.root / "content") if content]
        return next((place for place in places if place.is_file()), None)


def _joined(
    data: dict[str, Any], table: str, relation: str, key: str, name: str
) -> defaultdict[str, list[str]]:
    """Return the names that a relation gives to each post, in their order."""
    names = {row["id"]: row[name] for row in data.get(table, ())}
    found = defaultdict[str, list[str]](list)
    for row in sorted(data.get(relation, ()), key=lambda row: row.get("sort_order") or 0):
        if row[key] in names:
            found[row["post_id"]].append(names[row[key]])
    return found


def _here(text: str) -> str:
    return text.replace(_HERE, "")
