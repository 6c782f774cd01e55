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
from app.uploads import moving
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
            "static/실적.pdf": PDF,
            "content/news/one/index.md": (
                "---\ntitle: 하나\ndate: 2019-05-03\ncover: cake.jpg\n---\n"
                '![케이크](cake.jpg) ![현장](</img/시공 현장.png> "제목")\n\n'
                "[실적](/site/보고서.pdf) [![작은](small.png)](cake.jpg)\n\n"
                "![없음](gone.png) ![로고](/img/logo.svg) ![거짓](fake.png) [밖](../../../../out.pdf)\n\n"
                '`![](cake.jpg)` <img src="https://example.com/site/img/%EC%8B%9C%EA%B3%B5%20현장.png" alt="또">\n\n'
                '<a class="b" href="/site/실적.pdf">실적 <b>표</b></a> <a href="https://example.org/x.pdf">밖</a>\n'
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
    assert (status, dry["uploads"], left_out) == (1, {"sent": 6, "there": 0}, expected)
    assert uploads(site) == {}
    status, found, left_out = load(site, hugo)
    assert (status, found["errors"], found["created"]) == (1, [], 1)
    assert left_out == expected | {("content/news/one/index.md", 10, "fake.png")}
    there = uploads(site)
    assert set(there) == {"cake.jpg", "시공 현장.png", "small.jpg", "보고서.pdf", "실적.pdf"}
    one = revisions(site)["one"]
    assert one.body == (
        f'![케이크](upload:{there["cake.jpg"]}) ![현장](upload:{there["시공 현장.png"]} "제목")\n\n'
        f"실적 ![작은](upload:{there['small.jpg']})\n\n없음 로고 거짓 밖\n\n"
        f'`![](cake.jpg)` <img src="upload:{there["시공 현장.png"]}" alt="또">\n\n'
        '실적 <b>표</b> <a href="https://example.org/x.pdf">밖</a>'
    )
    assert one.thumbnail is not None
    assert one.thumbnail["id"] == there["cake.jpg"]
    assert [file["name"] for file in one.attachments] == ["보고서.pdf", "cake.jpg", "실적.pdf"]
    assert site.page("one")["html"].count("<picture>") == 4
    status, again, left_out_again = load(site, hugo)
    assert (status, again["uploads"], again["unchanged"]) == (1, {"sent": 0, "there": 5}, 1)
    assert left_out_again == left_out
    assert uploads(site) == there
    # Why a file was rejected is said in the language of the command.
    ran = site.run("content", "import", hugo, LANGUAGE="ko")
    assert "fake.png: 파일이 손상되었거나" in ran.output


def test_interrupted_uploads_are_finished_by_the_next(site: Site) -> None:
    for n in range(9):
        put(site.folder, {f"{n}.png": picture("red", size=(8, 8 + n))})
        site.write(f"{n}.md", f"![]({n}.png)")
    ran = site.import_until(6, moving, "expect")
    assert (ran.exit_code, "Interrupted" in ran.stderr) == (130, True)
    assert site.posts() == {}
    arrived = len(stored(site))
    assert 0 < arrived < 9
    __, found, left_out = load(site, site.folder)
    assert (found["created"], found["uploads"], left_out) == (
        9, {"sent": 9 - arrived, "there": arrived}, set(),
    )  # fmt: skip
    assert len(stored(site)) == 9


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


def test_an_export_for_wordpress_comes_in_again(make_site: Callable[[], Site], tmp_path: Path) -> None:
    one, other = make_site(), make_site()
    put(one.folder, {"시공 현장.png": picture("red"), "doc/보고서.pdf": PDF, "cover.png": picture("blue")})
    one.write(
        "a.md",
        "첫 줄\n둘째 줄 `]]>`\n\n![현장](</시공 현장.png>)\n\n| 가 | 나 |\n| --- | --- |\n| 1 | 2 |",
        title="'<b>&amp; ]]> \"따옴표\"'",
        slug="창립-40주년",
        tags="[회사, 'a, b']",
        excerpt="소개 & 요약",
        thumbnail="cover.png",
        attachments="[doc/보고서.pdf]",
        publishedAt="2019-05-03T09:00:00+09:00",
        translationKey="founding",
    )
    one.write("en.md", "Text", lang="en", translationKey="founding", publishedAt="2019-05-04T00:00:00Z")
    one.write("later.md", state="scheduled", scheduledAt="2099-01-01T00:00:00Z")
    one.write("gone.md", state="archived")
    one.write("idea.md", "![현장](</시공 현장.png>)", state="draft")
    assert one.load()["errors"] == []
    ran = one.run("content", "export", tmp_path / "out", "--wxr", "https://example.com/archive/")
    assert ran.exit_code == 0, ran.output
    text = (tmp_path / "out/wordpress.xml").read_text("utf-8")
    assert "<wp:wxr_version>1.2</wp:wxr_version>" in text
    assert text.count("<wp:post_type>attachment</wp:post_type>") == 3
    # The folder is still one of this service; WordPress's is what it is said to be.
    assert one.load(folder=tmp_path / "out")["ignoredFiles"] == 0
    status, found, left_out = load(other, tmp_path / "out", "--from", "wordpress")
    assert (status, found["errors"], left_out) == (0, [], set())
    assert found["uploads"] == {"sent": 3, "there": 0}
    before, after, stored_posts = revisions(one), revisions(other), other.posts()
    assert {slug: post.state for slug, post in stored_posts.items()} == {
        "창립-40주년": "published", "en": "published", "later": "scheduled", "gone": "draft", "idea": "draft",
    }  # fmt: skip
    assert {p.category for p in stored_posts.values()} == {"news"}
    assert len({stored_posts[slug].translation_key for slug in ("창립-40주년", "en")}) == 1
    assert [stored_posts[s].lang for s in ("창립-40주년", "en")] == ["ko", "en"]
    assert stored_posts["later"].scheduled_at == one.posts()["later"].scheduled_at
    mine, theirs = before["창립-40주년"], after["창립-40주년"]
    assert stored_posts["창립-40주년"].first_published_at == one.posts()["창립-40주년"].first_published_at
    for name in ("title", "tags", "excerpt"):
        assert getattr(theirs, name) == getattr(mine, name)
    # Ids of pictures follow from their content, which is the same.
    there = uploads(other)
    assert theirs.body.split("\n\n")[:2] == [
        "첫 줄\n둘째 줄 `]]>`", f"![현장](upload:{there['시공 현장.png']})",
    ]  # fmt: skip
    assert "| 1 | 2 |" in theirs.body
    assert theirs.thumbnail is not None
    assert theirs.thumbnail["id"] == there["cover.png"]
    assert [file["name"] for file in theirs.attachments] == ["보고서.pdf"]
    # Without the option a later export takes the file away.
    one.export(tmp_path / "out")
    assert not (tmp_path / "out/wordpress.xml").exists()
