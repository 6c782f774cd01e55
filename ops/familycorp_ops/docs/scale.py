"""Renders the tables of docs/explanation/scale.md: what a load needs of each component, and what breaks first.

CPU is measured (docs/reference/performance.md, whose tables are read); round trips are those that test_round_trips.py
holds; limits are AWS's, each with its page; assumptions are in one table.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.core.read_path.read_model import SHARDS
from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.markdown import with_parts

DOCS: Final = ROOT / "docs"
DOCUMENT: Final = DOCS / "explanation" / "scale.md"
LOADS: Final = (100, 10_000, 1_000_000)
MEMORY_MB, VCPU_MB = 1024, 1769
"""A function's memory, and what has one vCPU (AWS Lambda developer guide, "Configure Lambda function memory")."""
WAIT_MS: Final = {"valkey": 0.5, "dynamodb": 4.0, "sql": 2.0}
INVOKE_MS: Final = 1.0
HIT_RATE: Final = 0.95
LIST_RRU: Final = 2.5
VALKEY_OPS, ACU_STATEMENTS, MAX_ACU = 50_000, 500, 16
VIEWS, HOT_SHARE = 0.01, 0.5

_QUOTA = "a higher quota"
_CDN = f"a CDN before public reads; {_QUOTA}"
_VALKEY = '`cache_node_type`, then `cache_mode = "serverless"`'
_AURORA = "`database_max_acu` (256 at most), then read replicas for staff lists"
_CONNECTIONS = "Aurora user guide, max_connections"
_PARTITIONS = "DynamoDB developer guide, partitions"
_LIFETIME = "a longer lifetime in the cache: a list is rendered once in it, however many ask"
_SHARDING = "DynamoDB developer guide, write sharding"
_SHARDS = "`SHARDS` in core/read_path/read_model.py"
_HEAD = (
    "| request | share | CPU ms | Valkey | DynamoDB | SQL | duration |\n|---|---:|---:|---:|---:|---:|---:|"
)


@dataclass(frozen=True)
class Kind:
    """A kind of request: its share of all, its CPU in ms, its round trips."""

    name: str
    share: float
    cpu_ms: float
    valkey: int = 0
    dynamodb: int = 0
    sql: int = 0

    @property
    def duration_ms(self) -> float:
        """How long a function is busy with it."""
        waits: float = sum(WAIT_MS[store] * getattr(self, store) for store in WAIT_MS)
        return self.cpu_ms * VCPU_MB / MEMORY_MB + waits + INVOKE_MS


@dataclass(frozen=True)
class Limit:
    """Default limit of a component; `need` is the share that one request of the mix per second takes of it."""

    component: str
    unit: str
    need: float
    bears: float
    source: str
    moves: str

    @property
    def breaks_at(self) -> float:
        """Requests per second of the mix at which it is used up."""
        return self.bears / self.need


def measured(pattern: str) -> float:
    """Return a figure from docs/reference/performance.md."""
    found = re.search(pattern, (DOCS / "reference" / "performance.md").read_text())
    if found is None:
        raise SystemExit(f"docs/reference/performance.md has no {pattern}")
    return float(found[1].replace(",", ""))


def kinds() -> list[Kind]:
    """Return the mix: nine of ten requests are visitors' reads."""
    cached = measured(r"\| ours, cached \|[^|]+\|[^|]+\| ([\d,]+) \|") / 1000
    uncached = measured(r"\| ours, uncached \|[^|]+\|[^|]+\| ([\d,]+) \|") / 1000
    session = measured(r"session looked up in DynamoDB[^|]*\| ([\d.]+) \|")
    upload = measured(r"`POST /v1/uploads`: CPU, median \(ms\) \| ([\d.]+) \|")
    return [
        Kind("a visitor's read, from the cache", 0.9 * HIT_RATE, cached, valkey=1),
        Kind("a visitor's read, rendered", 0.9 * (1 - HIT_RATE), uncached, valkey=3, dynamodb=1),
        Kind("a read by staff", 0.08, session + uncached, valkey=2, dynamodb=1, sql=1),
        Kind("a write", 0.02, session + upload, valkey=2, dynamodb=5, sql=6),
    ]


