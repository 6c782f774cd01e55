"""`familycorp environment destroy`: the way back of `create`. What holds data goes only when it is named."""

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from familycorp_ops.deploy import release, smoke
from familycorp_ops.deploy.environment import Environment, absent, deployed_images
from familycorp_ops.deploy.infra import BOOTSTRAP, GITHUB_ISSUER
from familycorp_ops.lifecycle.configuration import Configuration
from familycorp_ops.lifecycle.create import account
from familycorp_ops.lifecycle.data_api import DataApi
from familycorp_ops.lifecycle.lock import Lock
from familycorp_ops.lifecycle.problem import LifecycleError
from familycorp_ops.messages import marked

ROWS: Final = ("posts", "members", "inquiries", "uploads")
"""Tables of the database that hold what people wrote."""
PROVIDER: Final = "aws_iam_openid_connect_provider"


@dataclass(frozen=True)
class Holder:
    """Something that holds data, or that AWS protects from deletion."""

    name: str
    holds: str


class Destruction:
    """The steps, in order; each may be repeated.

    Args:
        env: dev or stage.
        directory: Terraform's configuration.
        named: what may go although it holds data.
        yes: whether plans are applied without a question.
        force_unlock: whether another run's lock is taken.
        as_json: whether standard output is for a document alone.
    """

    def __init__(
        self,
        env: str,
        directory: Path,
        named: Sequence[str],
        *,
        yes: bool,
        force_unlock: bool,
        as_json: bool,
    ) -> None:
        self._it = Environment(env, smoke.REGION, directory)
        self._env, self._named, self._force, self._as_json = env, named, force_unlock, as_json
        self._directory, self._yes = directory, yes
        self._terraform = Configuration(self._it, directory, yes=yes)

    def run(self) -> Generator[tuple[str, str], None, None]:
        """Take every step; yield the name of each, and what was seen, when it is done."""
        if self._env == "prod":
            raise LifecycleError(
                _("No command destroys Prod: its deletion protection can't be switched off by a variable.")
            )
        yield marked("account"), account(self._it)
        if absent(self._it.client("s3").head_bucket, Bucket=self._it.bucket) is None:
            yield marked("state"), _("nothing of {env} is left").format(env=self._env)
            return
        with Lock(self._it, f"environment destroy {self._env}", force=self._force):
            yield marked("data"), self._data()
            for name, step in self._steps():
                sys.stderr.write(f"→ {_(name)}\n")
                with redirect_stdout(sys.stderr):
                    seen = step()
                yield name, seen
        # The lock lies in the bucket, so it goes with it, last of all.
        _empty(self._it.client("s3"), self._it.bucket)
        self._it.client("s3").delete_bucket(Bucket=self._it.bucket)
        yield marked("state"), _("{bucket} deleted").format(bucket=self._it.bucket)

    def _steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        yield marked("functions and API"), self._stack
        yield marked("infrastructure"), self._infrastructure
        yield marked("roles"), self._roles

    # -- steps -----------------------------------------------------------------------------------------------------

    def _data(self) -> str:
        """Raise `LifecycleError` where data would go that wasn't named."""
        found = list(self._holders())
        if unknown := set(self._named) - set(self._names()):
            raise LifecycleError(
                _("{env} has no {names}; what holds data there: {all}.").format(
                    env=self._env, names=", ".join(sorted(unknown)), all=", ".join(self._names())
                )
            )
        standing = [holder for holder in found if holder.name not in self._named]
        if standing:
            lines = "".join(f"\n  {holder.name}: {holder.holds}" for holder in standing)
            options = " ".join(f"--delete {holder.name}" for holder in standing)
            raise LifecycleError(
                _(
                    "This stands in the way:{lines}\nNothing was changed. If all of it may go: {options}"
                ).format(lines=lines, options=options)
            )
        return ", ".join(f"{holder.name}: {holder.holds}" for holder in found) or _("none")

    def _stack(self) -> str:
        if self._it.stack is None:
            return _("none")
        release.delete(self._env, as_json=self._as_json)
        return _("deleted")

    def _infrastructure(self) -> str:
        self._terraform.init(self._it.bucket)
        if not (self._it.state or {}).get("resources"):
            return _("none")
        options: list[str] = []
        if self._it.variables["app_deployer"] == "terraform":
            options += deployed_images(self._it)
        if self._it.variables["deletion_protection"]:
            # AWS's protection, and Terraform's own of filled buckets, must be off before anything is destroyed.
            options += ["-var=deletion_protection=false"]
            self._terraform.apply(*options)
        number = self._terraform.apply("-destroy", *options)
        return _("{number} resources").format(number=number)

    def _roles(self) -> str:
        """Destroy the boundary after the roles that are below it."""
        if not (self._it.roles or {}).get("resources"):
            return _("none")
        terraform = Configuration(self._it, self._directory, yes=self._yes, which=BOOTSTRAP)
        terraform.init(self._it.bucket)
        if self._it.in_state(PROVIDER) and (others := list(self._others_that_trust())):
            terraform.forget(f"{PROVIDER}.github[0]")
            sys.stderr.write(
                _("GitHub's OpenID provider stays, because {roles} trust it.").format(roles=", ".join(others))
                + "\n"
            )
        number = terraform.apply("-destroy", before=self._detach_policies)
        return _("{number} resources").format(number=number)

    def _detach_policies(self) -> None:
        """Detach this environment's policies from people's roles, users and groups.

        An administrator attached them, so Terraform doesn't know to whom, and IAM deletes no attached policy.
        """
        iam: Any = self._it.client("iam")
        detach = {
            "Role": iam.detach_role_policy,
            "User": iam.detach_user_policy,
            "Group": iam.detach_group_policy,
        }
        for policy in self._it.in_state("aws_iam_policy"):
            arn = policy["arn"]
            wanted = {"PolicyArn": arn, "PolicyUsageFilter": "PermissionsPolicy", "MaxItems": 1000}
            attached = absent(iam.list_entities_for_policy, **wanted) or {}
            for kind, call in detach.items():
                for name in (entity[f"{kind}Name"] for entity in attached.get(f"Policy{kind}s", ())):
                    call(**{f"{kind}Name": name, "PolicyArn": arn})
                    said = _("The policy {policy} is detached from {name}.")
                    sys.stderr.write(said.format(policy=policy["name"], name=name) + "\n")

    # -- what holds data ---------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        suffix = self._it.bucket_suffix
        return [
            f"{self._it.name}-database",
            f"{self._it.name}-posts",
            f"{self._it.name}-staff",
            f"{self._it.name}-uploads{suffix}",
        ]

    def _holders(self) -> Iterator[Holder]:
        for name, look in zip(
            self._names(), (self._database, self._posts, self._users, self._uploads), strict=True
        ):
            if holds := look(name):
                yield Holder(name, holds)

    def _database(self, name: str) -> str:
        if absent(self._it.client("rds").describe_db_clusters, DBClusterIdentifier=name) is None:
            return ""
        api = DataApi(self._it)
        protected = _("deletion protection") if api.protected else ""
        counts = ", ".join(f"(SELECT COUNT(*) FROM {table})" for table in ROWS)  # noqa: S608 - of the names above.
        try:
            ((*found,),) = api.run(f"SELECT {counts}")
        except (BotoCoreError, ClientError) as error:
            rows = (
                ""
                if "doesn't exist" in str(error)
                else _("rows that can't be counted: {error}").format(error=error)
            )
        else:
            rows = ", ".join(f"{count} {table}" for count, table in zip(found, ROWS, strict=True) if count)
        return ", ".join(filter(None, (rows, protected)))

    def _posts(self, name: str) -> str:
        client = self._it.client("dynamodb")
        described = absent(client.describe_table, TableName=name)
        if described is None:
            return ""
        protected = described["Table"].get("DeletionProtectionEnabled")
        filled = client.scan(TableName=name, Limit=1)["Count"]
        return ", ".join(
            filter(None, (filled and _("published posts"), protected and _("deletion protection")))
        )

    def _users(self, name: str) -> str:
        client: Any = self._it.client("cognito-idp")
        pages = client.get_paginator("list_user_pools").paginate(PaginationConfig={"PageSize": 60})
        for pool in (p for page in pages for p in page["UserPools"] if p["Name"] == name):
            described = client.describe_user_pool(UserPoolId=pool["Id"])["UserPool"]
            protected = described.get("DeletionProtection") == "ACTIVE"
            filled = client.list_users(UserPoolId=pool["Id"], Limit=1)["Users"]
            return ", ".join(filter(None, (filled and _("users"), protected and _("deletion protection"))))
        return ""

    def _uploads(self, name: str) -> str:
        s3 = self._it.client("s3")
        if absent(s3.head_bucket, Bucket=name) is None:
            return ""
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=name)
        return _("files, or versions of deleted ones") if any(page.get("Versions") for page in pages) else ""

    def _others_that_trust(self) -> Iterator[str]:
        """Yield roles beside this environment's that trust GitHub's provider."""
        for page in self._it.client("iam").get_paginator("list_roles").paginate():
            for role in page["Roles"]:
                trusts = f"/{GITHUB_ISSUER}" in str(role.get("AssumeRolePolicyDocument", ""))
                if trusts and not role["RoleName"].startswith(f"{self._it.name}-"):
                    yield role["RoleName"]


def _empty(s3: Any, bucket: str) -> None:
    """Delete every version of every object."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        there = [
            {"Key": v["Key"], "VersionId": v["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for v in page.get(kind, ())
        ]
        if there:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": there, "Quiet": True})
