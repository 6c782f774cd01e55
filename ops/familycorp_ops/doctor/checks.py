"""What a check of the doctor finds, and how it is shown."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from gettext import gettext as _
from typing import TYPE_CHECKING, Any, Final

from familycorp_ops.output import document

if TYPE_CHECKING:
    from familycorp_ops.deploy.environment import Environment

DENIED: Final = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
    "403",
}


@dataclass(frozen=True)
class Finding:
    """A problem, and how to fix it."""

    what: str
    fix: str


@dataclass(frozen=True)
class Check:
    """What was checked, what was seen, and the problems found."""

    check: str
    seen: str
    findings: tuple[Finding, ...] = ()


def deploy(it: "Environment") -> str:
    """Return the command that deploys a release."""
    return f"`make deploy ENV={it.env} DIGEST=sha256:... FUNCTIONS_DIGEST=sha256:... VERSION=COMMIT`"


def apply_command(it: "Environment") -> str:
    """Return the command that applies Terraform's configuration."""
    return f"`terraform -chdir=terraform apply -var-file=envs/{it.env}.tfvars`"


def checked(check: Callable[["Environment"], Check], it: "Environment", name: str) -> Check:
    """Return what a check says, or that AWS doesn't let it look."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - `--help` needn't wait for it.

    try:
        return check(it)
    except ClientError as error:
        operation, code = error.operation_name, error.response["Error"]["Code"]
        if code in DENIED:
            fix = _("let them, or use others: {said}").format(
                said=error.response["Error"].get("Message", code)
            )
            return Check(
                name,
                _("unknown"),
                (Finding(_("These credentials may not {operation}.").format(operation=operation), fix),),
            )
        return Check(
            name,
            _("unknown"),
            (
                Finding(
                    _("{operation} fails: {error}").format(operation=operation, error=error),
                    _("try again; then check it in AWS."),
                ),
            ),
        )
    except BotoCoreError as error:
        fix = _("log in (`aws sso login`), or set AWS_* variables; AWS_ENDPOINT_URL for an emulator.")
        return Check(name, _("unknown"), (Finding(_("Cannot reach AWS: {error}").format(error=error), fix),))


def report(
    found: Iterable[Check], env: str | None, *, as_json: bool, more: Mapping[str, Any] | None = None
) -> int:
    """Print checks for people, or one JSON document for programs, with `more` in it; return the exit status."""
    found = list(found)
    problems = sum(len(check.findings) for check in found)
    if as_json:
        summary = {"environment": env, "healthy": not problems, **(more or {})}
        sys.stdout.write(f"{document(summary | {'checks': [asdict(check) for check in found]})}\n")
        return 1 if problems else 0
    for check in found:
        sys.stdout.write(f"{'✗' if check.findings else '✓'} {_(check.check)}: {check.seen}\n")
        for finding in check.findings:
            sys.stdout.write(f"    {finding.what}\n      → {finding.fix}\n")
    said = (
        _("Problems found in {env}: {problems}") if env else _("Problems found on this machine: {problems}")
    )
    sys.stderr.write(said.format(problems=problems, env=env) + "\n")
    return 1 if problems else 0
