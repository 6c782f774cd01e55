"""`familycorp env`: the settings that are in effect here, or those of a deployed environment."""

import re
import sys
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any

import typer

from familycorp_ops import environment
from familycorp_ops.deploy.smoke import REGION
from familycorp_ops.output import AsJson, show


def env(
    name: Annotated[
        str | None, typer.Argument(help="dev, stage or prod; without one, what runs here.", metavar="ENV")
    ] = None,
    as_json: AsJson = False,
    state: Annotated[
        Path,
        typer.Option(
            help="Directory of what `familycorp up` runs; FAMILYCORP_* variables win.", metavar="DIR"
        ),
    ] = environment.STATE,
) -> None:
    """Show the settings in effect: of what runs here, or of an environment in AWS."""
    try:
        found = _deployed(name) if name else _here(state)
    except environment.CommandError as error:
        sys.exit(str(error))
    width = max(map(len, found))
    lines = (f"{key:{width}}  {value}" for key, value in sorted(found.items()))
    show(found, "\n".join(lines), as_json=as_json)


def _here(state: Path) -> dict[str, Any]:
    from app.core.settings import settings  # noqa: PLC0415 - `--help` needn't wait for it.

    environment.choose(state, writes=False)
    shown = settings().model_dump(mode="json")
    return {f"{environment.PREFIX}{key.upper()}": _masked(value) for key, value in shown.items()}


def _deployed(name: str) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from familycorp_ops.deploy.environment import Environment  # noqa: PLC0415

    try:
        kept = Environment(name, REGION).parameters
    except (BotoCoreError, ClientError) as error:
        raise environment.CommandError(
            _("The parameters of {name} can't be read: {error}").format(name=name, error=error)
        ) from None
    found = {
        environment.PREFIX + key.removeprefix("settings/"): _masked(value)
        for key, value in kept.items()
        if key.startswith("settings/")
    }
    if not found:
        raise environment.CommandError(
            _("There are no parameters below /familycorp/{name}/settings/: was Terraform applied?").format(
                name=name
            )
        )
    return found


def _masked(value: Any) -> Any:
    """Return a value without the password of an address."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", value) if isinstance(value, str) else value
