"""The table `…-events`: domain events for the stream's readers, and markers of what is due when.

Nothing periodic may touch Aurora, or it never pauses. So work that will need the database later (a scheduled
post, an outbox that a crash left undrained) leaves a wake-up marker here, and the scheduler reads only these.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import orjson

from app.core.aws import dynamodb
from app.core.clock import new_id, now, timestamp
from app.core.settings import settings

RETENTION = timedelta(days=30)
_DUE = "due"
_INVALIDATION = "#invalidation"
_NAMES = {"#a": "aggregate"}  # a reserved word of DynamoDB's expressions


async def publish(aggregate: str, version: int, kind: str, data: dict[str, Any]) -> None:
    """Put a domain event, once: its identity is what happened to which version of what."""
    at = now()
    item: dict[str, str | int] = {
        "aggregate": aggregate,
        "sequence": f"{version:012d}#{kind}",
        "kind": kind,
        "data": orjson.dumps(data).decode(),
        "at": timestamp(at),
        "expiresAt": int((at + RETENTION).timestamp()),
    }
    with suppress(dynamodb.ConditionFailed):  # An earlier attempt may have got this far.
        await dynamodb.call(
            "put_item",
            TableName=settings().events_table,
            Item=dynamodb.encode(item),
            ConditionExpression="attribute_not_exists(#a)",
            ExpressionAttributeNames=_NAMES,
        )


async def mark_due(at: datetime, *, invalidation: bool = False) -> str:
    """Leave a marker that the database has work at `at`, or that the cache must be invalidated; return its name."""
    marker = f"{timestamp(at)}#{new_id()}{_INVALIDATION if invalidation else ''}"
    await dynamodb.call(
        "put_item",
        TableName=settings().events_table,
        Item=dynamodb.encode({"aggregate": _DUE, "sequence": marker}),
    )
    return marker


def is_invalidation(marker: str) -> bool:
    """Tell whether a marker says that the cache must be invalidated."""
    return marker.endswith(_INVALIDATION)


async def due_markers(at: datetime) -> list[str]:
    """Return the markers that are due at `at`, oldest first."""
    found = await dynamodb.call(
        "query",
        TableName=settings().events_table,
        KeyConditionExpression="#a = :due AND #s <= :now",
        ExpressionAttributeNames=_NAMES | {"#s": "sequence"},
        ExpressionAttributeValues=dynamodb.encode({":due": _DUE, ":now": timestamp(at) + "~"}),
        ConsistentRead=True,
    )
    return [dynamodb.decode(item)["sequence"] for item in found["Items"]]


async def clear_due(marker: str) -> None:
    """Remove a marker whose work is done; removing it twice is harmless."""
    await dynamodb.call(
        "delete_item",
        TableName=settings().events_table,
        Key=dynamodb.encode({"aggregate": _DUE, "sequence": marker}),
    )
