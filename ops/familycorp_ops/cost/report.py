"""The bill in words: tables in Markdown, which a terminal shows drawn."""

from collections.abc import Iterable, Mapping, Sequence
from gettext import gettext as _
from typing import Any, Final, NamedTuple

from familycorp_ops.cost.bill import FIRST, Bill, bill, curves, marginal, with_requests
from familycorp_ops.cost.prices import Usage, prices
from familycorp_ops.cost.resources import Resource
from familycorp_ops.cost.rules import RULES, UNPRICED
from familycorp_ops.markdown import table

CENT: Final = 0.005
"""Lines below this amount aren't shown one by one."""


class Target(NamedTuple):
    """A bound on a bill that was promised."""

    name: str
    limit: float
    bill: Bill

    @property
    def held(self) -> bool:
        """Whether the bill is within it."""
        return self.bill.total <= self.limit

    @property
    def in_the_way(self) -> list[str]:
        """The dearest three lines of a bill that is beyond it."""
        dearest = sorted(self.bill.charges, key=lambda c: -c.usd)[:3]
        return [] if self.held else [f"{c.component}, {c.what}: {c.usd:.2f}" for c in dearest]


class StatedCost(NamedTuple):
    """A row of the cost table in the original architecture document (§7)."""

    name: str
    configuration: str
    stated: float | None
    explained: str
    """With what assumption the stated figure comes about."""
    quantities: Mapping[str, float]


STATED: Final = (
    StatedCost(
        "Lambda",
        "1 GB, 300,000 requests",
        3.00,
        "590 ms each",
        {"lambda-request": 300_000, "lambda-gb-second": 300_000 * 0.59},
    ),
    StatedCost("API Gateway", "300,000 requests", 1.00, "a REST API", {"api-rest-request": 300_000}),
    StatedCost(
        "DynamoDB",
        "by request",
        0.50,
        "three reads a request, half a write",
        {"dynamodb-read": 900_000, "dynamodb-write": 150_000, "dynamodb-gb": 1},
    ),
    StatedCost("Aurora", "Serverless v2", None, "", {}),
    StatedCost("ElastiCache", "t4g.small", None, "", {}),
    StatedCost("S3", "10 GB", 0.25, "10 GB", {"s3-gb": 10}),
    StatedCost("CloudWatch", "logs", 0.50, "0.66 GB of logs", {"logs-gb": 0.66}),
)


def usd(amount: float) -> str:
    """Return US dollars, with cents."""
    return f"{amount:,.2f}"