def limits(mix: list[Kind]) -> list[Limit]:
    """Return what each component bears."""
    total: Callable[[str], float] = lambda store: sum(k.share * getattr(k, store) for k in mix)  # noqa: E731
    busy_s = sum(k.share * k.duration_ms for k in mix) / 1000
    with_database = sum(k.share * k.duration_ms for k in mix if k.sql) / 1000
    rendered = next(k.share for k in mix if "rendered" in k.name)
    calls = total("dynamodb")
    return [
        Limit("API Gateway", "requests/s", 1, 10_000, "API Gateway quotas", _CDN),
        Limit("Lambda", "concurrent executions", busy_s, 1_000, "Lambda quotas", _CDN),
        Limit("Valkey, one node", "commands/s", total("valkey"), VALKEY_OPS, "assumed", _VALKEY),
        Limit("Aurora", "statements/s", total("sql"), ACU_STATEMENTS * MAX_ACU, "assumed", _AURORA),
        Limit(
            "Aurora, without RDS Proxy", "connections", with_database, 2_000, _CONNECTIONS, "`database_proxy`"
        ),
        Limit("DynamoDB, a table", "units/s", rendered * LIST_RRU + calls, 40_000, "DynamoDB quotas", _QUOTA),
        Limit(
            "DynamoDB, one language's list",
            "read units/s",
            rendered * LIST_RRU,
            3_000,
            _PARTITIONS,
            _LIFETIME,
        ),
        Limit(
            "DynamoDB, one post's views",
            "write units/s",
            VIEWS * HOT_SHARE,
            1_000 * SHARDS,
            _SHARDING,
            _SHARDS,
        ),
    ]


def tables() -> str:
    """Return the computed tables, in Markdown."""
    mix = kinds()
    lines = [_HEAD]
    for k in mix:
        trips = f"{k.valkey} | {k.dynamodb} | {k.sql}"
        lines.append(f"| {k.name} | {k.share:.1%} | {k.cpu_ms:.2f} | {trips} | {k.duration_ms:.1f} ms |")
    heads = " | ".join(f"at {load:,}/s" for load in LOADS)
    lines += ["", f"| component | | {heads} | limit | source |", f"|---|---|{'---:|' * len(LOADS)}---:|---|"]
    found = limits(mix)
    for limit in found:
        needs = " | ".join(
            f"**{limit.need * load:,.0f}**"
            if limit.need * load > limit.bears
            else f"{limit.need * load:,.0f}"
            for load in LOADS
        )
        lines.append(f"| {limit.component} | {limit.unit} | {needs} | {limit.bears:,.0f} | {limit.source} |")
    lines += ["", "| limit reached | at requests/s | what raises it |", "|---|---:|---|"]
    for limit in sorted(found, key=lambda one: one.breaks_at):
        lines.append(f"| {limit.component} | {_rounded(limit.breaks_at)} | {limit.moves} |")
    return "\n".join(lines)


def _rounded(number: float) -> str:
    return f"{float(f'{number:.2g}'):,.0f}"


def assumed() -> str:
    """Return the assumptions: figures that are neither measured nor AWS's."""
    rows = {
        "visitors' reads that the cache has": f"{HIT_RATE:.0%}",
        "waiting for Valkey, DynamoDB, a statement": ", ".join(f"{ms:g} ms" for ms in WAIT_MS.values()),
        "Lambda's own part of an invocation": f"{INVOKE_MS:g} ms",
        "commands that one small node of Valkey takes": f"{VALKEY_OPS:,}/s",
        "statements that an ACU takes": f"{ACU_STATEMENTS:,}/s",
        "a rendered list, in read units": f"{LIST_RRU:g}",
        "requests that count a view, and how many of them are of one post": f"{VIEWS:.0%}, {HOT_SHARE:.0%}",
    }
    return "\n".join(
        ["| assumed | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows.items())]
    )


def rendered() -> Mapping[Path, str]:
    """Return the page with its tables."""
    return {DOCUMENT: with_parts(DOCUMENT, assumed=assumed(), scale=tables())}
