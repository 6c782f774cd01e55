"""What people alone apply (terraform/bootstrap): whom the pipeline's roles trust, and that none can widen itself."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from familycorp_ops.deploy import infra
from familycorp_ops.deploy.infra import Terraform
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.permissions import ask
from familycorp_ops.testing.servers import missing

ACCOUNT = "000000000000"
NAME = "familycorp-prod"
IDS = {"owner": 10, "repository": 2_000_000_001}
IAM = f"arn:aws:iam::{ACCOUNT}"
HERE = f"ap-northeast-2:{ACCOUNT}"
INFRA = f"{IAM}:role/{NAME}-infra"
BOUNDARY = f"{IAM}:policy/{NAME}-boundary"
STATE = f"arn:aws:s3:::{NAME}-state-{ACCOUNT}"
KEY = f"arn:aws:kms:{HERE}:key/4f1c9d2e"


@pytest.fixture(scope="module")
def made(roles: Terraform) -> dict[str, dict[str, Any]]:
    """The attributes of each resource of Prod."""
    plan = roles.plan(*infra.options("prod", "terraform"))
    return {resource["address"]: resource["values"] for resource in infra.resources(plan)}


@pytest.fixture(scope="module")
def numbered(roles: Terraform) -> dict[str, dict[str, Any]]:
    """The same of Dev for a newer repository, and other names of buckets."""
    chosen = {"github_repository_ids": IDS, "github_trusts_names": False, "bucket_suffix": "kr-1"}
    plan = roles.plan(*infra.options("dev", "sam", **chosen))
    return {resource["address"]: resource["values"] for resource in infra.resources(plan)}


def subjects(made: Mapping[str, Any], role: str) -> list[str]:
    """Return the subjects of GitHub's tokens that a role trusts."""
    (statement,) = json.loads(made[f"aws_iam_role.{role}[0]"]["assume_role_policy"])["Statement"]
    conditions = statement["Condition"]
    assert conditions.keys() == {"StringEquals"}
    assert conditions["StringEquals"]["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    found: list[str] = conditions["StringEquals"]["token.actions.githubusercontent.com:sub"]
    return found


def statements(made: Mapping[str, Any], role: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(made[f"aws_iam_role_policy.{role}[0]"]["policy"])["Statement"]
    return found


def test_each_of_the_pipelines_roles_is_trusted_for_one_environment_alone(
    made: dict[str, Any], numbered: dict[str, Any]
) -> None:
    """GitHub changelog, 2026-04-23: immutable subject claims for GitHub Actions OIDC tokens."""
    names, numbers = "repo:familycorp/backend", "repo:familycorp@10/backend@2000000001"
    for role, suffix in {"deploy": "", "infra": "-infra", "plan": "-plan"}.items():
        assert subjects(made, role) == [f"{names}:environment:prod{suffix}"]
        assert subjects(numbered, role) == [f"{numbers}:environment:dev{suffix}"]


@pytest.mark.infra
def test_both_forms_of_githubs_subject_are_trusted_exactly(roles: Terraform) -> None:
    plan = roles.plan(*infra.options("dev", "sam", github_repository_ids=IDS))
    both = {resource["address"]: resource["values"] for resource in infra.resources(plan)}
    assert subjects(both, "deploy") == [
        "repo:familycorp@10/backend@2000000001:environment:dev",
        "repo:familycorp/backend:environment:dev",
    ]


def test_a_suffix_of_buckets_names_is_in_the_roles_policies(numbered: dict[str, Any]) -> None:
    named = set(
        re.findall(r"s3:::(familycorp-dev-(?:uploads|logs|releases|exchange)[\w-]*)", json.dumps(numbered))
    )
    assert named
    assert {name for name in named if not name.endswith("-kr-1")} == set()


def test_a_plan_looks_saves_itself_and_raises_the_alarm(made: dict[str, Any]) -> None:
    found = statements(made, "plan")
    writes = {
        (action, resource)
        for statement in found
        for action in statement["Action"]
        for resource in statement["Resource"]
        if not re.match(r"[a-z0-9-]+:(Get|List|View)", action, re.IGNORECASE)
    }
    keys = f"arn:aws:kms:{HERE}:key/*"
    assert writes == {
        ("s3:PutObject", f"{STATE}/plans/*"),
        ("sns:Publish", f"arn:aws:sns:{HERE}:{NAME}-alarms"),
        ("kms:Decrypt", keys),
        ("kms:GenerateDataKey", keys),
    }
    reads = [r for s in found if "s3:GetObject" in s["Action"] for r in s["Resource"]]
    assert all("-state-" in r for r in reads)
    assert not any(a.startswith(("secretsmanager:", "dynamodb:")) for s in found for a in s["Action"])
    attached = made["aws_iam_role_policy_attachment.plan[0]"]
    assert attached["policy_arn"].endswith(":policy/SecurityAudit")


# -- the pipeline can't widen itself ------------------------------------------------------------------------------

BOUNDED = {"iam:PermissionsBoundary": BOUNDARY}
ESCALATIONS: dict[str, tuple[str, str, Mapping[str, str], set[str]]] = {
    # What it would do: action, resource, condition keys that AWS sends, the statements that deny it.
    "attach a policy to itself": ("iam:AttachRolePolicy", INFRA, {}, {"NotTheGuards", "RolesBelowTheBoundary"}),
    "write a policy for itself": ("iam:PutRolePolicy", INFRA, BOUNDED, {"NotTheGuards"}),
    "take its denials away": ("iam:DeleteRolePolicy", INFRA, {}, {"NotTheGuards"}),
    "edit its own trust": ("iam:UpdateAssumeRolePolicy", INFRA, {}, {"NotTheGuards"}),
    "edit the trust of a role of people": (
        "iam:UpdateAssumeRolePolicy", f"{IAM}:role/Administrators", {}, {"PassesOwnRolesAlone"},
    ),
    "give a deployment's role a policy": (
        "iam:PutRolePolicy", f"{IAM}:role/{NAME}-deploy", BOUNDED, {"NotTheGuards"},
    ),
    "assume a deployment's role": (
        "sts:AssumeRole", f"{IAM}:role/{NAME}-deploy", {}, {"NothingElse", "NotTheGuards"},
    ),
    "assume a role of people": ("sts:AssumeRole", f"{IAM}:role/Administrators", {}, {"NothingElse"}),
    "assume a role that it made": ("sts:AssumeRole", f"{IAM}:role/{NAME}-made", {}, {"NothingElse"}),
    "make a role without a boundary": ("iam:CreateRole", f"{IAM}:role/{NAME}-made", {}, {"RolesBelowTheBoundary"}),
    "make a role below a boundary of its own": (
        "iam:CreateRole", f"{IAM}:role/{NAME}-made",
        {"iam:PermissionsBoundary": f"{IAM}:policy/Everything"}, {"RolesBelowTheBoundary"},
    ),
    "give a role without a boundary a policy": (
        "iam:PutRolePolicy", f"{IAM}:role/{NAME}-made", {}, {"RolesBelowTheBoundary"},
    ),
    "give a role another boundary": (
        "iam:PutRolePermissionsBoundary", f"{IAM}:role/{NAME}-backend",
        {"iam:PermissionsBoundary": f"{IAM}:policy/Everything"}, {"NothingElse", "RolesBelowTheBoundary"},
    ),
    "take a role's boundary away": (
        "iam:DeleteRolePermissionsBoundary", f"{IAM}:role/{NAME}-backend", BOUNDED, {"NothingElse", "BoundariesStay"},
    ),
    "widen the boundary": ("iam:CreatePolicyVersion", BOUNDARY, {}, {"NothingElse", "NotTheGuards"}),
    "go back to another boundary": ("iam:SetDefaultPolicyVersion", BOUNDARY, {}, {"NothingElse", "NotTheGuards"}),
    "delete the boundary": ("iam:DeletePolicy", BOUNDARY, {}, {"NothingElse", "NotTheGuards"}),
    "widen what operators may do": (
        "iam:CreatePolicyVersion", f"{IAM}:policy/{NAME}-operator-read", {}, {"NothingElse", "NotTheGuards"},
    ),
    "make a policy": ("iam:CreatePolicy", f"{IAM}:policy/{NAME}-made", {}, {"NothingElse"}),
    "make a user": ("iam:CreateUser", f"{IAM}:user/{NAME}-made", {}, {"NothingElse"}),
    "make a key of a user": ("iam:CreateAccessKey", f"{IAM}:user/somebody", {}, {"NothingElse"}),
    "trust a provider of its own": (
        "iam:CreateOpenIDConnectProvider", f"{IAM}:oidc-provider/elsewhere.example", {}, {"NothingElse"},
    ),
    "trust another audience of GitHub's": (
        "iam:AddClientIDToOpenIDConnectProvider", f"{IAM}:oidc-provider/token.actions.githubusercontent.com", {},
        {"NothingElse", "NotTheGuards"},
    ),
    "pass a function a role of people": (
        "iam:PassRole", f"{IAM}:role/Administrators", {"iam:PassedToService": "lambda.amazonaws.com"},
        {"PassesOwnRolesAlone"},
    ),
    "pass a function the pipeline's role": (
        "iam:PassRole", INFRA, {"iam:PassedToService": "lambda.amazonaws.com"}, {"NotTheGuards"},
    ),
    "have CloudFormation act by another role": (
        "cloudformation:CreateStack", f"arn:aws:cloudformation:{HERE}:stack/{NAME}-made/*",
        {"cloudformation:RoleArn": f"{IAM}:role/Administrators"}, {"NothingElse"},
    ),
    "run a command by Systems Manager": (
        "ssm:SendCommand", f"arn:aws:ssm:{HERE}:document/made", {}, {"NothingElse"},
    ),
    "run an automation by Systems Manager": (
        "ssm:StartAutomationExecution", f"arn:aws:ssm:{HERE}:automation-definition/made:1", {}, {"NothingElse"},
    ),
    "grant itself a key": ("kms:CreateGrant", KEY, {}, {"GrantsForServicesAlone"}),
    "grant somebody a key": (
        "kms:CreateGrant", KEY, {"kms:GrantIsForAWSResource": "false"}, {"GrantsForServicesAlone"},
    ),
    "rewrite the state of these roles": ("s3:PutObject", f"{STATE}/bootstrap.tfstate", {}, {"NoObjectsButTheState"}),
    "read an upload": ("s3:GetObject", f"arn:aws:s3:::{NAME}-uploads/files/1", {}, {"NoObjectsButTheState"}),
    "read a secret": (
        "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:{NAME}-signing-key-AbCdEf", {},
        {"NoData"},
    ),
    "read a table": ("dynamodb:Scan", f"arn:aws:dynamodb:{HERE}:table/{NAME}-sessions", {}, {"NoData"}),
    "order something of an operator's function": (
        "lambda:InvokeFunction", f"arn:aws:lambda:{HERE}:function:{NAME}-operator-write", {}, {"NoData"},
    ),
    "delete the database": (
        "rds:DeleteDBCluster", f"arn:aws:rds:{HERE}:cluster:{NAME}-database", {}, {"DataStays"},
    ),
    "delete a table": ("dynamodb:DeleteTable", f"arn:aws:dynamodb:{HERE}:table/{NAME}-posts", {}, {"DataStays"}),
    "delete a bucket": ("s3:DeleteBucket", f"arn:aws:s3:::{NAME}-uploads", {}, {"DataStays"}),
    "delete a key": (
        "kms:ScheduleKeyDeletion", KEY, {"kms:ResourceAliases": f"alias/{NAME}-data"}, {"DataStays"},
    ),
    "delete the users": (
        "cognito-idp:DeleteUserPool", f"arn:aws:cognito-idp:{HERE}:userpool/ap-northeast-2_x", {}, {"DataStays"},
    ),
}  # fmt: skip
KEYS_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": f"{IAM}:root"}}
    ],
}
"""A key's own policy leaves it to IAM."""
EVERYTHING = {"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}


def asked(name: str, who: str, what: tuple[Any, ...], statements: list[dict[str, Any]]) -> dict[str, Any]:
    action, resource, context, *_ = what
    return {
        "name": name,
        "account": ACCOUNT,
        "principal": f"{IAM}:role/{NAME}-{who}",
        "action": action,
        "resource": resource,
        "context": {"aws:RequestedRegion": "ap-northeast-2", **context},
        "identityPolicies": [{"Version": "2012-10-17", "Statement": statements}],
        **({"resourcePolicy": KEYS_POLICY} if action.startswith("kms:") else {}),
    }


def answered(requests: list[dict[str, Any]]) -> dict[str, str]:
    try:
        found: dict[str, str] = ask(requests=requests)["results"]
    except NotInstalledError as error:
        missing("iam", error)
    return found


def test_the_role_for_infrastructure_cant_widen_itself_nor_take_data(made: dict[str, Any]) -> None:
    """Each escalation is denied whatever else the role is given, and by exactly the statements named."""
    own = statements(made, "infra")
    assert {s["Sid"] for s in own if s["Effect"] == "Deny"} == set().union(
        *(e[3] for e in ESCALATIONS.values())
    )
    requests, expected = list[dict[str, Any]](), dict[str, str]()
    for name, what in ESCALATIONS.items():
        without = [s for s in own if s["Sid"] not in what[3]]
        requests += [
            asked(name, "infra", what, [*own, EVERYTHING]),
            asked(f"{name}, undenied", "infra", what, [*without, EVERYTHING]),
        ]
        expected |= {name: "ExplicitlyDenied", f"{name}, undenied": "Allowed"}
        for sid in what[3]:  # Where several deny it, each does so alone.
            others = [s for s in own if s["Sid"] not in what[3] - {sid}]
            requests.append(asked(f"{name}, by {sid}", "infra", what, [*others, EVERYTHING]))
            expected[f"{name}, by {sid}"] = "ExplicitlyDenied"
    assert answered(requests) == expected


WORK: dict[str, tuple[str, str, Mapping[str, str]]] = {
    "make a function's role": ("iam:CreateRole", f"{IAM}:role/{NAME}-backend", BOUNDED),
    "write a function's policy": ("iam:PutRolePolicy", f"{IAM}:role/{NAME}-backend", BOUNDED),
    "edit a function's trust": ("iam:UpdateAssumeRolePolicy", f"{IAM}:role/{NAME}-backend", {}),
    "pass a function its role": (
        "iam:PassRole", f"{IAM}:role/{NAME}-backend", {"iam:PassedToService": "lambda.amazonaws.com"},
    ),
    "make a function": ("lambda:CreateFunction", f"arn:aws:lambda:{HERE}:function:{NAME}-backend", {}),
    "make a table": ("dynamodb:CreateTable", f"arn:aws:dynamodb:{HERE}:table/{NAME}-posts", {}),
    "protect a bucket": ("s3:PutBucketPolicy", f"arn:aws:s3:::{NAME}-uploads", {}),
    "grow the database": ("rds:ModifyDBCluster", f"arn:aws:rds:{HERE}:cluster:{NAME}-database", {}),
    "serve pictures": ("cloudfront:CreateDistribution", "*", {}),
    "change how pictures are served": (
        "cloudfront:UpdateDistribution", f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1", {},
    ),
    "ask for the pictures' certificate": (
        "acm:DescribeCertificate", f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/1",
        {"aws:RequestedRegion": "us-east-1"},
    ),
    "lend a service a key": ("kms:CreateGrant", KEY, {"kms:GrantIsForAWSResource": "true"}),
    "write the state": ("s3:PutObject", f"{STATE}/familycorp.tfstate", {}),
    "give the state's lock up": ("s3:DeleteObject", f"{STATE}/familycorp.tfstate.tflock", {}),
    "take a saved plan": ("s3:GetObject", f"{STATE}/plans/abc", {}),
}  # fmt: skip


def test_the_role_for_infrastructure_may_do_its_work(made: dict[str, Any]) -> None:
    own = statements(made, "infra")
    results = answered([asked(name, "infra", what, own) for name, what in WORK.items()])
    assert results == dict.fromkeys(WORK, "Allowed")
    # Under the names of this environment alone.
    others = {n: (a, r.replace(NAME, "familycorp-stage"), c) for n, (a, r, c) in WORK.items() if NAME in r}
    results = answered([asked(name, "infra", what, own) for name, what in others.items()])
    assert set(results.values()) <= {"ImplicitlyDenied", "ExplicitlyDenied"}
    assert all(
        len(re.sub(r"\s", "", made[f"aws_iam_role_policy.{role}[0]"]["policy"])) < 10_240
        for role in ("deploy", "infra", "plan")
    ), "IAM takes no longer policy of a role"
