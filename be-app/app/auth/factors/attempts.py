"""Counts proofs of a second factor, per member and across sessions, and locks after too many wrong ones."""

from app.auth import store
from app.auth.sessions import owner
from app.core.aws import dynamodb
from app.core.http.problems import TooManyRequests
from app.core.settings import settings

MOST_ATTEMPTS, LOCKED_S = 5, 900
"""After so many wrong proofs in a row, the right one isn't accepted for so long either."""


async def count(member: str) -> None:
    """Count an attempt before it is checked, so that concurrent attempts can't exceed the limit."""
    for _ in range(2):
        try:
            await dynamodb.call(
                "update_item",
                TableName=settings().sessions_table,
                Key=store.encoded(_key(member)),
                UpdateExpression="ADD used :one SET expiresAt = :end",
                ConditionExpression="attribute_not_exists(used) OR used < :most",
                ExpressionAttributeValues=dynamodb.encode(
                    {":one": 1, ":most": MOST_ATTEMPTS, ":end": store.seconds() + LOCKED_S}
                ),
            )
        except dynamodb.ConditionFailed:
            found = await store.get(_key(member))
            if found is not None:
                wait = found["expiresAt"] - store.seconds()
                raise TooManyRequests(max(1, wait)) from None
            await _end_lock(member)  # Past its end, and not yet removed.
        else:
            return
    raise TooManyRequests(1)


async def forget(member: str) -> None:
    """Forget the wrong proofs before a right one."""
    await store.remove(_key(member))


async def _end_lock(member: str) -> None:
    """Remove the count of a lock that is over; a count that started again meanwhile stays."""
    try:
        await dynamodb.call(
            "delete_item",
            TableName=settings().sessions_table,
            Key=store.encoded(_key(member)),
            ConditionExpression="expiresAt <= :now",
            ExpressionAttributeValues=dynamodb.encode({":now": store.seconds()}),
        )
    except dynamodb.ConditionFailed:
        return


def _key(member: str) -> store.Key:
    return owner(member), "attempts"
