"""Renders what `docs/reference/costs.md` shows: tables and a drawing, computed from plans of all environments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from familycorp_ops.cost import plot, report, resources
from familycorp_ops.cost.bill import Bill, bill, marginal, million_pages
from familycorp_ops.cost.prices import USAGES, Usage, usage
from familycorp_ops.deploy import infra
from familycorp_ops.markdown import with_parts

DOCUMENT: Final = infra.ROOT / "docs" / "reference" / "costs.md"
DRAWING: Final = DOCUMENT.with_suffix(".svg")
APPENDIX: Final = infra.ROOT / "docs" / "original-architecture.md"
ENVIRONMENTS: Final[Mapping[str, tuple[str, bool]]] = {
    "dev": ("dev", False),
    "stage": ("stage", False),
    "prod": ("prod", False),
    "prod, lean": ("prod", True),
}
"""Columns of the tables: an environment, and whether lean.tfvars lies over it."""
FIVE_ENDPOINTS: Final = ["sqs", "sns", "secretsmanager", "sts", "logs"]
SWITCHES: Final[tuple[dict[str, Any], ...]] = (
    {"database_proxy": False},
    {"database_proxy": False, "database_min_acu": 0},
    {"cache_node_type": "cache.t4g.micro"},
    {"cache_mode": "serverless"},
    {"cache_mode": "none"},
    {"waf": False},
    {"flow_logs": False},
    {"malware_scanner": "none"},
    {"log_retention_days": 30},
    {"interface_endpoints": FIVE_ENDPOINTS},
)
"""Changes of Prod's variables whose effect is shown; the original architecture document lists the five endpoints."""

Plans = Mapping[str, list[resources.Resource]]


def plans(planner: resources.Planner) -> Plans:
    """Return the resources of each column."""
    return {name: resources.of(planner.plan(env, lean=lean)) for name, (env, lean) in ENVIRONMENTS.items()}


def site() -> Usage:
    """Return the month that the tables show."""
    return usage(USAGES / "site.toml")


def idle() -> Usage:
    """Return a month in which nothing happens."""
    return usage(USAGES / "idle.toml")


def targets(found: Plans) -> dict[str, report.Target]:
    """Return the bounds that were promised."""
    return {
        "dev": report.Target("Dev, idle", 15, bill(found["dev"], idle())),
        "prod": report.Target("Prod", 300, bill(found["prod"], site())),
        "lean": report.Target("Prod, lean", 90, bill(found["prod, lean"], site())),
        "pictures": report.Target(
            "a million pages with ten pictures", 90, million_pages(found["prod"], site())
        ),
        "marginal": report.Target("a further million requests", 3, marginal(found["prod"], site())),
    }


def parts(found: Plans) -> dict[str, str]:
    """Return all parts of the page but the switches."""
    prod = found["prod"]
    return {
        "targets": report.targets(targets(found).values()),
        "environments": report.environments(
            {n: (bill(r, idle()), bill(r, site())) for n, r in found.items()}
        ),
        "fixed": report.components(prod, site()),
        "marginal": report.per_million(prod, site()),
        "knees": report.knees(prod, site()),
        "prices": report.price_table(),
        "kinds": report.kinds(),
    }


def comparison(found: Plans) -> str:
    """Return the appendix's part: the costs that the original architecture document states, beside Prod's."""
    return report.comparison(bill(found["prod"], site()))


def drawing(found: Plans) -> str:
    """Return the drawing."""
    return plot.svg(found["prod"], site(), "Prod: US dollars a month, by requests a month")


def switches(planner: resources.Planner) -> str:
    """Return what each switch does to Prod's bill."""
    base = bill(resources.of(planner.plan("prod")), site())
    changed: dict[str, Bill] = {}
    for variables in SWITCHES:
        name = ", ".join(f"{k} = {_hcl(v)}" for k, v in variables.items())
        changed[name] = bill(resources.of(planner.plan("prod", **variables)), site())
    return report.switches(base, changed)


def _hcl(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_hcl, value))}]"
    return str(value) if isinstance(value, int) else f'"{value}"'


def rendered() -> Mapping[Path, str]:
    """Return the page, the drawing and the appendix; raise `NotInstalledError` without Terraform or its emulator."""
    with resources.planner() as planner:
        found = plans(planner)
        shown = {**parts(found), "switches": switches(planner)}
        return {
            DOCUMENT: with_parts(DOCUMENT, **shown),
            DRAWING: drawing(found),
            APPENDIX: with_parts(APPENDIX, costs=comparison(found)),
        }
