"""What Terraform creates in AWS exists in the emulator too."""

import json
from base64 import urlsafe_b64decode
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import jwt
import pytest
from botocore.session import get_session
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from jwt.algorithms import ECAlgorithm

from app.core.settings import Settings
from familycorp_ops.local.provision import provision


@pytest.fixture
def client(ministack):
    clients = []

    def create(service):
        session = get_session()
        clients.append(
            session.create_client(service, region_name="ap-northeast-2", endpoint_url=ministack.url)
        )
        return clients[-1]

    yield create
    for each in clients:
        each.close()


def test_tables_and_bucket_are_as_designed_and_made_once(ministack, client):
    settings = Settings(env="test", aws_endpoint_url=ministack.url)
    provision(settings)
    assert provision(settings) == []

    posts = client("dynamodb").describe_table(TableName=settings.posts_table)["Table"]
    assert _keys(posts) == ["postId"]
    assert posts["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    indexes = {index["IndexName"]: index for index in posts["GlobalSecondaryIndexes"]}
    assert {name: _keys(index) for name, index in indexes.items()} == {
        "byLang": ["lang", "listedAt"],
        "byCategory": ["categoryLang", "listedAt"],
        "bySlug": ["slug"],
        "byTranslation": ["translationKey"],
    }
    assert indexes["byLang"]["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["card"]}
    assert indexes["bySlug"]["Projection"] == {"ProjectionType": "KEYS_ONLY"}

    events = client("dynamodb").describe_table(TableName=settings.events_table)["Table"]
    assert _keys(events) == ["aggregate", "sequence"]
    assert events["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    sessions = client("dynamodb").describe_table(TableName=settings.sessions_table)["Table"]
    assert _keys(sessions) == ["owner", "item"]
    assert sessions["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert "StreamSpecification" not in sessions
    for table in (settings.events_table, settings.sessions_table):
        ttl = client("dynamodb").describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}

    access = client("s3").get_public_access_block(Bucket=settings.uploads_bucket)
    assert set(access["PublicAccessBlockConfiguration"].values()) == {True}


def test_keys_are_made_once_and_work(ministack, client):
    settings = Settings(env="test", aws_endpoint_url=ministack.url)
    provision(settings)
    secret = client("secretsmanager").get_secret_value(SecretId=settings.signing_key_secret)["SecretString"]
    key = json.loads(secret)
    assert (key["alg"], key["use"], len(key["x"]), len(key["y"]), len(key["d"])) == (
        "ES256",
        "sig",
        43,
        43,
        43,
    )
    thumbprint = sha256(f'{{"crv":"P-256","kty":"EC","x":"{key["x"]}","y":"{key["y"]}"}}'.encode()).digest()
    assert urlsafe_b64decode(f"{key['kid']}=") == thumbprint
    private = ECAlgorithm.from_jwk(secret)
    assert isinstance(private, EllipticCurvePrivateKey)
    token = jwt.encode({"sub": "x"}, private, "ES256")
    public = jwt.PyJWK({name: value for name, value in key.items() if name != "d"})
    assert jwt.decode(token, public, ["ES256"]) == {"sub": "x"}

    kms = client("kms")
    sealed = kms.encrypt(KeyId=settings.factors_key, Plaintext=b"secret", EncryptionContext={"member": "1"})
    # A second run leaves both as they are.
    assert provision(settings) == []
    again = client("secretsmanager").get_secret_value(SecretId=settings.signing_key_secret)["SecretString"]
    assert again == secret
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext={"member": "1"})
    assert opened["Plaintext"] == b"secret"
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext={"member": "2"})


def test_several_may_provision_at_once(ministack):
    settings = Settings(env="local", aws_endpoint_url=ministack.url)
    with ThreadPoolExecutor(3) as pool:
        created = [name for names in pool.map(provision, [settings] * 3) for name in names]
    assert sorted(created) == sorted(set(created))


def test_aws_itself_is_left_to_terraform():
    with pytest.raises(ValueError, match="Terraform"):
        provision(Settings(env="test"))


def _keys(table: dict[str, Any]) -> list[str]:
    return [key["AttributeName"] for key in table["KeySchema"]]
