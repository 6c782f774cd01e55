"""Each function may do what it does, and nothing else: its policy against what the application was seen to do.

`be-app/tests/support/actions.json` has every AWS action that the application's tests perform, by function; their
run fails when there is one more. Here it is compared with the plan's policies, and an emulator enforces those.
"""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from familycorp_ops.deploy import infra
from familycorp_ops.deploy.infra import Terraform
from familycorp_ops.facts import FUNCTIONS
from familycorp_ops.rehearse.cloud import MiniStackWithoutGaps
from familycorp_ops.servers.ministack import REGION
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.servers import missing

ENV = "prod"
NAME = f"familycorp-{ENV}"
RECORDED: dict[str, dict[str, list[str]]] = json.loads(
    (infra.ROOT / "be-app" / "tests" / "support" / "actions.json").read_text()
)
PERFORMED = {
    (f, a, r) for f, resources in RECORDED.items() for r, actions in resources.items() for a in actions
}

Statement = Mapping[str, Any]

NOT_RECORDED = {
    "OwnLogs": "Lambda writes the log in the function's name.",
    "Network": "Lambda makes the interfaces in the function's name.",
    "DeadLetters": "Lambda sends what failed in the function's name.",
    "Stream": "Lambda reads the stream in the function's name.",
    "StreamList": "Lambda finds the stream in the function's name.",
    "TablesKey": "DynamoDB uses the key in the caller's name.",
    "UploadsKey": "S3 uses the key in the caller's name.",
    "SecretsKey": "Secrets Manager uses the key in the caller's name.",
    "TopicsKey": "SNS and SQS use the key in the caller's name.",
    "Cache": "The token for Valkey is signed locally; nothing is called.",
    "CacheUser": "The token for Valkey is signed locally; nothing is called.",
}
"""Statements for what no client of the application calls, so that no recording can hold it."""

SHARED = {
    "PostsWrite": "Each relays the whole outbox, including other functions' rows.",
    "EventsWrite": "Each relays the whole outbox, including other functions' rows.",
    "SessionsProfiles": "Each relays the whole outbox, including other functions' rows.",
    "MediaPlace": "Each relays the whole outbox, including other functions' rows.",
    "MediaList": "Each relays the whole outbox, including other functions' rows.",
    "UploadsLink": "Each copies public pictures from the files; the backend signs links to them besides.",
    "UploadsSign": "The operators' function signs the forms that the backend signs.",
    "UploadsCheck": "Each finishes an upload from wherever another function left it.",
    "UploadsList": "Each finishes an upload from wherever another function left it.",
}
"""Statements for work that backend, drain and uploads share: which of them does it is a matter of time."""


@pytest.fixture(scope="module")
def plan(terraform: Terraform) -> dict[str, Any]:
    # With every optional permission.
    every = {
        "oidc_issuer": "https://login.example",
        "oidc_client_id": "x",
        "oidc_client_has_secret": True,
        "waf": False,
    }
    return terraform.plan(*infra.options(ENV, "terraform", **every))


@pytest.fixture(scope="module")
def policies(plan: dict[str, Any]) -> dict[str, list[Statement]]:
    given = plan["planned_values"]["outputs"]["function_policies"]["value"]
    return {function: policy["Statement"] for function, policy in given.items()}


def arn(resource: str) -> str:
    """Return the ARN of a recorded resource, as the application's own calls would name it."""
    account = f"{REGION}:000000000000"
    if resource.startswith(("uploads", "exchange", "media")):
        return f"arn:aws:s3:::{NAME}-" + resource.partition("?")[0].replace("*", "some-object")
    if resource in {"signing-key", "oidc-client"}:
        name = {"signing-key": "signing-key", "oidc-client": "oidc-client-secret"}[resource]
        return f"arn:aws:secretsmanager:{account}:secret:{NAME}-{name}-AbCdEf"
    if resource == "factors":
        return f"arn:aws:kms:{account}:key/{uuid.UUID(int=1)}"
    if resource == "notices":
        return f"arn:aws:sns:{account}:{NAME}-notices"
    return f"arn:aws:dynamodb:{account}:table/{NAME}-{resource.partition('#')[0]}"


