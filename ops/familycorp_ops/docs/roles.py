"""Renders the table of roles and actions in docs/reference/opa.md from the policy's data."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from familycorp_ops.admin.policy import home
from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.markdown import with_parts

DOCUMENT = ROOT / "docs" / "reference" / "opa.md"


def _conditions(data: dict[str, Any], action: str) -> str:
    """Return an action's other conditions, and its obligations."""
    conditions = [f"object: {data['objects'][action]}"] if action in data["objects"] else []
    if action in data["stepUp"]:
        conditions.append("recent second factor")
    for role, demanded in data["obligations"].get(action, {}).items():
        conditions.append(f"{role}: `{json.dumps(demanded)}`")
    return "; ".join(conditions)


def table() -> str:
    """Return the table in Markdown."""
    data = json.loads((home() / "data" / "data.json").read_text())
    roles = data["inherits"]
    lines = [f"| action | {' | '.join(roles)} | and |", f"|---|{':-:|' * len(roles)}---|"]
    for action in dict.fromkeys(action for permitted in data["roles"].values() for action in permitted):
        marks = (
            "✓" if any(action in data["roles"][r] for r in inherited) else "" for inherited in roles.values()
        )
        lines.append(f"| `{action}` | {' | '.join(marks)} | {_conditions(data, action)} |")
    return "\n".join(lines)


def rendered() -> Mapping[Path, str]:
    """Return the page with its table."""
    return {DOCUMENT: with_parts(DOCUMENT, roles=table())}
