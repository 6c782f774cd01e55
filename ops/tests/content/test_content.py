"""`familycorp content` through the command line, on real stores."""

import fcntl
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, select, text

from app.audit.models import AuditEntry
from app.auth.subject import Subject
from app.content.schemas import FilePost
from app.core.clock import now
from app.core.database import engine
from app.core.write_path import events, outbox
from app.functions.drain import run_due
from app.posts import commands as posts
from app.posts import queries
from app.posts.models import Post
from app.posts.schemas import PostUpdate, SearchQuery
from app.redirects import service as redirects
from app.uploads.models import Attachment
from familycorp_ops import environment
from familycorp_ops.content import DEMO, files
from familycorp_ops.content.manifest import NAME as MANIFEST
from familycorp_ops.servers.ministack import CREDENTIALS
from familycorp_ops.servers.process import clean_environment, free_port
from familycorp_ops.testing import content_site
from familycorp_ops.testing.content_site import Site

T = TypeVar("T")
EDITOR = Subject("editor-1", role="admin")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATES = ("draft", "scheduled", "published", "archived")
make_site, schema, site = content_site.make_site, content_site.schema, content_site.site


# -- importing ----------------------------------------------------------------------------------------------


def test_files_become_posts_as_if_an_editor_had_written_them(site: Site) -> None:
    site.write("a.md", "## 요약\n\n올해 매출실적이 늘었습니다.", publishedAt="2020-05-01T09:00:00+09:00")
    site.write("deep/er.md", state="draft")
    found = site.load()
    assert (found["created"], found["complete"]) == (2, True)
    page = site.page("a")
    assert page["publishedAt"] == "2020-05-01T00:00:00.000000Z"
    assert page["html"].startswith("<h2>요약</h2>")
    assert site.page("er") is None

    async def look() -> tuple[set[tuple[str, str]], set[str], int, int]:
        async with engine.reading() as session:
            entries = (await session.scalars(select(AuditEntry))).all()
            owed = await session.scalar(text("SELECT count(*) FROM outbox"))
        hits = json.loads(await queries.search(SearchQuery(q="실적")))["items"]
        return {(e.actor, e.action) for e in entries}, {e.correlation_id for e in entries}, owed, len(hits)

    actions, runs, owed, hits = site.ask(look)
    assert actions == {
        ("import", "category.created"),
        ("import", "content.imported"),
        ("import", "post.created"),
        ("import", "post.published"),
    }
    assert runs == {found["requestId"]}
    assert (owed, hits) == (0, 1)


def test_a_second_run_changes_only_what_changed(site: Site) -> None:
    at = "2020-05-01T09:00:00Z"
    for slug in "abcd":
        site.write(f"{slug}.md", publishedAt=at)
    assert site.results("--dry-run") == dict.fromkeys("abcd", "created")
    assert site.posts() == {}
    assert site.results() == dict.fromkeys("abcd", "created")
    before = site.posts()
    site.write("b.md", "바뀐 본문", publishedAt=at, tags="[하나, 2026]")
    site.write("c.md", publishedAt="2019-12-31T09:00:00Z")
    changed = {"a": "unchanged", "b": ["tags", "body"], "c": ["publishedAt"], "d": "unchanged"}
    assert site.results("--dry-run") == changed
    assert [p.version for p in site.posts().values()] == [p.version for p in before.values()]
    assert site.results() == changed
    assert set(site.results().values()) == {"unchanged"}
    after = site.posts()
    assert {slug: after[slug].revision for slug in "abcd"} == {"a": 1, "b": 2, "c": 2, "d": 1}
    assert [after[s].version for s in "ad"] == [before[s].version for s in "ad"]
    assert site.page("b")["tags"] == ["하나", "2026"]
    assert site.page("c")["publishedAt"].startswith("2019-12-31")


def test_an_unchanged_run_writes_nothing_and_asks_little(site: Site) -> None:
    for n in range(40):
        site.write(f"{n}.md")
    site.load()
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert set(site.results().values()) == {"unchanged"}
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    asked = [s for s in statements if not s.startswith(("BEGIN", "PRAGMA"))]
    assert all(s.startswith("SELECT") for s in asked)
    assert len(asked) <= 5


@pytest.mark.parametrize("first", STATES)
def test_a_post_goes_from_any_state_to_any(site: Site, first: str) -> None:
    extra = {"scheduled": {"scheduledAt": "2099-01-01T00:00:00Z"}}
    for then in STATES:
        site.write(f"{then}.md", state=first, **extra.get(first, {}))
    site.load()
    assert {post.state for post in site.posts().values()} == {first}
    for then in STATES:
        site.write(f"{then}.md", "새 본문", state=then, **extra.get(then, {}))
    site.load()
    found = site.posts()
    assert {slug: post.state for slug, post in found.items()} == {state: state for state in STATES}
    pages = site.pages(STATES)
    assert {slug for slug in STATES if pages[slug]} == {"published"}
    assert "새 본문" in pages["published"]["html"]
    assert bool(found["scheduled"].scheduled_at)
    assert set(site.results().values()) == {"unchanged"}


