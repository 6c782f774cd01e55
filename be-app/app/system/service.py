"""Asking each store for a sign of life."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from app.core.aws import dynamodb
from app.core.database import engine
from app.core.process import process
from app.core.read_path import cache
from app.core.settings import settings
from app.system.schemas import Dependency, Readiness

_DEADLINE_S = 3.0
_KEPT_S = 5.0

logger = logging.getLogger(__name__)


class _Probes:
    """The last probe of every store, and when it began by its event loop's clock."""

    last: tuple[float, asyncio.Task[Readiness]] | None = None


_probes = process.keeps(_Probes)


async def _dynamodb() -> None:
    await dynamodb.call("describe_table", TableName=settings().posts_table)


async def _probe(name: str, ask: Callable[[], Awaitable[None]]) -> Dependency:
    started = time.perf_counter()
    try:
        await asyncio.wait_for(ask(), _DEADLINE_S)
    except Exception:
        logger.warning("dependency_check_failed", extra={"dependency": name}, exc_info=True)
        return Dependency(status="down", latency_ms=None)
    return Dependency(status="ok", latency_ms=round((time.perf_counter() - started) * 1000, 2))


async def readiness() -> Readiness:
    """Return what the last probe of every store found, or is about to find; one is begun every five seconds at most.

    So concurrent requests can't multiply the cost of a probe.
    """
    loop, probes = asyncio.get_running_loop(), _probes()
    last = probes.last
    if last is None or loop.time() - last[0] > _KEPT_S or last[1].get_loop() is not loop:
        last = probes.last = loop.time(), loop.create_task(_probe_all())
    return await asyncio.shield(last[1])  # A caller who leaves doesn't end what others wait for.


async def _probe_all() -> Readiness:
    """Probe every store at once; each has three seconds."""
    names = ("database", "dynamodb", "cache")
    database_state, dynamodb_state, cache_state = await asyncio.gather(
        _probe(names[0], engine.ping),
        _probe(names[1], _dynamodb),
        _probe(names[2], cache.ping) if settings().cache_url else _off(),
    )
    dependencies = dict(zip(names, (database_state, dynamodb_state, cache_state), strict=True))
    degraded = any(d.status == "down" for d in dependencies.values())
    return Readiness(status="degraded" if degraded else "ok", dependencies=dependencies)


async def _off() -> Dependency:
    return Dependency(status="off", latency_ms=None)
