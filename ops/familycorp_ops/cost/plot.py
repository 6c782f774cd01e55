"""A drawing of cost against requests: a line for each component."""

from collections.abc import Sequence

from familycorp_ops import drawing
from familycorp_ops.cost.bill import bill, curves, with_requests
from familycorp_ops.cost.prices import Usage
from familycorp_ops.cost.resources import Resource

FEWEST, MOST = 4, 9
"""Powers of ten of requests a month."""
LEAST = 0.01
"""US dollars below which nothing is drawn."""


def svg(resources: Sequence[Resource], usage: Usage, title: str) -> str:
    """Return the drawing; a ring on a line is its component's knee."""
    steps = [10 ** (FEWEST + n / 8) for n in range((MOST - FEWEST) * 8 + 1)]
    bills = [bill(resources, with_requests(usage, step)) for step in steps]
    totals = [{"Total": b.total} | b.components() for b in bills]
    names = [n for n, total in totals[-1].items() if total >= 1][: len(drawing.COLOURS)]
    lines = {
        n: [(s, t[n]) for s, t in zip(steps, totals, strict=True) if t.get(n, 0) >= LEAST] for n in names
    }
    knees = {n: (curve.knee, 2 * curve.fixed) for n, curve in curves(resources, usage).items() if curve.knee}
    return drawing.plot(
        lines,
        "requests a month",
        "USD",
        title=title,
        steps=[10**power for power in range(FEWEST, MOST + 1)],
        rings={n: knee for n, knee in knees.items() if 10**FEWEST <= knee[0] <= 10**MOST},
    )