def test_what_moves_in_unpublished_was_public_never_but_keeps_its_time(site: Site) -> None:
    for state in ("draft", "archived"):
        site.write(f"{state}.md", state=state, publishedAt="2018-01-01T00:00:00+09:00")
    site.load()

    async def look() -> list[str]:
        async with engine.reading() as session:
            return list(await session.scalars(select(AuditEntry.action)))

    assert "post.published" not in site.ask(look)
    assert [site.page(s) for s in ("draft", "archived")] == [None, None]
    assert {p.first_published_at for p in site.posts().values()} == {datetime(2017, 12, 31, 15, tzinfo=UTC)}


def test_a_scheduled_file_whose_time_has_come_is_the_published_post(site: Site) -> None:
    soon = now() + timedelta(seconds=15)
    site.write("soon.md", state="scheduled", scheduledAt=soon.isoformat())
    site.write("past.md", state="scheduled", scheduledAt="2020-01-01T00:00:00Z")
    site.load()
    assert {s: p.state for s, p in site.posts().items()} == {"soon": "scheduled", "past": "published"}
    assert site.page("past")["publishedAt"].startswith("2020-01-01")
    time.sleep(max(0.0, (soon - now()).total_seconds()) + 0.1)
    assert site.ask(run_due)
    assert site.posts()["soon"].state == "published"
    assert set(site.results().values()) == {"unchanged"}


def test_an_interrupted_import_is_finished_by_the_next(site: Site) -> None:
    for n in range(9):
        site.write(f"{n}.md")
    ran = site.import_until(5, posts, "publish")
    assert ran.exit_code == 130
    assert "Interrupted" in ran.stderr
    assert sorted(p.state for p in site.posts().values()) == ["draft", *["published"] * 4]
    results = site.results()
    assert sorted(map(str, results.values())) == ["['state']"] + ["created"] * 4 + ["unchanged"] * 4
    assert all(site.pages(map(str, range(9))).values())


def test_a_killed_import_is_finished_by_the_next(site: Site) -> None:
    for n in range(40):
        site.write(f"{n}.md")
    command = [sys.executable, "-m", "familycorp_ops", "content", "import", str(site.folder)]
    run = subprocess.Popen(
        command, env=clean_environment(**CREDENTIALS, **site.variables), stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert "created" in next(run.stdout)
    time.sleep(0.1)
    run.send_signal(signal.SIGKILL)
    run.communicate()

    async def owed() -> tuple[int, list[str]]:
        async with engine.reading() as session:
            rows = await session.scalar(text("SELECT count(*) FROM outbox"))
        return rows or 0, await events.due_markers(now() + outbox.GRACE)

    # A wake-up marker has the scheduler do the rest.
    rows, markers = site.ask(owed)
    assert markers or not rows
    assert site.load()["complete"]
    assert site.ask(owed)[0] == 0
    assert all(site.pages(map(str, range(40))).values())
    assert set(site.results().values()) == {"unchanged"}


def test_both_names_of_markdown_files_are_read(site: Site) -> None:
    site.write("a.md")
    (site.folder / "a.md").rename(site.folder / "a.markdown")
    site.write("b.MD".lower(), title="둘")
    (site.folder / "b.md").rename(site.folder / "b.Markdown")
    site.write("c.md")
    (site.folder / "notes.txt").write_text("x")
    assert site.results() == dict.fromkeys(["a", "b", "c"], "created")
    assert site.results() == dict.fromkeys(["a", "b", "c"], "unchanged")
    assert site.load()["ignoredFiles"] == 1
    # Both say what one post is.
    site.write("a.md")
    assert {(e["file"], e["rule"]) for e in site.load()["errors"]} == {
        ("a.md", "duplicate_slug"),
        ("a.markdown", "duplicate_slug"),
    }


@pytest.mark.parametrize("others", [[], ["post.txt", "post.html", "post.mdx"], [".hidden.md"]])
@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_an_import_that_takes_no_file_fails(site: Site, others: list[str], options: list[str]) -> None:
    folder = site.folder / "elsewhere"
    folder.mkdir()
    for name in others:
        (folder / name).write_text("---\ntitle: x\n---\n")
    ran = site.run("content", "import", folder, *options)
    assert ran.exit_code == 1
    assert "Nothing was imported" in ran.stderr
    assert "*.markdown" in ran.stderr
    told = site.load(*options, folder=folder)
    assert "Nothing was imported" in told["problem"]
    assert told["complete"] is False
    # Categories alone are something.
    shutil.copy(site.folder / "categories.yaml", folder)
    assert site.run("content", "import", folder, *options).exit_code == 0


@pytest.fixture
def begin() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a starter of imports as processes of their own; none outlives the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(site: Site, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "familycorp_ops", "content", "import", str(site.folder), *options]
        environment = clean_environment(**CREDENTIALS, **site.variables)
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True))
        return begun[-1]

    yield start
    for run in begun:
        run.kill()
        with run:
            pass


