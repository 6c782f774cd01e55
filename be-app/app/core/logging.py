"""JSON logs, one line an event: Powertools' field names, and the correlation id of the request in hand."""

import json
import logging
import sys
from typing import Any

import orjson

from app.core.clock import now, timestamp
from app.core.context import request_id

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


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
    # What libraries say at DEBUG holds what people entered: statements' parameters, whole requests.
    logging.basicConfig(level="INFO" if level == "DEBUG" else level, handlers=[handler], force=True)
    logging.getLogger("app").setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # Our own access line says more.
    logging.getLogger("botocore").setLevel("WARNING")
