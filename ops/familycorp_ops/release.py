"""`familycorp release`: the steps of a deployment, for the pipeline and for operators; the rehearsal takes them too.

A release is made once, an image or a directory of archives, and goes from environment to environment as it is.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from familycorp_ops.smoke import REGION, stack

ROOT: Final = Path(__file__).parents[2]
SAM: Final = ROOT / "ops" / "sam" / ".venv" / "bin" / "sam"
IMAGE: Final = ROOT / "build" / "image.tar"
"""The release as an OCI archive: whoever pushes it anywhere gets the same digest."""

app = typer.Typer(help="Builds, deploys, migrates and takes back a release.", no_args_is_help=True)

Env = Annotated[str, typer.Argument(help="dev, stage or prod", metavar="ENV")]
Archives = Annotated[
    Path | None, typer.Option(help="Directory that `build` made; without one the release is an image.")
]
Digest = Annotated[str | None, typer.Option(help="The image, as sha256:...")]
Version = Annotated[str | None, typer.Option(help="What the release calls itself.")]


def _sam(*arguments: str) -> int:
    if not SAM.is_file():
        sys.exit("SAM isn't installed: the make targets of a release install it.")
    environment = {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION, **os.environ}
    return subprocess.run([str(SAM), *arguments], cwd=ROOT, env=environment, check=False).returncode


def _client(service: str) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - `--help` needn't wait for it.
    from botocore.session import get_session  # noqa: PLC0415

    # A migration may take as long as its function, five minutes.
    config = Config(read_timeout=330, retries={"total_max_attempts": 1})
    return get_session().create_client(service, region_name=REGION, config=config)


def _output(name: str, value: str) -> None:
    """Hand a value to the steps of the pipeline that follow."""
    if file := os.environ.get("GITHUB_OUTPUT"):
        with Path(file).open("a", encoding="utf-8") as outputs:
            outputs.write(f"{name}={value}\n")


@app.command()
def build(
    to: Annotated[Path, typer.Option(help="Where the release goes.")],
    template: Annotated[Path, typer.Option(help="The template.")] = ROOT / "template.zip.yaml",
) -> None:
    """Build a release of archives; an image is built by `make image`."""
    config = ["--config-file", str(ROOT / "samconfig.toml")]
    sys.exit(_sam("build", *config, "--template-file", str(template), "--build-dir", str(to)))


@app.command()
def push(env: Env, version: Annotated[str, typer.Option(help="The tag.")]) -> None:
    """Bring the image of `make image` into an environment's registry, with `skopeo`; print its digest."""
    name = f"/familycorp/{env}/registry/backend"
    registry = _client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    granted = _client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    with tempfile.TemporaryDirectory() as directory:
        # A file that goes at once, because what is in a command line shows in the list of processes.
        login, told = Path(directory, "auth.json"), Path(directory, "digest")
        login.touch(mode=0o600)
        login.write_text(json.dumps({"auths": {registry.partition("/")[0]: {"auth": granted}}}))
        command = [
            "skopeo",
            "copy",
            "--preserve-digests",
            "--authfile",
            str(login),
            "--digestfile",
            str(told),
        ]
        subprocess.run([*command, f"oci-archive:{IMAGE}", f"docker://{registry}:{version}"], check=True)
        digest = told.read_text().strip()
    _output("digest", digest)
    sys.stdout.write(f"{registry}@{digest}\n")


@app.command()
def deploy(env: Env, archives: Archives = None, digest: Digest = None, version: Version = None) -> None:
    """Bring an environment's stack to a release, and wait; CloudFormation takes back what fails."""
    before = {p["ParameterKey"]: p["ParameterValue"] for p in _parameters(env)}
    _output("previous-digest", before.get("ImageDigest", ""))
    _output("previous-version", before.get("Release", ""))
    template = archives / "template.yaml" if archives else ROOT / "template.yaml"
    overrides = [f"file://ops/sam/parameters/{env}.yaml"]
    overrides += [f"ImageDigest={digest}"] if digest else []
    overrides += [f"Release={version}"] if version else []
    config = ["--config-file", str(ROOT / "samconfig.toml"), "--config-env", env]
    sys.exit(_sam("deploy", *config, "--template-file", str(template), "--parameter-overrides", *overrides))


def _parameters(env: str) -> list[dict[str, str]]:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        found = _client("cloudformation").describe_stacks(StackName=stack(env))["Stacks"][0]
    except ClientError:
        return []  # The first deployment.
    parameters: list[dict[str, str]] = found.get("Parameters", [])
    return parameters


def _invoke(env: str, function: str, event: dict[str, Any], failed: str) -> Any:
    """Return what the deployed release's function answers; end the program with its words where it fails."""
    answer = _client("lambda").invoke(
        FunctionName=f"familycorp-{env}-{function}", Qualifier="live", Payload=json.dumps(event)
    )
    said = json.loads(answer["Payload"].read() or b"{}")
    if "FunctionError" in answer:
        sys.exit(f"{failed}: {said.get('errorMessage', said)}")
    return said


@app.command()
def migrate(env: Env) -> None:
    """Bring an environment's database to the deployed release's schema."""
    said = _invoke(env, "migrations", {}, "The migration failed")
    sys.stdout.write(f"{env} has schema {said['revision']}.\n")


@app.command()
def restore(env: Env) -> None:
    """Write anew what DynamoDB has from the database: after its tables were lost, or restored from a backup."""
    _invoke(env, "drain", {"restore": True}, "It ended early, and may be repeated")
    sys.stdout.write(f"What {env} publishes is in DynamoDB.\n")


@app.command()
def alarm(env: Env, what: Annotated[str, typer.Argument(help="What happened.")]) -> None:
    """Tell those who hear of an environment's alarms that a deployment failed."""
    topic = _client("ssm").get_parameter(Name=f"/familycorp/{env}/events/alarms-topic")["Parameter"]["Value"]
    run = os.environ.get("GITHUB_RUN_ID")
    where = (
        f" {os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}/actions/runs/{run}"
        if run
        else ""
    )
    _client("sns").publish(
        TopicArn=topic, Subject=f"familycorp-{env}: deployment failed", Message=what + where
    )
    sys.stdout.write("The alarm was raised.\n")


@app.command()
def delete(env: Env) -> None:
    """Delete an environment's stack, functions and API, and the layers it retains. Data stays; it is Terraform's."""
    if status := _sam("delete", "--stack-name", stack(env), "--region", REGION, "--no-prompts"):
        sys.exit(status)
    functions = _client("lambda")
    for layer in functions.list_layers()["Layers"]:
        if layer["LayerName"].startswith(f"familycorp-{env}-"):
            for version in functions.list_layer_versions(LayerName=layer["LayerName"])["LayerVersions"]:
                number = version["Version"]
                functions.delete_layer_version(LayerName=layer["LayerName"], VersionNumber=number)
