"""`familycorp db`: the relational schema."""

import io
import os
import re
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from gettext import gettext as _
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from familycorp_ops.admin import operator
from familycorp_ops.admin.operator import Env
from familycorp_ops.output import AsJson, show

if TYPE_CHECKING:
    from app.core.settings import Settings

app = typer.Typer(
    help="Show, upgrade and downgrade the database schema, and check its migrations.",
    no_args_is_help=True,
)


def migrations() -> Path:
    """Return the directory of the migrations, beside the package `app`; to import Alembic for it takes too long."""
    spec = find_spec("app")
    assert spec is not None  # noqa: S101 - this package depends on it.
    assert spec.origin is not None  # noqa: S101
    return Path(spec.origin).parents[1] / "migrations"


def is_current(file: Path) -> bool:
    """Return whether an SQLite file surely has the newest revision; quick, `False` where that is unknown."""
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


def upgrade(__: "Settings") -> None:
    """Bring the database that the settings name to the newest revision."""
    from app.functions import migrations as schema  # noqa: PLC0415

    schema.upgrade()


@contextmanager
def _reported(what: str) -> Iterator[None]:
    """End the program with one sentence where the database or its settings can't be used."""
    from alembic.util.exc import CommandError  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from app.core.settings import SettingsError  # noqa: PLC0415

    # What a driver's thread says when its loop is gone adds nothing to the error that is reported below.
    threading.excepthook = lambda __: None
    try:
        yield
    except (CommandError, SQLAlchemyError, SettingsError) as error:
        # The first line says it; what follows is SQL and links.
        sys.exit(f"{what}: {str(error).splitlines()[0]}")


@app.command("upgrade")
def upgrade_command(as_json: AsJson = False) -> None:
    """Migrate the database of FAMILYCORP_DATABASE_URL to the newest revision."""
    from app.functions import migrations as schema  # noqa: PLC0415

    with _reported(_("The schema couldn't be upgraded")):
        revision = schema.upgrade()
    show({"revision": revision}, _("The schema is up to date."), as_json=as_json)


@app.command("status")
def status_command(env: Env = None, as_json: AsJson = False) -> None:
    """Show the revision of the database of --env or FAMILYCORP_DATABASE_URL; exit with 1 if it isn't the newest."""
    if env is None:
        from app.functions.migrations import states  # noqa: PLC0415

        with _reported(_("The schema can't be read")):
            revision, lacking = states()
    else:
        with operator.reported():
            schema = operator.Operator(env).read("db.status")
        revision, lacking = schema["revision"], schema["lacking"]
        if not schema["known"]:
            sys.exit(_("The running release doesn't know the schema {revision}.").format(**schema))
    fix = f"`make migrate ENV={env}`" if env else "`familycorp db upgrade`"
    if not lacking:
        said = _("The schema is {revision}, the newest.")
    elif revision:
        said = _("The schema is {revision}; it lacks {lacking}: {fix}.")
    else:
        said = _("The schema is empty; it lacks {lacking}: {fix}.")
    said = said.format(revision=revision, lacking=", ".join(lacking), fix=fix)
    show({"revision": revision, "lacking": lacking}, said, as_json=as_json)
    sys.exit(1 if lacking else 0)


@app.command("downgrade")
def downgrade_command(
    revision: Annotated[str, typer.Argument(help="Revision, as 0002; `base` is before the first.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete what later revisions added, with its data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Downgrade the database of FAMILYCORP_DATABASE_URL to an earlier revision."""
    from app.functions.migrations import downgrade  # noqa: PLC0415

    if not yes:
        sys.exit(_("Data that later revisions added is deleted: add --yes once there is a backup."))
    with _reported(_("The schema couldn't be downgraded")):
        downgrade(revision)
    show({"revision": revision}, _("The schema is {revision}.").format(revision=revision), as_json=as_json)


@app.command("check")
def check_command(as_json: AsJson = False) -> None:
    """Check that the migrations, run on an empty SQLite file, make the schema that the models describe."""
    from alembic import command  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    from app.functions.migrations import config  # noqa: PLC0415

    configuration = config()
    configuration.stdout = io.StringIO()  # Alembic's own words, in place of which ours are printed.
    with _migrated_scratch():
        try:
            command.check(configuration)
        except CommandError as error:
            sys.exit(_("Migrations and models disagree: {error}").format(error=error))
    show({"agree": True}, _("Migrations and models agree."), as_json=as_json)


@app.command("revision")
def revision_command(
    message: Annotated[str, typer.Argument(help="Purpose of the migration.")], as_json: AsJson = False
) -> None:
    """Write the migration from the present schema to the one that the models describe; read it before use."""
    from alembic import command  # noqa: PLC0415

    from app.functions.migrations import config  # noqa: PLC0415

    configuration = config()
    configuration.stdout = io.StringIO()
    with _migrated_scratch():
        number = len(list((migrations() / "versions").glob("*.py"))) + 1
        made: Any = command.revision(configuration, message, autogenerate=True, rev_id=f"{number:04d}")
    file = {"revision": made.revision, "file": made.path}
    show(file, _("Wrote {file}.").format(file=made.path), as_json=as_json)


@contextmanager
def _migrated_scratch() -> Iterator[None]:
    """Work on an SQLite file of its own, brought to the newest revision."""
    from app.functions import migrations as schema  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FAMILYCORP_DATABASE_URL"] = f"sqlite+aiosqlite:///{Path(scratch, 'scratch.db')}"
        schema.upgrade()
        yield