def values(resource: str) -> dict[str, str]:
    """Return the condition keys that AWS would see with a recorded resource."""
    found = {"dynamodb:LeadingKeys": resource.partition("#")[2] or "something"}
    if "?" in resource:
        found["s3:prefix"] = resource.partition("?")[2] + "some-object"
    if resource == "factors":
        found["kms:ResourceAliases"] = f"alias/{NAME}-factors"
    return found


def holds(statement: Statement, action: str, resource: str) -> bool:
    """Return whether a statement speaks of an action on a resource."""
    if action not in statement["Action"]:
        return False
    if not any(fnmatchcase(arn(resource), pattern) for pattern in statement["Resource"]):
        return False
    seen = values(resource)
    for operator, comparison in statement.get("Condition", {}).items():
        for key, wanted in comparison.items():
            if key not in seen and operator.endswith("IfExists"):
                continue
            patterns = wanted if isinstance(wanted, list) else [wanted]
            if not any(fnmatchcase(seen.get(key, ""), pattern) for pattern in patterns):
                return False
    return True


def permits(statements: list[Statement], action: str, resource: str) -> bool:
    """Return what IAM says: something allows it, and nothing denies it."""
    effects = {s["Effect"] for s in statements if holds(s, action, resource)}
    return effects == {"Allow"}


def test_each_function_may_do_what_it_was_seen_to_do(policies: dict[str, list[Statement]]) -> None:
    assert {f for f, _, _ in PERFORMED} == {*RECORDED} == {*FUNCTIONS} - {"migrations"}
    refused = {(f, a, r) for f, a, r in PERFORMED if not permits(policies[f], a, r)}
    assert refused == set()


def test_nothing_is_allowed_that_nobody_was_seen_to_do(policies: dict[str, list[Statement]]) -> None:
    unused = {
        (function, statement["Sid"], action)
        for function, statements in policies.items()
        for statement in statements
        if statement["Effect"] == "Allow" and statement["Sid"] not in NOT_RECORDED
        for action in statement["Action"]
        if not any(
            holds(statement, action, r)
            for f, a, r in PERFORMED
            if a == action
            and (f == function or (statement["Sid"] in SHARED and f in {"backend", "drain", "uploads"}))
        )
    }
    assert unused == set()
    sids = {s["Sid"] for statements in policies.values() for s in statements}
    assert (NOT_RECORDED | SHARED).keys() - sids == set()


# -- an emulator that enforces ------------------------------------------------------------------------------------

NOT_ENFORCED = {
    "dynamodb:LeadingKeys": "so that the Deny of public keys can't be seen to work",
    "kms:ViaService": "so that keys that a service uses in the caller's name can't be asked for",
}
"""Condition keys that MiniStack doesn't know; what depends on them is compared above alone."""

FORBIDDEN = [
    ("dynamodb", "scan", {"TableName": f"{NAME}-sessions"}),
    ("dynamodb", "delete_table", {"TableName": f"{NAME}-posts"}),
    ("dynamodb", "get_item", {"TableName": "familycorp-dev-sessions", "Key": {"owner": {"S": "x"}}}),
    ("s3", "put_object", {"Bucket": f"{NAME}-uploads", "Key": "elsewhere/x"}),
    ("s3", "list_objects_v2", {"Bucket": f"{NAME}-uploads", "Prefix": ""}),
    ("s3", "put_object", {"Bucket": f"{NAME}-media", "Key": "elsewhere/x"}),
    ("s3", "delete_bucket_policy", {"Bucket": f"{NAME}-uploads"}),
    ("secretsmanager", "delete_secret", {"SecretId": f"{NAME}-signing-key"}),
    ("kms", "decrypt", {"KeyId": f"alias/{NAME}-data", "CiphertextBlob": b"x"}),
    ("iam", "create_user", {"UserName": "somebody"}),
    ("iam", "put_role_policy", {"RoleName": f"{NAME}-backend", "PolicyName": "x", "PolicyDocument": "{}"}),
    (
        "sts",
        "assume_role",
        {"RoleArn": f"arn:aws:iam::000000000000:role/{NAME}-auth", "RoleSessionName": "test"},
    ),
]
"""What no function at all may do."""


