"""Writes the table of settings into docs/backend.md, from the settings themselves; `--check` only compares."""

import sys
from pathlib import Path

from app.core.settings import PREFIX, Settings
from familycorp_ops.markdown import keep

DOCUMENT = Path(__file__).parents[1] / "docs" / "backend.md"


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| name | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        value = field.get_default(call_default_factory=True, validated_data={})
        value = ",".join(value) if isinstance(value, tuple) else value
        default = f"`{value}`" if value not in {None, ""} else ""
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines)


def main() -> int:
    """Write the table, or tell whether it is in date."""
    return keep(DOCUMENT, settings=table())


if __name__ == "__main__":
    sys.exit(main())
