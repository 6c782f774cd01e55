"""The SAM templates, as tests and tools read them."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[3]
IMAGE: Final = ROOT / "template.yaml"
ZIP: Final = ROOT / "template.zip.yaml"


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref x`) as `{"Ref": x}`."""


def _intrinsic(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _intrinsic)


def load(path: Path) -> dict[str, Any]:
    """Return a template, with its intrinsic functions in their long form."""
    template: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506 - it is a SafeLoader.
    return template


def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the properties of each function, by the name that ends its own, as `operator-read`."""
    return {
        re.sub(r"(?<!^)(?=[A-Z])", "-", name.removesuffix("Function")).lower(): resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def parameters(path: Path) -> set[str]:
    """Return what a template looks up in Parameter Store, without the environment's prefix."""
    return set(re.findall(r"\{\{resolve:ssm:/familycorp/\$\{Environment\}/([^}]+)\}\}", path.read_text()))
