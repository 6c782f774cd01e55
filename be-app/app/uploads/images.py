"""Re-encoded images: visitors get files with pixels and nothing else.

Decoding and encoding again drops EXIF with its places and devices, comments, colour profiles (after they were
applied) and anything appended to the image. It happens in a child process.
"""

from pathlib import Path
from typing import NamedTuple

from app.core.settings import settings
from app.uploads import children
from app.uploads.kinds import THUMBNAILS

_PROGRAM = Path(__file__).with_name("rendering.py")


class Made(NamedTuple):
    """The files that were made of an image."""

    original: Path
    thumbnails: dict[str, Path]


def render(source: Path, content_type: str) -> Made:
    """Make an image and its thumbnails beside `source`, in a worker thread.

    Raises `Rejection` for what can't or mustn't be decoded.
    """
    children.run([str(_PROGRAM), str(source), content_type, str(settings().upload_max_pixels)], source.parent)
    return Made(
        source.with_name("original"),
        {kind: source.with_name(f"thumbnail.{kind}") for kind in THUMBNAILS},
    )
