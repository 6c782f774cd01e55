"""`familycorp doctor`: problems of this machine or an environment, and how to fix each. It only reads."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from familycorp_ops.deploy.smoke import REGION
from familycorp_ops.doctor.checks import report
from familycorp_ops.environment import STATE
from familycorp_ops.output import AsJson, Deployed


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
        from familycorp_ops.deploy.environment import Environment  # noqa: PLC0415
        from familycorp_ops.doctor import deployed  # noqa: PLC0415

        found = list(deployed.checks(Environment(env, REGION), certificate_days))
    sys.exit(report(found, env, as_json=as_json))


def status(env: Annotated[str, Deployed(help="dev, stage or prod")], as_json: AsJson = False) -> None:
    """Show what runs in an environment: release, functions, schema, alarms that ring; exit with 1 if it isn't well.

    Asks the migrations function for the schema's revision, which wakes a database that sleeps.
    """
    from familycorp_ops.deploy.environment import Environment  # noqa: PLC0415 - `--help` needn't wait for it.
    from familycorp_ops.doctor.running import look  # noqa: PLC0415

    checks, facts = look(Environment(env, REGION))
    sys.exit(report(checks, env, as_json=as_json, more=facts))
