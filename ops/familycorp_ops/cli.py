"""The `familycorp` command.

A module of sub-commands imports only what is light and leaves the rest to its functions: `familycorp --help`
and the supervisor behind `familycorp up` shouldn't carry SQLAlchemy or botocore.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from familycorp_ops import code as codes
from familycorp_ops import content, db, members, policy
from familycorp_ops import up as local
from familycorp_ops import upload as files

main = typer.Typer(
    name="familycorp",
    help="Runs FamilyCorp's backend on this machine and looks after its data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
main.add_typer(content.app, name="content")
main.add_typer(db.app, name="db")
main.add_typer(members.app, name="members")
main.add_typer(policy.app, name="policy")

State = Annotated[Path, typer.Option(help="Directory of database, emulator state and logs.", metavar="DIR")]


@main.command()
def up(
    state: State = local.STATE,
    port: Annotated[int, typer.Option(help="Where the API listens on 127.0.0.1.", min=1, max=65535)] = 8000,
) -> None:
    """Run everything on this machine until Ctrl-C."""
    sys.exit(local.up(state, port))


@main.command()
def reset(state: State = local.STATE) -> None:
    """Delete the local data, after saying what."""
    sys.exit(local.reset(state))


@main.command()
def code(secret: Annotated[str, typer.Argument(help="The base32 key shown beside the QR code.")]) -> None:
    """Print the present code of an authenticator, for those without a phone."""
    codes.show(secret)


@main.command()
def upload(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE")],
    title: Annotated[
        str | None, typer.Option(help="Publish a post of this title that offers the file.")
    ] = None,
    state: State = local.STATE,
) -> None:
    """Send a file of up to 10 MB, have it checked, and print its id."""
    sys.exit(files.run(file, title, state))
