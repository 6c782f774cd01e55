"""Terraform's configuration, as a person applies it to one environment: planned, shown, confirmed, applied."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from gettext import gettext as _
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from familycorp_ops.deploy import infra
from familycorp_ops.deploy.bootstrap import init, terraform
from familycorp_ops.doctor.environment import Environment
from familycorp_ops.facts import FUNCTIONS
from familycorp_ops.lifecycle.consent import confirm
from familycorp_ops.lifecycle.problem import LifecycleError, StoppedError

HOLD_DATA: Final = (
    "aws_cognito_user_pool.",
    "aws_dynamodb_table.",
    "aws_kms_key.",
    "aws_rds_cluster.",
    "aws_s3_bucket.",
)
"""Kinds of resources whose end is the end of data."""
LOOK_S: Final = 10.0
_CHANGES: Final = 2


VARIABLES: Final = {"http": "image_digest", "functions": "functions_image_digest"}
"""Terraform's variables of a release's images, by target."""


def image_options(digests: Mapping[str, str]) -> Sequence[str]:
    """Return the options of a plan that name images, given by target."""
    return [f"-var={VARIABLES[target]}={digest}" for target, digest in digests.items()]


def deployed_images(it: Environment) -> Sequence[str]:
    """Return the options of a plan that leaves the images which Terraform deployed; none where it deployed none."""
    digests = {}
    for function in it.in_state("aws_lambda_function"):
        handler = FUNCTIONS[function["function_name"].removeprefix(f"{it.name}-")]["handler"]
        digests["http" if handler is None else "functions"] = function["image_uri"].partition("@")[2]
    return image_options(digests)


class Configuration:
    """What Terraform makes of an environment.

    Args:
        it: the environment.
        directory: the configuration's.
        yes: whether a plan is applied without a question.
    """

    def __init__(self, it: Environment, directory: Path, *, yes: bool) -> None:
        self._it, self._directory, self._yes = it, directory, yes

    def init(self, bucket: str) -> None:
        """Initialise the configuration on a bucket of states."""
        if init(bucket, self._it.region, self._directory, (), as_json=True):
            raise LifecycleError(_("Terraform couldn't be initialised: see above."))

    def apply(
        self,
        *options: str,
        before: Callable[[], None] = lambda: None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> int:
        """Plan, show the plan, and apply it once it is confirmed; return how many resources it changed.

        Args:
            options: more options of `terraform plan`.
            before: called between the confirmation and the apply.
            meanwhile: called every few seconds while the plan is applied.
        """
        with TemporaryDirectory() as kept:
            file = f"{kept}/plan"
            named = (f"-var-file=envs/{self._it.env}.tfvars", *infra.provider_in_account(self._it))
            ended = self._run("plan", "-detailed-exitcode", f"-out={file}", *named, *options)
            if ended == 0:
                return 0
            if ended != _CHANGES:
                raise LifecycleError(_("Terraform couldn't make a plan: see above."))
            changes = infra.changes(json.loads(self._said("show", "-json", file)))
            self._agree(changes, destroys="-destroy" in options)
            before()
            if self._run("apply", file, meanwhile=meanwhile):
                raise LifecycleError(
                    _(
                        "Terraform's apply ended early: see above, then run the same command again. If it says that "
                        "a run that is gone locks the state: `terraform -chdir=terraform force-unlock ID`."
                    )
                )
        return len(changes)

    def forget(self, address: str) -> None:
        """Take a resource out of the state: it stays, and is no longer this environment's."""
        if self._run("state", "rm", address):
            raise LifecycleError(_("Terraform's state couldn't be changed: see above."))

    def _agree(self, changes: Mapping[str, Sequence[str]], *, destroys: bool) -> None:
        account, name = self._it.caller["Account"], self._it.name
        if destroys:
            question = _("Destroy {number} resources of {name} in the account {account}?")
        else:
            lost = [a for a, what in changes.items() if "delete" in what and a.startswith(HOLD_DATA)]
            if lost and self._yes:
                raise LifecycleError(
                    _("The plan deletes what holds data, which is done without --yes alone: {lost}.").format(
                        lost=", ".join(lost)
                    )
                )
            question = _("Make these {number} changes to {name} in the account {account}?")
        confirm(question.format(number=len(changes), name=name, account=account), yes=self._yes)

    def _run(self, *arguments: str, meanwhile: Callable[[], None] = lambda: None) -> int:
        """Run a command whose words are the person's to read; return its status.

        An interrupt from the keyboard reaches Terraform, too, which then ends in order: it is waited for, because
        killed it would leave the state locked, and what it made unknown.
        """
        plain = [] if sys.stderr.isatty() or arguments[0] == "state" else ["-no-color"]
        given = [] if arguments[0] == "state" else ["-input=false"]
        command = [terraform(), arguments[0], *plain, *given, *arguments[1:]]
        with subprocess.Popen(
            command, cwd=self._directory, stdout=sys.stderr, env=self._environment()
        ) as process:
            while True:
                try:
                    return process.wait(LOOK_S)
                except subprocess.TimeoutExpired:
                    meanwhile()
                except KeyboardInterrupt as error:
                    if isinstance(error, StoppedError):
                        process.send_signal(signal.SIGINT)
                    process.wait()
                    raise

    def _said(self, *arguments: str) -> str:
        ran = subprocess.run(
            [terraform(), *arguments],
            cwd=self._directory,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment(),
            check=False,
        )
        if ran.returncode:
            raise LifecycleError(_("Terraform couldn't be asked: see above."))
        return ran.stdout

    @staticmethod
    def _environment() -> dict[str, str]:
        return {**os.environ, "TF_IN_AUTOMATION": "1"}
