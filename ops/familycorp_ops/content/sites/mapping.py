"""The mapping file, which settles what a report leaves open: TOML, every part optional."""

import json
import tomllib
from collections import Counter
from fnmatch import fnmatchcase
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.categories.schemas import CategoryCreate, CategorySlug, LocalisedName
from app.posts.fields import Lang
from familycorp_ops.environment import CommandError


class MappedCategory(BaseModel):
    """A category to file posts under, with its names where it is new."""

    model_config = ConfigDict(extra="forbid")

    slug: CategorySlug
    ko: str
    en: str


class Mapping(BaseModel):
    """What differs between a site and this service, by the words of the site."""

    model_config = ConfigDict(extra="forbid")

    category: CategorySlug | None = None
    """Category of posts without one."""
    lang: Lang | None = None
    """Language of posts that name none."""
    leave_out: list[str] = []
    """Patterns of files that are to be left out."""
    keys: dict[str, str] = {}
    """Keys of the front matter by the key that they mean; an empty one is ignored."""
    categories: dict[str, CategorySlug | MappedCategory] = {}
    tags: dict[str, str] = {}
    """Tags by the tag that they become; an empty one is dropped."""
    languages: dict[str, Lang | Literal[""]] = {}
    """Languages by the one that their posts become; posts in an empty one are left out."""
    authors: dict[str, str] = {}
    """Authors by the name to print; an empty one is dropped."""
    shortcodes: dict[Annotated[str, Field(min_length=1)], str] = {}
    """Shortcodes and tags by the Markdown that they become: `{inner}`, `{0}` and `{name}` stand for their parts."""

    @classmethod
    def read(cls, path: Path) -> "Mapping":
        """Read a mapping file; raise `CommandError` where it breaks a rule."""
        try:
            return cls.model_validate(tomllib.loads(path.read_text("utf-8-sig")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise CommandError(
                _("{file} can't be read as TOML: {reason}.").format(file=path, reason=error)
            ) from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(
                str(part) for part in first["loc"] if part not in {"MappedCategory", "constrained-str"}
            )
            raise CommandError(
                _("{file}: {key}: {reason}.").format(file=path, key=place, reason=first["msg"])
            ) from None

    def leaves_out(self, name: str) -> bool:
        """Return whether a file is to be left out."""
        return any(fnmatchcase(name, pattern) for pattern in self.leave_out)

    def category_of(self, name: str) -> CategoryCreate | str | None:
        """Return the category that a name is mapped to: one to create, or the slug of one."""
        found = self.categories.get(name)
        if isinstance(found, MappedCategory):
            return CategoryCreate(slug=found.slug, name=LocalisedName(ko=found.ko, en=found.en))
        return found


class Proposal:
    """A mapping file that would settle what a report found."""

    def __init__(self) -> None:
        self.keys = Counter[str]()
        self.shortcodes = Counter[str]()
        self.languages = Counter[str]()
        self.categories: dict[str, CategoryCreate] = {}
        self.leave_out: list[str] = []

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def toml(self) -> str:
        """Return the file's text."""
        parts = []
        if self.leave_out:
            names = "".join(f"    {_quoted(name)},\n" for name in self.leave_out)
            parts.append(f"leave_out = [\n{names}]\n")
        if self.keys:
            parts.append(self._table("keys", dict.fromkeys(self.keys, '""'), self.keys))
        if self.shortcodes:
            parts.append(self._table("shortcodes", dict.fromkeys(self.shortcodes, '""'), self.shortcodes))
        if self.languages:
            parts.append(self._table("languages", dict.fromkeys(self.languages, '""'), self.languages))
        if self.categories:
            lines = [
                f"{_quoted(name)} = {{ slug = {_quoted(c.slug)}, ko = {_quoted(c.name.ko)}, "
                f"en = {_quoted(c.name.en)} }}\n"
                for name, c in self.categories.items()
            ]
            parts.append(f"[categories]\n{''.join(lines)}")
        return "\n".join(parts)

    @staticmethod
    def _table(title: str, values: dict[str, str], counts: Counter[str]) -> str:
        lines = [f"{_quoted(name)} = {value} # {counts[name]}×\n" for name, value in values.items()]
        return f"[{title}]\n{''.join(lines)}"


def _quoted(text: str) -> str:
    # A basic string of TOML escapes as JSON does.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