def test_a_second_import_at_once_is_refused_until_the_first_ends_or_dies(
    site: Site, begin: Callable[..., subprocess.Popen[str]]
) -> None:
    for n in range(40):
        site.write(f"{n}.md")
    run = begin(site)
    assert run.stdout is not None
    assert "created" in next(run.stdout)
    run.send_signal(signal.SIGSTOP)
    refused = begin(site, "--json")
    told = json.loads(refused.communicate()[0])
    assert (refused.returncode, told["created"], told["complete"]) == (1, 0, False)
    assert "Another import is running" in told["problem"]
    # Looking changes nothing, and is refused to nobody.
    looking = begin(site, "--dry-run")
    looking.communicate()
    assert looking.returncode == 0
    run.send_signal(signal.SIGKILL)
    run.communicate()
    again = begin(site)
    again.communicate()
    assert again.returncode == 0
    assert set(site.results().values()) == {"unchanged"}


def test_an_edit_during_an_import_is_neither_lost_nor_overwritten(site: Site) -> None:
    for name in ("a", "b"):
        site.write(f"{name}.md")
    site.load()
    for name in ("a", "b"):
        site.write(f"{name}.md", "새 글")
    update = posts.update

    async def interfered(
        post_id: uuid.UUID, request: PostUpdate, expected: int, actor: Subject, **more: Any
    ) -> Any:
        if actor.id == "import" and getattr(request, "slug", "") == "a":
            await update(post_id, request.model_copy(update={"body": "편집자의 글"}), expected, EDITOR)
        return await update(post_id, request, expected, actor, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posts, "update", interfered)
        told = site.load()
    assert [(e["file"], e["rule"]) for e in told["errors"]] == [("a.md", "precondition_failed")]
    assert "during the import" in told["errors"][0]["message"]
    assert "새 글" in site.page("b")["html"]

    async def newest() -> str:
        found = await queries.read(site_posts["a"].id, EDITOR)
        return found.body

    site_posts = site.posts()
    assert site.ask(newest) == "편집자의 글"


def test_what_an_editor_did_meanwhile_is_kept(site: Site) -> None:
    site.write("edited.md")
    site.write("illustrated.md")
    site.load()
    picture = uuid.uuid4()

    async def edit() -> None:
        async with engine.writing() as session:
            session.add(
                Attachment(
                    id=picture, name="a.png", content_type="image/png", size=1, object_key="files/a",
                    created_by="editor-1", created_at=now(),
                )
            )  # fmt: skip
        there = {p.slug: p for p in await read_all()}
        for slug, change in (
            ("edited", {"body": "아직 아무도 못 본 글"}),
            ("illustrated", {"thumbnail": picture}),
        ):
            post = there[slug]
            said = {"title": f"제목 {slug}", "body": "본문입니다.", "category": "news", **change}
            written = await posts.update(post.id, PostUpdate.model_validate(said), post.version, EDITOR)
            if slug == "illustrated":
                await posts.publish(post.id, written.version, EDITOR)

    async def read_all() -> list[Post]:
        async with engine.reading() as session:
            return list(await session.scalars(select(Post)))

    site.ask(edit)
    # The edited post's file says what is public; nobody asked for more.
    assert site.results() == {"edited": "unchanged", "illustrated": "unchanged"}
    ran = site.run("content", "export", site.folder.parent / "out")
    assert "pictures and attachments aren't in the storage" in ran.stdout
    assert "1 posts have edits that aren't published" in ran.stdout
    assert "아직" not in (site.folder.parent / "out/ko/edited.md").read_text("utf-8")
    site.write("illustrated.md", "새 본문")
    assert site.results()["illustrated"] == ["body"]
    assert site.page("illustrated")["thumbnail"]["id"] == str(picture)


