"""What Terraform creates in AWS exists in the emulator too."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.session import get_session

from app.core.settings import Settings
from familycorp_ops.provision import provision


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
    ttl = client("dynamodb").describe_time_to_live(TableName=settings.events_table)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}

    access = client("s3").get_public_access_block(Bucket=settings.uploads_bucket)
    assert set(access["PublicAccessBlockConfiguration"].values()) == {True}


def test_several_may_provision_at_once(ministack):
    settings = Settings(env="local", aws_endpoint_url=ministack.url)
    with ThreadPoolExecutor(3) as pool:
        created = [name for names in pool.map(provision, [settings] * 3) for name in names]
    assert sorted(created) == sorted(set(created))


def test_aws_itself_is_left_to_terraform():
    with pytest.raises(ValueError, match="Terraform"):
        provision(Settings(env="test"))


def _keys(table) -> list[str]:
    return [key["AttributeName"] for key in table["KeySchema"]]
