"""Terraform's configuration, as a person applies it to one environment: planned, shown, confirmed, applied."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from gettext import gettext as _
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from familycorp_ops.deploy import infra
from familycorp_ops.deploy.bootstrap import CHANGES, init, terraform
from familycorp_ops.deploy.environment import ROLES_KEY, STATE_KEY, Environment, provider_in_account
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
PROTECTIONS: Final = ("deletion_protection", "deletion_protection_enabled")
LOOK_S: Final = 10.0
STATES: Final = {".": STATE_KEY, infra.BOOTSTRAP: ROLES_KEY}
"""Object of each configuration's state, by the configuration's directory in Terraform's."""


def taken(plan: Mapping[str, Any]) -> list[str]:
    """Return the resources that hold data and that a plan destroys, replaces or no longer protects."""
    found = []
    for change in plan.get("resource_changes", ()):
        before, after = (change["change"].get(when) or {} for when in ("before", "after"))
        unprotected = before.get("force_destroy") is False and after.get("force_destroy") is True
        for name in PROTECTIONS:
            unprotected |= before.get(name) in {True, "ACTIVE"} and after.get(name) not in {True, "ACTIVE"}
        if change["address"].startswith(HOLD_DATA) and (
            unprotected or "delete" in change["change"]["actions"]
        ):
            found.append(change["address"])
    return found


class Configuration:
    """What Terraform makes of an environment.

    Args:
        it: the environment.
        directory: the configuration's.
        yes: whether a plan is applied without a question.
        which: `terraform/` itself, or the directory in it that people alone apply.
    """

    def __init__(self, it: Environment, directory: Path, *, yes: bool, which: str = ".") -> None:
        self._it, self._directory, self._yes, self._which = it, directory / which, yes, which

    def init(self, bucket: str, *options: str) -> None:
        """Initialise the configuration on a bucket of states, with further options of `terraform init`."""
        if init(bucket, self._it.region, self._directory, options, as_json=True):
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
            named = [f"-var-file=envs/{self._it.env}.tfvars"]
            if self._which == infra.BOOTSTRAP:
                named += provider_in_account(self._it)
            ended = self._run("plan", "-detailed-exitcode", f"-out={file}", *named, *options)
            if ended == 0:
                return 0
            if ended != CHANGES:
                raise LifecycleError(self._locked() or _("Terraform couldn't make a plan: see above."))
            shown = self.shown(file)
            self._agree(shown, destroys="-destroy" in options)
            before()
            self.apply_saved(file, meanwhile)
        return len(infra.changes(shown))

    def shown(self, file: str) -> dict[str, Any]:
        """Return a saved plan as `terraform show -json` describes it."""
        shown: dict[str, Any] = json.loads(self._said("show", "-json", file))
        return shown

    def apply_saved(self, file: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Apply a saved plan, which Terraform refuses where the state has moved since."""
        if self._run("apply", file, meanwhile=meanwhile):
            raise LifecycleError(
                self._locked()
                or _("Terraform's apply ended early: see above, then run the same command again.")
            )

    def forget(self, address: str) -> None:
        """Take a resource out of the state: it stays, and is no longer this environment's."""
        if self._run("state", "rm", address):
            raise LifecycleError(_("Terraform's state couldn't be changed: see above."))

    def _locked(self) -> str:
        """Return who holds the lock of the state, as Terraform wrote it there; nothing where nobody does."""
        found = self._it.kept(f"{STATES[self._which]}.tflock")
        return (
            ""
            if found is None
            else _(
                "{Who} holds the lock of Terraform's state since {Created} ({Operation}). Wait until that run ends. "
                "If it is gone: `terraform -chdir={directory} force-unlock {ID}`."
            ).format(**found, directory=self._directory)
        )

    def _agree(self, plan: Mapping[str, Any], *, destroys: bool) -> None:
        account, name, changes = self._it.caller["Account"], self._it.name, infra.changes(plan)
        if destroys:
            question = _("Destroy {number} resources of {name} in the account {account}?")
        else:
            lost = [address for address in taken(plan) if "delete" in changes[address]]
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
            raise LifecycleError(_("Terraform failed: see above."))
        return ran.stdout

    @staticmethod
    def _environment() -> dict[str, str]:
        return {**os.environ, "TF_IN_AUTOMATION": "1"}
