"""Pictures: renditions of right size, orientation and colour."""

import io
import os
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pyvips
from PIL import Image, ImageChops, ImageCms, ImageOps
from PIL.Image import Transpose

from app.core.settings import settings
from app.uploads import inspection, kinds
from app.uploads.pictures import images
from app.uploads.reasons import Rejection
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


def of_16_bits_with_a_hidden_value() -> bytes:
    """Make a PNG of 16 bits whose white isn't there."""
    return saved(
        quartered(mode="L").convert("I").point(lambda value: value * 257).convert("I;16"),
        "PNG",
        transparency=65535,
    )


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
    "grey, 16 bits, white isn't there": Case(
        of_16_bits_with_a_hidden_value, "image/png", corners=(*GREYS[:3], (0, 0, 0, 0))
    ),
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
    narrow = [width for width in widths if width <= 1600]
    assert picture["files"] == {"avif": narrow, "webp": narrow, "jpg": widths}
    for variant in images.variants_of(picture):
        with Image.open(made.smaller[variant]) as image:
            assert image.width == int(variant.partition(".")[0])
            assert not image.getexif(), "nothing of the camera stays"
            shown = corners(image)
            for found, field in zip(shown, case.corners, strict=True):
                expected = on_white(field) if variant.endswith(".jpg") else (*field, 255)[:4]
                assert abs(found[3] - expected[3]) <= 3, (variant, shown)
                assert expected[3] == 0 or alike(found, expected[:3]), (variant, shown)


class Kind(NamedTuple):
    """A way to keep an image: the file's type, and Pillow's mode of its pixels."""

    file: str
    mode: str


KINDS = (
    *(Kind("JPEG", mode) for mode in ("RGB", "L")),
    *(Kind("PNG", mode) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")),
    *(Kind("WEBP", mode) for mode in ("RGB", "RGBA")),
)
SIZES = ((331, 217), (64, 48), (120, 700))
PROFILES = (None, "srgb", "p3")
WITH_PROFILE = {"RGB", "RGBA"}


def scenery(width: int, height: int, mode: str) -> Image.Image:
    """Draw what has a direction and all colours, and where there is alpha, a part to be seen through."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", (across, down, Image.new("L", (width, height), 90)))
    image.paste(RED, (0, 0, width // 3, height // 4))
    if mode == "I;16":
        wide = image.convert("L").convert("I").point(lambda value: value * 257)
        return wide.convert("I;16")
    image = image.convert(mode)
    if mode in {"RGBA", "LA"}:
        alpha = Image.new("L", (width, height), 255)
        alpha.paste(96, (0, height // 2, width // 2, height))
        image.putalpha(alpha)
    return image


def foreign(kind: Kind, size: tuple[int, int], profile: str | None, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"exif": exif}
    if profile is not None:
        options["icc_profile"] = profile_of(profile)
    if kind.file == "WEBP":
        options["lossless"] = True
    if kind.file == "JPEG":
        options |= {"quality": 98, "subsampling": 0}
    return saved(scenery(*size, kind.mode), kind.file, **options)


@cache
def profile_of(name: str) -> bytes:
    image = pyvips.Image.black(1, 1, bands=3).copy(interpretation="srgb")
    return bytes(image.icc_transform(name, input_profile="srgb").get("icc-profile-data"))


def of_8_bits(image: Image.Image) -> Image.Image:
    """Return a grey image of 16 bits with 8, and with alpha where it names a value that can be seen through."""
    hidden = image.info.get("transparency")
    grey = image.convert("I").point(lambda value: value / 257).convert("L")
    alpha = Image.new("L", image.size, 255)
    if hidden is not None:
        alpha.putdata(
            [0 if value == hidden else 255 for value in memoryview(image.convert("I").tobytes()).cast("i")]
        )
    return Image.merge("LA", (grey, alpha))


def reference(content: bytes) -> Image.Image:
    """Return what Pillow makes of a file, its first frame: upright, in sRGB, with its alpha."""
    image: Image.Image = Image.open(io.BytesIO(content))
    profile = image.info.get("icc_profile")
    for name in ("xmp", "XML:com.adobe.xmp"):  # Browsers turn an image by EXIF alone.
        image.info.pop(name, None)
    if image.mode.startswith("I"):
        image = of_8_bits(image)
    upright = ImageOps.exif_transpose(image)
    shown = upright.convert("RGBA")
    if not profile:
        return shown
    colours = ImageCms.profileToProfile(
        upright if image.mode in {"L", "CMYK"} else shown.convert("RGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.PERCEPTUAL,
        outputMode="RGB",
    )
    assert colours is not None
    colours.putalpha(shown.getchannel("A"))
    return colours


def seen(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an image as it is seen on white, small enough that encoders' noise is gone."""
    shown = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image.convert("RGBA"))
    return shown.convert("RGB").resize(size, Image.Resampling.BOX)


def first_frame(file: Path) -> Image.Image:
    """Return what a browser shows of a rendition first."""
    with Image.open(file) as image:
        if not getattr(image, "is_animated", False):
            return image.convert("RGBA")
    # Pillow ignores that the canvas of an animation can be seen through where no frame is; browsers do not.
    animation = pyvips.Image.webpload(str(file))
    channels = animation if animation.hasalpha() else animation.bandjoin(255)
    size = channels.width, channels.height
    return Image.frombytes("RGBA", size, bytes(channels.write_to_memory()))


