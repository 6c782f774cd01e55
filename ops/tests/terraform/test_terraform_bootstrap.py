"""What the environment's first steps make, executed against emulators; and the table of docs/reference/infra.md."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from familycorp_ops.deploy import bootstrap as bootstrapping
from familycorp_ops.deploy import infra
from familycorp_ops.deploy.environment import ROLES_KEY, STATE_KEY
from familycorp_ops.deploy.infra import executable
from familycorp_ops.rehearse.cloud import MiniStackWithoutGaps
from familycorp_ops.rehearse.plan import EMULATOR
from familycorp_ops.servers.ministack import MiniStack, client
from familycorp_ops.servers.moto import Moto
from familycorp_ops.servers.process import NotInstalledError, clean_environment
from familycorp_ops.testing.commands import Ran, familycorp, on_emulator
from familycorp_ops.testing.servers import missing

FOR_EMULATORS = [
    "-backend-config=use_path_style=true",
    "-backend-config=skip_metadata_api_check=true",
    "-backend-config=skip_region_validation=true",
]


def bootstrap(emulator: MiniStack | Moto, *arguments: str) -> Ran:
    environment = clean_environment(
        **on_emulator(emulator.url), CHECKPOINT_DISABLE="1", TF_CLI_CONFIG_FILE=os.devnull
    )
    return familycorp("infra", *arguments, environment=environment)


def test_state_is_bootstrapped_and_may_be_again(ministack: MiniStack, tmp_path: Path) -> None:
    try:
        executable()
    except NotInstalledError as error:
        missing("terraform", error)
    ignore = shutil.ignore_patterns(".terraform", "*.tfstate*")
    shutil.copytree(infra.SOURCE, tmp_path / "terraform", ignore=ignore)
    for _ in range(2):
        ran = bootstrap(
            ministack, "bootstrap", "dev", "--directory", str(tmp_path / "terraform"), "--", *FOR_EMULATORS
        )
        if infra.lacks_provider(ran.stderr):
            missing("terraform", NotInstalledError(infra.NO_PROVIDER))
        assert ran.returncode == 0, ran.stdout + ran.stderr
    planned = bootstrap(
        ministack, "plan", "dev", "--directory", str(tmp_path / "terraform"), "--", *FOR_EMULATORS
    )
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert re.search(r"Plan: \d+ to add", (bootstrapping.PLANS / "plan-dev.txt").read_text())
    bill = ["cost", "dev", "--fail-over", "budget", "--difference"]
    told = familycorp(*bill, "--plan", str(bootstrapping.PLANS / "plan-dev.json"))
    assert (told.returncode, "| **Total** | 0.00 |" in told.stdout) == (0, True), told.stderr
    bucket = re.findall(r"State is kept in (\S+)\.", ran.stdout)[0]
    assert re.fullmatch(r"familycorp-dev-state-\d{12}", bucket)
    s3 = client(ministack.url, "s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    chosen = json.loads((tmp_path / "terraform" / ".terraform" / "terraform.tfstate").read_text())["backend"][
        "config"
    ]
    assert (chosen["bucket"], chosen["use_lockfile"], chosen["encrypt"]) == (bucket, True, True)


@pytest.mark.infra
@pytest.mark.timeout(900)
def test_people_apply_the_pipelines_roles_and_take_them_away(tmp_path: Path) -> None:
    """Terraform itself makes the roles, and finds nothing to change afterwards; the state is their own."""
    directory = tmp_path / "terraform"
    ignore = shutil.ignore_patterns(".terraform", "*.tfstate*")
    shutil.copytree(infra.SOURCE, directory, symlinks=True, ignore=ignore)
    override = EMULATOR.replace(STATE_KEY, ROLES_KEY)
    (directory / infra.BOOTSTRAP / "emulator_override.tf").write_text(override)
    with (directory / "envs" / "dev.tfvars").open("a") as file:
        file.write('account_id = "000000000000"\n')
    try:
        with MiniStackWithoutGaps() as server:
            environment = clean_environment(
                **on_emulator(server.url), CHECKPOINT_DISABLE="1", TF_CLI_CONFIG_FILE=os.devnull
            )
            made, again = (
                familycorp(
                    *("environment", command, "dev", "--yes", "--directory", str(directory)),
                    environment=environment,
                )
                for command in ("roles", "roles")
            )
            roles = sorted(role["RoleName"] for role in client(server.url, "iam").list_roles()["Roles"])
            kept = client(server.url, "s3").list_objects_v2(Bucket="familycorp-dev-state-000000000000")
            gone = familycorp(
                *("environment", "destroy", "dev", "--yes", "--directory", str(directory)),
                environment=environment,
            )
            left = client(server.url, "iam").list_roles()["Roles"]
    except NotInstalledError as error:
        missing("ministack", error)
    assert (made.returncode, "✓ roles: 11 changes" in made.stderr) == (0, True), made.stderr
    assert (again.returncode, "✓ roles: no changes" in again.stderr) == (0, True), again.stderr
    assert roles == [f"familycorp-dev-{role}" for role in ("deploy", "infra", "plan")]
    assert [found["Key"] for found in kept["Contents"]] == [ROLES_KEY]
    assert (gone.returncode, "✓ roles: 11 resources" in gone.stderr, left) == (0, True, []), gone.stderr


@pytest.mark.infra
def test_the_first_signing_key_is_written_once() -> None:
    try:
        with Moto() as moto:
            secrets = client(moto.url, "secretsmanager")
            secrets.create_secret(Name="familycorp-stage-signing-key")
            said = [bootstrap(moto, "signing-key", "stage").stdout.strip() for _ in range(2)]
            value = secrets.get_secret_value(SecretId="familycorp-stage-signing-key")["SecretString"]
    except NotInstalledError as error:
        missing("terraform", error)
    assert said == ["Wrote the first signing key.", "There is a signing key already."]
    key = json.loads(value)
    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")


def test_each_component_of_the_reference_has_resources_and_tests_that_exist() -> None:
    text = (
        (infra.ROOT / "docs" / "reference" / "infra.md")
        .read_text()
        .split("## Components and their tests\n")[1]
        .split("\n## ")[0]
    )
    declared = {
        f"{kind}.{name}"
        for file in infra.SOURCE.rglob("*.tf")
        for kind, name in re.findall(r'^resource "(\w+)" "(\w+)"', file.read_text(), re.MULTILINE)
    }
    runs = re.findall(
        r'^run "(\w+)"', (infra.SOURCE / "tests" / "invariants.tftest.hcl").read_text(), re.MULTILINE
    )
    tests = {
        name
        for file in Path(__file__).parent.glob("test_terraform_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    } | set(runs)
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 12
    for name, resources, proof in rows:
        kind = ""
        for address in re.findall(r"`(\w*\.\w+)`", resources):
            kind = address.partition(".")[0] or kind
            assert f"{kind}.{address.partition('.')[2]}" in declared, (name, address)
        assert kind, name
        assert set(re.findall(r"`(\w+)`", proof)) <= tests, name
