"""Pictures: renditions of right size, orientation and colour."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pyvips
from PIL import Image
from PIL.Image import Transpose

from app.uploads import images
from support.uploading import animated, saved

RED, BLUE, GREEN, WHITE = (200, 30, 30), (20, 40, 190), (20, 160, 60), (255, 255, 255)
CORNERS = (RED, BLUE, GREEN, WHITE)


def quartered(width: int = 400, height: int = 300, mode: str = "RGB") -> Image.Image:
    """Draw four fields, so that a turned or mirrored picture is noticed: red, blue; green, white."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(BLUE, (width // 2, 0, width, height // 2))
    image.paste(GREEN, (0, height // 2, width // 2, height))
    return image.convert(mode)


def corners(image: Image.Image) -> list[Any]:
    shown = image.convert("RGBA")
    across, down = shown.width // 4, shown.height // 4
    fields = [(across, down), (3 * across, down), (across, 3 * down), (3 * across, 3 * down)]
    return [shown.getpixel(field) for field in fields]


def alike(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(found, expected, strict=False)) <= 12


def on_white(colour: tuple[int, ...]) -> tuple[int, ...]:
    """Return what a colour is that can be seen through, with white behind it."""
    *channels, alpha = (*colour, 255)[:4]
    return *((c * alpha + 255 * (255 - alpha)) // 255 for c in channels), 255


def turned(way: Transpose, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(quartered().transpose(way), "JPEG", quality=95, exif=exif)


def of_another_space() -> bytes:
    """Make a JPEG whose numbers are of Display P3, as phones send them."""
    image = pyvips.Image.pngload_buffer(saved(quartered(), "PNG"))
    return bytes(image.icc_transform("p3", input_profile="srgb").jpegsave_buffer(Q=95))


def of_16_bits() -> bytes:
    image = pyvips.Image.pngload_buffer(saved(quartered(), "PNG"))
    return bytes(image.colourspace("rgb16").pngsave_buffer())


def half_seen() -> bytes:
    """Make a PNG whose left half is red, a little of it to be seen through, and whose right half isn't there."""
    image = Image.new("RGBA", (400, 300), (0, 0, 0, 0))
    image.paste((*RED, 128), (0, 0, 200, 300))
    return saved(image, "PNG")


class Case(NamedTuple):
    make: Callable[[], bytes]
    content_type: str = "image/jpeg"
    size: tuple[int, int] = (400, 300)
    corners: tuple[tuple[int, ...], ...] = CORNERS


GREYS = tuple((round(0.299 * r + 0.587 * g + 0.114 * b),) * 3 for r, g, b in CORNERS)
CASES = {
    "plain": Case(lambda: saved(quartered(), "JPEG", quality=95)),
    "turned": Case(lambda: turned(Transpose.ROTATE_90, 6)),
    "turned and mirrored": Case(lambda: turned(Transpose.TRANSPOSE, 5)),
    "upside down, wider than any rendition": Case(
        lambda: saved(
            quartered(3000, 300).transpose(Transpose.ROTATE_180), "JPEG", exif=bytes.fromhex(
                "45786966000049492a00080000000100120103000100000003000000000000000000"
            ),
        ),
        size=(2560, 256),
    ),
    "of another colour space": Case(of_another_space),
    "16 bits": Case(of_16_bits, "image/png"),
    "grey": Case(lambda: saved(quartered(mode="L"), "PNG"), "image/png", corners=GREYS),
    "palette": Case(lambda: saved(quartered().quantize(8), "GIF"), "image/gif"),
    "seen through": Case(half_seen, "image/png", corners=((*RED, 128), (0, 0, 0, 0)) * 2),
}  # fmt: skip


def rendered(directory: Path, content: bytes, content_type: str) -> images.Made:
    source = directory / "source"
    source.write_bytes(content)
    return images.render(source, content_type)


@pytest.mark.parametrize("name", CASES)
def test_renditions_have_the_picture_s_orientation_and_colours(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    made = rendered(tmp_path, case.make(), case.content_type)
    picture = made.picture
    assert (picture["width"], picture["height"]) == case.size
    widths = [width for width in (320, 640, 1024, 1600, 2560) if width < case.size[0]] + [case.size[0]]
    assert picture["files"] == {
        "avif": [width for width in widths if width <= 1600], "webp": widths, "jpg": widths
    }  # fmt: skip
    for variant in images.variants_of(picture):
        with Image.open(made.smaller[variant]) as image:
            assert image.width == int(variant.partition(".")[0])
            assert not image.getexif(), "nothing of the camera stays"
            shown = corners(image)
            for found, field in zip(shown, case.corners, strict=True):
                expected = on_white(field) if variant.endswith(".jpg") else (*field, 255)[:4]
                assert abs(found[3] - expected[3]) <= 3, (variant, shown)
                assert expected[3] == 0 or alike(found, expected[:3]), (variant, shown)


def test_an_animation_moves_as_webp_and_stands_as_jpeg(tmp_path: Path) -> None:
    made = rendered(tmp_path, animated("GIF", 4, (400, 300)), "image/gif")
    assert made.picture["files"] == {"webp": [320, 400], "jpg": [320, 400]}
    for variant, frames in (("320.webp", 4), ("320.jpg", 1)):
        with Image.open(made.smaller[variant]) as image:
            assert (getattr(image, "n_frames", 1), image.size) == (frames, (320, 240))


def test_a_picture_s_name_is_of_its_content(tmp_path: Path) -> None:
    def digest(name: str, image: Image.Image) -> Any:
        (tmp_path / name).mkdir()
        return rendered(tmp_path / name, saved(image, "PNG"), "image/png").picture["digest"]

    first = digest("a", quartered(64, 64))
    assert digest("b", quartered(64, 64)) == first
    assert digest("c", quartered(64, 64).transpose(Transpose.ROTATE_90)) != first


def test_a_tall_picture_is_no_higher_than_webp_may_be(tmp_path: Path) -> None:
    made = rendered(tmp_path, saved(Image.new("RGB", (60, 20_000), BLUE), "PNG"), "image/png")
    assert made.picture["width"] == 49
    assert made.picture["height"] <= 16_383
    assert alike(tuple(bytes.fromhex(made.picture["placeholder"][1:])), BLUE)
    with Image.open(io.BytesIO(made.smaller["49.webp"].read_bytes())) as image:
        assert image.size == (49, made.picture["height"])
