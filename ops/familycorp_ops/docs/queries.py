"""Writes the saved queries of terraform/queries into docs/logs.md; `--check` only compares."""

import sys
from pathlib import Path

from familycorp_ops.markdown import keep

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "logs.md"
QUERIES = ROOT / "terraform" / "queries"


def sections() -> str:
    """Return each query under its name, with its first line, a comment, as its question."""
    parts = []
    for file in sorted(QUERIES.glob("*.txt")):
        question, _, query = file.read_text().strip().partition("\n")
        name = file.stem.replace("-", " ").capitalize()
        parts.append(f"## {name}\n\n{question.removeprefix('# ')}\n\n```\n{query}\n```")
    return "\n\n".join(parts)


def main() -> int:
    """Write the queries, or tell whether they are in date."""
    return keep(DOCUMENT, queries=sections())


if __name__ == "__main__":
    sys.exit(main())
