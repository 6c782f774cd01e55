"""DynamoDB: its operations, its errors as ours, and its attribute values."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from app.core.aws import clients
from app.core.http.problems import StoreUnavailable

Item = Mapping[str, Mapping[str, Any]]


class ConditionFailed(Exception):
    """A conditional write found that its condition doesn't hold."""


class Refused(Exception):
    """DynamoDB refuses the request as such (too large, not allowed, no such table); a retry can't help."""


async def call(operation: str, **parameters: Any) -> dict[str, Any]:
    """Call a DynamoDB operation by its method name.

    Raises `ConditionFailed` for a failed condition, `StoreUnavailable` when DynamoDB can't be reached,
    throttles or fails, `Refused` for anything else.
    """
    try:
        return await clients.call("dynamodb", operation, **parameters)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed from None
        if clients.is_outage(error):
            raise StoreUnavailable from error
        raise Refused(code) from error
    except BotoCoreError as error:
        raise StoreUnavailable from error


async def query(**parameters: Any) -> AsyncIterator[Item]:
    """Yield every item of a Query; it has pages, which end at 1 MB. Errors are those of `call`."""
    more: dict[str, Any] = {}
    while True:
        found = await call("query", **parameters, **more)
        for item in found["Items"]:
            yield item
        if "LastEvaluatedKey" not in found:
            return
        more = {"ExclusiveStartKey": found["LastEvaluatedKey"]}


async def get_all(table: str, keys: Sequence[Item], *, consistent: bool = True) -> list[Item]:
    """Return those of at most 100 items that exist, in no order: one BatchGetItem. Errors are those of `call`.

    Raises `StoreUnavailable` where DynamoDB leaves a part unread, which it does when it throttles: to take that for
    absent would be wrong.
    """
    request = {table: {"Keys": keys, "ConsistentRead": consistent}}
    found = await call("batch_get_item", RequestItems=request)
    if found.get("UnprocessedKeys"):
        raise StoreUnavailable
    items: list[Item] = found["Responses"][table]
    return items


def encode(values: Mapping[str, str | int]) -> dict[str, dict[str, str]]:
    """Turn plain values into DynamoDB attribute values."""
    return {k: {"N": str(v)} if isinstance(v, int) else {"S": v} for k, v in values.items()}


def decode(item: Item) -> dict[str, Any]:
    """Turn DynamoDB attribute values (strings and numbers) into plain ones."""
    return {k: int(v["N"]) if "N" in v else v["S"] for k, v in item.items()}
