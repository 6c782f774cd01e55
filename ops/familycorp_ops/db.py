"""`familycorp db`: the relational schema."""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from alembic.config import Config

app = typer.Typer(
    help="Bring the relational schema up to date, and check its migrations.", no_args_is_help=True
)


def upgrade() -> None:
    """Bring the database of `FAMILYCORP_DATABASE_URL` to the newest revision."""
    from alembic import command  # noqa: PLC0415

    command.upgrade(_config(), "head")


@app.command("upgrade")
def upgrade_command() -> None:
    """Bring the database of FAMILYCORP_DATABASE_URL to the newest revision."""
    from alembic.util.exc import CommandError  # noqa: PLC0415
    from app.core.settings import SettingsError  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    try:
        upgrade()
    except (CommandError, SQLAlchemyError, SettingsError) as error:
        # The first line says it; what follows is SQL and links.
        sys.exit(f"The schema couldn't be brought up to date: {str(error).splitlines()[0]}")
    sys.stdout.write("The schema is up to date.\n")


@app.command("check")
def check_command() -> None:
    """Check that the migrations, run on an empty SQLite file, make the schema that the models describe."""
    from alembic import command  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        os.environ["FAMILYCORP_DATABASE_URL"] = f"sqlite+aiosqlite:///{Path(scratch, 'check.db')}"
        try:
            command.upgrade(_config(), "head")
            command.check(_config())
        except CommandError as error:
            sys.exit(f"Migrations and models disagree: {error}")


def _config() -> "Config":
    import app as application  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    migrations = Path(application.__file__).parents[1] / "migrations"
    # Alembic's configuration interpolates %(names)s.
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
