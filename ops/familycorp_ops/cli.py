"""The `familycorp` command.

A module of sub-commands imports only what is light and leaves the rest to its functions: `familycorp --help`
and the supervisor behind `familycorp up` shouldn't carry SQLAlchemy or botocore.
"""

import sys
from gettext import gettext as _
from pathlib import Path
from typing import Annotated

import typer

from familycorp_ops import content, environment, lifecycle, rehearse
from familycorp_ops.admin import audit as trail
from familycorp_ops.admin import db, inquiries, members, policy
from familycorp_ops.admin import uploads as files
from familycorp_ops.content import redirects_command as redirects
from familycorp_ops.cost import cost
from familycorp_ops.deploy import bootstrap
from familycorp_ops.deploy import load as visits
from familycorp_ops.deploy import release as releases
from familycorp_ops.deploy import smoke as checks
from familycorp_ops.deploy.env import env
from familycorp_ops.docs import contract
from familycorp_ops.docs.lines import lines
from familycorp_ops.docs.render import render
from familycorp_ops.docs.sizes import sizes
from familycorp_ops.doctor import doctor, status
from familycorp_ops.lifecycle import pipeline
from familycorp_ops.local import totp as codes
from familycorp_ops.local import up as local
from familycorp_ops.messages import Language
from familycorp_ops.output import AsJson, Root, known
from familycorp_ops.rehearse.variant import Variant
from familycorp_ops.watch import logs, top

main = typer.Typer(
    name="familycorp",
    cls=Root,
    help="Runs FamilyCorp's backend on this machine, deploys it, and looks after its data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
main.add_typer(content.app, name="content")
main.add_typer(contract.app, name="contract")
main.add_typer(db.app, name="db")
main.add_typer(lifecycle.app, name="environment")
main.add_typer(bootstrap.app, name="infra")
main.add_typer(inquiries.app, name="inquiries")
main.add_typer(members.app, name="members")
main.add_typer(policy.app, name="policy")
main.add_typer(redirects.app, name="redirects")
main.add_typer(releases.app, name="release")
for command in (pipeline.save, pipeline.apply, pipeline.drift):
    bootstrap.app.command()(command)
releases.app.command()(status)
main.command()(logs.logs)
main.command()(top.top)

State = Annotated[Path, typer.Option(help="Directory of database, emulator state and logs.", metavar="DIR")]


def _version(wanted: bool) -> None:
    if wanted:
        from app.core.settings import release  # noqa: PLC0415 - `--help` needn't wait for it.

        sys.stdout.write(f"familycorp {release()}\n")
        raise typer.Exit


@main.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    lang: Annotated[
        Language | None, typer.Option(help="Language of messages; else LC_ALL, LC_MESSAGES or LANG decides.")
    ] = None,
) -> None:
    """Have options of its own; its help stands above."""


@main.command()
def up(
    state: State = environment.STATE,
    port: Annotated[
        int | None,
        typer.Option(help="Port of the API on 127.0.0.1; 8000, or the next free one.", min=1, max=65535),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run everything on this machine until Ctrl-C; with --json, print one line when it is ready."""
    sys.exit(local.up(state, port, as_json=as_json))


@main.command()
def reset(as_json: AsJson = False, state: State = environment.STATE) -> None:
    """Delete the local data, after saying what."""
    local.reset(state, as_json=as_json)


@main.command()
def code(
    secret: Annotated[str, typer.Argument(help="The base32 key shown beside the QR code.")],
    as_json: AsJson = False,
) -> None:
    """Print the present code of an authenticator, for those without a phone."""
    codes.show(secret, as_json=as_json)


@main.command()
def upload(
    file: Annotated[Path, typer.Argument(help="The file.", exists=True, dir_okay=False, metavar="FILE")],
    title: Annotated[
        str | None, typer.Option(help="Publish a post of this title that offers the file.")
    ] = None,
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Send a file of up to 10 MB, have it checked, and print its id."""
    files.run(file, title, state, as_json=as_json)


@main.command()
def smoke(  # noqa: PLR0917 - these are options of a command line.
    url: Annotated[
        str | None, typer.Argument(help="Address of the deployment; without it, that of the stack of --env.")
    ] = None,
    env: Annotated[
        str | None, typer.Option(help="Environment that must be deployed there: dev, stage or prod.")
    ] = None,
    origin: Annotated[
        str | None, typer.Option(help="Origin of pages that must be allowed to call it.")
    ] = None,
    release: Annotated[str | None, typer.Option(help="Release that must be deployed there.")] = None,
    slowest: Annotated[int, typer.Option(help="Milliseconds that 95 of 100 public reads may take.")] = 1500,
    as_json: AsJson = False,
) -> None:
    """Check that a deployment serves, by read requests alone."""
    url = _address(url, env)
    found = checks.run(url, env=env, origin=origin, release=release, slowest_ms=slowest)
    sys.exit(checks.report(found, url, as_json=as_json))


@main.command()
def load(  # noqa: PLR0917 - Typer passes them by name.
    url: Annotated[
        str | None, typer.Argument(help="Address of the deployment; without it, that of the stack of --env.")
    ] = None,
    env: Annotated[str | None, typer.Option(help="Environment: dev or stage.")] = None,
    seconds: Annotated[int, typer.Option(help="Duration in seconds.", min=1, max=600)] = 60,
    visitors: Annotated[int, typer.Option(help="Number of concurrent readers.", min=1, max=20)] = 4,
    timeout: Annotated[
        int, typer.Option(help="Seconds after which a request without a response has failed.", min=1, max=600)
    ] = visits.TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Read a deployment for a while, and fail if a request does."""
    sys.exit(visits.run(_address(url, env), seconds, visitors, timeout, as_json=as_json))


def _address(url: str | None, env: str | None) -> str:
    if url is None and env is None:
        sys.exit(_("Name an address, or an environment with --env."))
    if url is None:
        env = known(env)
    try:
        return url or checks.address(env or "")
    except checks.SmokeError as error:
        sys.exit(str(error))


@main.command(name="rehearse")
def rehearse_(
    variant: Annotated[
        Variant, typer.Option(help="What is deployed: images by digest, or zip archives.")
    ] = Variant.IMAGE,
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Rehearse a whole deployment on this machine: no AWS, no Docker."""
    sys.exit(rehearse.run(state, variant, as_json=as_json))


main.command()(trail.audit)
main.command()(env)
main.command()(cost)
main.command()(doctor)
main.command()(lines)
main.command()(render)
main.command()(sizes)
