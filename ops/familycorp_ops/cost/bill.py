"""A month's bill: priced lines, fixed and per request, and the number of requests where these are equal."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from familycorp_ops.cost.prices import Usage, prices
from familycorp_ops.cost.resources import Resource
from familycorp_ops.cost.rules import Plan, lines

MILLION: Final = 1_000_000
FIRST: Final = 1
"""A month's requests at which costs count as fixed: series of metrics are there from the first request on."""


class Charge(NamedTuple):
    """A priced line."""

    component: str
    what: str
    price: str
    quantity: float
    usd: float


class Bill(NamedTuple):
    """Costs of a month."""

    charges: tuple[Charge, ...]

    @property
    def total(self) -> float:
        """Everything, in US dollars."""
        return sum(charge.usd for charge in self.charges)

    def components(self) -> dict[str, float]:
        """Return the US dollars of each component, the dearest first."""
        found: dict[str, float] = defaultdict(float)
        for charge in self.charges:
            found[charge.component] += charge.usd
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def bill(resources: Sequence[Resource], usage: Usage, *, free_tier: bool = False) -> Bill:
    """Price the use of resources in a month.

    Args:
        resources: what there is.
        usage: what the month brings.
        free_tier: whether what AWS gives each account is taken off; an account has it once, not each environment.
    """
    table = prices()
    quantities: dict[tuple[str, str, str], float] = defaultdict(float)
    for line in lines(Plan(resources, usage)):
        quantities[line.component, line.what, line.price] += line.quantity
    sums: dict[str, float] = defaultdict(float)
    for (_, _, price), quantity in quantities.items():
        sums[price] += quantity
    # Tiers and gifts are of a price's whole quantity, which its lines share.
    factor = {
        name: table[name].cost(max(0.0, total - table[name].free * free_tier)) / total if total else 0.0
        for name, total in sums.items()
    }
    return Bill(
        tuple(Charge(*key, quantity, quantity * factor[key[2]]) for key, quantity in quantities.items())
    )


def with_requests(usage: Usage, requests: float) -> Usage:
    """Return the same month with another number of visitors' requests."""
    return usage.model_copy(update={"requests": requests})


class Curve(NamedTuple):
    """Costs of a component when idle, and for each further million requests."""

    fixed: float
    per_million: float

    @property
    def knee(self) -> float | None:
        """Requests a month from which a component costs more for use than when idle."""
        if not self.per_million or not self.fixed:
            return None
        return self.fixed / self.per_million * MILLION


def curves(resources: Sequence[Resource], usage: Usage) -> dict[str, Curve]:
    """Return the curve of each component and of the total, beginning at the requests of the usage."""
    idle = bill(resources, with_requests(usage, FIRST))
    here = bill(resources, usage)
    more = bill(resources, with_requests(usage, usage.requests + MILLION))
    found = {}
    for name, usd in here.components().items():
        found[name] = Curve(idle.components().get(name, 0), more.components()[name] - usd)
    return found | {"Total": Curve(idle.total, more.total - here.total)}


def with_pages(usage: Usage, pages: float, pictures: float) -> Usage:
    """Return the same month with another number of pages, each with so many pictures that no browser has."""
    return usage.model_copy(update={"pages": pages, "pictures": pictures, "picture_kept": 0})


def million_pages(resources: Sequence[Resource], usage: Usage) -> Bill:
    """Return what the pictures of a million pages cost, ten on each."""
    return _difference(
        bill(resources, with_pages(usage, 0, 0)), bill(resources, with_pages(usage, MILLION, 10))
    )


def marginal(resources: Sequence[Resource], usage: Usage) -> Bill:
    """Return what a further million of visitors' requests costs, line by line."""
    more = with_requests(usage, usage.requests + MILLION)
    return _difference(bill(resources, usage), bill(resources, more))


def _difference(here: Bill, more: Bill) -> Bill:
    """Return what the second bill has more than the first, which has the same lines."""
    base = {c[:3]: c for c in here.charges}
    found = (
        c._replace(quantity=c.quantity - base[c[:3]].quantity, usd=c.usd - base[c[:3]].usd)
        for c in more.charges
    )
    return Bill(tuple(sorted((c for c in found if c.usd > 0), key=lambda c: -c.usd)))
