"""AWS through botocore: one lazy client a service, called in a worker thread, with deadlines.

botocore alone (no boto3, no aiohttp) is the smallest well-kept client; its calls block, so they run in
anyio's thread pool, which keeps the request's context variables.
"""

from functools import cache, partial
from typing import Any

import botocore.session
from anyio import to_thread
from botocore.config import Config

from app.core.settings import settings

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=40,  # anyio's default number of worker threads
    parameter_validation=False,  # Our calls are typed and tested; validating each costs as much as signing.
)


@cache
def client(service: str) -> Any:
    """Return the process's client of an AWS service, made on first use. It doesn't connect."""
    chosen = settings()
    return botocore.session.get_session().create_client(
        service, region_name=chosen.aws_region, endpoint_url=chosen.aws_endpoint_url, config=_CONFIG
    )


async def call(service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """Call an operation of a service by its method name; raises what botocore raises."""
    return await to_thread.run_sync(partial(_call, service, operation, parameters))


def _call(service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = getattr(client(service), operation)(**parameters)
    return result
