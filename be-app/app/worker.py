"""`python -m app.worker`: runs the minute's job on a timer, where no scheduler of AWS does."""

import asyncio
import logging
import signal
from contextlib import suppress

from app.core.errors import Problem
from app.core.logging import configure
from app.core.settings import settings
from app.jobs import run_due

INTERVAL_S = 1.0

logger = logging.getLogger(__name__)


async def run() -> None:
    """Run the job every second until SIGTERM or SIGINT; a failure is logged and tried again."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        try:
            await run_due()
        except Problem:
            logger.warning("due_work_failed", exc_info=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), INTERVAL_S)


if __name__ == "__main__":
    configure("familycorp-worker", settings().log_level)
    asyncio.run(run())
