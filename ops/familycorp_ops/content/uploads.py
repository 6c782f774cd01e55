"""Pictures and files that the posts of a folder name: each is found and digested once, however many name it."""

import hashlib
import re
import unicodedata
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from app.uploads import kinds
from app.uploads.kinds import KINDS, MEGABYTE, SINGLE_POST
from app.uploads.moving import Moved
from app.uploads.schemas import PART_BYTES, FileName, shown_name

_NAME = TypeAdapter[str](FileName)
_LONGEST_NAME = 200
_BLOCK = 1024 * 1024
_MAGIC = {
    ".jpg": rb"\xff\xd8\xff",
    ".png": rb"\x89PNG\r\n\x1a\n",
    ".gif": rb"GIF8[79]a",
    ".webp": rb"RIFF....WEBP",
}


class FileRefused(Exception):
    """A file isn't there, or isn't taken; the message says why."""


class Naming(NamedTuple):
    """Where a file is named."""

    file: str
    line: int
    subject: str
    target: str


@dataclass
class Named:
    """A file that posts name."""

    path: Path
    moved: Moved
    namings: list[Naming] = field(default_factory=list)


class Exported(NamedTuple):
    """A file that an export wrote: the upload that it is of, and the SHA-256 of its content."""

    upload: uuid.UUID
    sha256: str


class Uploads:
    """The files that the posts of a folder name.

    Args:
        root: the folder, outside of which no file is taken.
        exported: what an export wrote there, by path below it; a file that is still the same keeps its upload.
    """

    def __init__(self, root: Path, exported: Mapping[str, Exported] | None = None) -> None:
        self.root = root.resolve()
        self._exported = exported or {}
        self._paths: dict[Path, Named] = {}
        self.files: dict[uuid.UUID, Named] = {}

    def add(self, path: Path, naming: Naming) -> uuid.UUID:
        """Return the id of a file's upload; raise `FileRefused`."""
        path = path.resolve()
        if not path.is_relative_to(self.root):
            raise FileRefused(_("The file is outside of the folder that is imported."))
        named = self._paths.get(path)
        if named is None:
            moved = self._described(path)
            named = self._paths[path] = self.files.setdefault(moved.id, Named(path, moved))
        named.namings.append(naming)
        return named.moved.id

    def _described(self, path: Path) -> Moved:
        try:
            size = path.stat().st_size
            name = _name(path)
        except OSError as error:
            raise FileRefused(_("The file can't be read: {reason}.").format(reason=error.strerror)) from None
        kind = kinds.by_name(name)
        if kind is None:
            taken = ", ".join(suffix for known in KINDS.values() for suffix in known.suffixes[:1])
            raise FileRefused(_("Files of this type aren't taken; these are: {types}.").format(types=taken))
        if size == 0:
            raise FileRefused(_("The file is empty."))
        if size > KINDS[kind].limit_mb * MEGABYTE:
            raise FileRefused(_("The file is larger than {most} MB.").format(most=KINDS[kind].limit_mb))
        whole, parts = _digests(path)
        is_image = KINDS[kind].family == "image"
        digest = hashlib.sha256(b"".join(parts)).hexdigest() if size > SINGLE_POST else whole
        known = self._exported.get(path.relative_to(self.root).as_posix())
        return Moved(
            id=known.upload if known and known.sha256 == whole else _id(digest, "" if is_image else name),
            name=name,
            size=size,
            sha256=digest,
            purpose="image" if is_image else "attachment",
            part_digests=[part.hex() for part in parts] if size > SINGLE_POST else [],
        )


def blocks(path: Path, size: int) -> Iterator[bytes]:
    """Yield a file's content in blocks of a size; the last may be smaller."""
    with path.open("rb") as file:
        while block := file.read(size):
            yield block


def _digests(path: Path) -> tuple[str, list[bytes]]:
    """Return the SHA-256 of a file, and those of its parts."""
    whole, parts = hashlib.sha256(), []
    for part in blocks(path, PART_BYTES):
        whole.update(part)
        parts.append(hashlib.sha256(part).digest())
    return whole.hexdigest(), parts


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return _digests(path)[0]


def _id(digest: str, name: str) -> uuid.UUID:
    """Return the id (UUIDv8, RFC 9562) of the upload of a content, and of a name where people see it."""
    bits = int.from_bytes(hashlib.sha256(f"{digest}\n{name}".encode()).digest()[:16])
    bits = bits & ~(0xF000 << 64) & ~(0xC000 << 48) | 8 << 76 | 0x8000 << 48
    return uuid.UUID(int=bits)


def _name(path: Path) -> str:
    """Return a file's name as uploads may have it: an image's suffix is that of its content."""
    name = unicodedata.normalize("NFC", shown_name(unicodedata.normalize("NFC", path.name))).strip(" .")
    stem, dot, suffix = name.rpartition(".")
    kind = kinds.by_name(name)
    if kind and KINDS[kind].family == "image":
        with path.open("rb") as file:
            head = file.read(16)
        true = next((s for s, magic in _MAGIC.items() if re.match(magic, head, re.DOTALL)), None)
        if true and true not in KINDS[kind].suffixes:
            suffix = true[1:]
    name = f"{stem[: _LONGEST_NAME - len(suffix) - 1]}{dot}{suffix}"
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        return f"file.{suffix}"
