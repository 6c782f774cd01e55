"""`familycorp release`: the steps of a deployment, for the pipeline and for operators; the rehearsal takes them too.

A release is what `build` made once. It goes from environment to environment as it is: never built again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from familycorp_ops.smoke import REGION, stack

ROOT: Final = Path(__file__).parents[2]
SAM: Final = ROOT / "ops" / "sam" / ".venv" / "bin" / "sam"
BUILT: Final = ROOT / ".aws-sam" / "build"

app = typer.Typer(help="Builds, deploys, migrates and takes back a release.", no_args_is_help=True)

Env = Annotated[str, typer.Argument(help="dev, stage or prod", metavar="ENV")]


def sam(*arguments: str) -> int:
    """Run SAM; return its exit status."""
    if not SAM.is_file():
        sys.exit("SAM isn't installed: the make targets of a release install it.")
    environment = {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION, **os.environ}
    return subprocess.run([str(SAM), *arguments], cwd=ROOT, env=environment, check=False).returncode


def client(service: str) -> Any:
    """Return a client of an AWS service."""
    from botocore.config import Config  # noqa: PLC0415 - `--help` needn't wait for it.
    from botocore.session import get_session  # noqa: PLC0415

    # A migration may take as long as its function, five minutes.
    config = Config(read_timeout=330, retries={"total_max_attempts": 1})
    return get_session().create_client(service, region_name=REGION, config=config)


@app.command()
def build(
    template: Annotated[Path, typer.Option(help="The template.")] = ROOT / "template.yaml",
    to: Annotated[Path, typer.Option(help="Where the release goes.")] = BUILT,
) -> None:
    """Build a release."""
    sys.exit(sam("build", "--template-file", str(template), "--build-dir", str(to)))


@app.command()
def deploy(
    env: Env,
    release: Annotated[Path, typer.Option(help="Directory that `build` made.")] = BUILT,
    override: Annotated[
        list[str] | None, typer.Option(help="Parameter of the template, as Name=value.")
    ] = None,
) -> None:
    """Bring an environment's stack to a release, and wait; CloudFormation takes back what fails."""
    more: Sequence[str] = ["--parameter-overrides", *override] if override else []
    file = str(release / "template.yaml")
    config = ["--config-file", str(ROOT / "samconfig.toml"), "--config-env", env]
    sys.exit(sam("deploy", *config, "--template-file", file, "--no-fail-on-empty-changeset", *more))


@app.command()
def migrate(env: Env) -> None:
    """Bring an environment's database to the deployed release's schema."""
    answer = client("lambda").invoke(FunctionName=f"familycorp-{env}-migrations", Payload=b"{}")
    said = json.loads(answer["Payload"].read() or b"{}")
    if "FunctionError" in answer:
        sys.exit(f"The migration failed: {said.get('errorMessage', said)}")
    sys.stdout.write(f"{env} has schema {said['revision']}.\n")


@app.command()
def delete(env: Env) -> None:
    """Delete an environment's stack: functions and API. Data stays; it is Terraform's."""
    sys.exit(sam("delete", "--stack-name", stack(env), "--region", REGION, "--no-prompts"))
