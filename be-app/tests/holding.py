"""Figures of what was held under load and faults, and where they are written down: `docs/holds.md`."""

import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path

import psutil

from familycorp_ops.documents import with_part

DOCUMENT = Path(__file__).parents[2] / "docs" / "holds.md"
SECONDS = int(os.environ.get("HOLDS_SECONDS", "0"))
"""How long a long run takes; 0 in the suite, where every run is short."""


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Return how fast the second of two figures grows with the first, by least squares."""
    return statistics.linear_regression(*zip(*samples, strict=True)).slope


def record(part: str, told: str, target: str) -> None:
    """Print what a run found; a long run writes it into the document, with date, versions and machine."""
    print(f"\n{told}\n")
    if not SECONDS:
        return
    names = ("fastapi", "uvicorn", "sqlalchemy", "botocore", "redis")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    memory = psutil.virtual_memory().total / 2**30
    begun = (
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `make {target}`: Python {platform.python_version()}, {versions};\n"
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB, shared with the stores and the clients."
    )
    DOCUMENT.write_text(with_part(DOCUMENT, part, f"{begun}\n\n{told}"))


def plot(lines: Mapping[str, Sequence[tuple[float, float]]], across: str, upwards: str) -> str:
    """Draw lines on logarithmic axes; return the SVG."""
    width, height, left, right, top, bottom = 760, 420, 60, 170, 20, 50
    colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
    places = [point for line in lines.values() for point in line]
    low, high = ([f(math.log10(p[axis]) for p in places) for axis in (0, 1)] for f in (min, max))
    low[1], high[1] = math.floor(low[1]), math.ceil(high[1])

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x, y = ((math.log10(point[a]) - low[a]) / (high[a] - low[a]) for a in (0, 1))
        return left + x * (width - left - right), height - bottom - y * (height - top - bottom)

    drawn = []
    for step in sorted({x for x, _ in places}):
        x, _ = at((step, 1))
        drawn.append(f'<path d="M{x:.0f} {top}V{height - bottom}" stroke="#ddd"/>')
        drawn.append(f'<text x="{x:.0f}" y="{height - bottom + 18}" text-anchor="middle">{step:g}</text>')
    for power in range(int(low[1]), int(high[1]) + 1):
        _, y = at((10 ** low[0], 10.0**power))
        drawn.append(f'<path d="M{left} {y:.0f}H{width - right}" stroke="#ddd"/>')
        drawn.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{10.0**power:g}</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour, y = colours[number % len(colours)], top + 12 + number * 20
        points = " ".join(f"{x:.0f},{y:.0f}" for x, y in map(at, line))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn.append(f'<path d="M{width - right + 14} {y - 4}h18" stroke="{colour}" stroke-width="3"/>')
        drawn.append(f'<text x="{width - right + 38}" y="{y}">{escape(name)}</text>')
    middle = (left + width - right) / 2
    drawn.append(f'<text x="{middle:.0f}" y="{height - 12}" text-anchor="middle">{escape(across)}</text>')
    drawn.append(
        f'<text x="16" y="{height / 2:.0f}" transform="rotate(-90 16 {height / 2:.0f})">{escape(upwards)}</text>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
    head += ' font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#fff"/>', *drawn, "</svg>", ""])