def test_translations_find_each_other(site: Site) -> None:
    def links(*slugs: str) -> list[list[str]]:
        return [[t["slug"] for t in page["translations"]] for page in site.pages(slugs).values()]

    site.write("ko/a.md", translationKey="first")
    site.write("en/b.md", lang="en", translationKey="first")
    site.write("ko/c.md")
    site.load()
    assert links("a", "b", "c") == [["b"], ["a"], []]
    # A file that has an error, or isn't there, doesn't part the others.
    (site.folder / "en/b.md").write_text("---\nbroken")
    assert {f["slug"]: f["result"] for f in site.load()["files"]}["a"] == "unchanged"
    assert links("a") == [["b"]]
    site.write("en/b.md", lang="en", translationKey="first")
    assert set(site.results().values()) == {"unchanged"}
    # Another partner.
    site.write("ko/c.md", translationKey="first")
    site.write("ko/a.md")
    site.load()
    assert site.load()["errors"] == []
    assert links("a", "b", "c") == [[], ["c"], ["b"]]
    # None.
    site.write("en/b.md", lang="en")
    site.write("ko/c.md")
    site.load()
    assert links("b", "c") == [[], []]
    assert set(site.results().values()) == {"unchanged"}


def test_categories_come_in_their_order_and_none_is_lost(site: Site) -> None:
    site.categories("news", "ir")
    assert site.load()["categories"] == ["news created", "ir created"]
    site.categories("ir", "notices")
    said = (site.folder / "categories.yaml").read_text("utf-8").replace("ko: ir 소식", "ko: 투자 정보")
    (site.folder / "categories.yaml").write_text(said, "utf-8")
    changes = ["ir renamed", "notices created", "reordered"]
    assert site.load("--dry-run")["categories"] == changes
    assert site.load()["categories"] == changes
    assert site.load()["categories"] == []
    exported = site.export(site.folder.parent / "out")["categories.yaml"]
    assert [(c["slug"], c["name"]["ko"]) for c in yaml.safe_load(exported)] == [
        ("ir", "투자 정보"), ("notices", "notices 소식"), ("news", "news 소식"),
    ]  # fmt: skip


def test_a_site_of_another_generator_moves_in_and_its_addresses_lead_to_the_posts(
    site: Site, make_site: Callable[[], Site], tmp_path: Path
) -> None:
    hugo = tmp_path / "hugo"
    for name, content in {
        "hugo.toml": 'baseURL = "https://example.com/"\ndefaultContentLanguage = "ko"\n',
        "content/notices/one.md": (
            "---\ntitle: 하나\ndate: 2019-05-03 09:00\naliases: [/old]\ncategories: [공지]\n---\n본문\n"
        ),
        "content/notices/two.md": "---\ntitle: 둘\ndate: 2019-05-04\nmood: good\n---\n{{< map >}}본문\n",
    }.items():
        (hugo / name).parent.mkdir(parents=True, exist_ok=True)
        (hugo / name).write_text(content, "utf-8")
    page = tmp_path / "report.html"
    dry = site.run("content", "import", hugo, "--dry-run", "--report", page, LANGUAGE="ko")
    assert dry.exit_code == 1, dry.output
    assert "hugo.toml" in dry.stdout
    assert "content/notices/two.md:6: map: {{< map >}}" in dry.stdout
    assert "content/notices/two.md:4" in page.read_text("utf-8")
    assert site.posts() == {}
    (tmp_path / "map.toml").write_text('[keys]\nmood = ""\n[shortcodes]\nmap = ""\n', "utf-8")
    options = (hugo, "--map", tmp_path / "map.toml")
    ran = site.run("content", "import", *options, "--json")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["created"] == 2
    assert site.page("one")["publishedAt"].startswith("2019-05-03T00:00:00")
    assert site.page("one")["category"] == "gongji"

    async def moved() -> list[str]:
        return [await redirects.location(path) for path in ("/notices/one/", "/old", "/notices/two/")]

    assert site.ask(moved) == ["/ko/posts/one", "/ko/posts/one", "/ko/posts/two"]
    again = json.loads(site.run("content", "import", *options, "--json").stdout)
    assert again["unchanged"] == 2
    # A redirect that somebody removed is there again, and nothing else is written.
    site.ask(_without_redirects)
    again = json.loads(site.run("content", "import", *options, "--json").stdout)
    assert [f["changes"] for f in again["files"]] == [["aliases"], ["aliases"]]
    assert {post.revision for post in site.posts().values()} == {1}
    exported, other = site.export(tmp_path / "out"), make_site()
    assert b"aliases:\n- /notices/one/\n- /old\n" in exported["ko/one.md"]
    assert other.load(folder=tmp_path / "out")["errors"] == []
    assert other.export(tmp_path / "again") == exported
    for wrong in (["--timezone", "Korea/Seoul"], ["--from", "word"], ["--map", hugo / "hugo.toml"]):
        assert site.run("content", "import", hugo, *wrong).exit_code != 0


