"""The list of what an export wrote, so that the next one replaces and removes just that, and an import knows files.

A line is a path below the folder; of a file that posts name, the id of its upload and its SHA-256 follow.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from familycorp_ops.content.uploads import Exported

NAME = ".familycorp-export"
FILES = "files/"
"""Where the files stand that posts name."""

_LINE = re.compile(
    r"(?P<path>[^\t]+)(?:\t(?P<upload>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\t(?P<sha256>[0-9a-f]{64}))?"
)


def read(root: Path) -> dict[str, Exported | None] | None:
    """Return what an export wrote into a folder; None where none did."""
    try:
        lines = (root / NAME).read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return None
    found: dict[str, Exported | None] = {}
    for line in filter(None, map(_LINE.fullmatch, lines)):
        found[line["path"]] = Exported(UUID(line["upload"]), line["sha256"]) if line["upload"] else None
    return found


def files(root: Path) -> dict[str, Exported]:
    """Return the files that an export wrote into a folder for its posts."""
    return {path: exported for path, exported in (read(root) or {}).items() if exported}


def written(names: Mapping[str, Exported | None]) -> bytes:
    """Return the list as a file."""
    lines = (
        name if exported is None else f"{name}\t{exported.upload}\t{exported.sha256}"
        for name, exported in sorted(names.items())
    )
    return "".join(f"{line}\n" for line in lines).encode()
