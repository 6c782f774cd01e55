"""Lines on logarithmic axes, as an SVG: a dozen shapes, which no library of drawings is needed for."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import cycle
from typing import Final

Point = tuple[float, float]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 520, 60, 670, 40, 470
"""The drawing's size, and where its axes end; on the right is room for names."""
COLOURS: Final = (
    *("#1b1b1b", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"),
    *("#8c6d00", "#7f7f7f", "#6a3d9a", "#b15928", "#33a02c"),
)


def plot(
    lines: Mapping[str, Sequence[Point]],
    across: str,
    upwards: str,
    *,
    title: str = "",
    steps: Sequence[float] = (),
    rings: Mapping[str, Point] | None = None,
) -> str:
    """Return the drawing.

    Args:
        lines: points of each, all above 0.
        across: what the horizontal axis is.
        upwards: what the vertical axis is.
        title: what stands above.
        steps: what to name on the horizontal axis; else each point's place.
        rings: a point of a line that is marked.
    """
    places = [point for line in lines.values() for point in line]
    low, high = ([f(math.log10(p[axis]) for p in places) for axis in (0, 1)] for f in (min, max))
    low[1], high[1] = math.floor(low[1]), math.ceil(high[1])

    def at(point: Point) -> Point:
        x, y = ((math.log10(point[axis]) - low[axis]) / (high[axis] - low[axis]) for axis in (0, 1))
        return LEFT + x * (RIGHT - LEFT), BOTTOM - y * (BOTTOM - TOP)

    drawn = [f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>']
    for step in steps or sorted({x for x, _ in places}):
        x, _ = at((step, 1))
        drawn.append(f'<path d="M{x:.1f} {TOP}V{BOTTOM}" stroke="#ddd"/>')
        drawn.append(f'<text x="{x:.1f}" y="{BOTTOM + 18}" text-anchor="middle">{step:,.0f}</text>')
    for power in range(int(low[1]), int(high[1]) + 1):
        _, y = at((10 ** low[0], 10.0**power))
        drawn.append(f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#ddd"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for number, ((name, line), colour) in enumerate(zip(lines.items(), cycle(COLOURS), strict=False)):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, line))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if rings and name in rings:
            x, y = at(rings[name])
            drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#fff" stroke="{colour}"/>')
        beside = TOP + 12 + number * 20
        drawn.append(f'<path d="M{RIGHT + 14} {beside - 4}h18" stroke="{colour}" stroke-width="3"/>')
        drawn.append(f'<text x="{RIGHT + 38}" y="{beside}">{escape(name)}</text>')
    middle = (LEFT + RIGHT) / 2
    drawn.append(f'<text x="{middle:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(across)}</text>')
    half = HEIGHT / 2
    drawn.append(
        f'<text x="16" y="{half:.0f}" transform="rotate(-90 16 {half:.0f})">{escape(upwards)}</text>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    head += ' font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>', *drawn, "</svg>", ""])
