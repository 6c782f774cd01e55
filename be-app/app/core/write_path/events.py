"""The table `…-events`: domain events for the stream's readers, and wake-up markers for work that falls due.

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
_RETENTION = "retention"
_DAY_END = "day-end"
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


async def mark_due(at: datetime, *, about: str | None = None, invalidation: bool = False) -> str:
    """Leave a marker that the database has work at `at`, or that the cache must be invalidated; return its name.

    Markers `about` the same at the same time are one: `due_marker` names it without a request.
    """
    marker = due_marker(at, about or f"{new_id()}{_INVALIDATION if invalidation else ''}")
    await dynamodb.call(
        "put_item",
        TableName=settings().events_table,
        Item=dynamodb.encode({"aggregate": _DUE, "sequence": marker}),
    )
    return marker


def due_marker(at: datetime, about: str) -> str:
    """Return the name of the marker that `mark_due` leaves."""
    return f"{timestamp(at)}#{about}"


async def mark_retention(at: datetime) -> None:
    """Leave a marker that destruction times must be computed again at `at`, because retention periods changed."""
    await mark_due(at, about=_RETENTION)


async def mark_day_end(at: datetime) -> None:
    """Leave a marker that a day ends at `at`, whose views are counted then."""
    await mark_due(at, about=_DAY_END)


async def note_periods(periods: str) -> None:
    """Have destruction times computed again where `periods` aren't those that were noted last."""
    key = {"aggregate": _RETENTION, "sequence": "periods"}
    found = await dynamodb.call(
        "query",
        TableName=settings().events_table,
        KeyConditionExpression="#a = :retention",
        ExpressionAttributeNames=_NAMES,
        ExpressionAttributeValues=dynamodb.encode({":retention": _RETENTION}),
        ConsistentRead=True,
    )
    if [dynamodb.decode(item)["periods"] for item in found["Items"]] != [periods]:
        await mark_retention(now())
        await dynamodb.call(
            "put_item", TableName=settings().events_table, Item=dynamodb.encode({**key, "periods": periods})
        )


def is_retention(marker: str) -> bool:
    """Return whether a marker says that destruction times must be computed again."""
    return marker.endswith(f"#{_RETENTION}")


def is_day_end(marker: str) -> bool:
    """Return whether a marker says that a day is over, which is no work for the database."""
    return marker.endswith(f"#{_DAY_END}")


def is_invalidation(marker: str) -> bool:
    """Return whether a marker says that the cache must be invalidated."""
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