def fault(made: images.Made, expected: Image.Image) -> str:
    """Return what of a rendered file differs from the reference, empty if nothing does."""
    width, height = expected.size
    across = max(
        1, min(12, width // 8)
    )  # Smaller fields would show that encoders halve the resolution of colours.
    shape = (across, max(1, min(round(across * height / width), height // 8)))
    widest = max(1, min(width, 2560, width * 16_383 // height))
    if abs(made.picture["width"] - widest) + abs(made.picture["height"] - height * widest / width) >= 1:
        return f"size {made.picture['width']}x{made.picture['height']}"
    for variant in images.variants_of(made.picture):
        found = ImageChops.difference(seen(first_frame(made.smaller[variant]), shape), seen(expected, shape))
        if (most := max(found.tobytes())) > TOLERANCE:
            return f"{variant} by {most}"
    return ""


TOLERANCE = 45
"""Of 255, in any channel of any field. A turned image differs by 180 and more, one without its profile by 90."""


@pytest.mark.parametrize("orientation", [pytest.param(n, marks=pytest.mark.holds) for n in range(1, 9)])
def test_pictures_of_all_kinds_are_rendered_as_pillow_shows_them(orientation: int, tmp_path: Path) -> None:
    """The few in `CASES` are what `make test` renders."""
    cases = [
        (kind, size, profile)
        for kind in KINDS
        for size in SIZES
        for profile in (PROFILES if kind.mode in WITH_PROFILE else PROFILES[:1])
    ]

    def one(number: int) -> str:
        kind, size, profile = cases[number]
        content = foreign(kind, size, profile, orientation)
        (directory := tmp_path / str(number)).mkdir()
        wrong = fault(rendered(directory, content, f"image/{kind.file.lower()}"), reference(content))
        return wrong and f"{kind.file} {kind.mode}, {size}, {profile}: {wrong}"

    with ThreadPoolExecutor(2) as pool:
        assert [wrong for wrong in pool.map(one, range(len(cases))) if wrong] == []


FOREIGN = os.environ.get("FOREIGN_PICTURES")


@pytest.mark.holds
@pytest.mark.timeout(3600)
@pytest.mark.skipif(FOREIGN is None, reason="FOREIGN_PICTURES names no folder")
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of broken pictures.
def test_pictures_of_a_folder_are_rendered_as_pillow_shows_them_or_refused(tmp_path: Path) -> None:
    """For collections that aren't ours, as the pictures of Pillow's and libvips' own tests; `-s` shows the counts."""
    names = sorted(Path(FOREIGN or "").rglob("*.*"))
    files = {name: kind for name in names if (kind := kinds.by_name(name.name) or "").startswith("image/")}
    with ThreadPoolExecutor(2) as pool:
        directories = (tmp_path / str(number) for number in range(len(files)))
        outcomes = list(pool.map(outcome, directories, files, files.values()))
    counted = Counter(said if said.startswith("refused") else said.partition(":")[0] for said in outcomes)
    sys.stdout.write(f"\n{len(files)} pictures: {dict(counted.most_common())}\n")
    assert [(str(f), o) for f, o in zip(files, outcomes, strict=True) if o.startswith("fault")] == []


def outcome(directory: Path, file: Path, content_type: str) -> str:
    """Inspect and render a file; return what became of it."""
    directory.mkdir()
    content = file.read_bytes()
    (directory / "file").write_bytes(content)
    try:
        inspection.inspect(directory / "file", content_type, settings().upload_max_pixels)
        made = rendered(directory, content, content_type)
    except Rejection as rejection:
        return f"refused: {rejection.reason}"
    try:
        expected = reference(content)
    except (OSError, SyntaxError, ValueError, ImageCms.PyCMSError) as error:
        return f"rendered, where Pillow has an error: {error}"
    wrong = fault(made, expected)
    return f"fault: {wrong}" if wrong else "rendered"


def test_an_animation_moves_as_webp_and_stands_as_jpeg(tmp_path: Path) -> None:
    made = rendered(tmp_path, animated("GIF", 4, (400, 300)), "image/gif")
    assert made.picture["files"] == {"webp": [320, 400], "jpg": [320, 400]}
    for variant, frames in (("320.webp", 4), ("320.jpg", 1)):
        with Image.open(made.smaller[variant]) as image:
            assert (getattr(image, "n_frames", 1), image.size) == (frames, (320, 240))


def test_an_animation_is_seen_through_where_no_frame_is(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (100, 60), (0, 0, 0, 0)) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame.paste((*RED, 255), (0, 0, 25 * (number + 1), 60))
    animation = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, disposal=2)
    made = rendered(tmp_path, animation, "image/gif")
    assert made.picture["files"] == {"webp": [100], "jpg": [100]}
    assert fault(made, reference(animation)) == ""
    assert first_frame(made.smaller["100.webp"]).getchannel("A").getpixel((75, 30)) == 0


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