class Enforcing:
    """The emulator with what the environment has, and clients in a function's role."""

    def __init__(self, url: str, *plans: Mapping[str, Any]) -> None:
        self._url, self._clients = url, dict[tuple[str, str], Any]()
        self._make(*plans)

    def client(self, service: str, function: str = "") -> Any:
        """Return a client in a function's role, else in that of the account's root."""
        key = (service, function)
        if key not in self._clients:
            keys: dict[str, Any] = {}
            if function:
                role = f"arn:aws:iam::000000000000:role/{NAME}-{function}"
                keys = self.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
            self._clients[key] = botocore.session.get_session().create_client(
                service,
                region_name=REGION,
                endpoint_url=self._url,
                config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
                aws_access_key_id=keys.get("AccessKeyId"),
                aws_secret_access_key=keys.get("SecretAccessKey"),
                aws_session_token=keys.get("SessionToken"),
            )
        return self._clients[key]

    def _make(self, *plans: Mapping[str, Any]) -> None:
        iam, dynamodb, s3 = (self.client(service) for service in ("iam", "dynamodb", "s3"))
        made = {r["address"]: r["values"] for plan in plans for r in infra.resources(plan)}
        boundary = iam.create_policy(
            PolicyName=f"{NAME}-boundary", PolicyDocument=made["aws_iam_policy.boundary"]["policy"]
        )["Policy"]["Arn"]
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "000000000000"}}
        for function in RECORDED:
            name = made[f'aws_iam_role.function["{function}"]']["name"]
            iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
                PermissionsBoundary=boundary,
            )
            policy = made[f'aws_iam_role_policy.function["{function}"]']["policy"]
            iam.put_role_policy(RoleName=name, PolicyName="function", PolicyDocument=policy)
        for table in ("posts", "sessions", "events"):
            dynamodb.create_table(
                TableName=f"{NAME}-{table}",
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            )
        location = {"LocationConstraint": REGION}
        for bucket in ("uploads", "exchange", "media"):
            s3.create_bucket(Bucket=f"{NAME}-{bucket}", CreateBucketConfiguration=location)
        for name in ("signing-key", "oidc-client-secret"):
            self.client("secretsmanager").create_secret(Name=f"{NAME}-{name}", SecretString="{}")
        for alias in ("factors", "data"):
            key = self.client("kms").create_key()["KeyMetadata"]["KeyId"]
            self.client("kms").create_alias(AliasName=f"alias/{NAME}-{alias}", TargetKeyId=key)
        self.client("sns").create_topic(Name=f"{NAME}-notices")

    def denies(self, function: str, service: str, operation: str, parameters: Mapping[str, Any]) -> bool:
        """Return whether a function is denied an operation; whether it would then succeed is all the same."""
        try:
            getattr(self.client(service, function), operation)(**parameters)
        except ClientError as error:
            return error.response["Error"]["Code"] in {
                "AccessDenied",
                "AccessDeniedException",
                "AuthorizationError",
            }
        return False

    def request(self, action: str, resource: str) -> tuple[str, str, dict[str, Any]]:
        """Return service, operation and parameters that need exactly this permission."""
        service, _, name = action.partition(":")
        if service == "dynamodb":
            return service, *_of_table(name, resource)
        if service == "s3":
            return service, *_of_bucket(name, resource)
        operation = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        if service == "secretsmanager":
            secret = {"signing-key": "signing-key", "oidc-client": "oidc-client-secret"}[resource]
            more: dict[str, dict[str, Any]] = {
                "PutSecretValue": {"SecretString": "{}", "VersionStages": ["AWSPENDING"]},
                "UpdateSecretVersionStage": {"VersionStage": "AWSPENDING"},
            }
            return service, operation, {"SecretId": f"{NAME}-{secret}", **more.get(name, {})}
        if service == "kms":
            blob = self.client("kms").encrypt(KeyId=f"alias/{NAME}-factors", Plaintext=b"x")["CiphertextBlob"]
            content = {"CiphertextBlob": blob} if name == "Decrypt" else {"Plaintext": b"x"}
            return service, operation, {"KeyId": f"alias/{NAME}-factors", **content}
        assert (service, resource) == ("sns", "notices"), action
        return service, operation, {"TopicArn": arn(resource), "Message": "x"}


