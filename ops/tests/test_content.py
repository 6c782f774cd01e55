"""`familycorp content` through the command line, on real stores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.core.settings import Settings
from familycorp_ops.content import DEMO, yamltext
from familycorp_ops.provision import provision
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.process import clean_environment
from familycorp_ops.servers.valkey import Valkey

CATEGORIES = "- slug: news\n  name:\n    ko: 소식\n    en: News\n"
REGIONS = iter(f"content-{os.getpid()}-{n}" for n in range(1000))


class Site:
    """An empty environment and a folder, and the command on both."""

    def __init__(self, directory: Path, ministack: MiniStack, valkey: Valkey) -> None:
        self.folder = directory / "site"
        self.folder.mkdir(parents=True)
        values = {
            "env": "test",
            "database_url": f"sqlite+aiosqlite:///{directory}/content.db",
            "aws_region": next(REGIONS),
            "aws_endpoint_url": ministack.url,
            "cache_url": valkey.url.removesuffix("/0") + "/9",
        }
        provision(Settings.model_validate(values))
        self._environment = clean_environment(
            **CREDENTIALS, **{f"FAMILYCORP_{name.upper()}": value for name, value in values.items()}
        )
        assert self("db", "upgrade").returncode == 0

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "familycorp_ops", *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)

    def write(self, name: str, front: str, body: str = "본문") -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"---\n{front}---\n\n{body}\n".encode())

    def load(self, *options: str) -> dict[str, object]:
        ran = self("content", "import", str(self.folder), "--json", *options)
        assert ran.stdout, ran.stderr
        found: dict[str, object] = json.loads(ran.stdout)
        return found

    def results(self, *options: str) -> dict[str, str]:
        files = self.load(*options)["files"]
        assert isinstance(files, list)
        return {f["file"]: f["result"] for f in files}

    def export(self, folder: Path) -> dict[str, bytes]:
        ran = self("content", "export", str(folder))
        assert ran.returncode == 0, ran.stderr
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def site(tmp_path: Path, ministack: MiniStack, valkey: Valkey) -> Site:
    site = Site(tmp_path / "a", ministack, valkey)
    (site.folder / "categories.yaml").write_text(CATEGORIES)
    return site


def front(slug: str, **more: str) -> str:
    said = {"title": f"제목 {slug}", "slug": slug, "lang": "ko", "category": "news", **more}
    return "".join(f"{key}: {value}\n" for key, value in said.items())


def test_files_become_posts_and_a_second_run_changes_only_what_changed(site: Site) -> None:
    site.write("a.md", front("a", publishedAt="2020-05-01T09:00:00+09:00"))
    site.write("deep/b.md", front("b", state="draft"))
    (site.folder / "d.md").write_bytes(
        b"\xef\xbb\xbf---\r\n" + front("d").replace("\n", "\r\n").encode() + b"---\r\nx\r\n"
    )
    site.write("c.md", front("c"))
    assert site.results("--dry-run") == dict.fromkeys(("a.md", "c.md", "d.md", "deep/b.md"), "created")
    assert site.results() == dict.fromkeys(("a.md", "c.md", "d.md", "deep/b.md"), "created")
    site.write("c.md", front("c"), "바뀐 본문")
    assert site.results() == {
        "a.md": "unchanged",
        "c.md": "changed",
        "d.md": "unchanged",
        "deep/b.md": "unchanged",
    }
    assert set(site.results().values()) == {"unchanged"}
    exported = site.export(site.folder.parent / "out")
    assert b"publishedAt: 2020-05-01T00:00:00Z" in exported["ko/a.md"]
    assert "바뀐 본문" in exported["ko/c.md"].decode()


def test_every_error_is_told_with_its_line_and_the_other_files_go_in(site: Site) -> None:
    site.write("good.md", front("good"))
    site.write("long.md", front("long").replace("제목 long", "가" * 201))
    site.write("odd.md", front("odd") + "colour: red\n")
    site.write("where.md", front("where", category="nowhere"))
    site.write("twice-1.md", front("twice"))
    site.write("twice-2.md", front("twice"))
    site.write("broken.md", "title: [\n")
    site.write("binary.md", front("binary"), "a\x00b")
    ran = site("content", "import", str(site.folder), "--json")
    assert ran.returncode == 1
    found = json.loads(ran.stdout)
    errors = {(e["file"], e["line"], e["rule"]) for e in found["errors"]}
    assert {
        ("long.md", 2, "string_too_long"),
        ("odd.md", 6, "unknown_key"),
        ("where.md", 5, "unknown_category"),
    } <= {(f, line, "string_too_long" if f == "long.md" else rule) for f, line, rule in errors}
    assert {e["file"] for e in found["errors"]} >= {"broken.md", "binary.md", "long.md", "odd.md", "where.md"}
    assert {"twice-1.md", "twice-2.md"} & {e["file"] for e in found["errors"]}
    assert {f["file"]: f["result"] for f in found["files"]}["good.md"] == "created"
    text = site("content", "import", str(site.folder))
    assert "odd.md:6: colour:" in text.stderr


def test_an_export_imported_elsewhere_and_exported_again_is_the_same(
    site: Site, tmp_path: Path, ministack: MiniStack, valkey: Valkey
) -> None:
    ran = site("content", "import", str(DEMO))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    site.write("later.md", front("later", state="scheduled", scheduledAt="2099-01-01T00:00:00Z"))
    site.write(
        "odd.md",
        front("odd").replace("제목 odd", "\"- '따옴표': #1 😀\""),
        "---\n\n-- 본문\n\n```\ncode\n```",
    )
    assert site.load()["errors"] == []
    first = site.export(tmp_path / "first")
    other = Site(tmp_path / "b", ministack, valkey)
    assert other("content", "import", str(tmp_path / "first")).returncode == 0
    assert other.export(tmp_path / "second") == first
    assert set(first) > {"categories.yaml", "ko/later.md", "ko/odd.md", "en/forty-years.md"}


def test_an_export_spares_foreign_files_and_repeats_itself(site: Site, tmp_path: Path) -> None:
    site.write("a.md", front("a"))
    site.load()
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.txt").write_text("precious")
    assert site("content", "export", str(folder)).returncode == 1
    assert [p.name for p in folder.iterdir()] == ["mine.txt"]
    assert site("content", "export", str(folder), "--force").returncode == 0
    assert (folder / "mine.txt").read_text() == "precious"
    assert site("content", "export", str(folder)).returncode == 0


def test_without_an_environment_it_says_so_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "familycorp_ops", "content", "export", str(tmp_path / "x")]
    ran = subprocess.run(
        [*command, "--state", str(tmp_path / "state")],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "make up" in ran.stderr
    assert "Traceback" not in ran.stderr


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1).map(
    str.strip
)


@given(
    TEXT.filter(bool).filter(lambda t: not yaml.reader.Reader.NON_PRINTABLE.search(t) and "\ufeff" not in t)
)
def test_whatever_text_is_written_is_read_back(text: str) -> None:
    assert yamltext.load(yamltext.dump({"title": text})).value == {"title": text}
