"""Notices to people of what happened: from the events table's stream to SNS.

`handler` is the entry point of the function that the stream starts. A stream may deliver an event twice, so a notice
may be sent twice. None is lost: the stream delivers failed records again, and at last to the dead-letter queue.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from app.core.aws import clients, dynamodb
from app.core.messages import Message, marked
from app.core.settings import settings
from app.core.translation import Text
from app.functions import invocation

SUBJECTS: Mapping[str, Message] = {
    "inquiry.received": marked("New inquiry"),
    "post.published": marked("Post published"),
    "post.unpublished": marked("Post withdrawn"),
}
"""Kinds of events that people are notified of, with the message's subject. Messages hold ids, no personal data."""

NO_CATEGORY = "none"
"""Value of the attribute `category` of inquiries without one; subscriptions filter by it."""

_SEOUL = timezone(timedelta(hours=9))
_PAGES = {"inquiry": "inquiries", "post": "posts"}

logger = logging.getLogger(__name__)

Record = Mapping[str, Any]


def handler(event: Mapping[str, Any], _: object) -> dict[str, list[dict[str, str]]]:
    """Serve Lambda: send the notices of a batch; the response names the record from which on the stream retries.

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
    data = orjson.loads(happened["data"])
    if data.get("spam"):  # Staff find it where they filter by the score.
        return
    subject = _told(SUBJECTS[kind])
    attributes = {"kind": kind}
    if kind == "inquiry.received":
        attributes["category"] = data.get("category", NO_CATEGORY)
    await clients.call(
        "sns",
        "publish",
        TopicArn=f"arn:{partition}:sns:{region}:{account}:familycorp-{settings().env}-notices",
        Subject=f"FamilyCorp {settings().env}: {subject}",
        Message="\n".join([subject, "", *_lines(happened, data)]),
        # Subscriptions filter by kind and category.
        MessageAttributes={n: {"DataType": "String", "StringValue": v} for n, v in attributes.items()},
    )
    logger.info("notice_sent", extra={"kind": kind})


def _lines(happened: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    at = datetime.fromisoformat(happened["at"]).astimezone(_SEOUL)
    yield _told(marked("Time: {at} (Korea)"), at=f"{at:%Y-%m-%d %H:%M}")
    if name := data.get(settings().language):
        yield _told(marked("Category: {category}"), category=name)
    what, _, named = happened["aggregate"].partition(":")
    if staff := settings().staff_url:
        yield _told(marked("Open: {link}"), link=f"{staff}/console/{_PAGES[what]}/{named}")
    else:
        yield f"{what}: {named}"


def _told(message: Message, **values: str) -> str:
    return Text(message, values).in_language(settings().language)
