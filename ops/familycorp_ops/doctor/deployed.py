"""Whether an environment in AWS, or an emulator, is as Terraform made it and as it should be."""

import datetime
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from familycorp_ops.bootstrap import state_bucket_name
from familycorp_ops.doctor import Check, Finding
from familycorp_ops.smoke import stack

STATE_KEY: Final = "familycorp.tfstate"
ACTIONS: Final = (
    "cloudformation:CreateChangeSet",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "ecr:GetAuthorizationToken",
    "lambda:InvokeFunction",
    "sns:Publish",
    "ssm:GetParameter",
)
"""What `familycorp release` and `familycorp smoke` ask of AWS."""
BACKUP_DAYS: Final = {"dev": 1, "stage": 7, "prod": 14}
"""Days to which a database must be restorable, as terraform/variables.tf has it for Prod."""
FUNCTIONS: Final = ("backend", "auth", "drain", "events", "uploads")
RESOLVED: Final = {"Subnets": "network/subnets", "CorsOrigins": "api/cors-origins", "ApiDomain": "api/domain"}
"""Parameters of the SAM stack, with the parameter of Terraform's that each is looked up in."""
DENIED: Final = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
    "403",
}
ABSENT: Final = {
    *("404", "NoSuchBucket", "NoSuchKey", "NoSuchEntity", "NotFoundException", "DBClusterNotFoundFault"),
    *("ResourceNotFoundException", "RepositoryNotFoundException", "ParameterNotFound", "NotFound"),
}


class Environment:
    """What there is of an environment, read when it is first asked for.

    Args:
        env: dev, stage or prod.
        region: where it is.
    """

    def __init__(self, env: str, region: str) -> None:
        self.env, self.name, self.region = env, f"familycorp-{env}", region
        self._session = get_session()  # One for all: what it reads of AWS's interfaces it keeps.
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return a client of a service."""
        if service not in self._clients:
            self._clients[service] = self._session.create_client(service, region_name=self.region)
        return self._clients[service]

    @cached_property
    def caller(self) -> dict[str, str]:
        """Whose credentials these are."""
        found: dict[str, str] = self.client("sts").get_caller_identity()
        return found

    @cached_property
    def parameters(self) -> dict[str, str]:
        """What Terraform keeps in Parameter Store, without the environment's prefix."""
        prefix = f"/familycorp/{self.env}/"
        pages = (
            self.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=prefix, Recursive=True)
        )
        return {p["Name"].removeprefix(prefix): p["Value"] for page in pages for p in page["Parameters"]}

    @cached_property
    def state(self) -> dict[str, Any] | None:
        """Terraform's state; None where there is none."""
        bucket = state_bucket_name(self.env, self.caller["Account"])
        found = _absent(self.client("s3").get_object, Bucket=bucket, Key=STATE_KEY)
        return None if found is None else json.loads(found["Body"].read())

    @cached_property
    def stack(self) -> dict[str, Any] | None:
        """SAM's stack; None where there is none."""
        try:
            found: dict[str, Any] = self.client("cloudformation").describe_stacks(StackName=stack(self.env))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            return None
        return next(iter(found["Stacks"]), None)

    def in_state(self, kind: str) -> list[dict[str, Any]]:
        """Return the attributes of a kind of resources, as the state has them."""
        return [
            instance["attributes"]
            for resource in (self.state or {}).get("resources", ())
            if resource["mode"] == "managed" and resource["type"] == kind
            for instance in resource["instances"]
        ]


