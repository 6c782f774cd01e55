"""The files of a content folder: reading them with every error at its line, and writing them.

A post's file is YAML between two lines of `---`, then its body in Markdown. What its values may be is what the
API demands of a new post; only what the API has no word for is ruled here.
"""

import difflib
import hashlib
import os
import re
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from app.categories.schemas import CategoryCreate
from app.content.importing import CATEGORIES, Finding
from app.content.schemas import FilePost
from app.core.http import rules
from familycorp_ops import messages
from familycorp_ops.content import keys, pictures, redirects, wxr, yamltext
from familycorp_ops.content.notes import Note, shortened
from familycorp_ops.content.pictures import Address
from familycorp_ops.content.uploads import FileRefused, Naming, Uploads
from familycorp_ops.content.yamltext import Fault, Place, Unreadable

SUFFIXES = (".md", ".markdown")

KEYS = (
    "title",
    "slug",
    "lang",
    "category",
    "tags",
    "excerpt",
    "thumbnail",
    "attachments",
    "description",
    "canonicalUrl",
    "noindex",
    "state",
    "draft",
    "publishedAt",
    "scheduledAt",
    "translationKey",
    "aliases",
)
"""Every key of the front matter, in the order in which it is written."""

HUGO = "hugo.toml"
"""Name of the file by which Hugo builds an export."""

_HIDDEN = {"draft", "archived"}
"""States that Hugo needs in front matter; it holds scheduled posts back by their time."""

MAX_FILE_BYTES = 1024 * 1024
_FENCE = re.compile(r"---[ \t]*")
_BREAK = re.compile(rb"\r\n?|\n")
"""What ends a line, as for editors: no form feed, and none of Unicode's separators."""
_UPLOAD = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BOM = "\N{BYTE ORDER MARK}"


@dataclass
class Source:
    """A file as it was read; where it has faults, nothing is imported from it."""

    name: str
    faults: list[Fault]
    lines: Mapping[Place, int] = field(default_factory=dict)
    slug: str | None = None
    """A post's slug as it is written, even where the file has errors."""
    post: FilePost | None = None
    categories: Sequence[CategoryCreate] = ()
    notes: list[Note] = field(default_factory=list)
    """How the post differs from what the file says, for files of other generators."""

    def line(self, key: str | None) -> int:
        """Return the line of a key, or of the front matter for one that isn't there."""
        return _nearest((key,) if key else (), self.lines)

    def at_line(self, finding: Finding) -> Fault:
        """Return the problem at its line of the file."""
        return Fault(self.line(finding.field), *finding)


def find(directory: Path) -> tuple[list[Path], int]:
    """Return the Markdown files below a directory in a stable order, and how many other files are there.

    Hidden files and directories don't count.
    """
    found: list[Path] = []
    others = 0
    for place, directories, names in os.walk(directory):
        directories[:] = sorted(d for d in directories if not d.startswith("."))
        for name in sorted(n for n in names if not n.startswith(".")):
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES:
                found.append(path)
            elif path not in {directory / name for name in (CATEGORIES, HUGO, redirects.NAME, wxr.NAME)}:
                others += 1
    return found, others


def read_post(path: Path, name: str, uploads: Uploads | None = None) -> Source:
    """Read a post's file; `name` is what messages call it, `uploads` receives the files that it names."""
    try:
        front, body, body_line = _split(read_text(path)[0])
        value, lines = yamltext.load(unicodedata.normalize("NFC", front), 2)
        if not isinstance(value, dict):
            raise Unreadable(2, "front_matter", "the front matter must be lines of `key: value`")
    except Unreadable as error:
        return Source(name, [error.fault])
    lines = {**lines, ("body",): body_line}
    faults = [Fault(lines[(key,)], key, "unknown_key", _unknown(key)) for key in value if key not in KEYS]
    # An empty value is the same as none.
    known = {key: v for key, v in value.items() if key in KEYS and v is not None}
    slug = known.get("slug")
    hidden = known.get("state") in _HIDDEN
    if keys.true(known.pop("draft", hidden)) != hidden:
        message = "is for Hugo alone and must agree with state, which says whether the post is public"
        faults.append(Fault(lines["draft",], "draft", "state", message))
    source = Source(name, faults, lines, slug if isinstance(slug, str) else None)
    body = _Attaching(path, source, uploads or Uploads(path.parent)).resolved(known, body)
    try:
        source.post = FilePost.model_validate({**known, "body": body})
    except ValidationError as error:
        faults += [_fault(e, lines, body, body_line) for e in error.errors(include_url=False)]
    faults.sort(key=lambda fault: fault.line)
    return source


