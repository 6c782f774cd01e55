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
        Path, typer.Option(help="What a month brings: `site`, `idle`, or a TOML file.", metavar="FILE")
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
    deployer: Annotated[str, typer.Option(help="Who deploys: sam or terraform.")] = "sam",
    free_tier: Annotated[
        bool, typer.Option("--free-tier", help="Take off what AWS gives an account for good each month.")
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
    from familycorp_ops.cost import plot as drawing  # noqa: PLC0415 - `--help` needn't wait for them.
    from familycorp_ops.cost import prices, report, resources, rules  # noqa: PLC0415
    from familycorp_ops.cost.bill import bill, with_requests  # noqa: PLC0415
    from familycorp_ops.deploy.infra import TerraformError  # noqa: PLC0415
    from familycorp_ops.servers.process import ServerError  # noqa: PLC0415

    named = prices.USAGES / f"{usage}.toml"
    try:
        month = prices.usage(named if named.is_file() else usage)
        if plan:
            read = resources.read(plan, env)
        else:
            with resources.planner() as planner:
                read = planner.plan(env, deployer=deployer, lean=lean, **_chosen(variables or []))
        limit = _limit(fail_over, read)
    except (OSError, ValueError, TerraformError, ServerError) as error:
        sys.exit(str(error))
    if requests is not None:
        month = with_requests(month, requests)
    found = resources.of(read)
    after = bill(found, month, free_tier=free_tier)
    missing = rules.unknown(found)
    if as_json:
        document = report.document(after, month, env=env, free_tier=free_tier)
        if difference:
            document["before"] = round(bill(_before(read), month, free_tier=free_tier).total, 4)
        sys.stdout.write(f"{written(document | {'unknown': missing})}\n")
    elif difference:
        _show(report.difference(bill(_before(read), month, free_tier=free_tier), after))
    else:
        head = _("{env}: {total:,.2f} USD a month").format(env=env, total=after.total)
        gift = _("Before tax; free tiers counted.") if free_tier else _("Before tax; free tiers not counted.")
        _show(
            f"## {head}\n\n{gift}\n\n{report.components(found, month, free_tier=free_tier)}\n\n"
            f"### {_('Lines')}\n\n{report.lines(after)}\n\n"
            f"### {_('A further million requests')}\n\n{report.per_million(found, month)}\n\n"
            f"### {_('Knees')}\n\n{report.knees(found, month)}"
        )
    if plot:
        plot.write_text(drawing.svg(found, month, f"{env}: US dollars a month"), "utf-8")
    problems = [_("No price and no reason for none: {kind}.").format(kind=kind) for kind in missing]
    if limit is not None and after.total > limit:
        problems.append(
            _("{total:,.2f} USD a month is over {limit:,.2f}.").format(total=after.total, limit=limit)
        )
    if problems:
        sys.exit("\n".join(problems))


def _limit(wanted: str | None, plan: dict[str, Any]) -> float | None:
    if wanted == "budget":
        return float(plan["variables"]["monthly_budget_usd"]["value"])
    return None if wanted is None else float(wanted)


def _before(plan: dict[str, Any]) -> Any:
    from familycorp_ops.cost import resources  # noqa: PLC0415

    there = resources.of_plan(plan, before=True)
    sam = bool(there) and not any(r.type == "aws_lambda_function" for r in there)
    return [*there, *(resources.of_template() if sam else ())]


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
