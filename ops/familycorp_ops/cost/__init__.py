"""`familycorp cost`: what an environment costs a month, from its plan, before there is a bill."""

import sys
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any

import typer

from familycorp_ops.output import AsJson, Deployed, UnusableError
from familycorp_ops.output import document as written


def cost(  # noqa: PLR0917 - these are options of a command line.
    env: Annotated[str, Deployed(help="dev, stage or prod")],
    usage: Annotated[
        Path, typer.Option(help="Usage of a month: `site`, `idle`, or a TOML file.", metavar="FILE")
    ] = Path("site"),
    requests: Annotated[
        float | None, typer.Option(help="Visitors' requests a month, instead of the file's.", min=0)
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            help="A plan that `terraform show -json` wrote; else one is made, of nothing there yet."
        ),
    ] = None,
    lean: Annotated[bool, typer.Option("--lean", help="Lay envs/lean.tfvars over it.")] = False,
    variables: Annotated[
        list[str] | None,
        typer.Option("--var", help="A Terraform variable, as waf=false.", metavar="NAME=VALUE"),
    ] = None,
    deployer: Annotated[str, typer.Option(help="Deployer: sam or terraform.")] = "sam",
    free_tier: Annotated[
        bool, typer.Option("--free-tier", help="Subtract AWS's permanent free tier.")
    ] = False,
    difference: Annotated[bool, typer.Option("--difference", help="Show what the plan changes.")] = False,
    fail_over: Annotated[
        str | None,
        typer.Option(
            help="Exit with 1 when the total is higher; `budget` takes monthly_budget_usd.", metavar="USD"
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw cost against requests into this SVG.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Work out what an environment costs a month, in US dollars before tax, without AWS.

    Reads the Terraform plan and the SAM template, and prices every resource for ap-northeast-2 from a dated table.
    """
    from familycorp_ops.cost import estimate  # noqa: PLC0415 - `--help` needn't wait for them.
    from familycorp_ops.deploy.infra import TerraformError  # noqa: PLC0415
    from familycorp_ops.servers.process import ServerError  # noqa: PLC0415

    chosen = _chosen(variables or [])
    try:
        month = estimate.month(usage, requests)
        planned = estimate.plan(plan, env, deployer=deployer, lean=lean, variables=chosen)
        limit = _limit(fail_over, planned)
    except (OSError, ValueError, TerraformError, ServerError) as error:
        sys.exit(str(error))
    found = estimate.Estimate(env, planned, month, free_tier=free_tier)
    if as_json:
        sys.stdout.write(f"{written(found.document(difference=difference))}\n")
    else:
        _show(found.difference() if difference else found.text())
    if plot:
        plot.write_text(found.drawing(), "utf-8")
    if problems := found.problems(limit):
        sys.exit("\n".join(problems))


def _limit(wanted: str | None, plan: dict[str, Any]) -> float | None:
    if wanted == "budget":
        return float(plan["variables"]["monthly_budget_usd"]["value"])
    return None if wanted is None else float(wanted)


def _chosen(variables: list[str]) -> dict[str, Any]:
    chosen = {}
    for variable in variables:
        name, equals, value = variable.partition("=")
        if not equals:
            raise UnusableError(_("{variable} is no NAME=VALUE.").format(variable=variable))
        chosen[name] = value
    return chosen


def _show(text: str) -> None:
    if not sys.stdout.isatty():
        sys.stdout.write(f"{text}\n")
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.markdown import Markdown  # noqa: PLC0415

    Console().print(Markdown(text))
