"""Notices to people of what happened: from the events table's stream to SNS.

`handler` is the entry point of the function that the stream starts. A stream may deliver an event twice, so a notice
may be sent twice. None is lost: the stream delivers failed records again, and at last to the dead-letter queue.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from app.core.aws import clients, dynamodb
from app.core.settings import settings
from app.functions import invocation

SUBJECTS: Mapping[str, str] = {
    "inquiry.received": "New inquiry",
    "post.published": "Post published",
    "post.unpublished": "Post withdrawn",
}
"""Kinds of events that people are notified of, with the message's subject; SNS takes only ASCII there."""

logger = logging.getLogger(__name__)

Record = Mapping[str, Any]


def handler(event: Mapping[str, Any], _: object) -> dict[str, list[dict[str, str]]]:
    """Serve Lambda: send the notices of a batch; the answer names the record from which on the stream retries.

    The shape of both is that of "Using Lambda with DynamoDB" (AWS Lambda developer guide), with
    `ReportBatchItemFailures`.
    """
    failed = invocation.serve("events", _send_all(event["Records"]))
    return {"batchItemFailures": [{"itemIdentifier": failed}] if failed else []}


async def _send_all(records: Sequence[Record]) -> str | None:
    for record in records:
        try:
            await _send(record)
        except (BotoCoreError, ClientError):
            logger.exception("notice_failed")
            return str(record["dynamodb"]["SequenceNumber"])
    return None


async def _send(record: Record) -> None:
    # Wake-up markers share the table; they have no kind.
    happened = dynamodb.decode(record["dynamodb"].get("NewImage", {}))
    kind = happened.get("kind", "")
    if record["eventName"] != "INSERT" or kind not in SUBJECTS:
        return
    _, partition, _, region, account, *_ = record["eventSourceARN"].split(":")
    lines = [SUBJECTS[kind], happened["at"]]
    lines += [f"{name}: {value}" for name, value in orjson.loads(happened["data"]).items()]
    await clients.call(
        "sns",
        "publish",
        TopicArn=f"arn:{partition}:sns:{region}:{account}:familycorp-{settings().env}-notices",
        Subject=f"FamilyCorp {settings().env}: {SUBJECTS[kind]}",
        Message="\n".join(lines),
        # Whoever wants some kinds alone filters by it.
        MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}},
    )
    logger.info("notice_sent", extra={"kind": kind})
