"""`familycorp environment`: brings an environment up in an account, and takes it away again."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any

import typer

from familycorp_ops.deploy.infra import ROOT, SOURCE
from familycorp_ops.deploy.release import Digest, FunctionsDigest, Version, images
from familycorp_ops.output import AsJson, AwsGroup, Deployed, show

app = typer.Typer(
    cls=AwsGroup,
    help="Create an environment in an account, from nothing to a served site, and destroy it.",
    no_args_is_help=True,
)

Env = Annotated[str, Deployed(help="dev, stage or prod")]
Directory = Annotated[Path, typer.Option(help="Directory of Terraform's configuration.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="Apply what is planned without asking, as in a pipeline.")]
ForceUnlock = Annotated[
    bool, typer.Option("--force-unlock", help="Take the lock of another run, which is gone for good.")
]


@app.command()
def create(  # noqa: PLR0917 - Typer passes them by name.
    env: Env,
    admin: Annotated[
        str | None, typer.Option(help="E-mail address of the first admin, whom Cognito invites.")
    ] = None,
    version: Version = None,
    digest: Digest = None,
    functions_digest: FunctionsDigest = None,
    archives: Annotated[
        Path | None,
        typer.Option(help="Deploy archives from this directory, built there if need be, and no image."),
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="Check of the doctor whose findings are no reason to stop.")
    ] = None,
    yes: Yes = False,
    delete_failed: Annotated[
        bool, typer.Option("--delete-failed", help="Delete the stack first if its creation failed.")
    ] = False,
    force_unlock: ForceUnlock = False,
    directory: Directory = SOURCE,
    as_json: AsJson = False,
) -> None:
    """Bring an account from nothing to a served site; stopped anywhere, the same command goes on."""
    from familycorp_ops.lifecycle.create import Creation, Wanted  # noqa: PLC0415 - `--help` needn't wait for it.

    wanted = Wanted(
        directory=directory.resolve(),
        version=version or _commit(),
        archives=archives,
        digests=images(digest, functions_digest),
        admin=admin,
        accepted=accept or (),
        yes=yes,
        delete_failed=delete_failed,
        force_unlock=force_unlock,
        as_json=as_json,
    )
    creation = Creation(env, wanted)
    steps = _taken(creation.run())
    made = {"environment": env, "url": creation.url, "version": wanted.version, "steps": steps}
    show(made, _("{env} is served at {url}.").format(env=env, url=creation.url), as_json=as_json)


@app.command()
def roles(
    env: Env,
    yes: Yes = False,
    force_unlock: ForceUnlock = False,
    directory: Directory = SOURCE,
    as_json: AsJson = False,
) -> None:
    """Apply the pipeline's roles and what bounds them: people's work, which the pipeline's roles are denied."""
    from familycorp_ops.lifecycle.create import roles_alone  # noqa: PLC0415

    steps = _taken(roles_alone(env, directory.resolve(), yes=yes, force_unlock=force_unlock))
    show(
        {"environment": env, "steps": steps},
        _("The roles of {env} are applied.").format(env=env),
        as_json=as_json,
    )


@app.command()
def destroy(  # noqa: PLR0917 - as above.
    env: Env,
    delete: Annotated[
        list[str] | None,
        typer.Option(help="Name of what may go although it holds data or is protected.", metavar="NAME"),
    ] = None,
    yes: Yes = False,
    force_unlock: ForceUnlock = False,
    directory: Directory = SOURCE,
    as_json: AsJson = False,
) -> None:
    """Take away all that `create` made; what holds data only when it is named."""
    from familycorp_ops.lifecycle.destroy import Destruction  # noqa: PLC0415

    destruction = Destruction(
        env, directory.resolve(), delete or (), yes=yes, force_unlock=force_unlock, as_json=as_json
    )
    steps = _taken(destruction.run())
    show(
        {"environment": env, "steps": steps}, _("Nothing is left of {env}.").format(env=env), as_json=as_json
    )


def _commit() -> str:
    """Return the commit that is checked out: the default version of a release."""
    ran = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(_("This is no checkout of git, so say --version."))
    return ran.stdout.strip()


def _taken(steps: Iterator[tuple[str, str]]) -> list[dict[str, Any]]:
    """Take the steps, and say of each on standard error when it is done; return them."""
    from familycorp_ops.lifecycle.problem import LifecycleError  # noqa: PLC0415

    stop_in_order()
    taken = []
    try:
        for name, seen in steps:
            sys.stderr.write(f"✓ {_(name)}: {seen}\n")
            taken.append({"step": name, "seen": seen})
    except LifecycleError as error:
        sys.exit(str(error))
    return taken


def stop_in_order() -> None:
    """Have signals end this program in order: the lock is given up, and Terraform ends what it began."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stopped)


def _stopped(*__: object) -> None:
    from familycorp_ops.lifecycle.problem import StoppedError  # noqa: PLC0415

    raise StoppedError
