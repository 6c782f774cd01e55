"""Rotation of the key that signs access tokens: `handler` is the function that Secrets Manager calls, step by step.

The steps are those of "Rotation by Lambda function" (AWS Secrets Manager user guide); each may be repeated. Nobody is
logged out: the auth function publishes a key's public half before it signs with it, and old tokens are verified with
the old one until they end.
"""

import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from app.core.aws import clients
from app.functions import invocation

logger = logging.getLogger(__name__)


class RotationRefused(Exception):
    """Secrets Manager's event doesn't fit the secret's state; the message says how."""


def new_key() -> dict[str, str]:
    """Return a new private key for ES256 as a JWK, whose `kid` is its thumbprint (RFC 7638)."""
    private = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    public = private.public_numbers
    # The members that a thumbprint is made of, in its order.
    members = {"crv": "P-256", "kty": "EC", "x": _base64url(public.x), "y": _base64url(public.y)}
    kid = base64.urlsafe_b64encode(hashlib.sha256(orjson.dumps(members)).digest()).rstrip(b"=").decode()
    return members | {"d": _base64url(private.private_value), "kid": kid, "alg": "ES256", "use": "sig"}


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def handler(event: Mapping[str, str], _: object) -> None:
    """Serve Lambda: take one step of a rotation; raises `RotationRefused`, or what botocore raises."""
    invocation.serve("rotation", _take(event["Step"], event["SecretId"], event["ClientRequestToken"]))


async def _take(step: str, secret: str, version: str) -> None:
    described = await clients.call("secretsmanager", "describe_secret", SecretId=secret)
    versions: Mapping[str, list[str]] = described.get("VersionIdsToStages", {})
    if step not in _STEPS:
        raise RotationRefused(f"There is no step {step!r} in a rotation.")
    stages = versions.get(version, ["AWSPENDING"])
    if "AWSCURRENT" in stages:
        return  # Secrets Manager repeated the step.
    if "AWSPENDING" not in stages:
        raise RotationRefused("That version of the secret isn't the pending one.")
    await _STEPS[step](secret, version, versions)
    logger.info("rotation_step_completed", extra={"step": step})


async def _create(secret: str, version: str, _: Mapping[str, list[str]]) -> None:
    try:
        await _pending(secret, version)
    except clients.client("secretsmanager").exceptions.ResourceNotFoundException:
        await clients.call(
            "secretsmanager",
            "put_secret_value",
            SecretId=secret,
            ClientRequestToken=version,
            SecretString=orjson.dumps(new_key()).decode(),
            VersionStages=["AWSPENDING"],
        )


async def _set(*_: Any) -> None:
    """Nothing but the secret knows the key."""


async def _test(secret: str, version: str, _: Mapping[str, list[str]]) -> None:
    jwk = await _pending(secret, version)
    public = {name: value for name, value in jwk.items() if name != "d"}
    token = jwt.encode({}, ECAlgorithm.from_jwk(jwk), algorithm="ES256")  # type: ignore[arg-type]
    jwt.decode(token, ECAlgorithm.from_jwk(public), algorithms=["ES256"])  # type: ignore[arg-type]


async def _finish(secret: str, version: str, versions: Mapping[str, list[str]]) -> None:
    current = next((name for name, stages in versions.items() if "AWSCURRENT" in stages), None)
    moved = {"RemoveFromVersionId": current} if current else {}
    await clients.call(
        "secretsmanager",
        "update_secret_version_stage",
        SecretId=secret,
        VersionStage="AWSCURRENT",
        MoveToVersionId=version,
        **moved,
    )


async def _pending(secret: str, version: str) -> dict[str, str]:
    found = await clients.call(
        "secretsmanager",
        "get_secret_value",
        SecretId=secret,
        VersionId=version,
        VersionStage="AWSPENDING",
    )
    jwk: dict[str, str] = orjson.loads(found["SecretString"])
    return jwk


_STEPS: Mapping[str, Callable[[str, str, Mapping[str, list[str]]], Awaitable[None]]] = {
    "createSecret": _create,
    "setSecret": _set,
    "testSecret": _test,
    "finishSecret": _finish,
}
