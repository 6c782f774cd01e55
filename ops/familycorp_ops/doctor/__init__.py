"""`familycorp doctor`: problems of this machine or an environment, and how to fix each. It only reads."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any

import typer

from familycorp_ops.deploy.smoke import REGION
from familycorp_ops.environment import STATE
from familycorp_ops.output import AsJson, Deployed, document


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


def doctor(
    env: Annotated[str | None, Deployed(help="dev, stage or prod; without one, this machine.")] = None,
    state: Annotated[
        Path, typer.Option(help="Directory of database, emulator state and logs.", metavar="DIR")
    ] = STATE,
    port: Annotated[int, typer.Option(help="Port of `make up`.", min=1, max=65535)] = 8000,
    certificate_days: Annotated[
        int, typer.Option(help="Days that a certificate must still be valid.", min=1)
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """Find problems on this machine or in an environment, and show how to fix them.

    Reads alone, with the credentials of the usual AWS_* variables. Exits with 1 when it finds a problem.
    """
    if env is None:
        from familycorp_ops.doctor.local import checks  # noqa: PLC0415 - `--help` needn't wait for it.

        found = list(checks(state, port))
    else:
        from familycorp_ops.doctor import deployed  # noqa: PLC0415
        from familycorp_ops.doctor.environment import Environment  # noqa: PLC0415

        found = list(deployed.checks(Environment(env, REGION), certificate_days))
    sys.exit(report(found, env, as_json=as_json))


def report(
    found: Iterable[Check], env: str | None, *, as_json: bool, more: Mapping[str, Any] | None = None
) -> int:
    """Print checks for people, or one JSON document for programs, with `more` in it; return the exit status."""
    found = list(found)
    problems = sum(len(check.findings) for check in found)
    if as_json:
        told = {"environment": env, "healthy": not problems, **(more or {})}
        sys.stdout.write(f"{document(told | {'checks': [asdict(check) for check in found]})}\n")
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
