"""AWS's prices (`prices.toml`), and quantities used (`usage/*.toml`)."""

import datetime
import tomllib
from functools import cache
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

HERE: Final = Path(__file__).parent
USAGES: Final = HERE / "usage"


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Facts):
    """A price in US dollars before tax, with where it is from."""

    usd: float | None = None
    tiers: tuple[tuple[float, float] | tuple[float], ...] = ()
    """Instead of `usd`: up to which quantity a month, at what price; the last has a price alone."""
    unit: str
    page: str
    source: Literal["price list", "page", "memory"]
    read: datetime.date
    verified: bool
    free: float = 0
    """Quantity a month that every account is given."""

    @property
    def first(self) -> float:
        """Price of the first unit."""
        return self.usd if self.usd is not None else self.tiers[0][-1]

    def cost(self, quantity: float) -> float:
        """Return what a month's quantity costs."""
        if self.usd is not None:
            return quantity * self.usd
        total, below = 0.0, 0.0
        for *bound, usd in self.tiers:
            upper = min(quantity, bound[0]) if bound else quantity
            total += max(0.0, upper - below) * usd
            below = max(below, upper)
        return total


class Usage(_Facts):
    """Use in a month; `usage/site.toml` explains each figure."""

    requests: float
    cache_hit: float
    cached_ms: float
    rendered_ms: float
    cold_share: float
    cold_ms: float
    reads: float
    views: float
    post_kb: float
    response_kb: float
    app_log_bytes: float
    platform_log_bytes: float
    access_log_bytes: float
    staff: float
    staff_requests: float
    staff_ms: float
    staff_hours: float
    awake_acu: float
    logins: float
    metrics_always: float
    metrics_staff: float
    database_gb: float
    database_io: float
    database_change: float
    tables_gb: float
    events: float
    cache_gb: float
    files_gb: float
    uploads: float
    upload_gb: float
    downloads_gb: float
    images_gb: float
    refused_gb: float
    pages: float
    pictures: float
    picture_kb: float
    picture_kept: float
    cdn_hit: float
    invocations: dict[str, float]
    durations: dict[str, float]


@cache
def prices() -> dict[str, Price]:
    """Return the price table by name."""
    table = tomllib.loads((HERE / "prices.toml").read_text("utf-8"))
    return {name: Price.model_validate(facts) for name, facts in table.items()}


def usage(file: Path) -> Usage:
    """Return a usage file; missing figures are those of `site.toml`.

    Raises:
        OSError: it can't be read.
        ValueError: it isn't TOML, or says what no usage file says.
    """
    facts = tomllib.loads((USAGES / "site.toml").read_text("utf-8"))
    return Usage.model_validate(facts | tomllib.loads(file.read_text("utf-8")))
