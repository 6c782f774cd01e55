"""`python -m app.functions.worker`: does on one's own machine what schedules and events start in AWS.

It runs the scheduler on a timer, and receives the bucket's events from a queue.
"""

import asyncio
import logging
import signal
from contextlib import suppress

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from app.core.aws import clients
from app.core.http.problems import Problem
from app.core.observability.logging import configure
from app.core.settings import settings
from app.functions import uploads
from app.functions.drain import run_minute

INTERVAL_S = 1.0

logger = logging.getLogger(__name__)


async def run() -> None:
    """Run the job every second until SIGTERM or SIGINT; a failure is logged and tried again."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        try:
            await run_minute()
            await _hear()
        except Problem:
            logger.warning("scheduled_drain_failed", exc_info=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), INTERVAL_S)


async def _hear() -> None:
    """Handle the bucket's events; the queue delivers a message again unless its event was handled."""
    try:
        queue = (await clients.call("sqs", "get_queue_url", QueueName=settings().uploads_queue))["QueueUrl"]
        received = await clients.call("sqs", "receive_message", QueueUrl=queue, MaxNumberOfMessages=10)
        for message in received.get("Messages", ()):
            await uploads.received(orjson.loads(message["Body"]))
            await clients.call(
                "sqs", "delete_message", QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"]
            )
    except (BotoCoreError, ClientError):
        logger.warning("queue_unavailable", exc_info=True)


if __name__ == "__main__":
    configure("familycorp-worker", settings().log_level)
    asyncio.run(run())
