"""Renders what API Gateway says of CORS, which answers preflights itself: it must be what the application says."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from app.main import CORS
from familycorp_ops.deploy.infra import ROOT

TERRAFORM, TEMPLATE = ROOT / "terraform" / "cors.yaml", ROOT / "template.yaml"


def _as_api_gateway_says(name: str, value: Any) -> Any:
    """Return a value as API Gateway returns it after it was set: lists are sorted, names of headers in lower case."""
    if isinstance(value, int):
        return value
    return sorted(each.lower() if name.endswith("headers") else each for each in value)


def rendered() -> Mapping[Path, str]:
    """Return the file that Terraform reads, and the template with its lists."""
    said = {name: _as_api_gateway_says(name, value) for name, value in CORS.items()}
    template = TEMPLATE.read_text("utf-8")
    for name, value in said.items():
        key, flow = name.title().replace("_", ""), yaml.safe_dump(value, default_flow_style=True, width=1000)
        template = re.sub(
            rf"^( {{8}}{key}:) .+$", rf"\1 {flow.splitlines()[0]}", template, flags=re.MULTILINE
        )
    head = "# Rendered from app/main.py by `make docs`: change that one.\n"
    return {TERRAFORM: head + yaml.safe_dump(said), TEMPLATE: template}
