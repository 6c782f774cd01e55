"""AWS's service authorization reference, and an evaluation of policies with it: `ops/iam`, in Node.js."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from familycorp_ops.servers.process import NotInstalledError

IAM: Final = Path(__file__).parents[2] / "iam"
NEEDS: Final = IAM / "needs.yaml"


ACTIONS: Final = {
    ("s3", "GetBucketAccelerateConfiguration"): "s3:GetAccelerateConfiguration",
    ("s3", "GetBucketCors"): "s3:GetBucketCORS",
    ("s3", "GetBucketEncryption"): "s3:GetEncryptionConfiguration",
    ("s3", "GetBucketLifecycleConfiguration"): "s3:GetLifecycleConfiguration",
    ("s3", "GetBucketNotificationConfiguration"): "s3:GetBucketNotification",
    ("s3", "GetBucketReplication"): "s3:GetReplicationConfiguration",
    ("s3", "GetObjectLockConfiguration"): "s3:GetBucketObjectLockConfiguration",
    ("s3", "GetPublicAccessBlock"): "s3:GetBucketPublicAccessBlock",
    ("s3", "HeadBucket"): "s3:ListBucket",
    ("budgets", "DescribeBudget"): "budgets:ViewBudget",
    ("budgets", "DescribeNotificationsForBudget"): "budgets:ViewBudget",
    ("budgets", "DescribeSubscribersForNotification"): "budgets:ViewBudget",
}
"""The permission that an operation needs, where its name is another one (service authorization reference)."""


def needed(service: str, operation: str, given: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield the actions and resources that AWS authorises a read of Terraform's on; "*" for any resource.

    Args:
        service: botocore's name of the service.
        operation: the operation.
        given: its parameters.
        path: the request's path, which is all that API Gateway knows of its resource.
    """
    action = ACTIONS.get((service, operation), f"{service}:{operation}")
    place = "ap-northeast-2:000000000000"
    match service:
        case "apigatewayv2":
            plain = path.partition("?")[0].removeprefix("/v2")
            yield "apigateway:GET", f"arn:aws:apigateway:ap-northeast-2::{plain}"
        case "s3":
            yield action, f"arn:aws:s3:::{given['Bucket']}"
        case "budgets":
            budget = f"arn:aws:budgets::000000000000:budget/{given.get('BudgetName')}"
            yield action, given.get("ResourceARN", budget)
        case "cognito-idp" if "UserPoolId" in given:
            yield action, f"arn:aws:cognito-idp:{place}:userpool/{given['UserPoolId']}"
        case "ssm" if operation == "GetParameter":
            yield action, f"arn:aws:ssm:{place}:parameter{given['Name']}"
        case "lambda" if "FunctionName" in given:
            yield action, f"arn:aws:lambda:{place}:function:{given['FunctionName']}"
        case "lambda" if "UUID" in given:
            yield action, f"arn:aws:lambda:{place}:event-source-mapping:{given['UUID']}"
        case "wafv2" if operation == "GetWebACLForResource":
            yield action, "*"
            yield "cognito-idp:GetWebACLForResource", given["ResourceArn"]  # The only kind that has one here.
        case _:
            yield action, "*"


def ask(**questions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what `ops/iam/check.mjs` answers; raise `NotInstalledError` where Node.js or its packages are missing.

    Args:
        questions: `statements` and `requests`, as that program describes them.
    """
    if (
        shutil.which("node") is None
        or not (IAM / "node_modules" / "@cloud-copilot" / "iam-simulate").is_dir()
    ):
        raise NotInstalledError(
            "AWS's authorization reference isn't installed in ops/iam: `make test` installs it."
        )
    ran = subprocess.run(
        ["node", str(IAM / "check.mjs")],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value of `needs.yaml` with `${…}` replaced by an environment's names."""
    if isinstance(value, str):
        for name, chosen in names.items():
            value = value.replace("${" + name + "}", chosen)
        return value
    if isinstance(value, Mapping):
        return {key: filled(part, names) for key, part in value.items()}
    return [filled(part, names) for part in value] if isinstance(value, list) else value
