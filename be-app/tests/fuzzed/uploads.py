"""A file is accepted or rejected with a documented reason, having read no more of it than its budget.

The first byte of an input says which type it is announced as.
"""

import io
import zipfile
from typing import Any
from unittest import mock

from app.uploads import inspection, storage
from app.uploads.errors import REASONS, Rejection
from app.uploads.kinds import KINDS

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

    from test_uploads import encrypted_zip, overlapping_zip
    from uploading import DOCX, animated, archive, docx, hwp, hwpx, pdf, photo, png_bomb, saved

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

    def served(_key: str, _etag: str, span: str) -> Any:
        first, last = span.removeprefix("bytes=").split("-")
        return io.BytesIO(content[int(first) : int(last) + 1])

    with mock.patch.object(storage, "_read", served):
        budget = inspection.budget(content_type)
        reader = storage.Reader("a", storage.Found(len(content), "a", None), budget)
        try:
            inspection.inspect(reader, content_type)
        except Rejection as rejected:
            if rejected.reason not in REASONS:
                raise
        else:
            _is_what_was_announced(content, content_type)
        assert reader.fetched <= budget


def _is_what_was_announced(content: bytes, content_type: str) -> None:
    assert content.startswith(inspection._MAGIC.get(content_type, inspection._ZIP_MAGIC))
    if KINDS[content_type].family in {"zip", "office", "hwpx"}:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
        assert names
        assert not any(name.startswith("/") or ".." in name.split("/") for name in names)
    else:
        assert not zipfile.is_zipfile(io.BytesIO(content))
