"""`familycorp db`: the relational schema."""

import os
import re
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from app.core.settings import Settings

app = typer.Typer(
    help="Bring the relational schema up to date, and check its migrations.", no_args_is_help=True
)


def migrations() -> Path:
    """Return the directory of the migrations, beside the package `app`; to import Alembic for it takes too long."""
    spec = find_spec("app")
    assert spec is not None  # noqa: S101 - this package depends on it.
    assert spec.origin is not None  # noqa: S101
    return Path(spec.origin).parents[1] / "migrations"


def is_current(file: Path) -> bool:
    """Return whether an SQLite file surely has the newest revision; quick, `False` where it can't tell."""
    declared = "\n".join(path.read_text() for path in sorted((migrations() / "versions").glob("*.py")))
    revisions, parents = (
        set(re.findall(rf"""^{name}\b[^=\n]*=\s*["'](.+?)["']""", declared, re.MULTILINE))
        for name in ("revision", "down_revision")
    )
    if not file.exists():
        return False
    try:
        with closing(sqlite3.connect(file)) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error:
        return False
    return {row[0] for row in rows} == revisions - parents


def upgrade(_: "Settings") -> None:
    """Bring the database that the settings name to the newest revision."""
    from app.core import migrations as schema  # noqa: PLC0415

    schema.upgrade()


@app.command("upgrade")
def upgrade_command() -> None:
    """Bring the database of FAMILYCORP_DATABASE_URL to the newest revision."""
    from alembic.util.exc import CommandError  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from app.core.settings import SettingsError, settings  # noqa: PLC0415

    # What a driver's thread says when its loop is gone adds nothing to the error that is reported below.
    threading.excepthook = lambda _: None
    try:
        upgrade(settings())
    except (CommandError, SQLAlchemyError, SettingsError) as error:
        # The first line says it; what follows is SQL and links.
        sys.exit(f"The schema couldn't be brought up to date: {str(error).splitlines()[0]}")
    sys.stdout.write("The schema is up to date.\n")


@app.command("check")
def check_command() -> None:
    """Check that the migrations, run on an empty SQLite file, make the schema that the models describe."""
    from alembic import command  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    from app.core.migrations import config  # noqa: PLC0415

    with _migrated_scratch():
        try:
            command.check(config())
        except CommandError as error:
            sys.exit(f"Migrations and models disagree: {error}")


@app.command("revision")
def revision_command(message: str) -> None:
    """Write the migration from the present schema to the one that the models describe; read it before use."""
    from alembic import command  # noqa: PLC0415

    from app.core.migrations import config  # noqa: PLC0415

    with _migrated_scratch():
        number = len(list((migrations() / "versions").glob("*.py"))) + 1
        command.revision(config(), message, autogenerate=True, rev_id=f"{number:04d}")


@contextmanager
def _migrated_scratch() -> Iterator[None]:
    """Work on an SQLite file of its own, brought to the newest revision."""
    from app.core import migrations as schema  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FAMILYCORP_DATABASE_URL"] = f"sqlite+aiosqlite:///{Path(scratch, 'scratch.db')}"
        schema.upgrade()
        yield
