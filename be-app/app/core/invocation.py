"""What functions share that an event starts, not an HTTP request."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.core import context, logging
from app.core.clock import new_id
from app.core.lazy import lazy_import
from app.core.settings import settings

cache = lazy_import("app.core.cache")
database = lazy_import("app.core.database")

T = TypeVar("T")


def serve(function: str, work: Coroutine[Any, Any, T]) -> T:
    """Run one invocation of a function in an event loop of its own, under a new correlation id.

    Connections don't outlive it: they belong to that loop, and one that a frozen function kept open would keep
    Aurora from pausing.
    """
    logging.configure(f"familycorp-{function}", settings().log_level)

    async def run() -> T:
        token = context.bind(str(new_id()))
        try:
            return await work
        finally:
            # Only what was used is there to be closed; asking the modules themselves would import it.
            if "sqlalchemy" in sys.modules:
                await database.dispose()
            if "redis" in sys.modules:
                await cache.close()
            context.unbind(token)

    return asyncio.run(run())
