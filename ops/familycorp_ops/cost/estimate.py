"""An environment's bill of a month, computed from its plan, as `familycorp cost` shows it."""

from collections.abc import Mapping
from functools import cached_property
from gettext import gettext as _
from pathlib import Path
from typing import Any

from familycorp_ops.cost import plot, prices, report, resources, rules
from familycorp_ops.cost.bill import Bill, bill, with_requests


def month(usage: Path, requests: float | None) -> prices.Usage:
    """Return what a month brings, from a file or one of those that have a name; with another number of requests."""
    named = prices.USAGES / f"{usage}.toml"
    found = prices.usage(named if named.is_file() else usage)
    return found if requests is None else with_requests(found, requests)


def plan(
    file: Path | None, env: str, *, deployer: str, lean: bool, variables: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the plan in a file, or make one of an environment of which nothing is there yet."""
    if file:
        return resources.read(file, env)
    with resources.planner() as planner:
        return planner.plan(env, deployer=deployer, lean=lean, **variables)


class Estimate:
    """Monthly costs of a plan's resources.

    Args:
        env: dev, stage or prod.
        planned: the plan, as `terraform show -json` writes it.
        usage: what the month brings.
        free_tier: whether to take off what AWS gives an account for good.
    """

    def __init__(self, env: str, planned: dict[str, Any], usage: prices.Usage, *, free_tier: bool) -> None:
        self._env, self._planned, self._usage, self._free_tier = env, planned, usage, free_tier
        self._resources = resources.of(planned)
        self._unknown = rules.unknown(self._resources)
        self._after = bill(self._resources, usage, free_tier=free_tier)

    @cached_property
    def _before(self) -> Bill:
        there = resources.of_plan(self._planned, before=True)
        sam = bool(there) and not any(r.type == "aws_lambda_function" for r in there)
        found = [*there, *(resources.of_template() if sam else ())]
        return bill(found, self._usage, free_tier=self._free_tier)

    def document(self, *, difference: bool) -> dict[str, Any]:
        """Return it for programs."""
        document = report.document(self._after, self._usage, env=self._env, free_tier=self._free_tier)
        if difference:
            document["before"] = round(self._before.total, 4)
        return document | {"unknown": self._unknown}

    def difference(self) -> str:
        """Return what the plan changes, as a table."""
        return report.difference(self._before, self._after)

    def text(self) -> str:
        """Return it for people, in Markdown."""
        head = _("{env}: {total:,.2f} USD a month").format(env=self._env, total=self._after.total)
        counted, uncounted = _("Before tax; free tiers counted."), _("Before tax; free tiers not counted.")
        found, usage = self._resources, self._usage
        sections = {
            _("Lines"): report.lines(self._after),
            _("A further million requests"): report.per_million(found, usage),
            _("Knees"): report.knees(found, usage),
        }
        return "\n\n".join(
            (
                f"## {head}",
                counted if self._free_tier else uncounted,
                report.components(found, usage, free_tier=self._free_tier),
                *(f"### {title}\n\n{table}" for title, table in sections.items()),
            )
        )

    def drawing(self) -> str:
        """Return cost against requests, as SVG."""
        return plot.svg(self._resources, self._usage, f"{self._env}: US dollars a month")

    def problems(self, limit: float | None) -> list[str]:
        """Return a sentence for each kind of resource without a price, and for a total over a limit."""
        found = [_("No price and no reason for none: {kind}.").format(kind=kind) for kind in self._unknown]
        total = self._after.total
        if limit is not None and total > limit:
            found.append(_("{total:,.2f} USD a month is over {limit:,.2f}.").format(total=total, limit=limit))
        return found
