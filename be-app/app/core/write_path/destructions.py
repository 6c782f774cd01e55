"""The destruction record: which personal data was destroyed and when, by ids alone.

It lies in the table `…-events`, without a time of expiry, because a database that is restored from a backup brings
destroyed data back: what the record names is never served again, and `make restore` destroys it once more. An entry
is written before its transaction commits, so no crash can lose one; where the commit fails, the next replay does what
was decided. The audit trail has the same entries, so a lost table is recorded again from there.
"""

from collections.abc import AsyncIterator, Iterable, Sequence

from app.core.aws import dynamodb
from app.core.clock import now, timestamp
from app.core.settings import settings

_AGGREGATE = "destroyed"
_MOST_KEYS = 100
"""Keys of one BatchGetItem ("Quotas", Amazon DynamoDB developer guide)."""


async def record(aggregate: str, reason: str) -> None:
    """Note that the personal data of an aggregate, such as `inquiry:ID`, is destroyed; repeating it is harmless."""
    item = {"aggregate": _AGGREGATE, "sequence": aggregate, "at": timestamp(now()), "reason": reason}
    await dynamodb.call("put_item", TableName=settings().events_table, Item=dynamodb.encode(item))


async def recorded(kind: str) -> AsyncIterator[str]:
    """Yield the aggregates of a kind, such as `inquiry`, that the record names."""
    async for item in dynamodb.query(
        TableName=settings().events_table,
        KeyConditionExpression="#a = :a AND begins_with(#s, :kind)",
        ExpressionAttributeNames={"#a": "aggregate", "#s": "sequence"},
        ExpressionAttributeValues=dynamodb.encode({":a": _AGGREGATE, ":kind": f"{kind}:"}),
        ConsistentRead=True,
    ):
        yield dynamodb.decode(item)["sequence"]


async def record_again(aggregates: Sequence[str]) -> None:
    """Note what the record has lost of some destructions."""
    for aggregate in set(aggregates) - await among(aggregates):
        await record(aggregate, "restore")


async def among(aggregates: Iterable[str]) -> set[str]:
    """Return those of some aggregates that the record names, with one request for each hundred.

    Raises `StoreUnavailable` where DynamoDB leaves a part unread, which it does when it throttles.
    """
    # DynamoDB refuses a request that names a key twice, as the audit trail does for what a replay destroyed again.
    distinct = dict.fromkeys(aggregates)
    keys = [dynamodb.encode({"aggregate": _AGGREGATE, "sequence": name}) for name in distinct]
    table = settings().events_table
    named = set[str]()
    for start in range(0, len(keys), _MOST_KEYS):
        found = await dynamodb.get_all(table, keys[start : start + _MOST_KEYS])
        named |= {dynamodb.decode(item)["sequence"] for item in found}
    return named
