"""The environment of a command: that of FAMILYCORP_* variables, else the one on this machine."""

import asyncio
import fcntl
import json
import logging
import os
from collections.abc import Coroutine
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path
from typing import Any

from familycorp_ops.servers.ministack import CREDENTIALS

PREFIX = "FAMILYCORP_"

STATE = Path(".local")
"""Where the data is unless `--state` says otherwise."""

DATABASE = "familycorp.db"
"""Name of the SQLite file in there."""

LOCK = "familycorp.lock"
"""File that is locked while a process uses the directory; no directory without one is ever deleted."""

SETTINGS = "settings.json"
"""File of the settings of what runs, there as long as it does."""


class CommandError(Exception):
    """What prevents a command, in one sentence that says how to fix it."""


def choose(state: Path, *, writes: bool) -> None:
    """Take the settings of what `familycorp up` runs on a state directory, unless variables name others.

    What only reads can do so while nothing runs: the database is a file. Raises `CommandError` where there is
    no environment, or where its settings break a rule.
    """
    from app.core.settings import SettingsError, settings  # noqa: PLC0415

    if not any(name.startswith(PREFIX) for name in os.environ):
        os.environ |= _local(state, writes=writes)
    try:
        emulated = settings().aws_endpoint_url
    except SettingsError as error:
        raise CommandError(_("The settings can't be used: {error}.").format(error=error)) from None
    if emulated:
        # A developer's own AWS profile must stay out of reach.
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            del os.environ[name]
        os.environ |= CREDENTIALS


def _local(state: Path, *, writes: bool) -> dict[str, str]:
    if running := running_settings(state):
        return running
    database = (state / DATABASE).resolve()
    if not writes and database.exists():
        return {f"{PREFIX}DATABASE_URL": f"sqlite+aiosqlite:///{database}"}
    raise CommandError(nothing_runs(state))


def nothing_runs(state: Path) -> str:
    """Return what a command says that finds nothing on a state directory."""
    return _(
        "Nothing runs on {state}: start it with `make up` in {checkout}, and run this command there, or name its "
        "data with --state."
    ).format(state=state.resolve(), checkout=Path(__file__).parents[2])


def running_settings(state: Path) -> dict[str, str]:
    """Return the FAMILYCORP_* variables of what runs on a state directory; none where nothing does (yet)."""
    with suppress(FileNotFoundError), (state / LOCK).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            variables: dict[str, str] = json.loads((state / SETTINGS).read_bytes())
            return variables
    return {}


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run work on the stores in a loop of its own, and close what it opened.

    Raises `CommandError` when a store is away or isn't set up. Work done until then stays.
    """
    # Importing them needs the settings that `choose` chooses.
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    from app.core.aws import dynamodb  # noqa: PLC0415
    from app.core.http.problems import DatabaseUnavailable, Unavailable  # noqa: PLC0415
    from app.core.process import process  # noqa: PLC0415

    async def bounded() -> None:
        try:
            await work
        finally:
            await process.disconnect()

    # What the services log for operators of a server is said by the command in its own words.
    logging.getLogger("app").setLevel(logging.CRITICAL)
    try:
        asyncio.run(bounded())
    except Unavailable as error:
        store = _("The database") if isinstance(error, DatabaseUnavailable) else "DynamoDB"
        raise CommandError(
            _("{store} doesn't respond: run the same command again when it does.").format(store=store)
        ) from None
    except dynamodb.Refused as error:
        raise CommandError(
            _("DynamoDB refuses ({error}): are the environment's tables there?").format(error=error)
        ) from None
    except DBAPIError as error:
        reason = str(error.orig).splitlines()[0]
        raise CommandError(
            _(
                "The database can't be used ({reason}): `familycorp db upgrade` brings its schema up to date."
            ).format(reason=reason)
        ) from None
