"""Tokens with which IAM lets a function in where others show a password.

Each is a URL presigned with the function's own credentials, made without a call, valid for 15 minutes and for
new connections alone ("IAM database authentication", Amazon Aurora user guide; "Authenticating with IAM", Amazon
ElastiCache user guide).
"""

from typing import Any
from urllib.parse import urlencode

import botocore.session
from botocore.model import ServiceId
from botocore.signers import RequestSigner

from app.core.process import process
from app.core.settings import settings

VALID_S = 900


@process.keeps
def _session() -> Any:
    return botocore.session.get_session()


def database_token(host: str, port: int, user: str) -> str:
    """Return what `user` shows to Aurora, or to RDS Proxy, at `host` in place of a password."""
    return _presigned("rds-db", f"{host}:{port}", {"Action": "connect", "DBUser": user})


def cache_token(name: str, user: str, *, serverless: bool) -> str:
    """Return what `user` shows to the ElastiCache cache `name` in place of a password."""
    kind = {"ResourceType": "ServerlessCache"} if serverless else {}
    return _presigned("elasticache", name, {"Action": "connect", "User": user, **kind})


def _presigned(service: str, host: str, query: dict[str, str]) -> str:
    # The clients of both services would load models of megabytes for this one signature.
    signer = RequestSigner(
        ServiceId(service),
        settings().aws_region,
        service,
        "v4",
        _session().get_credentials(),
        _session().get_component("event_emitter"),
    )
    request = {"method": "GET", "url": f"https://{host}/?{urlencode(query)}", "body": {}, "headers": {}}
    url: str = signer.generate_presigned_url({**request, "context": {}}, "connect", VALID_S)
    return url.removeprefix("https://")
