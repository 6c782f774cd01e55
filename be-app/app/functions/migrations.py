"""The relational schema's migrations: where they are, and bringing a database to the newest.

`handler` is the entry point of the function that a deployment calls before the release that needs the schema.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util.exc import CommandError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.observability.logging import configure
from app.core.settings import settings

LOCK_WAIT_S = 60
"""Seconds that a migration waits for another one of the same database."""

# A lock's name belongs to the whole server, and MySQL takes 64 characters.
_LOCK = "LEFT(CONCAT('familycorp_migrations.', DATABASE()), 64)"

DIRECTORY = Path(__file__).parents[2] / "migrations"

logger = logging.getLogger(__name__)


class MigrationRunningError(CommandError):
    """Another migration of the same database runs, and went on for longer than this one waits."""


def config(*, exclusive: bool = False) -> Config:
    """Return Alembic's configuration.

    Args:
        exclusive: whether its commands wait until no other migration of the database runs.
    """
    made = Config()
    made.attributes["exclusive"] = exclusive
    # Alembic's configuration interpolates %(names)s.
    made.set_main_option("script_location", str(DIRECTORY).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def upgrade() -> str:
    """Bring the database that the settings name to the newest revision, and return that. May be repeated."""
    command.upgrade(config(exclusive=True), "head")
    head = ScriptDirectory.from_config(config()).get_current_head()
    assert head is not None  # noqa: S101 - there are migrations.
    return head


@asynccontextmanager
async def alone(connection: AsyncConnection) -> AsyncIterator[None]:
    """Hold the database's lock of migrations; raise `MigrationRunningError` where another one keeps it.

    MySQL and MariaDB have no transaction around DDL, so two migrations at once would each do half. Their lock belongs
    to the connection, which leads to the cluster itself: RDS Proxy would be pinned.
    """
    if connection.dialect.name != "sqlite":
        await _lock_server(connection)
        try:
            yield
        finally:
            # A Lambda that failed is frozen with its connection, which would keep the lock. A connection that is lost
            # has none any more.
            with suppress(Exception):
                await connection.rollback()
                await connection.exec_driver_sql(f"SELECT RELEASE_LOCK({_LOCK})")
        return
    file = connection.engine.url.database
    if not file or file == ":memory:":
        yield
        return
    # The directory, because closing the file a second time would end SQLite's own locks (POSIX advisory locks).
    directory = os.open(Path(file).parent, os.O_RDONLY)
    try:
        await _lock_directory(directory)
        yield
    finally:
        os.close(directory)


async def _lock_server(connection: AsyncConnection) -> None:
    if not await _locked(connection, 0):
        logger.info("migration_lock_awaited")
        if not await _locked(connection, LOCK_WAIT_S):
            holder = (await connection.exec_driver_sql(f"SELECT IS_USED_LOCK({_LOCK})")).scalar()
            rows = (await connection.exec_driver_sql("SHOW PROCESSLIST")).mappings()
            known = {row["Id"]: f" by {row['User']} from {row['Host']}" for row in rows}
            raise _running(f"{known.get(holder, '')} on connection {holder}")
    await connection.commit()


async def _locked(connection: AsyncConnection, seconds: int) -> bool:
    return (await connection.exec_driver_sql(f"SELECT GET_LOCK({_LOCK}, {seconds})")).scalar() == 1


async def _lock_directory(directory: int) -> None:
    for waited in range(LOCK_WAIT_S * 10 + 1):
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waited:
                logger.info("migration_lock_awaited")
            await asyncio.sleep(0.1)
        else:
            return
    raise _running(" by another process on this machine")


def _running(whose: str) -> MigrationRunningError:
    return MigrationRunningError(
        f"Another migration of this database is running{whose}. Wait until it ends, then try again."
    )


def look() -> dict[str, Any]:
    """Return the database's revision, those that it lacks, and whether this release knows it."""
    found = _revision()
    try:
        return {"revision": found, "lacking": _lacking(found), "known": True}
    except CommandError:
        return {"revision": found, "lacking": [], "known": False}


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
    command.downgrade(config(exclusive=True), revision)


def handler(event: Mapping[str, Any], __: object) -> dict[str, Any]:
    """Serve Lambda: bring the database to the newest revision; a failure is raised, and named in the response.

    An event with `look` changes nothing: the response names the database's revision, and those that it lacks, or that
    this release doesn't know it, because a later one was here.
    """
    configure("familycorp-migrations", settings().log_level)
    if event.get("look"):
        return look()
    revision = upgrade()
    logger.info("schema_migrated", extra={"revision": revision})
    return {"revision": revision}
