"""Renders the table of docs/reference/settings.md from the settings themselves."""

from collections.abc import Mapping
from pathlib import Path

from app.core.settings import PREFIX, Settings
from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.markdown import with_parts

DOCUMENT = ROOT / "docs" / "reference" / "settings.md"


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| name | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        value = field.get_default(call_default_factory=True, validated_data={})
        value = ",".join(value) if isinstance(value, tuple) else value
        default = f"`{value}`" if value not in {None, ""} else ""
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines)


def rendered() -> Mapping[Path, str]:
    """Return the page with its table."""
    return {DOCUMENT: with_parts(DOCUMENT, settings=table())}
