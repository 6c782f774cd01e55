"""Rate limits of requests that are costly or worth a brute-force attack.

`consume`: fixed windows, counted in the sessions table by conditional writes, so that they hold for every process and
also for the function outside the VPC, which can't reach Valkey. Without DynamoDB nothing is let through: what is
limited there needs it anyway.
"""

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request

from app.core.clock import now
from app.core.http.client_address import address
from app.core.http.problems import TooManyRequests
from app.core.lazy import lazy_import
from app.core.settings import settings

if TYPE_CHECKING:
    from app.core.aws import dynamodb
else:
    dynamodb = lazy_import("app.core.aws.dynamodb")


class Limit(NamedTuple):
    """Quota of requests of a client address, and its window in seconds."""

    name: str
    most: int
    seconds: int


LOGIN = Limit("login", 30, 60)
SECOND_FACTOR = Limit("second-factor", 30, 60)
REFRESH = Limit("refresh", 120, 60)
BACKCHANNEL = Limit("backchannel", 60, 60)
INQUIRY = Limit("inquiry", 20, 600)
PREVIEW = Limit("preview", 60, 60)


async def consume(limit: Limit, request: Request) -> None:
    """Count a request of this client; raise `TooManyRequests` when it is one too many."""
    at = int(now().timestamp())
    started = at - at % limit.seconds
    # An address is personal data; a window's counter only has to distinguish addresses.
    client = hashlib.sha256(f"{started} {address(request.scope)}".encode()).hexdigest()[:32]
    try:
        await dynamodb.call(
            "update_item",
            TableName=settings().sessions_table,
            Key=dynamodb.encode({"owner": f"limit#{limit.name}#{client}", "item": str(started)}),
            UpdateExpression="ADD used :one SET expiresAt = :end",
            ConditionExpression="attribute_not_exists(used) OR used < :most",
            ExpressionAttributeValues=dynamodb.encode(
                {":one": 1, ":most": limit.most, ":end": started + 2 * limit.seconds}
            ),
        )
    except dynamodb.ConditionFailed:
        raise TooManyRequests(started + limit.seconds - at) from None