def test_an_import_is_taken_back_but_for_what_somebody_has_changed_since(site: Site) -> None:
    for name in ("kept", "mine", "gone", "draft"):
        site.write(f"{name}.md", state="draft" if name == "draft" else "published")
    (site.folder / "gone.md").write_text(
        (site.folder / "gone.md").read_text("utf-8").replace("lang: ko", "lang: ko\naliases: [/old]"), "utf-8"
    )
    (site.folder / "mine.md").rename(site.folder.parent / "mine.md")
    site.load()
    shutil.move(site.folder.parent / "mine.md", site.folder)
    # What existed before a job isn't the job's.
    second = site.load()["requestId"]
    undone = json.loads(site.run("content", "undo", second, "--json").stdout)
    assert undone == {"withdrawn": ["mine"], "kept": [], "redirects": 0}
    first = site.ask(_first_job)

    async def edit() -> None:
        said = {"title": "새 제목", "body": "편집자의 글", "category": "news"}
        await posts.update(kept.id, PostUpdate.model_validate(said), kept.version, EDITOR)

    kept = site.posts()["kept"]
    site.ask(edit)
    ran = site.run("content", "undo", first, "--json")
    undone = json.loads(ran.stdout)
    assert ran.exit_code == 1
    assert (sorted(undone["withdrawn"]), undone["kept"], undone["redirects"]) == (
        ["draft", "gone"],
        ["kept"],
        1,
    )
    assert {slug: post.state for slug, post in site.posts().items()} == {
        "kept": "published", "mine": "archived", "gone": "archived", "draft": "archived",
    }  # fmt: skip
    assert site.page("gone") is None
    again = json.loads(site.run("content", "undo", first, "--json").stdout)
    assert again["withdrawn"] == []
    assert "No import" in site.run("content", "undo", str(uuid.uuid4())).output


async def _first_job() -> str:
    async with engine.reading() as session:
        query = (
            select(AuditEntry.target).where(AuditEntry.action == "content.imported").order_by(AuditEntry.id)
        )
        targets = list(await session.scalars(query))
    return targets[0].partition(":")[2]


async def _without_redirects() -> None:
    async with engine.writing() as session:
        await session.execute(text("DELETE FROM redirects"))


# -- errors -------------------------------------------------------------------------------------------------


