"""Figures of runs under load and faults, which `docs/reference/load-and-faults.md` shows."""

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from familycorp_ops.markdown import with_part

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "load-and-faults.md"
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