def _absent(ask: Callable[..., Any], **arguments: Any) -> Any:
    """Return what is asked for, or None where AWS says that it isn't there."""
    try:
        return ask(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return None
        raise


def checks(it: Environment, certificate_days: int) -> Iterator[Check]:
    """Look at an environment; without credentials at nothing but them."""
    first = _run(credentials, it)
    yield first
    if first.seen == "unknown":
        return
    for check in (permissions, state, names, drift, backups, alarms, quotas):
        yield _run(check, it)
    yield _run(lambda e: certificates(e, certificate_days), it, "certificates")


def _run(check: Callable[[Environment], Check], it: Environment, name: str | None = None) -> Check:
    name = name or check.__name__
    try:
        return check(it)
    except ClientError as error:
        operation, code = error.operation_name, error.response["Error"]["Code"]
        if code in DENIED:
            mend = f"let them, or use others: {error.response['Error'].get('Message', code)}"
            return Check(name, "unknown", (Finding(f"These credentials may not {operation}.", mend),))
        return Check(
            name, "unknown", (Finding(f"{operation} fails: {error}", "try again; then look at it in AWS."),)
        )
    except BotoCoreError as error:
        mend = "log in (`aws sso login`), or set AWS_* variables; AWS_ENDPOINT_URL for an emulator."
        return Check(name, "unknown", (Finding(f"AWS can't be asked: {error}", mend),))


def credentials(it: Environment) -> Check:
    """Return whose credentials these are."""
    arn = it.caller["Arn"]
    mend = "log in as a role of your own: nothing limits root."
    found = [Finding("These are credentials of the account's root.", mend)] if arn.endswith(":root") else []
    return Check("credentials", arn, tuple(found))


def permissions(it: Environment) -> Check:
    """Return whether a release could be deployed with these credentials, as IAM's simulator says."""
    arn = it.caller["Arn"]
    if arn.endswith(":root"):
        return Check("permissions", "root may do everything")
    if ":assumed-role/" in arn:
        account, role = it.caller["Account"], arn.split("/")[1]
        arn = f"arn:{arn.split(':')[1]}:iam::{account}:role/{role}"
    answer = it.client("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=list(ACTIONS))
    denied = [r["EvalActionName"] for r in answer["EvaluationResults"] if r["EvalDecision"] != "allowed"]
    found = tuple(
        Finding(f"{action} isn't allowed.", f"allow it to {arn}, or let the pipeline deploy.")
        for action in denied
    )
    return Check("permissions", f"{len(ACTIONS) - len(denied)} of {len(ACTIONS)} that a release needs", found)


def state(it: Environment) -> Check:
    """Return whether there is a state, and whether it has been applied."""
    bucket = state_bucket_name(it.env, it.caller["Account"])
    if _absent(it.client("s3").head_bucket, Bucket=bucket) is None:
        finding = Finding(
            f"There is no bucket {bucket} for Terraform's state.", f"`make infra-bootstrap ENV={it.env}`"
        )
        return Check("state", "none", (finding,))
    if it.state is None:
        mend = f"`terraform -chdir=terraform apply -var-file=envs/{it.env}.tfvars`"
        return Check("state", bucket, (Finding("Nothing has been applied yet.", mend),))
    count = sum(len(r["instances"]) for r in it.state["resources"] if r["mode"] == "managed")
    return Check("state", f"{count} resources in {bucket}")


def names(it: Environment) -> Check:
    """Return names of ours that something has which Terraform didn't make, so that an apply would fail on them."""
    found: list[Finding] = []
    probes = _probes(it)
    for address, (attribute, name, ask) in probes.items():
        known = {a.get(attribute) for a in it.in_state(address.partition(".")[0])}
        try:
            there = _absent(ask)
        except ClientError as error:
            if error.response["Error"]["Code"] != "403":
                raise
            mend = "S3's names are the world's: choose another in terraform/s3.tf."
            found.append(Finding(f"The bucket {name} belongs to somebody else.", mend))
            continue
        if there is None:
            continue
        if there.get("DeletedDate"):
            mend = f"`aws secretsmanager restore-secret --secret-id {name}`, then import it."
            found.append(Finding(f"The secret {name} is being deleted, and its name taken until then.", mend))
        elif name not in known:
            mend = f"`terraform -chdir=terraform import '{address}' {name}`, or delete it."
            found.append(Finding(f"{name} is there, and Terraform didn't make it.", mend))
    return Check("names", f"{len(probes)} looked up", tuple(found))


def _probes(it: Environment) -> Mapping[str, tuple[str, str, Callable[[], dict[str, Any] | None]]]:
    """Return what to look up: by address, the attribute that holds the name, the name, and how to ask."""

    def named(service: str, operation: str, argument: str, name: str) -> Callable[[], Any]:
        value: Any = [name] if argument.endswith("Names") else name
        return lambda: getattr(it.client(service), operation)(**{argument: value})

    probes: dict[str, tuple[str, str, Callable[[], Any]]] = {}
    for key in ("uploads", "logs"):
        name = f"{it.name}-{key}"
        probes[f"aws_s3_bucket.{key}"] = ("bucket", name, named("s3", "head_bucket", "Bucket", name))
    for key in ("posts", "sessions", "events"):
        name = f"{it.name}-{key}"
        ask = named("dynamodb", "describe_table", "TableName", name)
        probes[f"aws_dynamodb_table.{key}"] = ("name", name, ask)
    for address, attribute, suffix, call in (
        (
            'aws_secretsmanager_secret.this["signing_key"]',
            "name",
            "signing-key",
            ("secretsmanager", "describe_secret", "SecretId"),
        ),
        (
            "aws_ecr_repository.backend",
            "name",
            "backend",
            ("ecr", "describe_repositories", "repositoryNames"),
        ),
        (
            "aws_rds_cluster.main",
            "cluster_identifier",
            "database",
            ("rds", "describe_db_clusters", "DBClusterIdentifier"),
        ),
        ('aws_iam_role.function["backend"]', "name", "backend", ("iam", "get_role", "RoleName")),
    ):
        name = f"{it.name}-{suffix}"
        probes[address] = (attribute, name, named(*call, name))
    return probes


def drift(it: Environment) -> Check:
    """Return where Terraform's outputs, Parameter Store, SAM's stack and the functions say different things."""
    found = [*_drift_of_settings(it), *_drift_of_stack(it), *_drift_of_functions(it)]
    seen = f"{len(it.parameters)} parameters, stack {it.stack['StackStatus'] if it.stack else 'none'}"
    return Check("drift", seen, tuple(found))


def _drift_of_settings(it: Environment) -> Iterator[Finding]:
    outputs = (it.state or {}).get("outputs", {})
    apply = f"`terraform -chdir=terraform apply -var-file=envs/{it.env}.tfvars`"
    if it.state and not it.parameters:
        yield Finding(f"Nothing is below /familycorp/{it.env}/ in Parameter Store.", apply)
        return
    wanted = {k: str(v) for k, v in outputs.get("settings", {}).get("value", {}).items()}
    kept = {k: str(v) for k, v in json.loads(it.parameters.get("settings", "{}")).items()}
    single = {k.removeprefix("settings/"): v for k, v in it.parameters.items() if k.startswith("settings/")}
    for name in sorted(wanted):
        for where, value in (("settings", kept.get(name)), (f"settings/{name}", single.get(name))):
            if value != wanted[name]:
                what = (
                    f"/familycorp/{it.env}/{where}: {name} is {value}, and Terraform made it {wanted[name]}."
                )
                yield Finding(what, f"{apply}, then deploy again.")


def _drift_of_stack(it: Environment) -> Iterator[Finding]:
    deploy = f"`make deploy ENV={it.env} DIGEST=sha256:... VERSION=COMMIT`"
    if it.stack is None:
        if it.parameters.get("deployer") == "sam":
            yield Finding(f"SAM deploys this environment, and there is no stack {stack(it.env)}.", deploy)
        return
    status = it.stack["StackStatus"]
    if status.endswith("FAILED") or "ROLLBACK" in status:
        yield Finding(f"The stack {stack(it.env)} is {status}.", f"look at its events, then {deploy}.")
    for parameter in it.stack.get("Parameters", ()):
        name = RESOLVED.get(parameter["ParameterKey"])
        value = parameter.get("ResolvedValue", parameter["ParameterValue"])
        if name and not value.startswith("/familycorp/") and value != it.parameters.get(name):
            what = f"The stack was deployed with another {name} than Parameter Store has: {value}."
            yield Finding(what, f"deploy again: {deploy}.")


def _drift_of_functions(it: Environment) -> Iterator[Finding]:
    wanted = it.parameters.get("settings")
    for function in FUNCTIONS if wanted else ():
        name = f"{it.name}-{function}"
        found = _absent(it.client("lambda").get_function_configuration, FunctionName=name, Qualifier="live")
        own = (found or {}).get("Environment", {}).get("Variables", {}).get("FAMILYCORP_SETTINGS")
        if own is not None and json.loads(own) != json.loads(wanted or ""):
            mend = f"deploy again: `make deploy ENV={it.env} DIGEST=sha256:... VERSION=COMMIT`."
            yield Finding(f"The function {name} runs with other settings than Parameter Store has.", mend)


def backups(it: Environment) -> Check:
    """Return whether database, tables and files can be brought back."""
    found, seen = [], []
    least, tfvars = BACKUP_DAYS[it.env], f"terraform/envs/{it.env}.tfvars"
    clusters = _absent(it.client("rds").describe_db_clusters, DBClusterIdentifier=f"{it.name}-database")
    if clusters is None:
        found.append(
            Finding(
                "There is no database.", f"`terraform -chdir=terraform apply -var-file=envs/{it.env}.tfvars`"
            )
        )
    else:
        days = clusters["DBClusters"][0]["BackupRetentionPeriod"]
        seen.append(f"database {days} days")
        if days < least:
            mend = f"set database_backup_days in {tfvars} to {least} or more, and apply."
            found.append(Finding(f"The database can be restored to {days} days, not {least}.", mend))
    for key in ("posts", "sessions", "events"):
        table = f"{it.name}-{key}"
        answer = _absent(it.client("dynamodb").describe_continuous_backups, TableName=table)
        if answer is None:
            found.append(Finding(f"There is no table {table}.", f"apply terraform/ with {tfvars}."))
            continue
        told = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        seen.append(f"{key} {told['PointInTimeRecoveryStatus'].lower()}")
        if told["PointInTimeRecoveryStatus"] != "ENABLED":
            mend = f"apply terraform/ with {tfvars}: it switches point-in-time recovery on."
            found.append(Finding(f"The table {table} can't be restored to a point in time.", mend))
    bucket = f"{it.name}-uploads"
    answer = _absent(it.client("s3").get_bucket_versioning, Bucket=bucket)
    if answer is None or answer.get("Status") != "Enabled":
        found.append(Finding(f"What is deleted from {bucket} is gone.", f"apply terraform/ with {tfvars}."))
    return Check("backups", ", ".join(seen) or "none", tuple(found))


def alarms(it: Environment) -> Check:
    """Return whether somebody hears alarms."""
    found, heard = [], 0
    for key in ("alarms", "notices"):
        topic = it.parameters.get(f"events/{key}-topic")
        if topic is None:
            continue
        pages = it.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        all_ = [s for page in pages for s in page["Subscriptions"]]
        pending = [s["Endpoint"] for s in all_ if not s["SubscriptionArn"].startswith("arn:")]
        found += [
            Finding(
                f"{who} hasn't confirmed the subscription of {key}.", "they follow the link in AWS's mail."
            )
            for who in pending
        ]
        if key == "alarms":
            heard = len(all_) - len(pending)
            if not all_:
                mend = f"put addresses into alarm_emails in terraform/envs/{it.env}.tfvars, and apply."
                found.append(Finding("Nobody hears alarms: their topic has no subscriber.", mend))
    pages = it.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{it.name}-")
    there = [a for page in pages for a in page["MetricAlarms"]]
    found += [
        Finding(
            f"The alarm {a['AlarmName']} is switched off.",
            f"`aws cloudwatch enable-alarm-actions --alarm-names {a['AlarmName']}`",
        )
        for a in there
        if not a["ActionsEnabled"]
    ]
    return Check("alarms", f"{len(there)}, heard by {heard}", tuple(found))


def certificates(it: Environment, days: int) -> Check:
    """Return whether the certificates of the API's domain are valid, and long enough."""
    seen, found = [], []
    now = datetime.datetime.now(datetime.UTC)
    for attributes in it.in_state("aws_acm_certificate"):
        arn = attributes["arn"]
        answer = _absent(it.client("acm").describe_certificate, CertificateArn=arn)
        if answer is None:
            mend = f"`terraform -chdir=terraform apply -var-file=envs/{it.env}.tfvars`"
            found.append(Finding(f"The certificate {arn} is gone.", mend))
            continue
        told = answer["Certificate"]
        name, status = told["DomainName"], told["Status"]
        renew = "the record that ACM's console shows must be in DNS for the certificate to be renewed."
        if status != "ISSUED":
            found.append(Finding(f"The certificate of {name} is {status}.", renew))
        elif (ends := told.get("NotAfter")) is not None:
            left = (ends - now).days
            seen.append(f"{name} {left} days")
            if left < days:
                found.append(Finding(f"The certificate of {name} ends in {left} days.", renew))
    return Check("certificates", ", ".join(seen) or "none", tuple(found))


def quotas(it: Environment) -> Check:
    """Return whether the account runs as many functions at once as the API lets requests through."""
    answer = it.client("lambda").get_account_settings()["AccountLimit"]
    free, burst = answer["UnreservedConcurrentExecutions"], int(it.parameters.get("api/burst", 0))
    found = []
    if free < burst:
        mend = "ask for more of `Concurrent executions` in Service Quotas, or lower api_burst."
        found.append(
            Finding(
                f"The API lets {burst} requests through at once, the account runs {free} functions.", mend
            )
        )
    return Check("quotas", f"{free} functions at once", tuple(found))
