"""What functions share that an event starts, not an HTTP request."""

import asyncio
import sys
import time
from collections.abc import Coroutine
from logging import getLogger
from typing import Any, TypeVar

from app.core.lazy import lazy_import
from app.core.observability import context, logging, metrics
from app.core.settings import settings

cache = lazy_import("app.core.read_path.cache")
engine = lazy_import("app.core.database.engine")

logger = getLogger(__name__)

T = TypeVar("T")


def serve(function: str, work: Coroutine[Any, Any, T]) -> T:
    """Run one invocation of a function in an event loop of its own, under a new correlation id; it logs one line.

    Connections don't outlive it: they belong to that loop, and one that a frozen function kept open would keep
    Aurora from pausing.
    """
    logging.configure(f"familycorp-{function}", settings().log_level)
    return asyncio.run(_measured(work))


async def _measured(work: Coroutine[Any, Any, T]) -> T:
    started = time.perf_counter()
    with context.correlated(), logging.sampled(), metrics.measured() as fields:
        fields["errors"] = 1
        try:
            result = await work
            fields["errors"] = 0
            return result
        finally:
            await _close()
            fields["latency"] = round((time.perf_counter() - started) * 1000, 2)
            logger.info("invocation", extra=metrics.embedded(fields))


async def _close() -> None:
    # Only what was used is there to be closed; asking the modules themselves would import it.
    if "sqlalchemy" in sys.modules:
        await engine.dispose()
    if "redis" in sys.modules:
        await cache.close()