def test_every_error_is_reported_with_its_line_and_the_other_files_are_imported(site: Site) -> None:
    head = "---\ntitle: 제목\nslug: {}\nlang: ko\ncategory: news\n"
    bad: dict[str, tuple[str | bytes, tuple[int, str | None, str]]] = {
        "no-front-matter.md": ("본문", (1, None, "front_matter")),
        "endless.md": ("---\ntitle: a\n", (1, None, "front_matter")),
        "yaml.md": ("---\ntitle: a\ntags: [a\nslug: b\n---\n", (4, None, "yaml_syntax")),
        "twice.md": (head.format("t") + "lang: en\n---\n", (6, None, "duplicate_key")),
        "alias.md": (head.format("l") + "tags: &x [*x]\n---\n", (6, None, "alias")),
        "unknown.md": (head.format("u") + "published_at: x\n---\n", (6, "published_at", "unknown_key")),
        "missing.md": ("---\ntitle: a\nslug: missing\ncategory: news\n---\n", (2, "lang", "missing")),
        "long.md": (
            f"---\nslug: long\ntitle: {'가' * 201}\nlang: ko\ncategory: news\n---\n",
            (3, "title", "string_too_long"),
        ),
        "tag.md": (head.format("g") + "tags:\n- a\n- \n---\n", (8, "tags.1", "string_type")),
        "where.md": (
            "---\ntitle: a\nslug: where\nlang: ko\ncategory: nowhere\n---\n",
            (5, "category", "unknown_category"),
        ),
        "when.md": (
            head.format("w") + "publishedAt: 2020-01-01\n---\n",
            (6, "publishedAt", "timezone_aware"),
        ),
        "future.md": (
            head.format("f") + "publishedAt: 2099-01-01T00:00:00Z\n---\n",
            (6, "publishedAt", "in_the_future"),
        ),
        "unscheduled.md": (
            head.format("s") + "state: scheduled\n---\n",
            (2, "scheduledAt", "scheduled_at"),
        ),
        "control.md": (head.format("c") + "---\n\none\ntwo \a\n", (9, "body", "forbidden_character")),
        "huge.md": (head.format("h") + "---\n\n" + "&" * 55_000, (7, "body", "too_long_rendered")),
        "signs.md": (head.format("signs") + "---\n\n" + "<" * 90_000, (7, "body", "too_complex")),
        "tags.md": (head.format("tags") + "---\n\n" + "<b>" * 5_001, (7, "body", "too_complex")),
        "utf8.md": (b"---\ntitle: \xff\n---\n", (2, None, "utf8")),
    }  # fmt: skip
    for name, (content, _) in bad.items():
        (site.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    site.write("one/same.md")
    site.write("two/same.md")
    site.write("ko.md", translationKey="k")
    site.write("ko2.md", translationKey="k")
    site.write("good.md")
    (site.folder / "picture.png").touch()
    expected = {(name, *where) for name, (_, where) in bad.items()} | {
        ("one/same.md", 3, "slug", "duplicate_slug"),
        ("two/same.md", 3, "slug", "duplicate_slug"),
        ("ko.md", 6, "translationKey", "translation_exists"),
        ("ko2.md", 6, "translationKey", "translation_exists"),
    }
    for option in (["--dry-run"], []):
        found = site.load(*option)
        told = {(e["file"], e["line"], e["field"], e["rule"]) for e in found["errors"]}
        assert told >= expected, expected - told
        assert {name for name, *_ in told} == {name for name, *_ in expected}
        assert (found["created"], found["failed"], found["ignoredFiles"]) == (1, 22, 1)
    assert set(site.posts()) == {"good"}
    ran = site.run("content", "import", site.folder)
    assert ran.exit_code == 1
    assert "unknown.md:6: published_at: isn't a key of the front matter; is publishedAt meant?" in ran.stderr
    assert re.search(r"failed\s*│ 22", ran.stdout)


def test_categories_with_an_error_are_left_and_said(site: Site) -> None:
    (site.folder / "categories.yaml").write_text("- slug: news\n  name: {ko: 소식}\n- slug: News\n", "utf-8")
    site.write("a.md")
    found = site.load()
    told = {(e["file"], e["line"], e["field"]) for e in found["errors"]}
    assert told == {
        ("categories.yaml", 2, "0.name.en"), ("categories.yaml", 3, "1.slug"),
        ("categories.yaml", 3, "1.name"), ("a.md", 5, "category"),
    }  # fmt: skip


def test_windows_files_are_read(site: Site) -> None:
    site.write("a.md", "한 줄\n\n두 줄")
    data = (site.folder / "a.md").read_bytes()
    (site.folder / "a.md").write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    site.load()
    site.write("a.md", "한 줄\n\n두 줄")
    assert site.results() == {"a": "unchanged"}


def test_a_posts_language_is_fixed_and_its_state_is_what_an_editor_left(site: Site) -> None:
    site.write("a.md")
    site.load()
    site.write("a.md", lang="en")
    assert [(e["line"], e["rule"]) for e in site.load()["errors"]] == [(4, "lang_fixed")]
    assert "이 게시물의 언어는 ko이며" in site.run("content", "import", site.folder, LANGUAGE="ko").output


def test_an_outage_ends_the_command_with_a_sentence_and_the_next_finishes(site: Site) -> None:
    site.write("a.md")
    elsewhere = f"http://127.0.0.1:{free_port()}"
    variables = site.variables
    site.variables = {**variables, "FAMILYCORP_AWS_ENDPOINT_URL": elsewhere}
    found = site.load()
    assert found["problem"].startswith("DynamoDB doesn't respond")
    assert not found["complete"]
    ran = site.run("content", "import", site.folder)
    assert (ran.exit_code, "Traceback" in ran.output) == (1, False)
    site.variables = {**variables, "FAMILYCORP_DATABASE_URL": f"sqlite+aiosqlite:///{site.folder}/new.db"}
    assert "familycorp db upgrade" in site.load()["problem"]
    site.variables = {**variables, "FAMILYCORP_ENVIRONMENT": "x"}
    assert "FAMILYCORP_ENVIRONMENT" in site.load()["problem"]
    site.variables = variables
    assert site.load()["complete"]


def test_without_variables_it_takes_the_environment_of_this_machine(site: Site, tmp_path: Path) -> None:
    site.write("a.md")
    state, variables = tmp_path / "state", site.variables
    options = ["--state", str(state)]
    site.variables = {}
    for found in (site.load(*options), site.load(*options, "--dry-run")):
        assert "make up" in found["problem"]
    state.mkdir()
    (state / environment.SETTINGS).write_text(json.dumps(variables))
    with (state / environment.LOCK).open("w") as lock:
        assert "make up" in site.load(*options)["problem"]
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert site.load(*options)["created"] == 1
    # Reading needs nothing but the database's file.
    assert "make up" in site.load(*options)["problem"]
    shutil.copy(site.database, state / environment.DATABASE)
    assert site.load(*options, "--dry-run")["unchanged"] == 1
    assert site.run("content", "export", tmp_path / "out", *options).exit_code == 0
    assert (tmp_path / "out/ko/a.md").exists()


# -- exporting ----------------------------------------------------------------------------------------------


ODD = ("- a", "a: b", "#", "'", '"', "null", "~", "2026", "yes", "---", "가", "😀", "{", "&x", "한\u3000글")


def line(most: int) -> st.SearchStrategy[str]:
    kept = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"))
    return st.text(kept, max_size=most) | st.sampled_from(ODD)


POSTS = st.fixed_dictionaries(
    {
        "title": line(200),
        "slug": st.from_regex(r"[a-z0-9가-힣]{1,40}(-[a-z0-9가-힣]{1,40}){0,2}", fullmatch=True),
        "lang": st.sampled_from(["ko", "en"]),
        "category": st.just("news"),
        "tags": st.lists(line(50), max_size=5, unique=True),
        "excerpt": line(500),
        "body": st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])),
        "state": st.sampled_from(["draft", "published", "archived"]),
        "publishedAt": st.none() | st.integers(0, 10**15).map(lambda us: EPOCH + timedelta(microseconds=us)),
        "translationKey": st.none() | line(50),
    }
)