class _Attaching:
    """The pictures and files that a post's file names, by their paths."""

    def __init__(self, path: Path, source: Source, uploads: Uploads) -> None:
        self._path, self._source, self._uploads = path, source, uploads

    def resolved(self, front: dict[str, Any], body: str) -> str:
        """Replace paths by the uploads that they become; note those that become none."""
        first = self._source.lines["body",]
        if isinstance(named := front.get("thumbnail"), str):
            front["thumbnail"] = self._upload(named, self._source.line("thumbnail"), "thumbnail")
        if isinstance(named := front.get("attachments"), list):
            found = [
                self._upload(target, _nearest(("attachments", number), self._source.lines), "attachments")
                for number, target in enumerate(named)
                if isinstance(target, str)
            ]
            front["attachments"] = list(dict.fromkeys(filter(None, found)))

        def put(target: str, offset: int) -> str:
            if ":" in target.partition("/")[0] or target.startswith("//"):
                return target
            upload = self._upload(target, first + body.count("\n", 0, offset), "picture")
            return f"upload:{upload}" if upload else target

        return pictures.replaced(body, put)

    def _upload(self, target: str, line: int, subject: str) -> uuid.UUID | None:
        if _UPLOAD.fullmatch(target):
            return uuid.UUID(target)
        base = self._uploads.root if target.startswith("/") else self._path.parent
        try:
            path = base / unquote(target).lstrip("/")
            if path.is_file():
                naming = Naming(self._source.name, line, subject, target)
                return self._uploads.add(path, naming)
            why = _("There is no such file.")
        except (OSError, ValueError):  # Too long a name, or one with a null character.
            why = _("There is no such file.")
        except FileRefused as refused:
            why = str(refused)
        self._source.notes.append(Note(line, "left_out", subject, shortened(target), "", why))
        return None


def read_categories(path: Path) -> Source:
    """Read `categories.yaml`; where there is none, it lists nothing."""
    source = Source(path.name, [])
    if not path.exists():
        return source
    try:
        value, source.lines = yamltext.load(unicodedata.normalize("NFC", read_text(path)[0]))
        categories = _CATEGORIES.validate_python(value or [])
    except Unreadable as error:
        source.faults = [error.fault]
        return source
    except ValidationError as error:
        source.faults = [_fault(e, source.lines) for e in error.errors(include_url=False)]
        return source
    slugs = [category.slug for category in categories]
    for i, slug in enumerate(slugs):
        if slug in slugs[:i]:
            line = source.lines[i, "slug"]
            source.faults.append(
                Fault(line, "slug", "duplicate_slug", f"the category {slug} is listed twice")
            )
    source.categories = () if source.faults else categories
    return source


def post_name(lang: str, slug: str) -> str:
    """Return where a post's file stands in an export.

    A file name has 255 bytes; a slug of Hangul may have more, and a part of it with a digest stands in.
    """
    if len(slug.encode()) > 240:
        slug = (
            f"{slug.encode()[:220].decode(errors='ignore')}-{hashlib.sha256(slug.encode()).hexdigest()[:12]}"
        )
    return f"{lang}/{slug}.md"


def write_post(post: FilePost, address: Address = lambda _upload: None) -> bytes:
    """Return a post's file. Empty values are left out; the state never is.

    Args:
        post: the post.
        address: returns where a file of the post is found; None where nowhere.
    """
    said = post.model_dump(mode="json", by_alias=True, include=_FIELDS)
    for key, at in (("publishedAt", post.published_at), ("scheduledAt", post.scheduled_at)):
        said[key] = at and yamltext.time(at.isoformat().replace("+00:00", "Z"))
    said["thumbnail"] = post.thumbnail and (address(post.thumbnail) or str(post.thumbnail))
    said["attachments"] = [address(attached) or str(attached) for attached in post.attachments]
    said["draft"] = post.state in _HIDDEN
    front = yamltext.dump({key: said[key] for key in KEYS if said[key]})
    return f"---\n{front}---\n\n{pictures.placed(post.body, address)}\n".encode()


