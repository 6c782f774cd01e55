"""Terraform, run in a copy of `terraform/` so that nothing of the operator's own state is touched."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final, Self

from familycorp_ops.messages import marked
from familycorp_ops.servers.ministack import CREDENTIALS
from familycorp_ops.servers.process import NotInstalledError, clean_environment

ROOT: Final = Path(__file__).parents[3]
SOURCE: Final = ROOT / "terraform"
BOOTSTRAP: Final = "bootstrap"
"""Directory, in Terraform's, of what people alone apply: the pipeline's roles and what bounds them."""
DIGEST: Final = "sha256:" + "a" * 64
GITHUB_ISSUER: Final = "token.actions.githubusercontent.com"

_FOR_EMULATORS: Final = """
terraform {
  backend "local" {}
}

provider "aws" {
  s3_use_path_style       = true
  skip_metadata_api_check = true
  max_retries             = 2 # What an emulator doesn't know is answered with an error of the server: don't insist.
}

provider "aws" {
  alias                   = "global"
  skip_metadata_api_check = true
  max_retries             = 2
}
"""


REGISTRY: Final = "https://registry.terraform.io/.well-known/terraform.json"
NO_PROVIDER: Final = marked(
    "Terraform's AWS provider isn't available: set TF_PLUGIN_DIR to a mirror, or allow access to its registry."
)


class TerraformError(Exception):
    """A run failed; the message holds what Terraform said."""


def executable() -> str:
    """Return the path of Terraform; raise `NotInstalledError` where there is none."""
    found = shutil.which("terraform")
    if found is None:
        raise NotInstalledError(
            _("terraform isn't installed: plans, applies and costs need 1.10 or newer on PATH.")
        )
    return found


class Terraform:
    """A working copy of the configuration.

    Args:
        directory: where the copy goes.
        endpoint: an emulator's address; without one, only what needs no AWS can be run.
        configuration: which configuration of the copy is run; `terraform/` itself by default.
    """

    def __init__(self, directory: Path, endpoint: str | None = None, configuration: str = ".") -> None:
        self.directory = directory / configuration
        self._program = executable()
        self._endpoint = endpoint
        ignore = shutil.ignore_patterns(".terraform", "*.tfstate*")
        shutil.copytree(SOURCE, directory, symlinks=True, ignore=ignore, dirs_exist_ok=True)
        (self.directory / "emulator_override.tf").write_text(_FOR_EMULATORS)
        ran = self.run("init", "-input=false", "-lockfile=readonly", *plugins(), check=False)
        if lacks_provider(ran.stderr):
            raise NotInstalledError(_(NO_PROVIDER))
        if ran.returncode:
            raise TerraformError(ran.stderr)

    def run(
        self, *arguments: str, timeout_s: float = 900, check: bool = True, typed: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; raise `TerraformError` if it fails and `check` is set."""
        extra = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
        if self._endpoint:
            extra |= {**CREDENTIALS, "AWS_ENDPOINT_URL": self._endpoint}
        plain = ["-no-color"] if arguments[0] in {"init", "plan", "apply", "destroy", "validate"} else []
        ran = subprocess.run(
            [self._program, arguments[0], *plain, *arguments[1:]],
            cwd=self.directory,
            env=clean_environment(**extra),
            input=typed,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and ran.returncode:
            raise TerraformError(
                f"terraform {' '.join(arguments)}\n{ran.stdout[-3000:]}\n{ran.stderr[-6000:]}"
            )
        return ran

    def evaluate(self, expression: str, env: str) -> str:
        """Return what `terraform console` prints for an expression of one line."""
        return self.run("console", f"-var-file=envs/{env}.tfvars", typed=f"{expression}\n").stdout

    def plan(self, *options: str) -> dict[str, Any]:
        """Plan, and return the plan as `terraform show -json` describes it."""
        self.run("plan", "-input=false", "-out=plan", *options)
        shown: dict[str, Any] = json.loads(self.run("show", "-json", "plan").stdout)
        return shown


def variables(env: str, directory: Path = SOURCE) -> dict[str, Any]:
    """Return the variables of an environment as Terraform reads them; raise `TerraformError` where it refuses one.

    `terraform console` needs no provider for the files of variables alone, and nothing that runs.
    """
    names = re.findall(
        r'^variable "(\w+)"', (directory / "variables.tf").read_text(encoding="utf-8"), re.MULTILINE
    )
    expression = ", ".join(f"{name} = var.{name}" for name in names)
    with tempfile.TemporaryDirectory() as copy:
        for file in ("variables.tf", "hosts.tf", f"envs/{env}.tfvars"):
            shutil.copy(directory / file, copy)
        ran = subprocess.run(
            [executable(), "console", f"-var-file={env}.tfvars"],
            cwd=copy,
            input=f"jsonencode({{{expression}}})\n",
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode or not ran.stdout.startswith('"'):
        raise TerraformError(ran.stderr or ran.stdout)
    found: dict[str, Any] = json.loads(json.loads(ran.stdout))
    return found


def lacks_provider(said: str) -> bool:
    """Return whether `terraform init` failed for want of the provider, and not because of the configuration."""
    return "provider packages" in said or "Failed to install provider" in said


def has_provider() -> bool:
    """Return whether `terraform init` would find the provider: in `TF_PLUGIN_DIR`, else in its registry."""
    if mirror := os.environ.get("TF_PLUGIN_DIR"):
        lock = (SOURCE / ".terraform.lock.hcl").read_text("utf-8")
        name, version = re.findall(r'^provider "(.+)" \{\n *version *= "(.+)"', lock, re.MULTILINE)[0]
        return any(Path(mirror, name).glob(f"*{version}*"))
    try:
        urllib.request.urlopen(REGISTRY, timeout=5).close()
    except OSError:
        return False
    return True


def plugins() -> Sequence[str]:
    """Return the options that make Terraform take its providers from `TF_PLUGIN_DIR`, else from its registry."""
    mirror = os.environ.get("TF_PLUGIN_DIR")
    return [f"-plugin-dir={mirror}"] if mirror else []


def options(env: str, deployer: str, **variables: Any) -> list[str]:
    """Return the options that choose an environment and who deploys the application."""
    chosen: dict[str, Any] = {"app_deployer": deployer, **variables}
    if deployer == "terraform":
        chosen |= {"image_digest": DIGEST, "functions_image_digest": DIGEST}
    return [
        f"-var-file=envs/{env}.tfvars",
        *(f"-var={k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in chosen.items()),
    ]


VARIABLES: Final = {"http": "image_digest", "functions": "functions_image_digest"}
"""Terraform's variables of a release's images, by target."""


def image_options(digests: Mapping[str, str]) -> Sequence[str]:
    """Return the options of a plan that name images, given by target."""
    return [f"-var={VARIABLES[target]}={digest}" for target, digest in digests.items()]


def resources(plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every managed resource that a plan would leave behind."""
    for resource in plan["planned_values"]["root_module"]["resources"]:
        if resource["mode"] == "managed":
            yield {"values": {}, **resource}  # Where nothing is known before the apply, nothing is said.


def changes(plan: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what a plan does to each resource that it touches."""
    return {
        change["address"]: change["change"]["actions"]
        for change in plan.get("resource_changes", ())
        if change["change"]["actions"] not in (["no-op"], ["read"])
    }


class Timer:
    """Measures how long a block took."""

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
