"""DynamoDB through botocore: one lazy client, called in a worker thread, with deadlines.

botocore alone (no boto3, no aiohttp) is the smallest well-kept client; its calls block, so they run in
anyio's thread pool, which keeps the request's context variables.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import botocore.session
from anyio import to_thread
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app.core.errors import SnapshotsUnavailable
from app.core.settings import settings

Item = Mapping[str, Mapping[str, Any]]

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=40,  # anyio's default number of worker threads
    parameter_validation=False,  # Our calls are typed and tested; validating each costs as much as signing.
)


# What DynamoDB answers with 400 although trying again helps (DynamoDB developer guide, "Error handling").
_TRANSIENT = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionInProgressException",
    "LimitExceededException",
}


class ConditionFailed(Exception):
    """A conditional write found that its condition doesn't hold."""


class Refused(Exception):
    """DynamoDB refuses the request as such (too large, not allowed, no such table); a retry can't help."""


@cache
def client(service: str = "dynamodb") -> Any:
    """Return the process's client of an AWS service, made on first use. It doesn't connect."""
    chosen = settings()
    return botocore.session.get_session().create_client(
        service, region_name=chosen.aws_region, endpoint_url=chosen.aws_endpoint_url, config=_CONFIG
    )


async def call(operation: str, **parameters: Any) -> dict[str, Any]:
    """Call a DynamoDB operation by its method name.

    Raises `ConditionFailed` for a failed condition, `SnapshotsUnavailable` when DynamoDB can't be reached,
    throttles or fails, `Refused` for anything else.
    """
    try:
        result: dict[str, Any] = await to_thread.run_sync(partial(_call, operation, parameters))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            raise ConditionFailed from None
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500 or code in _TRANSIENT:
            raise SnapshotsUnavailable from error
        raise Refused(code) from error
    except BotoCoreError as error:
        raise SnapshotsUnavailable from error
    return result


def _call(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = getattr(client(), operation)(**parameters)
    return result


def encode(values: Mapping[str, str | int]) -> dict[str, dict[str, str]]:
    """Turn plain values into DynamoDB attribute values."""
    return {k: {"N": str(v)} if isinstance(v, int) else {"S": v} for k, v in values.items()}


def decode(item: Item) -> dict[str, Any]:
    """Turn DynamoDB attribute values (strings and numbers) into plain ones."""
    return {k: int(v["N"]) if "N" in v else v["S"] for k, v in item.items()}
