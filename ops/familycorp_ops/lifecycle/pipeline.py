"""`familycorp infra save`, `apply` and `drift`: Terraform as the pipeline runs it on the main branch.

A plan is saved in the bucket of the state under its own SHA-256. The run that saved it has that digest approved, and
applies no other plan: neither one of a pull request nor one that somebody put in its place.
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from familycorp_ops.deploy import infra, release
from familycorp_ops.deploy.bootstrap import CHANGES, KEPT, Directory, Env, Options, Region, planned
from familycorp_ops.deploy.infra import SOURCE
from familycorp_ops.deploy.smoke import REGION
from familycorp_ops.lifecycle import ForceUnlock, stop_in_order
from familycorp_ops.output import AsJson, UnusableError, show

if TYPE_CHECKING:
    from familycorp_ops.deploy.environment import Environment

TRAILER: Final = "Destroys"
"""Line at the end of a commit's message that names a resource which may go although it holds data."""
MOST: Final = 10
"""How many of the resources that differ an alarm names."""


def _digest(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", value):
        said = _("{value} is no plan: it is the SHA-256 that `familycorp infra save` printed.")
        raise UnusableError(said.format(value=repr(value)))
    return value


def save(
    env: Env,
    options: Options = None,
    region: Region = REGION,
    directory: Directory = SOURCE,
    as_json: AsJson = False,
) -> None:
    """Plan an environment and save the plan for `apply`; stop where it takes data that the commit doesn't name."""
    from familycorp_ops.deploy.environment import Environment  # noqa: PLC0415 - `--help` needn't wait for botocore.

    it = Environment(env, region, directory)
    digest = ""
    with tempfile.TemporaryDirectory() as kept:
        file, before = Path(kept) / "plan", _moved(it)
        status, said, shown = planned(it, str(file), directory, options or (), as_json)
        if status == CHANGES:
            stop_where_data_goes(shown, env, directory)
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            key = f"{KEPT}{digest}"
            it.client("s3").put_object(Bucket=it.bucket, Key=key, Body=content, Metadata=before)
        elif status:
            sys.exit(status)
    release.output("plan", digest)
    text = _("The plan is saved: {digest}") if digest else _("There is nothing to apply.")
    show({"plan": digest or None}, f"{said}\n{text.format(digest=digest)}", as_json=as_json)


def apply(  # noqa: PLR0917 - Typer passes them by name.
    env: Env,
    plan: Annotated[str, typer.Option(help="SHA-256 of the saved plan.", callback=_digest)],
    options: Options = None,
    region: Region = REGION,
    directory: Directory = SOURCE,
    force_unlock: ForceUnlock = False,
    as_json: AsJson = False,
) -> None:
    """Apply a saved plan, if the state is still the one that it was made on."""
    from familycorp_ops.deploy.environment import Environment, absent  # noqa: PLC0415
    from familycorp_ops.lifecycle.configuration import Configuration  # noqa: PLC0415
    from familycorp_ops.lifecycle.lock import Lock  # noqa: PLC0415
    from familycorp_ops.lifecycle.problem import LifecycleError  # noqa: PLC0415

    it = Environment(env, region, directory)
    found = absent(it.client("s3").get_object, Bucket=it.bucket, Key=f"{KEPT}{plan}")
    if found is None:
        said = _("The plan {plan} isn't there: plans are kept for a day. Run the workflow again.")
        sys.exit(said.format(plan=plan))
    content = found["Body"].read()
    if hashlib.sha256(content).hexdigest() != plan:
        sys.exit(
            _("The saved plan isn't {plan}: somebody replaced it. Nothing was applied.").format(plan=plan)
        )
    terraform = Configuration(it, directory, yes=True)
    stop_in_order()
    try:
        with (
            Lock(it, f"infra apply {env}", force=force_unlock),
            tempfile.TemporaryDirectory() as kept,
        ):
            _stop_where_stale(found["Metadata"], _moved(it))
            file = Path(kept) / "plan"
            file.write_bytes(content)
            terraform.init(it.bucket, *(options or ()))
            shown = terraform.shown(str(file))
            stop_where_data_goes(shown, env, directory)
            terraform.apply_saved(str(file))
    except LifecycleError as error:
        sys.exit(str(error))
    changes = len(infra.changes(shown))
    show({"changes": changes}, _("Applied {changes} changes.").format(changes=changes), as_json=as_json)


def drift(
    env: Env,
    options: Options = None,
    region: Region = REGION,
    directory: Directory = SOURCE,
    as_json: AsJson = False,
) -> None:
    """Compare an environment with its configuration; where they differ, raise the alarm and exit with 1."""
    from familycorp_ops.deploy.environment import DRIFT_KEY, Environment  # noqa: PLC0415

    it = Environment(env, region, directory)
    with tempfile.TemporaryDirectory() as kept:
        status, said, shown = planned(it, f"{kept}/plan", directory, options or (), as_json)
    if status not in {0, CHANGES}:
        sys.exit(status)
    differs, changes = status == CHANGES, infra.changes(shown)
    for name, change in shown.get("output_changes", {}).items():
        if change["actions"] != ["no-op"]:
            changes[f"output.{name}"] = change["actions"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    seen = {"at": now, "differs": differs, "changes": changes}
    it.client("s3").put_object(Bucket=it.bucket, Key=DRIFT_KEY, Body=json.dumps(seen).encode())
    release.output("differs", json.dumps(differs))
    if differs:
        what = ", ".join(list(changes)[:MOST])
        text = f"{len(changes)} resources or outputs differ from Terraform's configuration: {what}."
        release.notify(env, "infrastructure differs", text)
    text = _("{env} differs from its configuration.") if differs else _("{env} is as configured.")
    show(seen, f"{said}\n{text.format(env=env)}", as_json=as_json)
    sys.exit(1 if differs else 0)


def _moved(it: "Environment") -> dict[str, str]:
    """Return what changes with every change of the state: its serial, and whose serial that is."""
    from familycorp_ops.deploy.environment import STATE_KEY  # noqa: PLC0415

    state = it.kept(STATE_KEY) or {"serial": 0, "lineage": "none"}
    return {"serial": str(state["serial"]), "lineage": state["lineage"]}


def _stop_where_stale(before: dict[str, str], now: dict[str, str]) -> None:
    """End the program where the state has moved since a plan; Terraform itself would refuse, in fewer words."""
    if before != now:
        sys.exit(
            _(
                "The plan is stale: it was made on serial {before} of the state, which is at {now}. "
                "Nothing was applied. Run the workflow again, for a new plan."
            ).format(before=before.get("serial"), now=now["serial"])
        )


def stop_where_data_goes(plan: dict[str, Any], env: str, directory: Path) -> None:
    """End the program where a plan takes data that the commit doesn't name; in Prod where it takes any."""
    from familycorp_ops.lifecycle.configuration import taken  # noqa: PLC0415

    found = taken(plan)
    if env == "prod" and found:
        sys.exit(
            _(
                "The plan destroys, replaces or no longer protects what holds data, which the pipeline "
                "never does in Prod: {found}. An administrator applies it by hand."
            ).format(found=", ".join(found))
        )
    command = ["git", "log", "-1", f"--format=%(trailers:key={TRAILER},valueonly)"]
    ran = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, text=True, check=False)
    unnamed = [address for address in found if address not in ran.stdout.splitlines()]
    if unnamed:
        lines = "".join(f"\n{TRAILER}: {address}" for address in unnamed)
        sys.exit(
            _(
                "The plan destroys, replaces or no longer protects what holds data. Nothing was changed. "
                "If it may, say so at the end of the commit's message:{lines}"
            ).format(lines=lines)
        )
