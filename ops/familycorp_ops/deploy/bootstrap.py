"""Creates what Terraform can't create for itself: the bucket of its state, and the first signing key.

`state dev` creates the bucket and initialises `terraform/` on it; what follows `--` goes to `terraform init`.
`signing-key dev` writes a first key, unless there is one. `plan dev` plans, and writes `build/plan-dev.txt` and, for
programs, `….json`. All may be repeated; credentials, region and endpoint come from the usual `AWS_*` variables.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from familycorp_ops.deploy.infra import SOURCE, executable, plugins
from familycorp_ops.output import ENVIRONMENTS

PLANS: Final = SOURCE.parent / "build"


def _client(service: str, region: str) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - `--help` needn't wait for it.
    from botocore.session import get_session  # noqa: PLC0415

    config = Config(s3={"addressing_style": "auto"}, retries={"mode": "standard"})
    return get_session().create_client(service, region_name=region, config=config)


def state_bucket_name(env: str, account: str) -> str:
    """Return the name of the bucket of an environment's state; the account's number makes it unique in the world."""
    return f"familycorp-{env}-state-{account}"


def state_bucket(env: str, region: str) -> str:
    """Make the bucket of an environment's state, or bring it in order; return its name."""
    account = _client("sts", region).get_caller_identity()["Account"]
    name = state_bucket_name(env, account)
    s3 = _client("s3", region)
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    block = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(block, True))
    tls_only = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    if s3.meta.endpoint_url.startswith("https://"):  # An emulator on plain HTTP would lock everybody out.
        policy = json.dumps({"Version": "2012-10-17", "Statement": [tls_only]})
        s3.put_bucket_policy(Bucket=name, Policy=policy)
    return name


def signing_key(env: str, region: str) -> bool:
    """Write the first signing key of an environment; return False, and change nothing, where there is one.

    Nobody but the auth function may read the secret, so this asks only whether it has a value.
    """
    from app.functions.rotation import new_key  # noqa: PLC0415 - to make the bucket needs no cryptography.

    secrets = _client("secretsmanager", region)
    name = f"familycorp-{env}-signing-key"
    if secrets.describe_secret(SecretId=name).get("VersionIdsToStages"):
        return False
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(new_key()))
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m familycorp_ops.deploy.bootstrap", description=__doc__)
    parser.add_argument("what", choices=("state", "signing-key", "plan"))
    parser.add_argument("env", choices=ENVIRONMENTS)
    parser.add_argument("--region", default="ap-northeast-2")
    parser.add_argument("--directory", type=Path, default=SOURCE, help="where the configuration is")
    given = list(sys.argv[1:] if arguments is None else arguments)
    cut = given.index("--") if "--" in given else len(given)
    chosen = parser.parse_args(given[:cut])
    if chosen.what == "signing-key":
        made = signing_key(chosen.env, chosen.region)
        print("Wrote the first signing key." if made else "There is a signing key already.")
        return 0
    if chosen.what == "plan":
        return plan(chosen.env, chosen.region, chosen.directory, given[cut + 1 :])
    bucket = state_bucket(chosen.env, chosen.region)
    print(f"State is kept in {bucket}.", flush=True)
    return _init(bucket, chosen.region, chosen.directory, given[cut + 1 :])


def plan(env: str, region: str, directory: Path, options: Sequence[str]) -> int:
    """Plan an environment, which changes nothing, and write down what Terraform says; return the exit status."""
    account = _client("sts", region).get_caller_identity()["Account"]
    if status := _init(state_bucket_name(env, account), region, directory, options):
        return status
    PLANS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as kept:
        file = f"{kept}/plan"
        # Whoever may only read can't lock the state.
        options = ["-no-color", "-input=false", "-lock=false", f"-var-file=envs/{env}.tfvars", f"-out={file}"]
        ran = _said(["plan", *options], directory)
        (PLANS / f"plan-{env}.txt").write_text(ran.stdout, encoding="utf-8")
        print(ran.stdout)
        if not ran.returncode:
            ran = _said(["show", "-json", file], directory)
            (PLANS / f"plan-{env}.json").write_text(ran.stdout, encoding="utf-8")
    return ran.returncode


def _said(arguments: Sequence[str], directory: Path) -> subprocess.CompletedProcess[str]:
    command = [executable(), *arguments]
    return subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, text=True, check=False)


def _init(bucket: str, region: str, directory: Path, options: Sequence[str]) -> int:
    command = [executable(), "init", "-input=false", "-reconfigure", "-lockfile=readonly", *plugins()]
    where = [f"-backend-config=bucket={bucket}", f"-backend-config=region={region}"]
    return subprocess.run([*command, *where, *options], cwd=directory, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
