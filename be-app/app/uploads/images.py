"""Images made anew: what visitors get holds pixels and nothing else.

Decoding and encoding again drops EXIF with its places and devices, comments, colour profiles (after they were
applied) and whatever hides behind the image. It happens in a child process: a decoder that a hostile image breaks
has no credentials, no connections and little time, and its memory goes back to the system.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from app.core.settings import settings
from app.uploads.errors import REASONS, Rejection
from app.uploads.kinds import THUMBNAILS

_PROGRAM = Path(__file__).with_name("rendering.py")
_REJECTED = 3
_DEADLINE_S = 27
"""Less than API Gateway waits for an answer."""


class Made(NamedTuple):
    """The files that were made of an image."""

    original: Path
    thumbnails: dict[str, Path]


def render(source: Path, content_type: str) -> Made:
    """Make an image and its thumbnails beside `source`, in a worker thread.

    Raises `Rejection` for what can't or mustn't be decoded.
    """
    pixels = str(settings().upload_max_pixels)
    command = [sys.executable, "-P", str(_PROGRAM), str(source), content_type, pixels]
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        # One thread and one heap: memory is what a function pays for.
        "VIPS_CONCURRENCY": "1",
        "MALLOC_ARENA_MAX": "2",
    }
    try:
        ran = subprocess.run(  # noqa: S603 - the program is ours, and its arguments are not a stranger's.
            command, env=environment, cwd=source.parent, capture_output=True, timeout=_DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Rejection("too_complex") from None
    if ran.returncode != 0:
        reason = ran.stdout.decode("ascii", "replace")
        raise Rejection(reason if ran.returncode == _REJECTED and reason in REASONS else "malformed")
    return Made(
        source.with_name("original"),
        {kind: source.with_name(f"thumbnail.{kind}") for kind in THUMBNAILS},
    )
