"""A file is accepted or rejected with a documented reason, and what is accepted is of the declared type.

The first byte of an input says which type is declared.
"""

import io
import tempfile
import zipfile
from pathlib import Path

from app.uploads.inspection import program
from app.uploads.kinds import KINDS
from app.uploads.reasons import REASONS, Rejection

WITHIN_S = 3.0
LONGEST = 65_536
TYPES = sorted(KINDS)
WORDS = (
    *(
        b"PK\x01\x02",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"PK\x06\x06",
        b"PK\x06\x07",
        b"\xff\xff\xff\xff",
        b"\xfe\xff\xff\xff",
    ),
    *(
        b"%PDF-1.7",
        b"%%EOF",
        b"xref",
        b"trailer",
        b"startxref",
        b"/Root",
        b"/Pages",
        b"/Kids",
        b"/Prev",
        b"/XRefStm",
        b"/Type/XRef",
    ),
    *(
        b"/Type/ObjStm",
        b"/Filter/FlateDecode",
        b"/DecodeParms",
        b"/Length",
        b" 0 R",
        b" 0 obj",
        b"endobj",
        b"stream\n",
        b"/Extends",
    ),
    *(
        b"IHDR",
        b"\xff\xc0",
        b"\xff\xe1",
        b"Exif\0\0",
        b"VP8X",
        b"VP8L",
        b"VP8 ",
        b"RIFF",
        b"mimetype",
        b"[Content_Types].xml",
        b"../",
    ),
)


def seeds() -> list[bytes]:
    from PIL import Image

    from support import crafted
    from support.uploading import (
        DOCX,
        animated,
        archive,
        docx,
        encrypted_zip,
        hwp,
        hwpx,
        overlapping_zip,
        pdf,
        photo,
        png_bomb,
        saved,
    )

    made: list[tuple[str, bytes]] = [
        ("image/jpeg", photo(60, 40)),
        ("image/jpeg", photo(60, 40, progressive=True)),
        ("image/png", saved(Image.new("RGB", (9, 9)), "PNG")),
        ("image/png", png_bomb()),
        ("image/gif", animated("GIF", 2, (9, 9))),
        ("image/webp", animated("WEBP", 2, (9, 9))),
        ("image/webp", saved(Image.new("RGB", (9, 9)), "WEBP")),
        ("application/pdf", pdf()),
        ("application/pdf", pdf(script="x", hidden="next")),
        ("application/pdf", pdf(password="a")),
        ("application/pdf", crafted.xref_stream_pdf(crafted.catalogue())),
        ("application/pdf", crafted.written(crafted.object_stream(crafted.SCRIPT, filters="LZW"))),
        ("application/pdf", crafted.written(crafted.predicted(crafted.SCRIPT))),
        ("application/zip", crafted.streamed({"a": b"a"})),
        (DOCX, crafted.related("hyperlink", "https://a.example")),
        ("application/zip", archive({"a/b.txt": b"a", "c": b"c"})),
        ("application/zip", encrypted_zip()),
        ("application/zip", overlapping_zip()),
        (DOCX, docx()),
        ("application/x-hwp", hwp()),
        ("application/vnd.hancom.hwpx", hwpx()),
    ]
    return [bytes([TYPES.index(kind)]) + content for kind, content in made]


def check(data: bytes) -> None:
    content_type, content = TYPES[(data or b"\0")[0] % len(TYPES)], data[1:]
    with tempfile.NamedTemporaryFile() as file:
        file.write(content or b"\0")
        file.flush()
        try:
            program.check(Path(file.name), content_type, 25_000_000)
        except Rejection as rejected:
            if rejected.reason not in REASONS:
                raise
        else:
            _is_what_was_announced(content, content_type)


def _is_what_was_announced(content: bytes, content_type: str) -> None:
    if KINDS[content_type].family in {"zip", "office", "hwpx"}:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
        assert names
        assert not any(name.startswith("/") or ".." in name.split("/") for name in names)
    else:
        if content_type != "application/pdf":
            assert content.startswith(program._MAGIC[content_type])
        assert b"PK\x05\x06" not in content[-65_557:]
