"""A program that re-encodes an image, run by `images` in a process of its own: it decodes what strangers sent.

    rendering.py SOURCE CONTENT_TYPE MOST_PIXELS

It writes `original` and `thumbnail.<kind>` beside the source, or prints the reason of a rejection and exits with 3.
It imports nothing of the application, is given no credentials, and bounds itself. libvips streams: memory follows an
image's width, not its area.
"""

import os
import resource
import sys
from pathlib import Path
from typing import Any

import pyvips

REJECTED = 3
CPU_S = 25
_ADDRESS_SPACE = 1_500_000_000
_LARGEST_FILE = 150_000_000

NICENESS = 10
"""Requests of readers have priority over it."""

THUMBNAIL = 640
"""Pixels that a thumbnail is wide and high at the most."""

MOST_HELD = 60_000_000
"""Bytes that an image which can't be streamed (progressive, interlaced) may take unpacked."""

_LOADERS = {
    "image/jpeg": "jpegload",
    "image/png": "pngload",
    "image/gif": "gifload",
    "image/webp": "webpload",
}
_ANIMATED = {"image/gif", "image/webp"}
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp"}
_SAVING: dict[str, dict[str, Any]] = {
    ".jpg": {"Q": 88},
    ".png": {"compression": 6},
    ".gif": {},
    ".webp": {"Q": 88},
}
_SAVING_THUMBNAIL: dict[str, dict[str, Any]] = {
    "avif": {"Q": 55, "effort": 3},
    "webp": {"Q": 75},
    "jpg": {"Q": 80, "optimize_coding": True, "background": [255, 255, 255]},
}


class _Rejected(Exception):
    """The image mustn't be re-encoded; the message is the reason."""


def main(source: Path, content_type: str, most_pixels: int) -> int:
    """Make the files; return the exit status."""
    os.nice(NICENESS)
    for what, most in (
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_AS, _ADDRESS_SPACE),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
    ):
        resource.setrlimit(what, (most, most))
    pyvips.cache_set_max(0)
    # Only the loaders that are named here may read a stranger's bytes.
    pyvips.operation_block_set("VipsForeignLoad", True)
    for allowed in ("Jpeg", "Png", "Nsgif", "Webp"):
        pyvips.operation_block_set(f"VipsForeignLoad{allowed}", False)
    try:
        _render(source, content_type, most_pixels)
    except _Rejected as rejected:
        sys.stdout.write(str(rejected))
        return REJECTED
    except pyvips.Error:
        sys.stdout.write("malformed")
        return REJECTED
    return 0


def _render(source: Path, content_type: str, most_pixels: int) -> None:
    image = _load(source, content_type)
    _limit(image, most_pixels)
    suffix = _SUFFIXES[content_type]
    original = source.with_name(f"original{suffix}")
    _write(image, original, suffix)
    del image
    # Of the new file, so that a stranger's bytes are decoded once and thumbnails need less memory.
    for kind, saving in _SAVING_THUMBNAIL.items():
        small = pyvips.Image.thumbnail(
            str(original), THUMBNAIL, height=THUMBNAIL, size="down", output_profile="srgb"
        )
        small.write_to_file(str(source.with_name(f"thumbnail.{kind}")), keep="none", **saving)
    original.rename(source.with_name("original"))


def _load(source: Path, content_type: str) -> Any:
    load = getattr(pyvips.Image, _LOADERS[content_type])
    frames = {"n": -1} if content_type in _ANIMATED else {}
    return load(str(source), access="sequential", fail_on="error", **frames)


def _limit(image: Any, most_pixels: int) -> None:
    """Refuse images that are too large by their header, before anything is decoded."""
    if image.width * image.height > most_pixels:  # Frames stand below each other.
        raise _Rejected("too_many_pixels")
    if "interlaced" in image.get_fields():
        subsampled = "4:2:0" in str(_get(image, "jpeg-chroma-subsample", ""))
        held = image.width * image.height * 2 * (1.5 if subsampled else image.bands)
        if held > MOST_HELD:
            raise _Rejected("too_many_pixels")


def _write(image: Any, file: Path, suffix: str) -> None:
    if image.interpretation == "cmyk" or "icc-profile-data" in image.get_fields():
        image = image.icc_transform("srgb", embedded=True, intent="perceptual")
    else:
        image = image.copy()
    turned = int(_get(image, "orientation", 1))
    kept = "none"
    if turned > 1 and suffix != ".gif":
        # To turn the pixels would need all of them at once: this one entry of the EXIF data stays instead.
        for name in image.get_fields():
            if name.startswith(("exif-", "xmp-", "iptc-")):
                image.remove(name)
        image.set_type(pyvips.GValue.gint_type, "orientation", turned)
        kept = "exif"
    image.write_to_file(str(file), keep=kept, **_SAVING[suffix])


def _get(image: Any, name: str, otherwise: Any) -> Any:
    return image.get(name) if name in image.get_fields() else otherwise


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
