"""`familycorp release switch-database`: the environment goes on with a cluster that was restored beside its own.

The clusters change names, so that Terraform, settings and alarms keep theirs. Resources that AWS ties to the cluster
are brought along: the master user's secret, the logins by IAM and the proxy's target. Each step first checks if it is
done, so that a command that was stopped can be run again.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable
from gettext import gettext as _
from typing import Annotated, Any, Final

import typer

from familycorp_ops.deploy.smoke import REGION
from familycorp_ops.output import AsJson, Deployed, show

POLICY: Final = "database"
"""Inline policy of each function's role that may log in, as terraform/iam.tf names it."""
POLL_S: Final = 5
PATIENCE_S: Final = 1800


class SwitchError(Exception):
    """The clusters aren't as they have to be; the message says what to do."""


def switch_database(
    env: Annotated[str, Deployed(help="dev, stage or prod")],
    to: Annotated[str, typer.Option(help="Identifier of the restored cluster.", metavar="CLUSTER")],
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Accept minutes without a database, and the loss of later changes."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Switch an environment to a restored cluster; the present one is renamed. May be repeated."""
    if not yes:
        sys.exit(
            _(
                "The database is unavailable for minutes, and later changes stay in the old cluster: add --yes."
            )
        )
    from familycorp_ops.deploy.environment import Environment  # noqa: PLC0415 - `--help` needn't wait for botocore.

    it = Switch(Environment(env, REGION), to)
    try:
        it.run()
    except SwitchError as error:
        sys.exit(str(error))
    made = {"environment": env, "cluster": it.live, "before": it.aside, "resourceId": it.resource_id(it.live)}
    said = _(
        "{cluster} is the restored cluster now, and {before} the one before. Next: "
        "`terraform -chdir=terraform apply -var-file=envs/{env}.tfvars`, which brings its other settings in order, "
        "and `make restore ENV={env}`. Delete {before} once nothing is missing."
    )
    show(made, said.format(env=env, **made), as_json=as_json)


class Switch:
    """The steps, in order.

    Args:
        it: the environment.
        restored: the restored cluster's identifier.
    """

    def __init__(self, it: Any, restored: str) -> None:
        self._it, self._rds, self.restored = it, it.client("rds"), restored
        self.live = f"{it.name}-database"
        self.aside = f"{self.live}-before"

    def run(self) -> None:
        """Take every step that isn't done; raise `SwitchError` before the first where one couldn't be."""
        self._check()
        if self._cluster(self.restored):
            self._own(self.restored)
            if self._cluster(self.live):
                self._rename(self.live, self.aside)
            self._rename(self.restored, self.live)
        self._logins()
        self._target()

    def resource_id(self, name: str) -> str:
        """Return what logins by IAM and AWS's own records call a cluster."""
        return str(self._known(name)["DbClusterResourceId"])

    def _cluster(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
        except self._rds.exceptions.DBClusterNotFoundFault:
            return None
        return found

    def _known(self, name: str) -> dict[str, Any]:
        found = self._cluster(name)
        if found is None:
            raise SwitchError(_("There is no cluster {name}.").format(name=name))
        return found

    def _instances(self, name: str) -> list[str]:
        pages = self._rds.get_paginator("describe_db_instances").paginate(
            Filters=[{"Name": "db-cluster-id", "Values": [name]}]
        )
        return sorted(i["DBInstanceIdentifier"] for page in pages for i in page["DBInstances"])

    def _check(self) -> None:
        if self.restored in {self.live, self.aside}:
            raise SwitchError(_("{name} isn't a restored cluster.").format(name=self.restored))
        restored, aside = self._cluster(self.restored), self._cluster(self.aside)
        if restored is None:
            if aside is None or self._cluster(self.live) is None:
                raise SwitchError(_("There is no cluster {name}.").format(name=self.restored))
            return
        if aside and self._cluster(self.live):
            raise SwitchError(
                _("{aside} is left from an earlier switch: delete or rename it first.").format(
                    aside=self.aside
                )
            )
        own = self._cluster(self.live) or self._known(self.aside)
        if not self._instances(self.restored):
            raise SwitchError(
                _(
                    "{name} has no instance: `aws rds create-db-instance` makes one (docs/how-to/operations.md)."
                ).format(name=self.restored)
            )
        for key in ("Engine", "DBSubnetGroup", "DBClusterParameterGroup", "KmsKeyId", "VpcSecurityGroups"):
            if _comparable(own.get(key)) != _comparable(restored.get(key)):
                raise SwitchError(
                    _(
                        "{name} has another {key} than {own}: restore it as docs/how-to/operations.md shows."
                    ).format(name=self.restored, key=key, own=own["DBClusterIdentifier"])
                )

    def _own(self, name: str) -> None:
        """Have RDS make the master user's password, which a restored cluster takes from its snapshot."""
        if "MasterUserSecret" not in self._known(name):
            self._rds.modify_db_cluster(
                DBClusterIdentifier=name,
                ManageMasterUserPassword=True,
                MasterUserSecretKmsKeyId=self._it.parameters["keys/data"],
                EnableIAMDatabaseAuthentication=True,
                ApplyImmediately=True,
            )
        self._until(lambda: "MasterUserSecret" in self._known(name) and self._is_available(name), name)

    def _rename(self, old: str, new: str) -> None:
        """Rename the instances first: afterwards nothing would say whose they are."""
        instances = self._instances(old)
        free = (name for number in itertools.count(1) if (name := f"{new}-{number}") not in instances)
        for instance in instances:
            if not instance.startswith(f"{new}-"):
                wanted = next(free)
                self._rds.modify_db_instance(
                    DBInstanceIdentifier=instance, NewDBInstanceIdentifier=wanted, ApplyImmediately=True
                )
                self._until(lambda: wanted in self._instances(old), wanted)  # noqa: B023 - called at once.
        self._rds.modify_db_cluster(
            DBClusterIdentifier=old, NewDBClusterIdentifier=new, ApplyImmediately=True
        )
        self._until(lambda: self._cluster(new) is not None and self._is_available(new), new)

    def _is_available(self, name: str) -> bool:
        return bool(self._known(name)["Status"] == "available")

    def _until(self, holds: Callable[[], bool], name: str) -> None:
        ends = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > ends:
                raise SwitchError(
                    _("{name} isn't ready after 30 minutes: check its events, then run this again.").format(
                        name=name
                    )
                )
            time.sleep(POLL_S)

    def _logins(self) -> None:
        """Let the functions log in to the other cluster: `rds-db:connect` names its resource id."""
        iam, old, new = self._it.client("iam"), self.resource_id(self.aside), self.resource_id(self.live)
        for name in [n for n in self._it.parameters if n.startswith("roles/")]:
            role = self._it.parameters[name].rpartition("/")[2]
            if POLICY not in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                continue
            text = json.dumps(iam.get_role_policy(RoleName=role, PolicyName=POLICY)["PolicyDocument"])
            if f":{old}/" in text:
                text = text.replace(f":{old}/", f":{new}/")
                iam.put_role_policy(RoleName=role, PolicyName=POLICY, PolicyDocument=text)

    def _target(self) -> None:
        """Lead the proxy, if there is one, to the other cluster."""
        try:
            targets = self._rds.describe_db_proxy_targets(DBProxyName=self.live)["Targets"]
        except self._rds.exceptions.DBProxyNotFoundFault:
            return
        # Always replaced: its names are the same before and after, so they don't show which cluster it follows.
        for cluster in [t["RdsResourceId"] for t in targets if t["Type"] == "TRACKED_CLUSTER"]:
            self._rds.deregister_db_proxy_targets(DBProxyName=self.live, DBClusterIdentifiers=[cluster])
        self._rds.register_db_proxy_targets(DBProxyName=self.live, DBClusterIdentifiers=[self.live])


def _comparable(value: Any) -> Any:
    return sorted(g["VpcSecurityGroupId"] for g in value) if isinstance(value, list) else value
