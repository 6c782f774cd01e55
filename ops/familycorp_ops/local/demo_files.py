"""Pictures and a document of the demonstration content, drawn here, and the posts that show them."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pyvips

from app.auth.subject import SYSTEM
from app.content import stored
from app.core.write_path import outbox
from app.posts import commands, revisions
from app.posts.schemas import PostUpdate
from app.uploads import repository
from familycorp_ops.admin import uploads

_WIDTH, _HEIGHT = 960, 640


class Picture(NamedTuple):
    """What is said of a picture: its alternative texts, and the focal point in percent."""

    ko: str
    en: str
    x: int
    y: int


class File(NamedTuple):
    """A file, how it is made, and the posts that have it: as a thumbnail, or a document attached."""

    name: str
    draw: Callable[[], bytes]
    slugs: tuple[str, ...]
    picture: Picture | None = None


async def add() -> None:
    """Give the posts their files, those that have none yet."""
    await asyncio.gather(*(_add(file) for file in FILES))


async def _add(file: File) -> None:
    image = file.picture is not None
    found = (await stored.by_slug(file.slugs)).values()
    lacking = [at for at in found if not (at.newest.thumbnail if image else at.newest.attachments)]
    if not lacking:
        return
    upload = await uploads.sent(file.name, file.draw())
    if file.picture:
        await _describe(upload.id, file.picture)
    named = {"thumbnail": upload.id} if image else {"attachments": [upload.id]}
    for post, revision, _ in lacking:
        content = revisions.content_of(revision).model_dump()
        request = PostUpdate.model_validate({**content, "category": post.category, **named})
        changed = await commands.update(post.id, request, post.version, SYSTEM)
        await commands.publish(post.id, changed.version, SYSTEM)


async def _describe(upload_id: uuid.UUID, said: Picture) -> None:
    async with outbox.transaction() as transaction:
        upload = await repository.locked(transaction.session, upload_id)
        assert upload is not None  # noqa: S101 - it was sent a moment ago.
        upload.alt, upload.focus = {"ko": said.ko, "en": said.en}, {"x": said.x, "y": said.y}


def _sky(below: list[int], above: list[int]) -> Any:
    height = pyvips.Image.xyz(_WIDTH, _HEIGHT)[1] / _HEIGHT
    return (height * [b - a for a, b in zip(above, below, strict=True)] + above).cast("uchar")


def _jpeg(image: Any) -> bytes:
    return bytes(image.copy(interpretation="srgb").jpegsave_buffer(Q=85))


def _hall() -> bytes:
    """Draw a hall with lit windows under an evening sky."""
    image = _sky([250, 176, 110], [70, 84, 140])
    image = image.draw_circle([255, 236, 190], 690, 250, 70, fill=True)
    image = image.draw_rect([52, 58, 72], 90, 250, 560, 310, fill=True)
    for row in range(3):
        for column in range(7):
            lit = [255, 214, 120] if (row + column) % 3 else [120, 130, 150]
            image = image.draw_rect(lit, 120 + 76 * column, 280 + 90 * row, 48, 56, fill=True)
    image = image.draw_rect([72, 92, 66], 0, 560, _WIDTH, 80, fill=True)
    return _jpeg(image)


def _parcels() -> bytes:
    """Draw stacked parcels on a loading dock in the morning."""
    image = _sky([206, 228, 240], [120, 170, 200])
    image = image.draw_rect([150, 150, 146], 0, 470, _WIDTH, 170, fill=True)
    for x, y, width, height in (
        (120, 300, 220, 170),
        (350, 340, 180, 130),
        (160, 190, 150, 110),
        (580, 260, 250, 210),
    ):
        image = image.draw_rect([196, 154, 104], x, y, width, height, fill=True)
        image = image.draw_rect([230, 206, 160], x + width // 2 - 10, y, 20, height, fill=True)
    return _jpeg(image)


_LINES = (
    "FamilyCorp: results of the third quarter of 2026",
    "",
    "Sales: KRW 128.4 billion +12.0 %",
    "Operating profit: KRW 12.1 billion +23.5 %",
    "Net profit: KRW 9.3 billion +20.8 %",
)


def _report() -> bytes:
    """Write a page as PDF."""
    shown = " ".join(f"({line}) '" for line in _LINES)
    text = f"BT /F1 14 Tf 24 TL 72 760 Td {shown} ET"
    fonts = "/Resources << /Font << /F1 5 0 R >> >>"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R {fonts} >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    made, places = b"%PDF-1.4\n", list[int]()
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(made)}\n%%EOF\n"
    return made + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()


FILES = (
    File(
        "anniversary.jpg",
        _hall,
        ("창립-40주년", "forty-years"),
        Picture(
            "저녁노을 아래 창문마다 불이 켜진 회관", "A hall with lit windows under an evening sky", 45, 60
        ),
    ),
    File(
        "logistics.jpg",
        _parcels,
        ("김해-물류센터-가동",),
        Picture("아침 하역장에 쌓인 상자들", "Parcels stacked on a loading dock in the morning", 50, 60),
    ),
    File("2026-q3-results.pdf", _report, ("2026-3분기-실적", "q3-2026-results")),
)
