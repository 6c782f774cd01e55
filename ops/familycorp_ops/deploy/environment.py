"""An environment in AWS, or in an emulator, as the checks of it read it."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError
from botocore.session import get_session

from familycorp_ops.deploy import infra
from familycorp_ops.deploy.smoke import stack
from familycorp_ops.facts import FUNCTIONS

STATE_KEY: Final = "familycorp.tfstate"
ROLES_KEY: Final = "bootstrap.tfstate"
"""State of the pipeline's roles and what bounds them, which people alone apply."""
DRIFT_KEY: Final = "plans/drift.json"
"""What the last comparison of the environment with its configuration found."""
ABSENT: Final = {
    *("404", "NoSuchBucket", "NoSuchKey", "NoSuchEntity", "NotFoundException", "DBClusterNotFoundFault"),
    *("ResourceNotFoundException", "RepositoryNotFoundException", "ParameterNotFound", "NotFound"),
    "NoSuchHostedZone",
}


def state_bucket_name(env: str, account: str) -> str:
    """Return the name of the bucket of an environment's state; the account's number makes it unique in the world."""
    return f"familycorp-{env}-state-{account}"


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


def absent(ask: Callable[..., Any], **arguments: Any) -> Any:
    """Return the call's answer, or None where AWS says that the resource doesn't exist."""
    try:
        return ask(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return None
        raise


def deployed_images(it: Environment) -> Sequence[str]:
    """Return the options of a plan that leaves the images which Terraform deployed; none where it deployed none."""
    digests = {}
    for function in it.in_state("aws_lambda_function"):
        handler = FUNCTIONS[function["function_name"].removeprefix(f"{it.name}-")]["handler"]
        digests["http" if handler is None else "functions"] = function["image_uri"].partition("@")[2]
    return infra.image_options(digests)


def provider_in_account(it: Environment) -> list[str]:
    """Return the option that names GitHub's OpenID provider, where the account has one that another environment made.

    An account holds one such provider. Only the environment whose state has it keeps it.
    """
    chosen = it.variables
    if chosen["github_repository"] is None or chosen["github_oidc_provider_arn"] is not None:
        return []
    if it.in_state("aws_iam_openid_connect_provider"):
        return []
    there = it.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return [
        f"-var=github_oidc_provider_arn={provider['Arn']}"
        for provider in there
        if provider["Arn"].endswith(f"/{infra.GITHUB_ISSUER}")
    ]
