"""Facts that Terraform and the tools share: each stands once, in a YAML file of `terraform/`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

_SOURCE: Final = Path(__file__).parents[2] / "terraform"

Facts = Mapping[str, Mapping[str, Any]]


def _read(name: str) -> Facts:
    facts: Facts = yaml.safe_load((_SOURCE / f"{name}.yaml").read_text("utf-8"))
    return facts


FUNCTIONS: Final = _read("functions")
"""Purpose, handler, memory (MB), timeout (s) and network of each Lambda function, by the end of its name."""

TABLES: Final = _read("tables")
"""Keys, indexes, TTL and stream of each DynamoDB table, by the end of its name."""
