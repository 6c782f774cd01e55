"""A drawing of cost against requests: one SVG, both axes logarithmic, a line for each component."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from familycorp_ops.cost.bill import bill, curves, with_requests
from familycorp_ops.cost.prices import Usage
from familycorp_ops.cost.resources import Resource

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 860, 520, 60, 40, 190, 50
FEWEST, MOST = 4, 9
"""Powers of ten of requests a month."""
LEAST: Final = 0.01
"""US dollars below which nothing is drawn."""
COLOURS: Final = (
    *("#1b1b1b", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"),
    *("#8c6d00", "#7f7f7f", "#6a3d9a", "#b15928", "#33a02c"),
)


def svg(resources: Sequence[Resource], usage: Usage, title: str) -> str:
    """Return the drawing; a ring on a line is its component's knee."""
    steps = [10 ** (FEWEST + n / 8) for n in range((MOST - FEWEST) * 8 + 1)]
    bills = [bill(resources, with_requests(usage, step)) for step in steps]
    names = ["Total", *(n for n, total in bills[-1].components().items() if total >= 1)][: len(COLOURS)]
    costs = {n: [b.total if n == "Total" else b.components().get(n, 0) for b in bills] for n in names}
    highest = math.ceil(math.log10(max(costs["Total"])))
    lowest = math.log10(LEAST)

    def x(requests: float) -> float:
        return LEFT + (math.log10(requests) - FEWEST) / (MOST - FEWEST) * (WIDTH - LEFT - RIGHT)

    def y(amount: float) -> float:
        return (
            HEIGHT
            - BOTTOM
            - (math.log10(max(amount, LEAST)) - lowest) / (highest - lowest) * (HEIGHT - TOP - BOTTOM)
        )

    drawn = [f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>']
    for power in range(FEWEST, MOST + 1):
        at = x(10**power)
        drawn.append(f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        drawn.append(
            f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_power(power)}</text>'
        )
    for power in range(int(lowest), highest + 1):
        at = y(10**power)
        drawn.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{10**power:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawn.append(f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">requests a month</text>')
    drawn.append(f'<text x="{LEFT - 6}" y="{TOP - 8}" text-anchor="end">USD</text>')
    turns = curves(resources, usage)
    for number, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        points = " ".join(
            f"{x(s):.1f},{y(c):.1f}" for s, c in zip(steps, costs[name], strict=True) if c >= LEAST
        )
        width = 3 if name == "Total" else 1.6
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        knee = turns[name].knee
        if knee and 10**FEWEST <= knee <= 10**MOST:
            height = y(2 * turns[name].fixed)
            drawn.append(
                f'<circle cx="{x(knee):.1f}" cy="{height:.1f}" r="5" fill="#fff" stroke="{colour}"/>'
            )
        line = TOP + 12 + number * 20
        drawn.append(f'<path d="M{WIDTH - RIGHT + 14} {line - 4}h18" stroke="{colour}" stroke-width="3"/>')
        drawn.append(f'<text x="{WIDTH - RIGHT + 38}" y="{line}">{escape(name)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    head += ' font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *drawn, "</svg>", ""])


def _power(power: int) -> str:
    return f'10<tspan dy="-5" font-size="9">{power}</tspan>'