def _quantity(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 or amount == int(amount) else f"{amount:,.3g}"


def lines(found: Bill) -> str:
    """Return the lines of a bill that come to a cent, component by component."""
    order = list(found.components())
    shown = sorted(
        (c for c in found.charges if c.usd >= CENT), key=lambda c: (order.index(c.component), -c.usd)
    )
    table_of = prices()
    rows = (
        (c.component, c.what, f"{_quantity(c.quantity)} {table_of[c.price].unit}", usd(c.usd)) for c in shown
    )
    return table((_("component"), _("what"), _("a month"), "USD"), rows, numbers=2)


def components(resources: Sequence[Resource], usage: Usage, *, free_tier: bool = False) -> str:
    """Return what each component costs, and how much of that it costs when hardly anybody comes."""
    here = bill(resources, usage, free_tier=free_tier)
    idle = bill(resources, with_requests(usage, FIRST), free_tier=free_tier).components()
    rows = [
        (name, usd(idle.get(name, 0)), usd(total - idle.get(name, 0)), usd(total))
        for name, total in here.components().items()
        if total >= CENT
    ]
    fixed = sum(idle.values())
    rows.append((_("**Total**"), usd(fixed), usd(here.total - fixed), f"**{usd(here.total)}**"))
    used = _("for {requests:,.0f} requests").format(requests=usage.requests)
    return table((_("component"), _("fixed"), used, "USD"), rows, numbers=3)


def per_million(resources: Sequence[Resource], usage: Usage) -> str:
    """Return what a further million requests costs."""
    found = marginal(resources, usage)
    rows = [(c.component, c.what, f"{c.usd:.3f}") for c in found.charges if c.usd >= CENT]
    return table((_("component"), _("what"), "USD"), [*rows, (_("**Total**"), "", f"**{found.total:.3f}**")])


def knees(resources: Sequence[Resource], usage: Usage) -> str:
    """Return the number of requests from which each component costs more for use than when idle."""
    rows = [
        (
            _("**Total**") if name == "Total" else name,
            usd(curve.fixed),
            usd(curve.per_million),
            _round(curve.knee)
            if curve.knee
            else (_("none: flat") if curve.fixed >= CENT else _("none: a straight line")),
        )
        for name, curve in curves(resources, usage).items()
        if curve.fixed >= CENT or curve.per_million >= CENT
    ]
    header = (_("component"), _("fixed"), _("per million requests"), _("knee, requests a month"))
    return table(header, rows, numbers=3)


def _round(number: float) -> str:
    step = 10 ** max(0, len(str(int(number))) - 2)
    return f"{round(number / step) * step:,}"


def comparison(prod: Bill) -> str:
    """Return the costs that the original architecture document states beside what Prod costs."""
    table_of, ours = prices(), prod.components()
    rows = []
    for row in STATED:
        again = sum(table_of[name].cost(quantity) for name, quantity in row.quantities.items())
        said = "varies" if row.stated is None else usd(row.stated)
        explained = f"{usd(again)} ({row.explained})" if row.explained else ""
        rows.append((row.name, row.configuration, said, explained, usd(ours.pop(row.name, 0))))
    rows += [(name, "", "not listed", "", usd(total)) for name, total in ours.items() if total >= CENT]
    stated = sum(row.stated or 0 for row in STATED)
    rows.append(("**Total**", "", f"{usd(stated)} and what varies", "", f"**{usd(prod.total)}**"))
    return table(
        ("resource", "original document", "USD there", "how that comes about", "USD here"), rows, numbers=1
    )


def environments(bills: Mapping[str, tuple[Bill, Bill]]) -> str:
    """Return the components of several environments side by side; each has a bill idle and one in use."""
    names = sorted(
        {name for pair in bills.values() for name, total in pair[1].components().items() if total >= CENT},
        key=lambda n: -max(pair[1].components().get(n, 0) for pair in bills.values()),
    )
    rows = [(name, *(usd(pair[1].components().get(name, 0)) for pair in bills.values())) for name in names]
    rows.append(("**Total**", *(f"**{usd(used.total)}**" for _, used in bills.values())))
    rows.append(("the same, idle", *(usd(idle.total) for idle, _ in bills.values())))
    return table(("component", *bills), rows, numbers=len(bills))


def switches(base: Bill, changed: Mapping[str, Bill]) -> str:
    """Return what each change of variables does to a bill."""
    rows = [
        (f"`{name}`", usd(other.total), f"{other.total - base.total:+,.2f}")
        for name, other in changed.items()
    ]
    return table(("variables", "USD", "difference"), rows, numbers=2)


def difference(before: Bill, after: Bill) -> str:
    """Return what a plan changes of a bill, component by component."""
    old, new = before.components(), after.components()
    names = [n for n in {**new, **old} if abs(new.get(n, 0) - old.get(n, 0)) >= CENT]
    rows = [
        (n, usd(old.get(n, 0)), usd(new.get(n, 0)), f"{new.get(n, 0) - old.get(n, 0):+,.2f}") for n in names
    ]
    change = after.total - before.total
    rows.append((_("**Total**"), usd(before.total), usd(after.total), f"**{change:+,.2f}**"))
    return table((_("component"), _("before"), _("after"), _("difference")), rows, numbers=3)


def targets(found: Iterable[Target]) -> str:
    """Return whether each bound is kept, and by which lines it isn't."""
    rows = [
        (t.name, "; ".join(t.in_the_way), f"≤ {t.limit:g}", usd(t.bill.total), "yes" if t.held else "**no**")
        for t in found
    ]
    return table(("target", "in the way", "USD", "is", "held"), rows, numbers=3)


def price_table() -> str:
    """Return the price table, with where each price is from."""
    rows = []
    for name, price in prices().items():
        asked = f"{price.first:.10f}".rstrip("0").rstrip(".")
        more = " (less beyond)" if price.tiers else ""
        seen = "verified" if price.verified else price.source
        rows.append((f"`{name}`", price.unit, f"{seen}, {price.read}", price.page, f"{asked}{more}"))
    return table(("price", "unit", "from", "AWS's page", "USD"), rows)


def kinds() -> str:
    """Return every kind of resource, with its billed quantities."""
    rows = [(f"`{kind}`", "priced") for kind in RULES]
    rows += [(f"`{kind}`", reason) for kind, reason in UNPRICED.items()]
    return table(("resource", "bill"), sorted(rows), numbers=0)


def document(found: Bill, usage: Usage, *, env: str, free_tier: bool) -> dict[str, Any]:
    """Return a bill as JSON: US dollars a month, before tax."""
    table_of = prices()
    return {
        "environment": env,
        "currency": "USD",
        "requests": usage.requests,
        "freeTierCounted": free_tier,
        "total": round(found.total, 4),
        "components": {name: round(total, 4) for name, total in found.components().items()},
        "lines": [
            {
                "component": c.component,
                "what": c.what,
                "price": c.price,
                "unit": table_of[c.price].unit,
                "quantity": round(c.quantity, 6),
                "usd": round(c.usd, 6),
                "verified": table_of[c.price].verified,
            }
            for c in found.charges
        ],
    }
