"""The switch to a restored cluster, on the emulator that renames clusters; there is no storage behind them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from familycorp_ops.servers.ministack import ACCOUNT, REGION, client
from familycorp_ops.servers.moto import Moto
from familycorp_ops.servers.process import NotInstalledError, clean_environment
from familycorp_ops.testing.commands import Ran, familycorp, on_emulator
from familycorp_ops.testing.servers import missing

pytestmark = pytest.mark.infra

ENV = "dev"
NAME = f"familycorp-{ENV}"
LIVE, RESTORED, BEFORE = f"{NAME}-database", f"{NAME}-restored", f"{NAME}-database-before"
USERS = {"backend": "familycorp_app", "migrations": "familycorp_migrations"}


class Account:
    """An environment's cluster with proxy and logins, and a cluster restored beside it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rds, self.iam = client(url, "rds"), client(url, "iam")
        self.key = client(url, "kms").create_key()["KeyMetadata"]["Arn"]
        self.parameter("keys/data", self.key)
        self.rds.create_db_cluster(
            DBClusterIdentifier=LIVE,
            Engine="aurora-mysql",
            MasterUsername="fcmaster",
            ManageMasterUserPassword=True,
        )
        self.instance(LIVE, 1)
        self.instance(LIVE, 2)
        self.proxy()
        for function in (*USERS, "auth"):
            self.role(function)

    def parameter(self, name: str, value: str) -> None:
        client(self.url, "ssm").put_parameter(Name=f"/familycorp/{ENV}/{name}", Value=value, Type="String")

    def instance(self, cluster: str, number: int) -> None:
        self.rds.create_db_instance(
            DBInstanceIdentifier=f"{cluster}-{number}",
            DBClusterIdentifier=cluster,
            DBInstanceClass="db.serverless",
            Engine="aurora-mysql",
        )

    def proxy(self) -> None:
        ec2 = client(self.url, "ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")[
                "Subnet"
            ]["SubnetId"]
            for n, zone in enumerate("ac")
        ]
        self.rds.create_db_proxy(
            DBProxyName=LIVE,
            EngineFamily="MYSQL",
            Auth=[{"AuthScheme": "SECRETS", "SecretArn": "arn:aws:secretsmanager:x"}],
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/x",
            VpcSubnetIds=subnets,
        )
        self.rds.register_db_proxy_targets(DBProxyName=LIVE, DBClusterIdentifiers=[LIVE])

    def role(self, function: str) -> None:
        made = self.iam.create_role(RoleName=f"{NAME}-{function}", AssumeRolePolicyDocument="{}")["Role"]
        self.parameter(f"roles/{function}", made["Arn"])
        if function in USERS:
            resource = f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:{self.resource_id(LIVE)}/{USERS[function]}"
            statement = {"Effect": "Allow", "Action": ["rds-db:connect"], "Resource": [resource]}
            self.iam.put_role_policy(
                RoleName=f"{NAME}-{function}",
                PolicyName="database",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            )

    def restore(self) -> None:
        self.rds.restore_db_cluster_to_point_in_time(
            SourceDBClusterIdentifier=LIVE, DBClusterIdentifier=RESTORED, UseLatestRestorableTime=True
        )
        self.instance(RESTORED, 1)

    def cluster(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
        return found

    def resource_id(self, name: str) -> str:
        return str(self.cluster(name)["DbClusterResourceId"])

    def logins(self) -> dict[str, str]:
        """Return what each function's role may log in to."""
        return {
            function: self.iam.get_role_policy(RoleName=f"{NAME}-{function}", PolicyName="database")[
                "PolicyDocument"
            ]["Statement"][0]["Resource"][0].rpartition(":")[2]
            for function in USERS
        }

    def clusters(self) -> dict[str, str]:
        return {
            c["DBClusterIdentifier"]: c["DbClusterResourceId"]
            for c in self.rds.describe_db_clusters()["DBClusters"]
        }

    def instances(self) -> set[str]:
        return {i["DBInstanceIdentifier"] for i in self.rds.describe_db_instances()["DBInstances"]}

    def switch(self, *arguments: str, to: str = RESTORED) -> Ran:
        command = ["release", "switch-database", ENV, "--to", to, "--yes", *arguments]
        return familycorp(*command, environment=clean_environment(**on_emulator(self.url), LANG="C"))


@pytest.fixture
def account() -> Iterator[Account]:
    try:
        with Moto() as moto:
            yield Account(moto.url)
    except NotInstalledError as error:
        missing("terraform", error)


def switched(account: Account, old: str, new: str) -> None:
    """Assert that the environment goes on with the cluster `new`."""
    assert account.clusters() == {LIVE: new, BEFORE: old}
    assert account.logins() == {function: f"{new}/{user}" for function, user in USERS.items()}
    assert account.cluster(LIVE)["MasterUserSecret"]["SecretArn"]
    assert {f"{LIVE}-1", f"{BEFORE}-1", f"{BEFORE}-2"} == account.instances()
    (target,) = account.rds.describe_db_proxy_targets(DBProxyName=LIVE)["Targets"]
    assert (target["RdsResourceId"], target["Endpoint"]) == (LIVE, account.cluster(LIVE)["Endpoint"])
    assert account.iam.list_role_policies(RoleName=f"{NAME}-auth")["PolicyNames"] == []


def test_the_environment_goes_on_with_the_restored_cluster_and_again_changes_nothing(
    account: Account,
) -> None:
    account.restore()
    old, new = account.resource_id(LIVE), account.resource_id(RESTORED)
    ran = account.switch("--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    made = json.loads(ran.stdout)
    assert (made["cluster"], made["before"], made["resourceId"]) == (LIVE, BEFORE, new)
    switched(account, old, new)
    again = account.switch()
    assert again.returncode == 0, again.stderr
    assert f"terraform -chdir=terraform apply -var-file=envs/{ENV}.tfvars" in again.stdout
    assert f"make restore ENV={ENV}" in again.stdout
    switched(account, old, new)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_switch_that_was_stopped_goes_on(account: Account, steps: int) -> None:
    account.restore()
    old, new = account.resource_id(LIVE), account.resource_id(RESTORED)
    taken = [
        lambda: account.rds.modify_db_instance(
            DBInstanceIdentifier=f"{LIVE}-1", NewDBInstanceIdentifier=f"{BEFORE}-1"
        ),
        lambda: account.rds.modify_db_instance(
            DBInstanceIdentifier=f"{LIVE}-2", NewDBInstanceIdentifier=f"{BEFORE}-2"
        ),
        lambda: account.rds.modify_db_cluster(
            DBClusterIdentifier=LIVE, NewDBClusterIdentifier=BEFORE, ApplyImmediately=True
        ),
        lambda: account.rds.modify_db_instance(
            DBInstanceIdentifier=f"{RESTORED}-1", NewDBInstanceIdentifier=f"{LIVE}-1"
        ),
    ]
    for step in taken[:steps]:
        step()
    ran = account.switch()
    assert ran.returncode == 0, ran.stderr
    switched(account, old, new)


def test_a_cluster_that_cant_take_over_is_refused_before_anything_changes(account: Account) -> None:
    def refused(said: str, to: str = RESTORED) -> None:
        ran = account.switch(to=to)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert said in ran.stderr
        assert account.clusters().keys() <= {LIVE, RESTORED, BEFORE}
        assert f"{LIVE}-1" in account.instances()

    refused(f"There is no cluster {RESTORED}")
    refused("isn't a restored cluster", to=LIVE)
    account.rds.restore_db_cluster_to_point_in_time(
        SourceDBClusterIdentifier=LIVE, DBClusterIdentifier=RESTORED, UseLatestRestorableTime=True
    )
    refused("has no instance")
    account.instance(RESTORED, 1)
    account.rds.create_db_cluster(
        DBClusterIdentifier=BEFORE,
        Engine="aurora-mysql",
        MasterUsername="fcmaster",
        ManageMasterUserPassword=True,
    )
    refused(f"{BEFORE} is left from an earlier switch")
    account.rds.delete_db_cluster(DBClusterIdentifier=BEFORE, SkipFinalSnapshot=True)
    account.rds.modify_db_cluster(
        DBClusterIdentifier=RESTORED, DBClusterParameterGroupName="other", ApplyImmediately=True
    )
    refused("has another DBClusterParameterGroup")
