"""Measurements of a request or an event: fields of its one log line, which CloudWatch reads as metrics.

A line in the embedded metric format ("Specification: Embedded metric format", Amazon CloudWatch user guide) needs
no agent and no call. Dimensions are few on purpose, because CloudWatch bills each combination as a metric: times and
errors also by route, which is the route's template, never a path.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import orjson

from app.core.settings import settings

NAMESPACE: Final = "FamilyCorp"

BY_ROUTE: Final[Mapping[str, str]] = MappingProxyType({"latency": "Milliseconds", "errors": "Count"})
"""Metrics that are also kept by route, each with its unit."""

BY_SERVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("dynamodb_ms", "sql_ms", "cache_ms", "s3_ms", "auth_ms", "policy_ms"), "Milliseconds"
        ),
        **dict.fromkeys(("dynamodb_errors", "sql_errors", "cache_errors", "s3_errors"), "Count"),
        **dict.fromkeys(("cold_start", "cache_hit", "cache_miss", "cache_stale"), "Count"),
        **dict.fromkeys(("denied", "rate_limited", "rates_without_valkey", "access_denied", "shed"), "Count"),
        **dict.fromkeys(
            ("login_failed", "second_factor_failed", "refresh_token_reused", "admin_granted"), "Count"
        ),
        **dict.fromkeys(("upload_clean", "upload_rejected", "upload_processing_failed"), "Count"),
        "outbox_failed": "Count",
        "outbox_lag_s": "Seconds",
    }
)
"""Metrics of the service as a whole, each with its unit."""

Fields = dict[str, Any]

logger = logging.getLogger(__name__)

_fields: ContextVar[Fields | None] = ContextVar("measured", default=None)
_warm = False


@contextmanager
def measured() -> Iterator[Fields]:
    """Gather what the block takes and meets; the first block of a process is its cold start."""
    global _warm
    fields: Fields = {}
    if not _warm:
        _warm, fields["cold_start"] = True, 1
    token = _fields.set(fields)
    try:
        yield fields
    finally:
        _fields.reset(token)


def add(name: str, value: float = 1) -> None:
    """Add to a metric of the current `measured` block; outside of one, do nothing."""
    fields = _fields.get()
    if fields is not None:
        fields[name] = round(fields.get(name, 0) + value, 3)  # 0.1 + 0.2 isn't 0.3.


def note(name: str, value: str) -> None:
    """Have the line say something that is no metric."""
    fields = _fields.get()
    if fields is not None:
        fields[name] = value


@contextmanager
def timed(part: str, operation: str = "") -> Iterator[None]:
    """Add the time that the block takes to `<part>_ms`; at DEBUG a line of its own says it, with the operation."""
    started = time.perf_counter()
    try:
        yield
    finally:
        took = round((time.perf_counter() - started) * 1000, 3)
        add(f"{part}_ms", took)
        logger.debug("step", extra={"part": part, "operation": operation, "ms": took})


def embedded(fields: Fields) -> Fields:
    """Return the fields with what makes CloudWatch read their metrics.

    `sql_ms` is a unit of work's whole time, from connecting (an Aurora that was paused takes seconds) to the commit.
    """
    names = frozenset(fields.keys() & (BY_ROUTE.keys() | BY_SERVICE.keys()))
    metadata = {
        "Timestamp": int(time.time() * 1000),
        "CloudWatchMetrics": _directives(names, "route" in fields),
    }
    return fields | {"env": settings().env, "_aws": metadata}


@cache
def _directives(names: frozenset[str], routed: bool) -> orjson.Fragment:
    directives = [
        {
            "Namespace": NAMESPACE,
            "Dimensions": dimensions,
            "Metrics": [{"Name": name, "Unit": units[name]} for name in units if name in names],
        }
        for units, dimensions in (
            (BY_ROUTE, [["env", "service"], *([["env", "service", "route"]] if routed else [])]),
            (BY_SERVICE, [["env", "service"]]),
        )
    ]
    return orjson.Fragment(orjson.dumps([d for d in directives if d["Metrics"]]))
