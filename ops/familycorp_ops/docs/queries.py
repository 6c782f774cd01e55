"""Renders the saved queries of terraform/queries into docs/how-to/logs.md."""

from collections.abc import Mapping
from pathlib import Path

from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.markdown import with_parts

DOCUMENT = ROOT / "docs" / "how-to" / "logs.md"
QUERIES = ROOT / "terraform" / "queries"


def sections() -> str:
    """Return each query under its name, with its first line, a comment, as its question."""
    parts = []
    for file in sorted(QUERIES.glob("*.txt")):
        question, _, query = file.read_text().strip().partition("\n")
        name = file.stem.replace("-", " ").capitalize()
        parts.append(f"## {name}\n\n{question.removeprefix('# ')}\n\n```\n{query}\n```")
    return "\n\n".join(parts)


def rendered() -> Mapping[Path, str]:
    """Return the page with each query."""
    return {DOCUMENT: with_parts(DOCUMENT, queries=sections())}
