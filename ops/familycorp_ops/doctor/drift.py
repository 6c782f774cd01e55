"""Whether what Terraform and SAM made is there, and still as they made it."""

import json
from collections.abc import Callable, Iterator, Mapping
from gettext import gettext as _
from typing import Any, Final

from botocore.exceptions import ClientError

from familycorp_ops import facts
from familycorp_ops.deploy.environment import DRIFT_KEY, Environment, absent
from familycorp_ops.deploy.smoke import stack
from familycorp_ops.doctor.checks import Check, Finding, apply_command, deploy

RESOLVED: Final = {"Subnets": "network/subnets", "CorsOrigins": "api/cors-origins", "ApiDomain": "api/domain"}
"""Parameters of the SAM stack, with the parameter of Terraform's that each is looked up in."""


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
            fix = _(
                "S3 bucket names are globally unique: set bucket_suffix (docs/how-to/new-environment.md)."
            )
            found.append(Finding(_("The bucket {name} belongs to another account.").format(name=name), fix))
            continue
        if there is None:
            continue
        if there.get("DeletedDate"):
            fix = _("`aws secretsmanager restore-secret --secret-id {name}`, then import it.").format(
                name=name
            )
            found.append(
                Finding(
                    _("The secret {name} is being deleted, and its name taken until then.").format(name=name),
                    fix,
                )
            )
        elif name not in known:
            fix = _("`terraform -chdir=terraform import '{address}' {name}`, or delete it.").format(
                address=address, name=name
            )
            found.append(Finding(_("{name} is there, and Terraform didn't make it.").format(name=name), fix))
    return Check("names", _("{probes} looked up").format(probes=len(probes)), tuple(found))


def _probes(it: Environment) -> Mapping[str, tuple[str, str, Callable[[], dict[str, Any] | None]]]:
    """Return what to look up: by address, the attribute that holds the name, the name, and how to ask."""

    def named(service: str, operation: str, argument: str, name: str) -> Callable[[], Any]:
        value: Any = [name] if argument.endswith("Names") else name
        return lambda: getattr(it.client(service), operation)(**{argument: value})

    probes: dict[str, tuple[str, str, Callable[[], Any]]] = {}
    for key in ("uploads", "media", "logs", "exchange", "releases"):
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


def infrastructure(it: Environment) -> Check:
    """Return what the last nightly plan found to differ between AWS and Terraform's configuration."""
    seen = it.kept(DRIFT_KEY)
    if seen is None:
        return Check(
            "infrastructure", _("not compared since a day; `make infra-drift ENV={env}`").format(env=it.env)
        )
    fix = _("apply it by the pipeline, or change the configuration; then `make infra-drift ENV={env}`.")
    found = tuple(
        Finding(
            _("{address} differs from the configuration: {actions}.").format(
                address=address, actions=", ".join(actions)
            ),
            fix.format(env=it.env),
        )
        for address, actions in seen["changes"].items()
    )
    return Check("infrastructure", _("compared at {at}").format(at=seen["at"]), found)


def drift(it: Environment) -> Check:
    """Return where Terraform's outputs, Parameter Store, SAM's stack and the functions say different things."""
    found = [*_drift_of_settings(it), *_drift_of_stack(it), *_drift_of_functions(it)]
    status = it.stack["StackStatus"] if it.stack else _("none")
    seen = _("{parameters} parameters, stack {status}").format(parameters=len(it.parameters), status=status)
    return Check("drift", seen, tuple(found))


def _drift_of_settings(it: Environment) -> Iterator[Finding]:
    outputs = (it.state or {}).get("outputs", {})
    apply = apply_command(it)
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
            _("check its events, then {again}.").format(again=again),
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
            fix = _("deploy again: {again}.").format(again=again)
            yield Finding(
                _("The function {name} runs with other settings than Parameter Store has.").format(name=name),
                fix,
            )
