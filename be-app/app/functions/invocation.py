"""Shared by functions that an event starts, not an HTTP request."""

import asyncio
import time
from collections.abc import Coroutine
from logging import getLogger
from typing import Any, TypeVar

from app.core.observability import context, logging, metrics
from app.core.process import process
from app.core.settings import settings

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
            await process.disconnect()
            fields["latency"] = round((time.perf_counter() - started) * 1000, 2)
            logger.info("invocation", extra=metrics.embedded(fields))
