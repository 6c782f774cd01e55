"""JSON logs, one line an event: Powertools' field names, and the correlation id of the request in hand."""

import json
import logging
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import orjson

from app.core.clock import now, timestamp
from app.core.observability.context import request_id
from app.core.settings import settings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}

_chosen: ContextVar[bool] = ContextVar("chosen", default=False)


@contextmanager
def sampled() -> Iterator[None]:
    """Log the block from DEBUG on if chance says so (`log_sample_rate`): all of its lines, or none."""
    token = _chosen.set(random.random() < settings().log_sample_rate)  # noqa: S311 - nothing hangs on it.
    try:
        yield
    finally:
        _chosen.reset(token)


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object; what a call passes in `extra` becomes fields."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its line break."""
        fields: dict[str, Any] = {
            "timestamp": timestamp(now()),
            "level": record.levelname,
            "message": record.getMessage(),
            "location": f"{record.name}:{record.lineno}",
            "service": self._service,
        }
        if correlation := request_id():
            fields["correlation_id"] = correlation
        fields.update((k, v) for k, v in vars(record).items() if k not in _STANDARD)
        if record.exc_info and record.exc_info[0]:
            fields["exception_name"] = record.exc_info[0].__name__
            fields["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(fields, default=str).decode()
        except TypeError:  # What JSON can't carry, such as half a surrogate pair; the line must not be lost.
            return json.dumps({k: _text(v) for k, v in fields.items()})


def _text(value: Any) -> str:
    try:
        return str(value)
    except RecursionError:
        return f"a {type(value).__name__} nested too deeply"


def configure(service: str, level: str) -> None:
    """Send every logger of this process, uvicorn's too, to standard output as JSON."""
    # None of these is in a line, and finding them out costs each record ("Optimization", Python's logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service))
    if settings().log_sample_rate:
        least = logging.getLevelNamesMapping()[level]
        handler.addFilter(lambda record: record.levelno >= least or _chosen.get())
    # What libraries say at DEBUG holds what people entered: statements' parameters, whole requests.
    logging.basicConfig(level="INFO" if level == "DEBUG" else level, handlers=[handler], force=True)
    logging.getLogger("app").setLevel("DEBUG" if settings().log_sample_rate else level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # Our own access line says more.
    logging.getLogger("botocore").setLevel("WARNING")
