"""The table `…-sessions`: logins under way, sessions, rotated tokens, second factors, public keys.

An item's key is its `owner` (a member, a browser's secret, …) and which `item` of theirs it is. What has an end
carries `expiresAt` in epoch seconds; DynamoDB removes it some time after, so every read looks at it too.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from app.core.aws import dynamodb
from app.core.clock import now
from app.core.http.problems import Unavailable
from app.core.settings import settings

Values = Mapping[str, str | int]
Key = tuple[str, str]


def digest(secret: str) -> str:
    """Return the stored form of a secret: its SHA-256, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def seconds() -> int:
    """Return the present time in epoch seconds."""
    return int(now().timestamp())


def milliseconds() -> int:
    """Return the present time in epoch milliseconds."""
    return int(now().timestamp() * 1000)


def encoded(key: Key) -> dict[str, dict[str, str]]:
    """Return a key as DynamoDB takes it."""
    return dynamodb.encode({"owner": key[0], "item": key[1]})


def _alive(item: Any) -> dict[str, Any] | None:
    if not item:
        return None
    values = dynamodb.decode(item)
    return values if values.get("expiresAt", seconds() + 1) > seconds() else None


async def get(key: Key) -> dict[str, Any] | None:
    """Return an item, or None where there is none or it is past its end."""
    found = await dynamodb.call(
        "get_item", TableName=settings().sessions_table, Key=encoded(key), ConsistentRead=True
    )
    return _alive(found.get("Item"))


async def get_all(keys: Sequence[Key]) -> list[dict[str, Any] | None]:
    """Return several items in one round trip, in the order of their keys."""
    table = settings().sessions_table
    request = {table: {"Keys": [encoded(key) for key in keys], "ConsistentRead": True}}
    found = await dynamodb.call("batch_get_item", RequestItems=request)
    if found.get("UnprocessedKeys"):  # Throttled in part; to take it for absent would be wrong either way.
        raise Unavailable
    items = {(i["owner"]["S"], i["item"]["S"]): i for i in found["Responses"][table]}
    return [_alive(items.get(key)) for key in keys]


async def of_owner(owner: str, prefix: str) -> list[dict[str, Any]]:
    """Return an owner's items whose name begins with `prefix`."""
    items = dynamodb.query(
        TableName=settings().sessions_table,
        KeyConditionExpression="#o = :owner AND begins_with(#i, :prefix)",
        ExpressionAttributeNames={"#o": "owner", "#i": "item"},
        ExpressionAttributeValues=dynamodb.encode({":owner": owner, ":prefix": prefix}),
        ConsistentRead=True,
    )
    return [values async for item in items if (values := _alive(item))]


async def put(key: Key, values: Values, *, if_version: int | None = None) -> None:
    """Write an item whole; with `if_version` only over that version (0: none yet), else `ConditionFailed`."""
    condition: dict[str, Any] = {}
    if if_version is not None:
        condition = {
            "ConditionExpression": "attribute_not_exists(#v) OR #v = :v",
            "ExpressionAttributeNames": {"#v": "version"},
            "ExpressionAttributeValues": dynamodb.encode({":v": if_version}),
        }
    await dynamodb.call(
        "put_item",
        TableName=settings().sessions_table,
        Item={**encoded(key), **dynamodb.encode(values)},
        **condition,
    )


async def take(key: Key, **expected: str) -> dict[str, Any] | None:
    """Remove an item and return it: of concurrent callers, one gets it.

    Returns None, and removes nothing, where it is absent or one of `expected` differs; None where it is past its end.
    """
    names = {f"#{name}": name for name in expected}
    condition = " AND ".join([f"#{n} = :{n}" for n in expected] or ["attribute_exists(expiresAt)"])
    values = {f":{name}": value for name, value in expected.items()}
    options: dict[str, Any] = {"ConditionExpression": condition}
    if expected:
        options |= {"ExpressionAttributeNames": names, "ExpressionAttributeValues": dynamodb.encode(values)}
    try:
        taken = await dynamodb.call(
            "delete_item",
            TableName=settings().sessions_table,
            Key=encoded(key),
            ReturnValues="ALL_OLD",
            **options,
        )
    except dynamodb.ConditionFailed:
        return None
    return _alive(taken.get("Attributes"))


async def remove(key: Key) -> None:
    """Remove an item; one that is gone already is no error."""
    await dynamodb.call("delete_item", TableName=settings().sessions_table, Key=encoded(key))
