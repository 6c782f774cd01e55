"""The steps that docs/infra.md shows for an empty account, executed against the emulator."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from familycorp_ops import bootstrap as bootstrapping
from familycorp_ops import infra
from familycorp_ops.infra import executable
from familycorp_ops.pytest_servers import missing
from familycorp_ops.servers.ministack import CREDENTIALS, REGION, MiniStack
from familycorp_ops.servers.moto import Moto
from familycorp_ops.servers.process import NotInstalledError, clean_environment

FOR_EMULATORS = [
    "-backend-config=use_path_style=true",
    "-backend-config=skip_metadata_api_check=true",
    "-backend-config=skip_region_validation=true",
]


def bootstrap(emulator: MiniStack | Moto, *arguments: str) -> subprocess.CompletedProcess[str]:
    extra = {"AWS_ENDPOINT_URL": emulator.url, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    return subprocess.run(
        [sys.executable, "-m", "familycorp_ops.bootstrap", *arguments],
        env=clean_environment(**CREDENTIALS, **extra),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def client(emulator: MiniStack | Moto, service: str) -> Any:
    return botocore.session.get_session().create_client(
        service, region_name=REGION, endpoint_url=emulator.url
    )


def test_state_is_bootstrapped_and_may_be_again(ministack: MiniStack, tmp_path: Path) -> None:
    try:
        executable()
    except NotInstalledError as error:
        missing("terraform", error)
    ignore = shutil.ignore_patterns(".terraform", "*.tfstate*")
    shutil.copytree(infra.SOURCE, tmp_path / "terraform", ignore=ignore)
    for _ in range(2):
        ran = bootstrap(
            ministack, "state", "dev", "--directory", str(tmp_path / "terraform"), "--", *FOR_EMULATORS
        )
        if infra.lacks_provider(ran.stderr):
            missing("terraform", NotInstalledError(infra.NO_PROVIDER))
        assert ran.returncode == 0, ran.stdout + ran.stderr
    planned = bootstrap(
        ministack, "plan", "dev", "--directory", str(tmp_path / "terraform"), "--", *FOR_EMULATORS
    )
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert re.search(r"Plan: \d+ to add", (bootstrapping.PLANS / "plan-dev.txt").read_text())
    bucket = re.findall(r"State is kept in (\S+)\.", ran.stdout)[0]
    assert re.fullmatch(r"familycorp-dev-state-\d{12}", bucket)
    s3 = client(ministack, "s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    chosen = json.loads((tmp_path / "terraform" / ".terraform" / "terraform.tfstate").read_text())["backend"][
        "config"
    ]
    assert (chosen["bucket"], chosen["use_lockfile"], chosen["encrypt"]) == (bucket, True, True)


@pytest.mark.infra
def test_the_first_signing_key_is_written_once() -> None:
    try:
        with Moto() as moto:
            secrets = client(moto, "secretsmanager")
            secrets.create_secret(Name="familycorp-stage-signing-key")
            said = [bootstrap(moto, "signing-key", "stage").stdout.strip() for _ in range(2)]
            value = secrets.get_secret_value(SecretId="familycorp-stage-signing-key")["SecretString"]
    except NotInstalledError as error:
        missing("terraform", error)
    assert said == ["Wrote the first signing key.", "There is a signing key already."]
    key = json.loads(value)
    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")


def test_every_step_of_the_document_is_one_that_was_tried() -> None:
    text = (infra.ROOT / "docs" / "infra.md").read_text()
    for command in (
        "familycorp_ops.bootstrap state",
        "familycorp_ops.bootstrap signing-key",
        "terraform -chdir=terraform apply",
    ):
        assert command in text
