"""The relational schema's migrations: where they are, and bringing a database to the newest.

`handler` is the entry point of the function that a deployment calls before the release that needs the schema.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util.exc import CommandError

from app.core.logging import configure
from app.core.settings import settings

DIRECTORY = Path(__file__).parents[2] / "migrations"

logger = logging.getLogger(__name__)


def config() -> Config:
    """Return Alembic's configuration."""
    made = Config()
    # Alembic's configuration interpolates %(names)s.
    made.set_main_option("script_location", str(DIRECTORY).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def upgrade() -> str:
    """Bring the database that the settings name to the newest revision, and return that. May be repeated."""
    command.upgrade(config(), "head")
    head = ScriptDirectory.from_config(config()).get_current_head()
    assert head is not None  # noqa: S101 - there are migrations.
    return head


def states() -> tuple[str | None, list[str]]:
    """Return the revision of the database that the settings name, and those that it lacks, oldest first.

    Raises Alembic's `CommandError` where the revision isn't one of these.
    """
    found = _revision()
    return found, _lacking(found)


def _revision() -> str | None:
    found: list[str | None] = [None]

    def note(revision: tuple[str, ...], _: object) -> list[Any]:
        found[0] = revision[0] if revision else None
        return []

    script = ScriptDirectory.from_config(config())
    with EnvironmentContext(config(), script, fn=note, dont_mutate=True):
        script.run_env()
    return found[0]


def _lacking(found: str | None) -> list[str]:
    steps = ScriptDirectory.from_config(config()).iterate_revisions("head", found or "base")
    try:
        return [step.revision for step in steps][::-1]
    except RevisionError as error:
        raise CommandError(str(error)) from error


def downgrade(revision: str) -> None:
    """Take the database back to an earlier revision, with what later ones added; `base` is before the first."""
    command.downgrade(config(), revision)


def handler(event: Mapping[str, Any], __: object) -> dict[str, Any]:
    """Serve Lambda: bring the database to the newest revision; a failure is raised, and named in the answer.

    An event with `look` changes nothing: the answer names the database's revision, and those that it lacks, or that
    this release doesn't know it, because a later one was here.
    """
    configure("familycorp-migrations", settings().log_level)
    if event.get("look"):
        found = _revision()
        try:
            return {"revision": found, "lacking": _lacking(found), "known": True}
        except CommandError:
            return {"revision": found, "lacking": [], "known": False}
    revision = upgrade()
    logger.info("schema_is_current", extra={"revision": revision})
    return {"revision": revision}
