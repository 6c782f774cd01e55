"""Commands of docs/how-to/operations.md that the rehearsal leaves out, run on another emulator as they are shown."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from familycorp_ops.deploy.release import SAM
from familycorp_ops.rehearse.incidents import shown
from familycorp_ops.servers.ministack import CREDENTIALS, client
from familycorp_ops.servers.moto import Moto
from familycorp_ops.servers.process import NotInstalledError, clean_environment
from familycorp_ops.testing.servers import missing

pytestmark = pytest.mark.infra


@pytest.fixture(scope="module")
def moto() -> Iterator[Moto]:
    try:
        with Moto() as server:
            yield server
    except NotInstalledError as error:
        missing("terraform", error)


def run(moto: Moto, command: str, cwd: Path) -> str:
    path = os.pathsep.join((str(SAM.parent), os.environ["PATH"]))
    environment = clean_environment(**CREDENTIALS, AWS_ENDPOINT_URL=moto.url, PATH=path)
    ran = subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{command}\n{ran.stderr}"
    return ran.stdout.strip()


def test_secrets_get_new_values(moto: Moto, tmp_path: Path) -> None:
    secrets = client(moto.url, "secretsmanager")
    files = {"oidc-client-secret": "secret.txt", "database": "secret.json"}
    for name, file in files.items():
        secrets.create_secret(Name=f"familycorp-stage-{name}", SecretString="leaked")
        (tmp_path / file).write_text(f"new {name}")
    for command in shown("Secrets of the login provider and of RDS Proxy", "stage"):
        run(moto, command, tmp_path)
    for name in files:
        found = secrets.get_secret_value(SecretId=f"familycorp-stage-{name}")
        assert found["SecretString"] == f"new {name}"


def test_a_roles_credentials_are_ended(moto: Moto, tmp_path: Path) -> None:
    iam = client(moto.url, "iam")
    iam.create_role(RoleName="familycorp-stage-backend", AssumeRolePolicyDocument="{}")
    end, again = shown("Credentials of a function's role", "stage")
    run(moto, end, tmp_path)
    policy = iam.get_role_policy(RoleName="familycorp-stage-backend", PolicyName="revoked")["PolicyDocument"]
    policy = json.loads(policy) if isinstance(policy, str) else policy
    (statement,) = policy["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "*")
    assert "aws:TokenIssueTime" in statement["Condition"]["DateLessThan"]
    run(moto, again, tmp_path)
    assert iam.list_role_policies(RoleName="familycorp-stage-backend")["PolicyNames"] == []


def test_the_commands_that_restore_a_cluster_are_taken_without_storage_behind_them(
    moto: Moto, tmp_path: Path
) -> None:
    rds = client(moto.url, "rds")
    rds.create_db_cluster(
        DBClusterIdentifier="familycorp-stage-database",
        Engine="aurora-mysql",
        MasterUsername="fcmaster",
        ManageMasterUserPassword=True,
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 4},
        VpcSecurityGroupIds=["sg-12345678"],
    )
    restoring = [command for command in shown("The database", "stage") if command.startswith("aws ")]
    said = [run(moto, command, tmp_path) for command in restoring]
    assert said[-1] == "available"
    (restored,) = rds.describe_db_clusters(DBClusterIdentifier="familycorp-stage-restored")["DBClusters"]
    assert [g["VpcSecurityGroupId"] for g in restored["VpcSecurityGroups"]] == ["sg-12345678"]
    assert [m["DBInstanceIdentifier"] for m in restored["DBClusterMembers"]] == [
        "familycorp-stage-restored-1"
    ]
    assert len(rds.describe_db_clusters()["DBClusters"]) == 2
