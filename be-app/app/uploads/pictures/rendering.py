"""A program that re-encodes an image, run by `images` in a process of its own: it decodes what strangers sent.

    rendering.py SOURCE CONTENT_TYPE MOST_PIXELS

It writes `original`, `thumbnail.<kind>`, renditions `<width>.<kind>` and their description, `picture.json`, beside
the source, or prints the reason of a rejection and exits with 3.
It imports nothing of the application, is given no credentials, and bounds itself. libvips streams: memory follows an
image's width, not its area.
"""

import hashlib
import json
import os
import resource
import sys
from collections import Counter
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

WIDTHS = (320, 640, 1024, 1600, 2560)
"""Pixels that renditions are wide; an image gets those that are narrower, and its own width up to the widest."""

_WIDEST = {"avif": 1600, "webp": 1600, "jpg": WIDTHS[-1]}
"""The widest rendition by kind.

A wider AVIF or WebP takes as much processor time as all others. Browsers choose a type first, and nearly all of them
AVIF: a wider WebP would be for the few that know WebP alone.
"""

_HIGHEST = 16_383
"""Pixels that a rendition may be high: WebP's limit."""

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
_SAVING_SMALL: dict[str, dict[str, Any]] = {
    "avif": {"Q": 55, "effort": 0},
    "webp": {"Q": 75, "effort": 0},
    "jpg": {"Q": 80, "background": [255, 255, 255]},
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
    # Of the new file, so that a stranger's bytes are decoded once and renditions need less memory.
    pages = _pages(original, content_type)
    picture = _renditions(_shrunk(original, content_type), source.parent, None if pages == 1 else original)
    (source.parent / "picture.json").write_text(json.dumps(picture))
    original.rename(source.with_name("original"))


def _pages(file: Path, content_type: str) -> int:
    return int(_get(_load(file, content_type), "n-pages", 1))


def _shrunk(file: Path, content_type: str) -> Any:
    """Return an image (its first frame) upright in sRGB, in memory, as wide as its widest rendition."""
    load = getattr(pyvips.Image, _LOADERS[content_type])
    image = load(str(file))
    across, down = (image.height, image.width) if _is_on_its_side(image) else (image.width, image.height)
    wanted = max(1, min(across, WIDTHS[-1], across * _HIGHEST // down))
    halvings = 1
    # libjpeg shrinks while it decodes. libvips' own thumbnail shrinks by less there, and takes four times as long.
    while content_type == "image/jpeg" and halvings < 8 and across // (2 * halvings) >= wanted:
        halvings *= 2
    options = {"shrink": halvings} if halvings > 1 else {}
    image = load(str(file), access="sequential", **options)
    if image.interpretation != "srgb":
        image = image.colourspace("srgb")
    scale = min(1, wanted / (image.height if _is_on_its_side(image) else image.width))
    if scale < 1:
        alpha = image.hasalpha()
        image = image.premultiply() if alpha else image
        image = image.resize(scale, gap=1.2)
        image = image.unpremultiply() if alpha else image
        image = image.cast("uchar")
    return image.copy_memory().autorot()


def _is_on_its_side(image: Any) -> bool:
    return int(_get(image, "orientation", 1)) > 4  # EXIF: 5 to 8 are turned by a quarter.


def _renditions(image: Any, directory: Path, animation: Path | None) -> dict[str, Any]:
    """Write thumbnails and renditions of an image; return their description.

    An animation moves as WebP and stands as JPEG.
    """
    small = image.thumbnail_image(THUMBNAIL, height=THUMBNAIL, size="down").copy_memory()
    for kind in _SAVING_SMALL:
        _save(small, directory / f"thumbnail.{kind}")
    across, down = image.width, image.height
    widths = [*(width for width in WIDTHS if width < across), across]
    kinds = ("webp", "jpg") if animation else ("avif", "webp", "jpg")
    made: dict[str, list[int]] = {kind: [] for kind in kinds}
    digest = hashlib.sha256()
    for width in reversed(widths):
        if width < image.width:  # Of the next wider one: of the widest, all together took four times as long.
            image = image.thumbnail_image(width, height=_HIGHEST, size="down").copy_memory()
        for kind in kinds:
            if width > _WIDEST[kind]:
                continue
            file = directory / f"{width}.{kind}"
            moving = animation if kind == "webp" else None
            _save(_moving(moving, width) if moving else image, file)
            digest.update(f"{file.name} {file.stat().st_size}\n".encode() + file.read_bytes())
            made[kind].insert(0, width)
    return {
        "digest": digest.hexdigest()[:32],
        "width": across,
        "height": down,
        "placeholder": _dominant(image),
        "files": made,
    }


def _moving(file: Path, width: int) -> Any:
    return pyvips.Image.thumbnail(f"{file}[n=-1]", width, height=_HIGHEST, size="down")


def _save(image: Any, file: Path) -> None:
    image.write_to_file(str(file), keep="none", **_SAVING_SMALL[file.suffix[1:]])


def _dominant(image: Any) -> str:
    """Return the colour that most of an image has, on white: `#rrggbb`."""
    small = image.thumbnail_image(32, height=32, size="force")
    if small.hasalpha():
        small = small.flatten(background=[255, 255, 255])
    data = bytes(small.cast("uchar").write_to_memory())
    pixels = list(zip(*(iter(data),) * 3, strict=True))
    (likeliest, _), *_ = Counter(tuple(c >> 5 for c in pixel) for pixel in pixels).most_common(1)
    alike = [pixel for pixel in pixels if tuple(c >> 5 for c in pixel) == likeliest]
    return "#" + "".join(f"{sum(channel) // len(alike):02x}" for channel in zip(*alike, strict=True))


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