def valid(said: dict[str, Any]) -> FilePost | None:
    try:
        return FilePost.model_validate(said)
    except ValueError:
        return None


SOUND = POSTS.map(valid).filter(lambda post: post is not None)


@given(SOUND)
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_every_post_is_read_back_from_its_file(tmp_path: Path, post: FilePost) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(files.write_post(post))
    read = files.read_post(path, "a.md")
    assert read.faults == []
    assert read.post == post
    assert files.write_post(read.post) == path.read_bytes()


@given(st.binary() | st.text().map(lambda t: f"---\n{t}\n---\n".encode()))
@example(b"---\n" + b"[" * 100_000 + b"\n---\n")
@example(b"---\na: !!python/object/apply:os.abort []\n---\n")
@example(b"---\n? [a]\n: b\n---\n")
@example(b"---\n%YAML 9.9\n---\n")
@example(b"\r(")
@example(b"---\rtitle: [\r\n\r---\r")
@example(b"\r\r\xff")
@example(b"a: b\f\x0bc: [\x85\xc2\x85d: {\r")
@example("---\na: b\u2028c: [\n---\n".encode())
@example("- slug: a\u2028- slug: a\u2028".encode())
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_any_content_of_a_file_is_an_error_at_worst(tmp_path: Path, data: bytes) -> None:
    for name, read in (("a.md", lambda p: files.read_post(p, "a")), ("a.yaml", files.read_categories)):
        (tmp_path / name).write_bytes(data)
        source = read(tmp_path / name)
        last = len(re.findall(rb"\r\n?|\n", data)) + 1
        assert all(1 <= fault.line <= last for fault in source.faults)
        assert source.faults or source.post or name == "a.yaml"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_is_what_an_editor_counts_as_one(tmp_path: Path, end: str) -> None:
    for third in (b"\xff\xfe\xff", b"a: ["):
        data = end.join(["- slug: 'a\u2028\u2029\x85'", "  name: {ko: a, en: a}", ""]).encode() + third
        (tmp_path / "a.yaml").write_bytes(data)
        assert [fault.line for fault in files.read_categories(tmp_path / "a.yaml").faults] == [3]


def test_an_export_imported_elsewhere_and_exported_again_is_the_same(
    make_site: Callable[[], Site], tmp_path: Path
) -> None:
    one, other = make_site(), make_site()
    one.write("later.md", state="scheduled", scheduledAt="2099-01-01T00:00:00.5+09:00")
    one.write(
        "gone.md", "---\n\n-- 본문\n\n```\ncode\n```", state="archived", publishedAt="2001-02-03T04:05:06Z"
    )
    one.write(
        "odd.md", title="\"- '따옴표': #1 😀\"", tags="[yes, '2026', 'a, b']", excerpt=">\n  접힌\n  글"
    )
    one.write(f"{'가' * 120}.md".replace("가" * 120, "long"), slug="가" * 120)
    assert one.load()["errors"] == []
    assert one.load(folder=DEMO)["errors"] == []
    first = one.export(tmp_path / "first")
    assert other.load(folder=tmp_path / "first")["errors"] == []
    assert other.export(tmp_path / "second") == first
    assert len(first) == 3 + len(one.posts())
    assert re.fullmatch(
        "---\ntitle: '- ''따옴표'': #1 😀'\nslug: odd\nlang: ko\ncategory: news\ntags:\n- 'yes'\n- '2026'\n- a, b\n"
        "excerpt: 접힌 글\nstate: published\npublishedAt: 20[0-9T:.-]+Z\n---\n\n본문입니다.\n",
        first["ko/odd.md"].decode(),
    )
    # And into the environment where it came from.
    assert one.load(folder=tmp_path / "first")["changed"] == 0


