"""An environment with a folder of content, and `familycorp content` on both: for tests of imports and exports."""

import asyncio
import itertools
import json
import logging
import os
import shutil
import signal
import uuid
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest
import yaml
from sqlalchemy import select
from typer.testing import CliRunner, Result

from app.core.database import engine
from app.core.http.problems import NotFound
from app.core.process import process
from app.core.settings import Settings
from app.core.settings import settings as app_settings
from app.posts.models import Post
from app.posts.publication import read_model
from familycorp_ops.cli import main
from familycorp_ops.local.provision import provision
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.valkey import Valkey
from familycorp_ops.testing.commands import empty_database

T = TypeVar("T")
REGIONS = (f"content-{os.getpid()}-{n}" for n in itertools.count())


class Site:
    """An environment of its own, a folder, and the command on both."""

    def __init__(self, directory: Path, ministack: MiniStack, valkey: Valkey, schema: Path) -> None:
        self.folder = directory / "site"
        self.folder.mkdir(parents=True)
        self.database = directory / "content.db"
        shutil.copy(schema, self.database)
        values = {
            "env": "test",
            "database_url": f"sqlite+aiosqlite:///{self.database}",
            # The environment's name makes the tables' names; the emulator keeps regions apart as AWS does.
            "aws_region": (region := next(REGIONS)),
            "uploads_bucket_name": f"uploads-{region}",
            "aws_endpoint_url": ministack.url,
            "cache_url": valkey.new_database(),
        }
        provision(Settings.model_validate(values))
        self.variables = {f"FAMILYCORP_{name.upper()}": value for name, value in values.items()}
        self.categories("news")

    def categories(self, *slugs: str) -> None:
        """Write the file of the categories."""
        said = [{"slug": slug, "name": {"ko": f"{slug} 소식", "en": slug}} for slug in slugs]
        (self.folder / "categories.yaml").write_text(yaml.safe_dump(said, allow_unicode=True), "utf-8")

    def write(self, name: str, body: str = "본문입니다.", **front: str) -> None:
        """Write a post's file."""
        slug = name.rpartition("/")[2].removesuffix(".md")
        said = {"title": f"제목 {slug}", "slug": slug, "lang": "ko", "category": "news", **front}
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        lines = "".join(f"{key}: {value}\n" for key, value in said.items())
        path.write_bytes(f"---\n{lines}---\n\n{body}\n".encode())

    def import_until(self, call: int, module: ModuleType, name: str) -> Result:
        """Import the folder, and interrupt that as Ctrl-C does at a call of a function, the first one being 1."""
        calls, whole = itertools.count(1), getattr(module, name)

        async def cut_off(*arguments: Any) -> Any:
            if next(calls) == call:
                signal.raise_signal(signal.SIGINT)
                await asyncio.Event().wait()  # The runner cancels all that runs.
            return await whole(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, name, cut_off)
            return self.run("content", "import", self.folder)

    def run(self, *arguments: str | Path, **variables: str) -> Result:
        """Run the command in this process."""
        return self._here(lambda: CliRunner().invoke(main, [str(a) for a in arguments], env=variables))

    def load(self, *options: str, folder: Path | None = None) -> Any:
        """Import the folder; return what the command prints."""
        ran = self.run("content", "import", folder or self.folder, "--json", *options)
        found = json.loads(ran.stdout)
        assert ran.exit_code == (1 if found["errors"] or found["problem"] else 0), ran.output  # noqa: S101
        return found

    def results(self, *options: str) -> dict[str, Any]:
        """Import the folder without errors; return what became of each post."""
        found = self.load(*options)
        assert found["errors"] == []  # noqa: S101
        return {f["slug"]: f["changes"] or f["result"] for f in found["files"]}

    def export(self, folder: Path) -> dict[str, bytes]:
        """Export everything into a folder; return its files."""
        ran = self.run("content", "export", folder)
        assert ran.exit_code == 0, ran.output  # noqa: S101
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def ask(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine of the application in this environment."""

        async def closed() -> T:
            try:
                return await work()
            finally:
                await process.disconnect()

        return self._here(lambda: asyncio.run(closed()))

    def posts(self) -> dict[str, Post]:
        """Return the posts that there are, by slug."""

        async def read() -> dict[str, Post]:
            async with engine.reading() as session:
                return {post.shown_slug: post for post in await session.scalars(select(Post))}

        return self.ask(read)

    def page(self, slug: str) -> Any:
        """Return the post as visitors read it, or None."""
        return self.pages([slug])[slug]

    def pages(self, slugs: Iterable[str]) -> dict[str, Any]:
        """Return posts as visitors read them."""

        async def read() -> dict[str, Any]:
            found = dict[str, Any]()
            for slug in slugs:
                try:
                    page = await read_model.page(slug)
                    assert isinstance(page, bytes)  # noqa: S101
                    found[slug] = json.loads(page)
                except NotFound:
                    found[slug] = None
            return found

        return self.ask(read)

    def _here(self, work: Callable[[], T]) -> T:
        """Do work in this process under this environment's settings, and leave no trace of them in it."""
        before, level = dict(os.environ), logging.getLogger("app").level
        os.environ |= {**CREDENTIALS, **self.variables}
        try:
            return work()
        finally:
            os.environ.clear()
            os.environ |= before
            logging.getLogger("app").setLevel(level)
            asyncio.run(process.close())
            app_settings.cache_clear()


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with all tables; a copy of it is there at once."""
    file = tmp_path_factory.mktemp("schema") / "content.db"
    file.write_bytes(empty_database())
    return file


@pytest.fixture
def make_site(tmp_path: Path, ministack: MiniStack, valkey: Valkey, schema: Path) -> Callable[[], Site]:
    """Return a maker of environments."""
    return lambda: Site(tmp_path / uuid.uuid4().hex[:8], ministack, valkey, schema)


@pytest.fixture
def site(make_site: Callable[[], Site]) -> Site:
    """Return an environment."""
    return make_site()
