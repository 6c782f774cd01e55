"""An environment in AWS, or in an emulator, as the checks of it read it."""

import json
from collections.abc import Callable
from functools import cached_property
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from familycorp_ops.deploy import infra
from familycorp_ops.deploy.bootstrap import state_bucket_name
from familycorp_ops.deploy.smoke import stack
from familycorp_ops.doctor import Check, Finding

STATE_KEY: Final = "familycorp.tfstate"
ROLES_KEY: Final = "bootstrap.tfstate"
"""State of the pipeline's roles and what bounds them, which people alone apply."""
DRIFT_KEY: Final = "plans/drift.json"
"""What the last comparison of the environment with its configuration found."""
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
    "NoSuchHostedZone",
}


class Environment:
    """An environment's resources, read on first use.

    Args:
        env: dev, stage or prod.
        region: where it is.
        directory: Terraform's configuration.
    """

    def __init__(self, env: str, region: str, directory: Path = infra.SOURCE) -> None:
        self._directory = directory
        self.env, self.name, self.region = env, f"familycorp-{env}", region
        self._session = get_session()  # One for all: it caches AWS's models of services.
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return a client of a service."""
        if service not in self._clients:
            self._clients[service] = self._session.create_client(service, region_name=self.region)
        return self._clients[service]

    @cached_property
    def caller(self) -> dict[str, str]:
        """ARN of the credentials' principal."""
        found: dict[str, str] = self.client("sts").get_caller_identity()
        return found

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Terraform's parameters in Parameter Store, without the environment's prefix."""
        prefix = f"/familycorp/{self.env}/"
        pages = (
            self.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=prefix, Recursive=True)
        )
        return {p["Name"].removeprefix(prefix): p["Value"] for page in pages for p in page["Parameters"]}

    @cached_property
    def state(self) -> dict[str, Any] | None:
        """Terraform's state; None where there is none."""
        return self.kept(STATE_KEY)

    @cached_property
    def roles(self) -> dict[str, Any] | None:
        """The state of the pipeline's roles and what bounds them; None where there is none."""
        return self.kept(ROLES_KEY)

    @property
    def bucket(self) -> str:
        """Name of the bucket of the states."""
        return state_bucket_name(self.env, self.caller["Account"])

    def kept(self, key: str) -> dict[str, Any] | None:
        """Return a document of the bucket of states; None where there is none."""
        found = absent(self.client("s3").get_object, Bucket=self.bucket, Key=key)
        return None if found is None else json.loads(found["Body"].read())

    @cached_property
    def variables(self) -> dict[str, Any]:
        """Terraform's variables, of the environment's file and the defaults."""
        return infra.variables(self.env, self._directory)

    @property
    def bucket_suffix(self) -> str:
        """Suffix of each bucket's name, with its hyphen; as applied, or else as chosen."""
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
        """Return the attributes of a kind of resources, as the states have them."""
        return [
            instance["attributes"]
            for state in (self.state, self.roles)
            for resource in (state or {}).get("resources", ())
            if resource["mode"] == "managed" and resource["type"] == kind
            for instance in resource["instances"]
        ]


def deploy(it: Environment) -> str:
    """Return the command that deploys a release."""
    return f"`make deploy ENV={it.env} DIGEST=sha256:... FUNCTIONS_DIGEST=sha256:... VERSION=COMMIT`"


def apply_command(it: Environment) -> str:
    """Return the command that applies Terraform's configuration."""
    return f"`terraform -chdir=terraform apply -var-file=envs/{it.env}.tfvars`"


def absent(ask: Callable[..., Any], **arguments: Any) -> Any:
    """Return the call's answer, or None where AWS says that the resource doesn't exist."""
    try:
        return ask(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return None
        raise


def checked(check: Callable[[Environment], Check], it: Environment, name: str) -> Check:
    """Return what a check says, or that AWS doesn't let it look."""
    try:
        return check(it)
    except ClientError as error:
        operation, code = error.operation_name, error.response["Error"]["Code"]
        if code in DENIED:
            fix = _("let them, or use others: {said}").format(
                said=error.response["Error"].get("Message", code)
            )
            return Check(
                name,
                _("unknown"),
                (Finding(_("These credentials may not {operation}.").format(operation=operation), fix),),
            )
        return Check(
            name,
            _("unknown"),
            (
                Finding(
                    _("{operation} fails: {error}").format(operation=operation, error=error),
                    _("try again; then check it in AWS."),
                ),
            ),
        )
    except BotoCoreError as error:
        fix = _("log in (`aws sso login`), or set AWS_* variables; AWS_ENDPOINT_URL for an emulator.")
        return Check(name, _("unknown"), (Finding(_("Cannot reach AWS: {error}").format(error=error), fix),))
