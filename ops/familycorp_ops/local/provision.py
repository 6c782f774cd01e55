"""Creates in an emulator what Terraform creates in AWS: tables, buckets, and the keys that logging in needs."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from app.core.settings import Settings
from familycorp_ops.facts import TABLES
from familycorp_ops.servers.ministack import DEVELOPMENT_ORIGINS

LIFECYCLE: Final[Sequence[Mapping[str, Any]]] = (
    {
        "ID": "quarantine",
        "Status": "Enabled",
        "Filter": {"Prefix": "quarantine/"},
        "Expiration": {"Days": 2},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
    },
    {
        "ID": "deleted-files",
        "Status": "Enabled",
        "Filter": {"Prefix": "files/"},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
    },
)
"""Lifecycle rules of the bucket: expire objects in quarantine, and files 30 days after their deletion."""


def provision(settings: Settings, *, tables_only: bool = False) -> list[str]:
    """Create missing tables, buckets and keys, and return their names.

    `tables_only` is for an emulator that knows nothing else, as DynamoDB Local.
    Raises `ValueError` without an emulator's address: in AWS itself these things are Terraform's.
    """
    if settings.aws_endpoint_url is None:
        raise ValueError(
            "FAMILYCORP_AWS_ENDPOINT_URL isn't set: in AWS itself, Terraform creates tables and buckets"
        )

    # Their import takes 0.1 s, which `--help` doesn't need.
    from botocore.config import Config  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    session = get_session()

    def client(service: str) -> Any:
        made = session.create_client(
            service,
            region_name=settings.aws_region,
            endpoint_url=(service == "s3" and settings.s3_endpoint_url) or settings.aws_endpoint_url,
            # An emulator's address may come with any environment: never send a real key there.
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - not a secret.
            config=Config(connect_timeout=5, read_timeout=10, s3={"addressing_style": "path"}),
        )
        # Threads that request these for the first time together get different classes, and catch none of the others'.
        _ = made.exceptions
        return made

    dynamodb = client("dynamodb")
    clients = [dynamodb]
    steps: list[Callable[[], str | None]] = [
        partial(_table, dynamodb, f"familycorp-{settings.env}-{name}", table)
        for name, table in TABLES.items()
    ]
    if not tables_only:
        s3, sqs, secrets, kms = (client(service) for service in ("s3", "sqs", "secretsmanager", "kms"))
        clients += [s3, sqs, secrets, kms]
        steps += [
            lambda: _uploads(s3, sqs, settings),
            lambda: _bucket(s3, settings.media_bucket, settings),
            lambda: _signing_key(secrets, settings.signing_key_secret),
            lambda: _encryption_key(kms, settings.factors_key),
        ]
    try:
        with ThreadPoolExecutor(len(steps)) as pool:
            return [name for name in pool.map(lambda step: step(), steps) if name]
    finally:
        for each in clients:
            each.close()


def _bucket(s3: Any, name: str, settings: Settings) -> str | None:
    created: str | None = None
    try:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": settings.aws_region})
        created = name
    except s3.exceptions.BucketAlreadyOwnedByYou:
        pass
    if settings.s3_endpoint_url is None:
        blocked = dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        )
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocked)
    return created


def _uploads(s3: Any, sqs: Any, settings: Settings) -> str | None:
    name = settings.uploads_bucket
    created = _bucket(s3, name, settings)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": LIFECYCLE})
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": cors_rules(settings)})
    if settings.s3_endpoint_url is None:
        _notify(s3, sqs, name, settings.uploads_queue)
    return created


def cors_rules(settings: Settings) -> list[dict[str, Any]]:
    """Return who may upload from a browser: pages of the company's own origins, by POST or in parts by PUT."""
    local = DEVELOPMENT_ORIGINS if settings.env == "local" else ()
    return [
        {
            "AllowedOrigins": sorted({*settings.cors_origins, settings.site_url, *local}),
            "AllowedMethods": ["POST", "PUT"],
            "AllowedHeaders": ["content-type", "x-amz-checksum-sha256"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 600,
        }
    ]


def _notify(s3: Any, sqs: Any, bucket: str, queue: str) -> None:
    """Send events of arrivals in quarantine to a queue for `app.functions.worker`; in AWS they start a function."""
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    arrivals = {
        "QueueArn": arn,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "quarantine/"}]}},
    }
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [arrivals]}
    )


def _signing_key(secrets: Any, name: str) -> str | None:
    from app.functions.rotation import new_key  # noqa: PLC0415 - most commands need no cryptography.

    try:
        secrets.describe_secret(SecretId=name)
    except secrets.exceptions.ResourceNotFoundException:
        try:
            secrets.create_secret(Name=name, SecretString=json.dumps(new_key()))
        except secrets.exceptions.ResourceExistsException:
            return None  # Another process was quicker.
        return name
    return None


def _encryption_key(kms: Any, alias: str) -> str | None:
    try:
        kms.describe_key(KeyId=alias)
    except kms.exceptions.NotFoundException:
        key = kms.create_key(Description="Encrypts TOTP secrets")["KeyMetadata"]["KeyId"]
        try:
            kms.create_alias(AliasName=alias, TargetKeyId=key)
        except kms.exceptions.AlreadyExistsException:  # Another process was quicker.
            kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
            return None
        return alias
    return None


def _table(dynamodb: Any, name: str, table: Mapping[str, Any]) -> str | None:
    created: str | None = None
    try:
        dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **_definition(table))
        created = name
    except dynamodb.exceptions.ResourceInUseException:
        pass
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    # A run that was interrupted may have left the table without its TTL; to set it twice is an error.
    if "ttl" in table and (
        dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"]
        == "DISABLED"
    ):
        ttl = {"Enabled": True, "AttributeName": table["ttl"]}
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
    return created


def _definition(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table's part of a CreateTable request."""
    indexes = table.get("indexes", {})
    schemas = {name: _key_schema(keys) for name, keys in {"": table, **indexes}.items()}
    attributes = sorted({key["AttributeName"] for schema in schemas.values() for key in schema})
    definition: dict[str, Any] = {
        "KeySchema": schemas.pop(""),
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in attributes],
    }
    if indexes:
        definition["GlobalSecondaryIndexes"] = [
            {"IndexName": name, "KeySchema": schemas[name], "Projection": _projection(index)}
            for name, index in indexes.items()
        ]
    if "stream" in table:
        definition["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": table["stream"]}
    return definition


def _key_schema(keys: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"AttributeName": keys[kind], "KeyType": kind.upper()} for kind in ("hash", "range") if kind in keys
    ]


def _projection(index: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {"NonKeyAttributes": index["attributes"]} if "attributes" in index else {}
    return {"ProjectionType": index["projection"], **attributes}
