"""`familycorp infra`: creates what Terraform can't create for itself, and plans an environment.

All of it may be repeated; credentials and endpoint come from the usual `AWS_*` variables.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from familycorp_ops.deploy.infra import SOURCE, executable, plugins
from familycorp_ops.deploy.smoke import REGION
from familycorp_ops.output import AsJson, AwsGroup, Deployed, show
from familycorp_ops.servers.process import NotInstalledError

if TYPE_CHECKING:
    from familycorp_ops.deploy.environment import Environment

KEPT: Final = "plans/"
"""Prefix, in the bucket of the state, of saved plans; S3 deletes them a day later."""
CHANGES: Final = 2
"""Status of a plan that changes something (`-detailed-exitcode`)."""
PLANS: Final = SOURCE.parent / "build"

app = typer.Typer(
    cls=AwsGroup,
    help="Create what Terraform needs first, then plan an environment and apply it.",
    no_args_is_help=True,
)

Env = Annotated[str, Deployed(help="dev, stage or prod")]
Options = Annotated[list[str] | None, typer.Argument(help="Options of `terraform init`, after --.")]
Region = Annotated[str, typer.Option(help="Region of AWS.")]
Directory = Annotated[Path, typer.Option(help="Directory of Terraform's configuration.", show_default=False)]


def _client(service: str, region: str) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - `--help` needn't wait for it.
    from botocore.session import get_session  # noqa: PLC0415

    config = Config(s3={"addressing_style": "auto"}, retries={"mode": "standard"})
    return get_session().create_client(service, region_name=region, config=config)


def state_bucket(env: str, region: str) -> str:
    """Make the bucket of an environment's state, or bring it in order; return its name."""
    from familycorp_ops.deploy.environment import state_bucket_name  # noqa: PLC0415

    account = _client("sts", region).get_caller_identity()["Account"]
    name = state_bucket_name(env, account)
    s3 = _client("s3", region)
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    expire = {
        "ID": "plans",
        "Status": "Enabled",
        "Filter": {"Prefix": KEPT},
        "Expiration": {"Days": 1},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [expire]})
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


def write_signing_key(env: str, region: str) -> bool:
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


@app.command()
def bootstrap(
    env: Env,
    options: Options = None,
    region: Region = REGION,
    directory: Directory = SOURCE,
    as_json: AsJson = False,
) -> None:
    """Create the bucket of an environment's Terraform state, and initialize terraform/ on it."""
    bucket = state_bucket(env, region)
    show({"bucket": bucket}, _("State is kept in {bucket}.").format(bucket=bucket), as_json=as_json)
    sys.stdout.flush()
    sys.exit(init(bucket, region, directory, options or (), as_json=as_json))


@app.command(name="signing-key")
def signing_key(env: Env, region: Region = REGION, as_json: AsJson = False) -> None:
    """Write the first signing key of an environment, unless it has one."""
    written = write_signing_key(env, region)
    text = _("Wrote the first signing key.") if written else _("There is a signing key already.")
    show({"written": written}, text, as_json=as_json)


@app.command()
def plan(
    env: Env,
    options: Options = None,
    region: Region = REGION,
    directory: Directory = SOURCE,
    as_json: AsJson = False,
) -> None:
    """Write what Terraform would change in an environment to build/plan-ENV.txt and .json; change nothing."""
    from familycorp_ops.deploy.environment import Environment  # noqa: PLC0415 - `--help` needn't wait for botocore.

    with tempfile.TemporaryDirectory() as kept:
        it = Environment(env, region, directory)
        status, said, _shown = planned(it, f"{kept}/plan", directory, options or (), as_json)
    files = {kind: str(PLANS / f"plan-{env}.{kind}") for kind in ("txt", "json")}
    show({"text": files["txt"], "json": files["json"]}, said, as_json=as_json)
    sys.exit(0 if status == CHANGES else status)


def planned(
    it: "Environment", file: str, directory: Path, options: Sequence[str], as_json: bool
) -> tuple[int, str, dict[str, Any]]:
    """Plan an environment to a file and to build/; return Terraform's status, the plan in words, and as JSON.

    Args:
        it: the environment.
        file: where the plan goes.
        directory: Terraform's configuration.
        options: options of `terraform init`.
        as_json: whether standard output is for a document alone.
    """
    from familycorp_ops.deploy.environment import deployed_images  # noqa: PLC0415

    if status := init(it.bucket, it.region, directory, options, as_json=as_json):
        sys.exit(status)
    PLANS.mkdir(exist_ok=True)
    # Credentials that may only read can't lock the state.
    given = ["-no-color", "-input=false", "-lock=false", "-detailed-exitcode"]
    images = deployed_images(it) if it.variables["app_deployer"] == "terraform" else ()
    ran = said(["plan", *given, f"-var-file=envs/{it.env}.tfvars", *images, f"-out={file}"], directory)
    (PLANS / f"plan-{it.env}.txt").write_text(ran.stdout, encoding="utf-8")
    if ran.returncode not in {0, CHANGES}:
        return ran.returncode, ran.stdout, {}
    shown = said(["show", "-json", file], directory).stdout
    (PLANS / f"plan-{it.env}.json").write_text(shown, encoding="utf-8")
    return ran.returncode, ran.stdout, json.loads(shown)


def terraform() -> str:
    """Return the path of Terraform; end the program where it isn't installed."""
    try:
        return executable()
    except NotInstalledError as error:
        sys.exit(str(error))


def said(arguments: Sequence[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Run Terraform; return what it says on standard output."""
    command = [terraform(), *arguments]
    return subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, text=True, check=False)


def init(bucket: str, region: str, directory: Path, options: Sequence[str], *, as_json: bool) -> int:
    """Initialise a configuration on a bucket of states; return Terraform's status."""
    command = [terraform(), "init", "-input=false", "-reconfigure", "-lockfile=readonly", *plugins()]
    where = [f"-backend-config=bucket={bucket}", f"-backend-config=region={region}"]
    # Standard output is the document's alone.
    shown = sys.stderr if as_json else None
    return subprocess.run([*command, *where, *options], cwd=directory, stdout=shown, check=False).returncode
