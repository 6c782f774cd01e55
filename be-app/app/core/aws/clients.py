"""AWS through botocore: one lazy client a service, called in a worker thread, with deadlines.

botocore alone (no boto3, no aiohttp) is the smallest well-kept client; its calls block, so they run in
anyio's thread pool, which keeps the request's context variables.
"""

from functools import partial
from typing import Any

import botocore.session
from anyio import to_thread
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app.core.observability import metrics
from app.core.process import process
from app.core.settings import settings

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=40,  # anyio's default number of worker threads
    user_agent="familycorp-backend",  # botocore would put its own together at each call: a tenth of the call.
    parameter_validation=False,  # Our calls are typed and tested; validating each costs as much as signing.
)

# Errors of status 400 that a retry may solve (DynamoDB developer guide, "Error handling"; S3 API, "Error
# responses").
_TRANSIENT = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "ThrottlingException",
    "TransactionInProgressException",
    "LimitExceededException",
}


def _close(opened: Any) -> None:
    opened.close()


@process.closes(_close)
def client(service: str) -> Any:
    """Return the process's client of an AWS service, made on first use. It doesn't connect."""
    chosen = settings()
    endpoint, config = chosen.aws_endpoint_url, _CONFIG
    if service == "s3":
        endpoint = chosen.s3_endpoint_url or endpoint
        # An emulator's address is one name; in AWS only the bucket's own name leads straight to its region: what
        # botocore signs for the global one is redirected, which loses a browser's POST.
        style = {"addressing_style": "path" if endpoint else "virtual"}
        config = _CONFIG.merge(Config(signature_version="s3v4", s3=style, read_timeout=10))
    return botocore.session.get_session().create_client(
        service, region_name=chosen.aws_region, endpoint_url=endpoint, config=config
    )


async def call(service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """Call an operation of a service by its method name; raises what botocore raises."""
    return await to_thread.run_sync(partial(call_here, service, operation, **parameters))


def call_here(service: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """Do what `call` does, for code that is in a worker thread already."""
    try:
        with metrics.timed(service, operation):
            result: dict[str, Any] = getattr(client(service), operation)(**parameters)
    except (BotoCoreError, ClientError) as error:
        if is_outage(error):
            _tell(f"{service}_errors", error)
        elif _is_refusal(error):
            _tell("access_denied", error)
        raise
    return result


def _tell(metric: str, error: BotoCoreError | ClientError) -> None:
    metrics.add(metric)
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    metrics.note("cause", code)


def is_outage(error: BotoCoreError | ClientError) -> bool:
    """Return whether `error` says that a service is away, failing or busy, so that trying again may help."""
    if not isinstance(error, ClientError):
        return True
    code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or code in _TRANSIENT


def _is_refusal(error: Any) -> bool:
    """Return whether an error is a denial, by an incomplete policy or of an attack: a 400 of most services."""
    return (
        error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        or "AccessDenied" in error.response["Error"]["Code"]
    )
