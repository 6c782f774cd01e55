"""Pictures and files that come along with `familycorp content import`, on real stores."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import select

from app.core.database import engine
from app.posts.models import Post, PostRevision
from app.uploads.models import Upload
from familycorp_ops.content.manifest import NAME as MANIFEST
from familycorp_ops.testing import content_site
from familycorp_ops.testing.content_site import Site

make_site, schema, site = content_site.make_site, content_site.schema, content_site.site


def picture(colour: str, kind: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 3 3]>>endobj\nxref\n0 4\n0000000000 65535 f \n"
    b"0000000009 00000 n \n0000000052 00000 n \n0000000101 00000 n \ntrailer<</Size 4/Root 1 0 R>>\n"
    b"startxref\n164\n%%EOF\n"
)


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def revisions(site: Site) -> dict[str, PostRevision]:
    async def read() -> dict[str, PostRevision]:
        async with engine.reading() as session:
            found = await session.execute(
                select(Post, PostRevision).where(
                    PostRevision.post_id == Post.id, PostRevision.number == Post.revision
                )
            )
            return {post.shown_slug: revision for post, revision in found}

    return site.ask(read)


def stored(site: Site) -> list[Upload]:
    async def read() -> list[Upload]:
        async with engine.reading() as session:
            return list(await session.scalars(select(Upload).where(Upload.state == "clean")))

    return site.ask(read)


def uploads(site: Site) -> dict[str, str]:
    """Return the uploads that there are: their ids by name."""
    return {upload.name: str(upload.id) for upload in stored(site)}


def load(site: Site, folder: Path, *options: str) -> tuple[int, dict[str, Any], set[tuple[str, int, str]]]:
    ran = site.run("content", "import", folder, "--json", *options)
    found = json.loads(ran.stdout)
    left_out = {(n["file"], n["line"], n["before"]) for n in found["notes"] if n["kind"] == "left_out"}
    return ran.exit_code, found, left_out


def test_pictures_and_files_of_a_site_come_along_once(site: Site, tmp_path: Path) -> None:
    hugo = put(
        tmp_path / "hugo",
        {
            "hugo.toml": 'baseURL = "https://example.com/site/"\ndefaultContentLanguage = "ko"\n',
            "static/img/시공 현장.png": picture("red"),
            "static/img/logo.svg": "<svg/>",
            "static/보고서.pdf": PDF,
            "content/news/one/index.md": (
                "---\ntitle: 하나\ndate: 2019-05-03\ncover: cake.jpg\n---\n"
                '![케이크](cake.jpg) ![현장](</img/시공 현장.png> "제목")\n\n'
                "[실적](/site/보고서.pdf) [![작은](small.png)](cake.jpg)\n\n"
                "![없음](gone.png) ![로고](/img/logo.svg) ![거짓](fake.png) [밖](../../../../out.pdf)\n\n"
                '`![](cake.jpg)` <img src="https://example.com/site/img/%EC%8B%9C%EA%B3%B5%20현장.png" alt="또">\n'
            ),
            "content/news/one/cake.jpg": picture("blue", "JPEG"),
            "content/news/one/small.png": picture("green", "JPEG"),
            "content/news/one/fake.png": b"\x89PNG\r\n\x1a\nnothing",
        },
    )
    put(tmp_path, {"out.pdf": PDF})
    expected = {
        ("content/news/one/index.md", 10, "gone.png"),
        ("content/news/one/index.md", 10, "/img/logo.svg"),
        ("content/news/one/index.md", 10, "../../../../out.pdf"),
    }
    status, dry, left_out = load(site, hugo, "--dry-run")
    assert (status, dry["uploads"], left_out) == (1, {"sent": 5, "there": 0}, expected)
    assert uploads(site) == {}
    status, found, left_out = load(site, hugo)
    assert (status, found["errors"], found["created"]) == (1, [], 1)
    assert left_out == expected | {("content/news/one/index.md", 10, "fake.png")}
    there = uploads(site)
    assert set(there) == {"cake.jpg", "시공 현장.png", "small.jpg", "보고서.pdf"}
    one = revisions(site)["one"]
    assert one.body == (
        f'![케이크](upload:{there["cake.jpg"]}) ![현장](upload:{there["시공 현장.png"]} "제목")\n\n'
        f"실적 ![작은](upload:{there['small.jpg']})\n\n없음 로고 거짓 밖\n\n"
        f'`![](cake.jpg)` <img src="upload:{there["시공 현장.png"]}" alt="또">'
    )
    assert one.thumbnail is not None
    assert one.thumbnail["id"] == there["cake.jpg"]
    assert [file["name"] for file in one.attachments] == ["보고서.pdf", "cake.jpg"]
    assert site.page("one")["html"].count("<picture>") == 4
    status, again, left_out_again = load(site, hugo)
    assert (status, again["uploads"], again["unchanged"]) == (1, {"sent": 0, "there": 4}, 1)
    assert left_out_again == left_out
    assert uploads(site) == there


def test_what_an_export_writes_comes_in_again_as_it_was(
    site: Site, make_site: Callable[[], Site], tmp_path: Path
) -> None:
    put(
        site.folder,
        {
            "img/a b#1%.png": picture("red"),
            "other/a b#1%.png": picture("blue"),
            "doc/보고서.pdf": PDF,
            "photo.jpg": picture("green", "JPEG"),
        },
    )
    body = "![가](<img/a b#1%25.png> 'x')\n\n```\n![](img/a.png)\n```\n![나](</other/a b#1%25.png>) ![](gone.png)"
    site.write("a.md", body, thumbnail="photo.jpg", attachments="[doc/보고서.pdf, /photo.jpg]")
    site.write("b.md", "![다](photo.jpg)", state="draft")
    status, found, left_out = load(site, site.folder)
    assert (status, found["errors"], found["uploads"]) == (1, [], {"sent": 4, "there": 0})
    assert left_out == {("a.md", 15, "gone.png")}
    first = site.export(tmp_path / "first")
    text = first["ko/a.md"].decode()
    assert "thumbnail: /files/photo.jpg\nattachments:\n- /files/보고서.pdf\n- /files/photo.jpg\n" in text
    assert "![가](</files/a b%231%25.png> 'x')" in text
    assert "![나](</files/a b%231%25-2.png>) ![](gone.png)" in text
    assert "![](img/a.png)" in text
    # Hugo builds the folder, without what isn't public.
    assert b'target = "static/files"' in first["hugo.toml"]
    assert b"state: draft\ndraft: true\n" in first["ko/b.md"]
    assert "draft:" not in text
    assert hashlib.sha256(first["files/보고서.pdf"]).digest() == hashlib.sha256(PDF).digest()
    # Here nothing is sent or written again, although images were encoded again.
    before = {slug: post.version for slug, post in site.posts().items()}
    status, found, __ = load(site, tmp_path / "first")
    assert (found["uploads"], found["unchanged"]) == ({"sent": 0, "there": 4}, 2)
    assert found["ignoredFiles"] == 0
    assert {slug: post.version for slug, post in site.posts().items()} == before
    stamp = (tmp_path / "first/files/보고서.pdf").stat().st_mtime_ns
    assert site.export(tmp_path / "first") == first
    assert (tmp_path / "first/files/보고서.pdf").stat().st_mtime_ns == stamp
    # Elsewhere they are the same posts with the same uploads; a JPEG was encoded once more.
    other = make_site()
    status, found, __ = load(other, tmp_path / "first")
    assert (found["errors"], found["uploads"]) == ([], {"sent": 4, "there": 0})
    second = other.export(tmp_path / "second")
    lossy = {"files/photo.jpg", MANIFEST}
    assert {n: c for n, c in second.items() if n not in lossy} == {
        n: c for n, c in first.items() if n not in lossy
    }
    assert {str(upload.id) for upload in stored(other)} == {str(upload.id) for upload in stored(site)}
    # A file that is edited in the folder is another one.
    put(tmp_path / "first", {"files/photo.jpg": picture("black", "JPEG")})
    status, found, __ = load(site, tmp_path / "first")
    assert (found["uploads"]["sent"], found["changed"]) == (1, 2)
