"""Whether an environment in AWS, or an emulator, is as Terraform made it and as it should be."""

import datetime
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from gettext import gettext as _
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from familycorp_ops import facts
from familycorp_ops.deploy import infra
from familycorp_ops.deploy.bootstrap import state_bucket_name
from familycorp_ops.deploy.smoke import stack
from familycorp_ops.doctor import Check, Finding
from familycorp_ops.messages import marked

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
"""What it takes to deploy a release and to look whether it serves."""
BACKUP_DAYS: Final = {"dev": 1, "stage": 7, "prod": 14}
"""Days to which a database must be restorable, as terraform/variables.tf has it for Prod."""
RESOLVED: Final = {"Subnets": "network/subnets", "CorsOrigins": "api/cors-origins", "ApiDomain": "api/domain"}
"""Parameters of the SAM stack, with the parameter of Terraform's that each is looked up in."""
DENIED: Final = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
    "403",
}
VPCS: Final = "L-F678F1CE"
"""Code of the quota of VPCs in a region: 5, unless more were asked for."""
FULL: Final = 0.9
"""Share of a quota beyond which it is time to act."""
GB: Final = 1024**3
ABSENT: Final = {
    *("404", "NoSuchBucket", "NoSuchKey", "NoSuchEntity", "NotFoundException", "DBClusterNotFoundFault"),
    *("ResourceNotFoundException", "RepositoryNotFoundException", "ParameterNotFound", "NotFound"),
    "NoSuchHostedZone",
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
        found = absent(self.client("s3").get_object, Bucket=bucket, Key=STATE_KEY)
        return None if found is None else json.loads(found["Body"].read())

    @cached_property
    def variables(self) -> dict[str, Any]:
        """Terraform's variables, of the environment's file and the defaults."""
        return infra.variables(self.env)

    @property
    def bucket_suffix(self) -> str:
        """What ends the name of each bucket, with its hyphen; as applied, or else as chosen."""
        applied = self.parameters.get("uploads/bucket")
        if applied is not None:
            return applied.removeprefix(f"{self.name}-uploads")
        chosen = self.chosen("bucket_suffix")
        return f"-{chosen}" if chosen else ""

    def chosen(self, name: str) -> Any:
        """Return a variable of Terraform's; None where `variables` weren't read, as after the first apply."""
        return vars(self).get("variables", {}).get(name)

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


def deploy(it: Environment) -> str:
    """Return the command that deploys a release."""
    return f"`make deploy ENV={it.env} DIGEST=sha256:... FUNCTIONS_DIGEST=sha256:... VERSION=COMMIT`"


def _apply(it: Environment) -> str:
    return f"`terraform -chdir=terraform apply -var-file=envs/{it.env}.tfvars`"


def absent(ask: Callable[..., Any], **arguments: Any) -> Any:
    """Return what is asked for, or None where AWS says that it isn't there."""
    try:
        return ask(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return None
        raise


def checks(it: Environment, certificate_days: int) -> Iterator[Check]:
    """Look at an environment; without credentials at nothing but them."""
    first = checked(credentials, it, marked("credentials"))
    yield first
    if "caller" not in vars(it):
        return
    yield checked(state, it, marked("state"))
    if _never_applied(it):
        from familycorp_ops.doctor import first_apply  # noqa: PLC0415 - it reads with this module's means.

        yield from first_apply.checks(it)
        for name, check in ((marked("names"), names), (marked("quotas"), quotas), (marked("vpcs"), vpcs)):
            yield checked(check, it, name)
        return
    for name, check in (
        (marked("permissions"), permissions),
        (marked("names"), names),
        (marked("drift"), drift),
        (marked("backups"), backups),
        (marked("alarms"), alarms),
        (marked("quotas"), quotas),
        (marked("vpcs"), vpcs),
        (marked("certificates"), lambda e: certificates(e, certificate_days)),
    ):
        yield checked(check, it, name)


def _never_applied(it: Environment) -> bool:
    try:
        return it.state is None
    except (BotoCoreError, ClientError):  # The check of the state says so.
        return False


def checked(check: Callable[[Environment], Check], it: Environment, name: str) -> Check:
    """Return what a check says, or that AWS doesn't let it look."""
    try:
        return check(it)
    except ClientError as error:
        operation, code = error.operation_name, error.response["Error"]["Code"]
        if code in DENIED:
            mend = _("let them, or use others: {said}").format(
                said=error.response["Error"].get("Message", code)
            )
            return Check(
                name,
                _("unknown"),
                (Finding(_("These credentials may not {operation}.").format(operation=operation), mend),),
            )
        return Check(
            name,
            _("unknown"),
            (
                Finding(
                    _("{operation} fails: {error}").format(operation=operation, error=error),
                    _("try again; then look at it in AWS."),
                ),
            ),
        )
    except BotoCoreError as error:
        mend = _("log in (`aws sso login`), or set AWS_* variables; AWS_ENDPOINT_URL for an emulator.")
        return Check(
            name, _("unknown"), (Finding(_("AWS can't be asked: {error}").format(error=error), mend),)
        )


def credentials(it: Environment) -> Check:
    """Return whose credentials these are."""
    arn = it.caller["Arn"]
    mend = _("log in as a role of your own: nothing limits root.")
    found = (
        [Finding(_("These are credentials of the account's root."), mend)] if arn.endswith(":root") else []
    )
    return Check("credentials", arn, tuple(found))


def permissions(it: Environment) -> Check:
    """Return whether a release could be deployed with these credentials, as IAM's simulator says."""
    arn = it.caller["Arn"]
    if arn.endswith(":root"):
        return Check("permissions", _("root may do everything"))
    if ":assumed-role/" in arn:
        account, role = it.caller["Account"], arn.split("/")[1]
        arn = f"arn:{arn.split(':')[1]}:iam::{account}:role/{role}"
    answer = it.client("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=list(ACTIONS))
    denied = [r["EvalActionName"] for r in answer["EvaluationResults"] if r["EvalDecision"] != "allowed"]
    found = tuple(
        Finding(
            _("{action} isn't allowed.").format(action=action),
            _("allow it to {arn}, or let the pipeline deploy.").format(arn=arn),
        )
        for action in denied
    )
    return Check(
        "permissions",
        _("{allowed} of {all} that a release needs").format(
            allowed=len(ACTIONS) - len(denied), all=len(ACTIONS)
        ),
        found,
    )


def state(it: Environment) -> Check:
    """Return whether there is a state, and whether it has been applied."""
    bucket = state_bucket_name(it.env, it.caller["Account"])
    if absent(it.client("s3").head_bucket, Bucket=bucket) is None:
        finding = Finding(
            _("There is no bucket {bucket} for Terraform's state.").format(bucket=bucket),
            f"`make infra-bootstrap ENV={it.env}`",
        )
        return Check("state", _("none"), (finding,))
    if it.state is None:
        mend = _apply(it)
        return Check("state", bucket, (Finding(_("Nothing has been applied yet."), mend),))
    count = sum(len(r["instances"]) for r in it.state["resources"] if r["mode"] == "managed")
    return Check("state", _("{count} resources in {bucket}").format(count=count, bucket=bucket))


def names(it: Environment) -> Check:
    """Return names of ours that something has which Terraform didn't make, so that an apply would fail on them."""
    found: list[Finding] = []
    probes = _probes(it)
    for address, (attribute, name, ask) in probes.items():
        known = {a.get(attribute) for a in it.in_state(address.partition(".")[0])}
        try:
            there = absent(ask)
        except ClientError as error:
            if error.response["Error"]["Code"] != "403":
                raise
            mend = _("S3 bucket names are globally unique: set bucket_suffix (docs/infra.md).")
            found.append(Finding(_("The bucket {name} belongs to somebody else.").format(name=name), mend))
            continue
        if there is None:
            continue
        if there.get("DeletedDate"):
            mend = _("`aws secretsmanager restore-secret --secret-id {name}`, then import it.").format(
                name=name
            )
            found.append(
                Finding(
                    _("The secret {name} is being deleted, and its name taken until then.").format(name=name),
                    mend,
                )
            )
        elif name not in known:
            mend = _("`terraform -chdir=terraform import '{address}' {name}`, or delete it.").format(
                address=address, name=name
            )
            found.append(Finding(_("{name} is there, and Terraform didn't make it.").format(name=name), mend))
    return Check("names", _("{probes} looked up").format(probes=len(probes)), tuple(found))


def _probes(it: Environment) -> Mapping[str, tuple[str, str, Callable[[], dict[str, Any] | None]]]:
    """Return what to look up: by address, the attribute that holds the name, the name, and how to ask."""

    def named(service: str, operation: str, argument: str, name: str) -> Callable[[], Any]:
        value: Any = [name] if argument.endswith("Names") else name
        return lambda: getattr(it.client(service), operation)(**{argument: value})

    probes: dict[str, tuple[str, str, Callable[[], Any]]] = {}
    for key in ("uploads", "logs", "releases"):
        name = f"{it.name}-{key}{it.bucket_suffix}"
        probes[f"aws_s3_bucket.{key}"] = ("bucket", name, named("s3", "head_bucket", "Bucket", name))
    for key in ("posts", "sessions", "events"):
        name = f"{it.name}-{key}"
        ask = named("dynamodb", "describe_table", "TableName", name)
        probes[f'aws_dynamodb_table.this["{key}"]'] = ("name", name, ask)
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
    status = it.stack["StackStatus"] if it.stack else _("none")
    seen = _("{parameters} parameters, stack {status}").format(parameters=len(it.parameters), status=status)
    return Check("drift", seen, tuple(found))


def _drift_of_settings(it: Environment) -> Iterator[Finding]:
    outputs = (it.state or {}).get("outputs", {})
    apply = _apply(it)
    if it.state and not it.parameters:
        yield Finding(_("Nothing is below /familycorp/{env}/ in Parameter Store.").format(env=it.env), apply)
        return
    wanted = {k: str(v) for k, v in outputs.get("settings", {}).get("value", {}).items()}
    kept = {k: str(v) for k, v in json.loads(it.parameters.get("settings", "{}")).items()}
    single = {k.removeprefix("settings/"): v for k, v in it.parameters.items() if k.startswith("settings/")}
    for name in sorted(wanted):
        for where, value in (("settings", kept.get(name)), (f"settings/{name}", single.get(name))):
            if value != wanted[name]:
                what = _(
                    "/familycorp/{env}/{where}: {name} is {value}, and Terraform made it {wanted}."
                ).format(env=it.env, where=where, name=name, value=value, wanted=wanted[name])
                yield Finding(what, _("{apply}, then deploy again.").format(apply=apply))


def stack_faults(it: Environment) -> Iterator[Finding]:
    """Yield that the stack is missing where there has to be one, or that it failed."""
    again = deploy(it)
    if it.stack is None:
        if it.parameters.get("deployer") == "sam":
            yield Finding(
                _("SAM deploys this environment, and there is no stack {stack}.").format(stack=stack(it.env)),
                again,
            )
        return
    status = it.stack["StackStatus"]
    if status.endswith("FAILED") or "ROLLBACK" in status:
        yield Finding(
            _("The stack {stack} is {status}.").format(stack=stack(it.env), status=status),
            _("look at its events, then {again}.").format(again=again),
        )


def _drift_of_stack(it: Environment) -> Iterator[Finding]:
    yield from stack_faults(it)
    again = deploy(it)
    for parameter in (it.stack or {}).get("Parameters", ()):
        name = RESOLVED.get(parameter["ParameterKey"])
        value = parameter.get("ResolvedValue", parameter["ParameterValue"])
        if name and not value.startswith("/familycorp/") and value != it.parameters.get(name):
            what = _("The stack was deployed with another {name} than Parameter Store has: {value}.").format(
                name=name, value=value
            )
            yield Finding(what, _("deploy again: {again}.").format(again=again))


def _drift_of_functions(it: Environment) -> Iterator[Finding]:
    wanted, again = it.parameters.get("settings"), deploy(it)
    for function in facts.FUNCTIONS if wanted else ():
        name = f"{it.name}-{function}"
        found = absent(it.client("lambda").get_function_configuration, FunctionName=name, Qualifier="live")
        own = (found or {}).get("Environment", {}).get("Variables", {}).get("FAMILYCORP_SETTINGS")
        if own is not None and json.loads(own) != json.loads(wanted or ""):
            mend = _("deploy again: {again}.").format(again=again)
            yield Finding(
                _("The function {name} runs with other settings than Parameter Store has.").format(name=name),
                mend,
            )


def backups(it: Environment) -> Check:
    """Return whether database, tables and files can be brought back."""
    found, seen = [], []
    least, tfvars = BACKUP_DAYS[it.env], f"terraform/envs/{it.env}.tfvars"
    clusters = absent(it.client("rds").describe_db_clusters, DBClusterIdentifier=f"{it.name}-database")
    if clusters is None:
        found.append(Finding(_("There is no database."), _apply(it)))
    else:
        days = clusters["DBClusters"][0]["BackupRetentionPeriod"]
        seen.append(_("database {days} days").format(days=days))
        if days < least:
            mend = _("set database_backup_days in {tfvars} to {least} or more, and apply.").format(
                tfvars=tfvars, least=least
            )
            found.append(
                Finding(
                    _("The database can be restored to {days} days, not {least}.").format(
                        days=days, least=least
                    ),
                    mend,
                )
            )
    for key in ("posts", "sessions", "events"):
        table = f"{it.name}-{key}"
        answer = absent(it.client("dynamodb").describe_continuous_backups, TableName=table)
        if answer is None:
            found.append(
                Finding(
                    _("There is no table {table}.").format(table=table),
                    _("apply terraform/ with {tfvars}.").format(tfvars=tfvars),
                )
            )
            continue
        told = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        seen.append(f"{key} {told['PointInTimeRecoveryStatus'].lower()}")
        if told["PointInTimeRecoveryStatus"] != "ENABLED":
            mend = _("apply terraform/ with {tfvars}: it switches point-in-time recovery on.").format(
                tfvars=tfvars
            )
            found.append(
                Finding(
                    _("The table {table} can't be restored to a point in time.").format(table=table), mend
                )
            )
    bucket = it.parameters.get("uploads/bucket", f"{it.name}-uploads")
    answer = absent(it.client("s3").get_bucket_versioning, Bucket=bucket)
    if answer is None or answer.get("Status") != "Enabled":
        found.append(
            Finding(
                _("What is deleted from {bucket} is gone.").format(bucket=bucket),
                _("apply terraform/ with {tfvars}.").format(tfvars=tfvars),
            )
        )
    return Check("backups", ", ".join(seen) or _("none"), tuple(found))


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
                _("{who} hasn't confirmed the subscription of {topic}.").format(who=who, topic=key),
                _("they follow the link in AWS's mail."),
            )
            for who in pending
        ]
        if key == "alarms":
            heard = len(all_) - len(pending)
            if not all_:
                mend = _("put addresses into alarm_emails in terraform/envs/{env}.tfvars, and apply.").format(
                    env=it.env
                )
                found.append(Finding(_("Nobody hears alarms: their topic has no subscriber."), mend))
    pages = it.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{it.name}-")
    there = [a for page in pages for a in page["MetricAlarms"]]
    found += [
        Finding(
            _("The alarm {alarm_name} is switched off.").format(alarm_name=a["AlarmName"]),
            f"`aws cloudwatch enable-alarm-actions --alarm-names {a['AlarmName']}`",
        )
        for a in there
        if not a["ActionsEnabled"]
    ]
    return Check("alarms", _("{there}, heard by {heard}").format(there=len(there), heard=heard), tuple(found))


def certificates(it: Environment, days: int) -> Check:
    """Return whether the certificates of the API's domain are valid, and long enough."""
    seen, found = [], []
    now = datetime.datetime.now(datetime.UTC)
    for attributes in it.in_state("aws_acm_certificate"):
        arn = attributes["arn"]
        answer = absent(it.client("acm").describe_certificate, CertificateArn=arn)
        if answer is None:
            mend = _apply(it)
            found.append(Finding(_("The certificate {arn} is gone.").format(arn=arn), mend))
            continue
        told = answer["Certificate"]
        name, status = told["DomainName"], told["Status"]
        renew = _("the record that ACM's console shows must be in DNS for the certificate to be renewed.")
        if status != "ISSUED":
            found.append(
                Finding(_("The certificate of {name} is {status}.").format(name=name, status=status), renew)
            )
        elif (ends := told.get("NotAfter")) is not None:
            left = (ends - now).days
            seen.append(_("{name} {left} days").format(name=name, left=left))
            if left < days:
                found.append(
                    Finding(
                        _("The certificate of {name} ends in {left} days.").format(name=name, left=left),
                        renew,
                    )
                )
    return Check("certificates", ", ".join(seen) or _("none"), tuple(found))


def quotas(it: Environment) -> Check:
    """Return whether the account lets as many functions run and holds as much code as is needed."""
    answer = it.client("lambda").get_account_settings()
    limit, used = answer["AccountLimit"], answer["AccountUsage"]["TotalCodeSize"]
    free = limit["UnreservedConcurrentExecutions"]
    burst = int(it.parameters.get("api/burst") or it.chosen("api_burst") or 0)
    found = []
    if free < burst:
        mend = _("ask for more of `Concurrent executions` in Service Quotas, or lower api_burst.")
        found.append(
            Finding(
                _("The API lets {burst} requests through at once, the account runs {free} functions.").format(
                    burst=burst, free=free
                ),
                mend,
            )
        )
    if used > FULL * limit["TotalCodeSize"]:
        mend = _(
            "delete versions of functions and layers that nothing uses any more, or ask for more "
            "in Service Quotas."
        )
        found.append(
            Finding(
                _("Lambda holds {used:.1f} GB of code in this region, and at most {most:.0f}.").format(
                    used=used / GB, most=limit["TotalCodeSize"] / GB
                ),
                mend,
            )
        )
    seen = [
        _("{free} functions at once").format(free=free),
        _("{used:.1f} of {most:.0f} GB of code").format(used=used / GB, most=limit["TotalCodeSize"] / GB),
    ]
    return Check("quotas", ", ".join(seen), tuple(found))


def vpcs(it: Environment) -> Check:
    """Return whether the region takes a VPC more, which the first apply alone makes."""
    if it.in_state("aws_vpc"):
        return Check("vpcs", _("ours is there"))
    there = len(it.client("ec2").describe_vpcs()["Vpcs"])
    most = it.client("service-quotas").get_service_quota(ServiceCode="vpc", QuotaCode=VPCS)
    quota = int(most["Quota"]["Value"])
    seen = _("{there} of {quota} VPCs").format(there=there, quota=quota)
    if there < quota:
        return Check("vpcs", seen)
    mend = _("ask for more of `VPCs per Region` in Service Quotas, or delete one that nobody uses.")
    what = _("The region has {there} VPCs, no more may be made, and none is ours.").format(there=there)
    return Check("vpcs", seen, (Finding(what, mend),))
