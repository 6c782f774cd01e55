"""Statistics of several figures."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """Return what `percent` (above 0, to 100) of some values don't exceed, by the nearest rank; 0 for none."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1] if values else 0.0
