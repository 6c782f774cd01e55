"""Re-encoded images: visitors get files with pixels and nothing else.

Decoding and encoding again drops EXIF with its places and devices, comments, colour profiles (after they were
applied) and anything appended to the image. It happens in a child process.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app.core.settings import settings
from app.uploads import children
from app.uploads.kinds import THUMBNAILS

_PROGRAM = Path(__file__).with_name("rendering.py")


class Made(NamedTuple):
    """The files that were made of an image."""

    original: Path
    smaller: dict[str, Path]
    """Thumbnails and renditions, by the variant's name."""

    picture: dict[str, Any]
    """Description of the renditions: `digest` of them all, `width` and `height` of the widest, `placeholder` (a
    colour), and `files`, the widths of each kind."""


def render(source: Path, content_type: str) -> Made:
    """Make an image, its thumbnails and renditions beside `source`, in a worker thread.

    Raises `Rejection` for what can't or mustn't be decoded.
    """
    children.run([str(_PROGRAM), str(source), content_type, str(settings().upload_max_pixels)], source.parent)
    picture = json.loads(source.with_name("picture.json").read_text())
    variants = [*(f"thumbnail.{kind}" for kind in THUMBNAILS), *variants_of(picture)]
    return Made(
        source.with_name("original"), {variant: source.with_name(variant) for variant in variants}, picture
    )


def variants_of(picture: Mapping[str, Any]) -> list[str]:
    """Return the names of a picture's renditions: `<width>.<kind>`."""
    return [f"{width}.{kind}" for kind, widths in picture["files"].items() for width in widths]