def test_posts_and_their_redirects_are_delivered_together(site: Site) -> None:
    for n in range(6):
        site.write(f"{n}.md", aliases=f"[/old/{n}.html]")
    deliveries, drain = itertools.count(), outbox.drain

    async def counted() -> bool:
        next(deliveries)
        return await drain()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "drain", counted)
        site.load()
    # Of the category, of the posts, and of what an earlier import left.
    assert next(deliveries) == 3
    assert site.ask(lambda: redirects.location("/old/5.html")) == "/ko/posts/5"


def test_redirects_go_out_and_come_in_again(make_site: Callable[[], Site], tmp_path: Path) -> None:
    one, other = make_site(), make_site()
    former = [f"/old/{n}.html" for n in range(25)]
    one.write("a.md", aliases=json.dumps([*former, "/100%25 odd"]))
    one.load()
    listed = tmp_path / "listed.csv"
    listed.write_text(
        'path,target\n/about.php,/ko/about\n"/a,b",/x\n/%2541,/y?q=%25\n/chain,/about.php\n', "utf-8"
    )
    assert one.run("redirects", "import", listed).exit_code == 0
    first = one.export(tmp_path / "first")
    assert first["redirects.csv"].decode() == (
        'path,target\n/about.php,/ko/about\n"/a,b",/x\n/%2541,/y?q=%25\n/chain,/ko/about\n'
    )
    assert "- /old/24.html\n- /100%25 odd\n" in first["ko/a.md"].decode()

    def come(*options: str) -> tuple[dict[str, int], list[int]]:
        found = other.load(*options, folder=tmp_path / "first")
        return found["redirects"], [error["line"] for error in found["errors"]]

    assert come("--dry-run") == ({"created": 4, "changed": 0, "unchanged": 0}, [])
    assert come() == ({"created": 4, "changed": 0, "unchanged": 0}, [])
    assert come() == ({"created": 0, "changed": 0, "unchanged": 4}, [])
    assert other.export(tmp_path / "second") == first

    assert other.ask(lambda: redirects.location("/old/24.html")) == "/ko/posts/a"
    assert other.ask(lambda: redirects.location("/%41")) == "/y?q=%25"
    # A line with an error is reported; the others are taken.
    with (tmp_path / "first/redirects.csv").open("a", encoding="utf-8") as file:
        file.write("/one\nnot a path,/x\n/x,/a%2Cb\n/new,/ko/new\n/old/1.html,/ko/company\n")
    assert come("--dry-run") == ({"created": 1, "changed": 1, "unchanged": 4}, [6, 7, 8])
    assert come() == ({"created": 1, "changed": 1, "unchanged": 4}, [6, 7, 8])
    # What an import created is taken back, redirects of the file among it.
    third = make_site()
    job = third.load(folder=tmp_path / "second")["requestId"]
    assert "30 redirects deleted" in third.run("content", "undo", job).stdout


def test_an_export_replaces_its_own_files_and_no_others(site: Site, tmp_path: Path) -> None:
    site.write("a.md", state="draft")
    site.load()
    folder, precious = tmp_path / "out", tmp_path / "precious.md"
    folder.mkdir()
    for path in (folder / "mine.txt", precious):
        path.write_text("precious")
    ran = site.run("content", "export", folder)
    assert (ran.exit_code, [p.name for p in folder.iterdir()]) == (1, ["mine.txt"])
    assert "--force" in ran.stderr
    assert site.run("content", "export", folder, "--force").exit_code == 0
    # Its list of files may have been tampered with.
    (folder / MANIFEST).write_text(
        (folder / MANIFEST).read_text() + "ko/../../precious.md\nko/..\nfiles/..\nmine.txt\n"
    )

    async def rename() -> None:
        async with engine.writing() as session:
            await session.execute(text("UPDATE posts SET slug = 'b'"))

    site.ask(rename)
    ran = site.run("content", "export", folder)
    assert "1 files of an earlier export were removed" in ran.stdout
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        MANIFEST, "categories.yaml", "hugo.toml", "ko/b.md", "mine.txt",
    ]  # fmt: skip
    assert (folder / "mine.txt").read_text() == precious.read_text() == "precious"


def test_the_demonstration_shows_what_there_is(site: Site) -> None:
    found = site.load(folder=DEMO)
    assert found["errors"] == []
    assert {p.state for p in site.posts().values()} >= {"published", "draft", "archived"}
    assert {p.lang for p in site.posts().values()} == {"ko", "en"}
    assert {r["result"] for r in site.load(folder=DEMO)["files"]} == {"unchanged"}
