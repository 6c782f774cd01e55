"""`familycorp db`: the relational schema."""

import json
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
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from app.core.settings import Settings

app = typer.Typer(
    help="Look at the relational schema, bring it up to date, take it back, check its migrations.",
    no_args_is_help=True,
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


@contextmanager
def _reported(what: str) -> Iterator[None]:
    """End the program with one sentence where the database or its settings can't be used."""
    from alembic.util.exc import CommandError  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from app.core.settings import SettingsError  # noqa: PLC0415

    # What a driver's thread says when its loop is gone adds nothing to the error that is reported below.
    threading.excepthook = lambda _: None
    try:
        yield
    except (CommandError, SQLAlchemyError, SettingsError) as error:
        # The first line says it; what follows is SQL and links.
        sys.exit(f"{what}: {str(error).splitlines()[0]}")


@app.command("upgrade")
def upgrade_command() -> None:
    """Bring the database of FAMILYCORP_DATABASE_URL to the newest revision."""
    from app.core.settings import settings  # noqa: PLC0415

    with _reported("The schema couldn't be brought up to date"):
        upgrade(settings())
    sys.stdout.write("The schema is up to date.\n")


@app.command("status")
def status_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Tell the revision of the database of FAMILYCORP_DATABASE_URL; the status is 1 where it isn't the newest."""
    from app.core.migrations import states  # noqa: PLC0415

    with _reported("The schema can't be read"):
        revision, lacking = states()
    if as_json:
        sys.stdout.write(json.dumps({"revision": revision, "lacking": lacking}) + "\n")
    else:
        behind = f"; it lacks {', '.join(lacking)}: `familycorp db upgrade`" if lacking else ", the newest"
        sys.stdout.write(f"The schema is {revision or 'empty'}{behind}.\n")
    sys.exit(1 if lacking else 0)


@app.command("downgrade")
def downgrade_command(
    revision: Annotated[str, typer.Argument(help="Where to, as 0002; `base` is before the first.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="What later revisions added, with its data, may go.")
    ] = False,
) -> None:
    """Take the database of FAMILYCORP_DATABASE_URL back to an earlier revision."""
    from app.core.migrations import downgrade  # noqa: PLC0415

    if not yes:
        sys.exit("What later revisions added goes, with its data: say --yes once there is a backup.")
    with _reported("The schema couldn't be taken back"):
        downgrade(revision)
    sys.stdout.write(f"The schema is {revision}.\n")


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
