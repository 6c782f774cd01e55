"""Which environment a command works on: that of FAMILYCORP_* variables, else the one on this machine."""

import asyncio
import logging
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from familycorp_ops import up
from familycorp_ops.servers.ministack import CREDENTIALS

PREFIX = "FAMILYCORP_"


def enter(state: Path) -> None:
    """Take the settings of what `familycorp up` runs on a state directory, unless variables name others.

    Raises `StartError` where there is neither.
    """
    if not any(name.startswith(PREFIX) for name in os.environ):
        settings = up.running_settings(state)
        if not settings:
            raise up.StartError(f"Nothing runs on {state}: start it with `make up` in another terminal.")
        # A developer's own AWS profile must stay out of reach.
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            del os.environ[name]
        os.environ |= {**CREDENTIALS, **settings}


def settled(work: Coroutine[Any, Any, None]) -> None:
    """Run work on the stores in a loop of its own, and close what it opened."""

    async def run() -> None:
        # Imported here, because importing it makes the settings' stores.
        from app.core import cache, database  # noqa: PLC0415

        try:
            await work
        finally:
            await database.dispose()
            await cache.close()

    # What the services log for operators of a server is said by the command in its own words.
    logging.getLogger("app").setLevel(logging.ERROR)
    asyncio.run(run())
