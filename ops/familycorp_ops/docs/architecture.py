"""Renders the diagrams of docs/explanation/architecture.md: functions and their stores, and Terraform's files.

The first comes from the template and from the calls that tests saw functions make, the second from Terraform's graph.
"""

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from familycorp_ops.deploy import infra, templates
from familycorp_ops.markdown import with_parts
from familycorp_ops.servers.process import NotInstalledError

DOCUMENT: Final = infra.ROOT / "docs" / "explanation" / "architecture.md"
ACTIONS: Final = infra.ROOT / "be-app" / "tests" / "support" / "actions.json"


def rendered() -> Mapping[Path, str]:
    """Return the page with both diagrams; without Terraform or its provider, its graph stays as it is."""
    parts = {"calls": calls()}
    try:
        with tempfile.TemporaryDirectory() as directory:
            parts["files"] = files(infra.Terraform(Path(directory)).run("graph").stdout)
    except (NotInstalledError, infra.TerraformError) as error:
        sys.stderr.write(f"Terraform's graph isn't compared: {str(error).splitlines()[0]}\n")
    return {DOCUMENT: with_parts(DOCUMENT, **{n: f"```mermaid\n{part}\n```" for n, part in parts.items()})}


def calls() -> str:
    """Return who calls which function, and which stores each uses, as a Mermaid flow chart."""
    template = templates.load(templates.IMAGE)
    functions = templates.functions(template)
    actions: Mapping[str, Mapping[str, Any]] = json.loads(ACTIONS.read_text())
    lines = ["flowchart LR", '  browser(["browsers"]) --> gateway["API Gateway"]']
    routes = {n: r["Properties"] for n, r in template["Resources"].items() if r["Type"].endswith("V2::Route")}
    for name, route in routes.items():
        lines.append(f'  gateway -- "{route["RouteKey"]}" --> {name.removesuffix("Route").lower()}')
    # The default route's is what answers everything else.
    lines = [line.replace("--> default", "--> backend") for line in lines]
    for name, function in functions.items():
        lines.append(f'  {name}[["{name}"]]')
        for event, value in function.get("Events", {}).items():
            lines.append(f'  {event}(["{value["Type"]}: {event.lower()}"]) --> {name}')
        used = {re.split(r"[#/?]", resource)[0] for resource in actions.get(name, {})}
        lines += [f"  {name} --> {_node(resource)}" for resource in sorted(used)]
        if "VpcConfig" in function:
            lines.append(f"  {name} --> aurora[(Aurora)]")
    # A function that drains the outbox publishes its events and invalidates the cache.
    cached = [n for n, f in functions.items() if "VpcConfig" in f and "events" in actions.get(n, {})]
    lines += [f"  {name} --> valkey[(Valkey)]" for name in cached]
    return "\n".join(lines)


def _node(resource: str) -> str:
    kinds = {"posts": "DynamoDB", "sessions": "DynamoDB", "events": "DynamoDB"}
    kinds |= {"uploads": "S3", "media": "S3", "exchange": "S3"}
    if resource in kinds:
        return f'store_{resource}[("{kinds[resource]}: {resource}")]'
    return f'{resource.replace("-", "_")}["{resource}"]'


def files(graph: str) -> str:
    """Return which of Terraform's files use which others' resources, as a Mermaid flow chart."""
    where = {
        f"{kind}.{name}": file.stem
        for file in sorted(infra.SOURCE.glob("*.tf"))
        for kind, name in re.findall(r'^resource "(\w+)" "(\w+)"', file.read_text(), re.MULTILINE)
    }
    edges = {
        (where[one], where[other])
        for one, other in _edges(graph)
        if one in where and other in where and where[one] != where[other]
    }
    return "\n".join(["flowchart LR", *(f"  {one} --> {other}" for one, other in sorted(edges))])


def _edges(graph: str) -> Iterator[tuple[str, str]]:
    yield from re.findall(r'^\s*"([\w.]+)" -> "([\w.]+)";?$', graph, re.MULTILINE)