def write_categories(categories: Sequence[CategoryCreate]) -> bytes:
    """Return the file of the categories in their order."""
    return yamltext.dump([c.model_dump(mode="json", by_alias=True) for c in categories]).encode()


_CATEGORIES = TypeAdapter(Annotated[list[CategoryCreate], Field(max_length=200)])
_FIELDS = {name for name, info in FilePost.model_fields.items() if info.alias in KEYS}


def read_text(path: Path) -> tuple[str, list[tuple[str, str, str]]]:
    """Return a file's text, and how it was read where that is worth a note; raise `Unreadable`."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Unreadable(1, "too_large", f"the file is larger than {MAX_FILE_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(1, "unreadable", f"the file can't be read: {error.strerror}") from None
    try:
        text, notes = data.decode(), []
    except UnicodeDecodeError as error:
        found = _otherwise(data)
        if found is None:
            line = len(_BREAK.findall(data, 0, error.start)) + 1
            raise Unreadable(line, "utf8", f"byte {data[error.start]:#04x} here isn't UTF-8") from None
        text, encoding = found
        notes = [
            (encoding, "UTF-8", _("The file isn't in UTF-8; it was read in the encoding that it is in."))
        ]
    return text.removeprefix(_BOM).replace("\r\n", "\n").replace("\r", "\n"), notes


def _otherwise(data: bytes) -> tuple[str, str] | None:
    """Return a text in UTF-16 with its mark, or in CP949, with the name of the encoding.

    Nearly any bytes can be read as CP949. Where it is Korean, most letters are syllables of its older core, EUC-KR.
    """
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16"), "UTF-16"
        text = data.decode("cp949")
    except UnicodeDecodeError:
        return None
    letters = [c for c in text if c > "\x7f"]
    core = sum("가" <= c <= "힣" and len(c.encode("euc_kr", "ignore")) == 2 for c in letters)
    return (text, "CP949") if core * 2 > len(letters) else None


def _split(text: str) -> tuple[str, str, int]:
    """Return front matter, body, and the line at which the body starts."""
    lines = text.split("\n")
    if not _FENCE.fullmatch(lines[0]):
        raise Unreadable(1, "front_matter", "the file must start with a line of `---` and its front matter")
    for number, line in enumerate(lines[1:], start=2):
        if _FENCE.fullmatch(line):
            return "\n".join([*lines[1 : number - 1], ""]), "\n".join(lines[number:]), number + 1
    raise Unreadable(1, "front_matter", "the front matter must end with a line of `---`")


def _unknown(key: str) -> str:
    near = keys.nearest(key)
    close = difflib.get_close_matches(key.replace("_", "").lower(), [k.lower() for k in KEYS], 1)
    meant = near if near in KEYS else next((k for k in KEYS if close and k.lower() == close[0]), None)
    return "isn't a key of the front matter" + (f"; is {meant} meant?" if meant else "")


def _fault(error: ErrorDetails, lines: Mapping[Place, int], body: str = "", body_line: int = 1) -> Fault:
    # A default that breaks a rule is named as in Python.
    place: Place = tuple(to_camel(part) if isinstance(part, str) else part for part in error["loc"])
    rule, message = error["type"], rules.text(error).in_language(messages.chosen())
    if place == ("body",):
        # The body's own lines are known only here.
        named = error.get("ctx", {}).get("character")
        at = body.find(chr(int(named.removeprefix("U+"), 16))) if named else 0
        return Fault(body_line + body.count("\n", 0, at), "body", rule, message)
    return Fault(_nearest(place, lines), ".".join(map(str, place)) or None, rule, message)


def _nearest(place: Place, lines: Mapping[Place, int]) -> int:
    """Return the line of the value at `place`, or else of its parent."""
    outwards = (place[:length] for length in range(len(place), -1, -1))
    return next((lines[p] for p in outwards if p in lines), 1)
