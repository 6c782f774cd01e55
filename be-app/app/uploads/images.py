"""Images made anew: what visitors get holds pixels and nothing else.

Decoding and encoding again drops EXIF with its places and devices, comments, colour profiles (after they were
applied) and whatever hides behind the image. libvips streams: memory follows an image's width, not its area.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

# One thread and no cache: the function has one request at a time, and memory is what it pays for.
os.environ.setdefault("VIPS_CONCURRENCY", "1")

import pyvips

from app.core.settings import settings
from app.uploads.errors import Rejection
from app.uploads.kinds import THUMBNAILS

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
    ".jpg": {"Q": 88, "optimize_coding": True},
    ".png": {"compression": 6},
    ".gif": {},
    ".webp": {"Q": 88},
}
_SAVING_THUMBNAIL: dict[str, dict[str, Any]] = {
    "avif": {"Q": 55, "effort": 3},
    "webp": {"Q": 75},
    "jpg": {"Q": 80, "optimize_coding": True, "background": [255, 255, 255]},
}

pyvips.cache_set_max(0)
# Only what is asked for by name here may read a stranger's bytes.
pyvips.operation_block_set("VipsForeignLoad", True)
for _allowed in ("Jpeg", "Png", "Nsgif", "Webp"):
    pyvips.operation_block_set(f"VipsForeignLoad{_allowed}", False)


class Made(NamedTuple):
    """The files that were made of an image."""

    original: Path
    thumbnails: dict[str, Path]


def render(source: Path, content_type: str) -> Made:
    """Make an image and its thumbnails beside `source`; raise `Rejection` for what can't or mustn't be decoded."""
    suffix = _SUFFIXES[content_type]
    original = source.with_name("original" + suffix)
    try:
        image = _load(source, content_type)
        _limit(image)
        _write(image, original, suffix)
        del image
        # Of the new file, so that a stranger's bytes are decoded once and thumbnails need less memory.
        thumbnails = {kind: source.with_name(f"thumbnail.{kind}") for kind in THUMBNAILS}
        for kind, file in thumbnails.items():
            small = pyvips.Image.thumbnail(
                str(original), THUMBNAIL, height=THUMBNAIL, size="down", output_profile="srgb"
            )
            small.write_to_file(str(file), keep="none", **_SAVING_THUMBNAIL[kind])
    except pyvips.Error:
        raise Rejection("malformed") from None
    return Made(original, thumbnails)


def _load(source: Path, content_type: str) -> Any:
    load = getattr(pyvips.Image, _LOADERS[content_type])
    frames = {"n": -1} if content_type in _ANIMATED else {}
    return load(str(source), access="sequential", fail_on="error", **frames)


def _limit(image: Any) -> None:
    """Refuse what is too large, going by what the header says; nothing was decoded yet."""
    if image.width * image.height > settings().upload_max_pixels:  # Frames stand below each other.
        raise Rejection("too_many_pixels")
    if "interlaced" in image.get_fields():
        subsampled = "4:2:0" in str(_get(image, "jpeg-chroma-subsample", ""))
        held = image.width * image.height * 2 * (1.5 if subsampled else image.bands)
        if held > MOST_HELD:
            raise Rejection("too_many_pixels")


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