def _of_table(name: str, resource: str) -> tuple[str, dict[str, Any]]:
    table, _, index = resource.partition("/index/")
    key, where = {"id": {"S": "x"}}, {"TableName": f"{NAME}-{table}"}
    operation = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    match name:
        case "BatchGetItem":
            return operation, {"RequestItems": {where["TableName"]: {"Keys": [key]}}}
        case "ConditionCheckItem":
            check = {**where, "Key": key, "ConditionExpression": "attribute_exists(id)"}
            return "transact_write_items", {"TransactItems": [{"ConditionCheck": check}]}
        case "PutItem":
            return operation, {**where, "Item": key}
        case "Query":
            asked = {"KeyConditionExpression": "id = :i", "ExpressionAttributeValues": {":i": {"S": "x"}}}
            return operation, {**where, **asked, **({"IndexName": index} if index else {})}
        case "DescribeTable":
            return operation, where
    return operation, {**where, "Key": key}


def _of_bucket(name: str, resource: str) -> tuple[str, dict[str, Any]]:
    bucket, _, key = resource.partition("?" if "?" in resource else "/")
    where = {"Bucket": f"{NAME}-{bucket}"}
    if "?" in resource:
        operation = {"ListBucket": "list_objects_v2", "ListBucketVersions": "list_object_versions"}[name]
        return operation, {**where, "Prefix": values(resource)["s3:prefix"]}
    where["Key"] = key.replace("*", "some-object")
    upload = {**where, "UploadId": "x"}
    return {
        "GetObject": ("get_object", where),
        "PutObject": ("put_object", where),
        "DeleteObject": ("delete_object", where),
        "DeleteObjectVersion": ("delete_object", {**where, "VersionId": str(uuid.UUID(int=1))}),
        "AbortMultipartUpload": ("abort_multipart_upload", upload),
        "ListMultipartUploadParts": ("list_parts", upload),
    }[name]


@pytest.fixture(scope="module")
def enforcing(plan: dict[str, Any], roles: Terraform) -> Iterator[Enforcing]:
    try:
        with MiniStackWithoutGaps() as server:
            yield Enforcing(server.url, plan, roles.plan(*infra.options(ENV, "terraform")))
    except NotInstalledError as error:
        missing("ministack", error)


def test_an_emulator_lets_each_function_do_its_own_and_no_others_work(
    enforcing: Enforcing, policies: dict[str, list[Statement]]
) -> None:
    wrong = []
    for action, resource in sorted({(a, r) for _, a, r in PERFORMED if "#" not in r}):
        for function in RECORDED:
            denied = enforcing.denies(function, *enforcing.request(action, resource))
            if denied is permits(policies[function], action, resource):
                wrong.append((function, action, resource, "denied" if denied else "allowed"))
    assert wrong == []


@pytest.mark.parametrize(
    ("service", "operation", "parameters"), FORBIDDEN, ids=[f"{s}-{o}" for s, o, _ in FORBIDDEN]
)
def test_an_emulator_denies_every_function_what_none_may_do(
    enforcing: Enforcing, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    allowed = [f for f in RECORDED if not enforcing.denies(f, service, operation, parameters)]
    assert allowed == []


def test_what_the_emulator_cant_enforce_is_named(policies: dict[str, list[Statement]]) -> None:
    keys = {
        key
        for statements in policies.values()
        for statement in statements
        for comparison in statement.get("Condition", {}).values()
        for key in comparison
    }
    # The last two are known to the emulator; the network's Deny speaks to what runs inside a function alone.
    assert keys == {*NOT_ENFORCED, "lambda:SourceFunctionArn", "kms:ResourceAliases", "s3:prefix"}
