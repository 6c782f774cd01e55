"""Billed resources: those of a Terraform plan and of the SAM template, in the same form."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path
from typing import Any, NamedTuple

from familycorp_ops.deploy import infra, templates

SAM_TYPES = {
    "AWS::Serverless::Function": "aws_lambda_function",
    "AWS::Serverless::LayerVersion": "aws_lambda_layer_version",
    "AWS::ApiGatewayV2::Api": "aws_apigatewayv2_api",
    "AWS::ApiGatewayV2::ApiMapping": "aws_apigatewayv2_api_mapping",
    "AWS::ApiGatewayV2::Integration": "aws_apigatewayv2_integration",
    "AWS::ApiGatewayV2::Route": "aws_apigatewayv2_route",
    "AWS::ApiGatewayV2::Stage": "aws_apigatewayv2_stage",
    "AWS::CloudWatch::Alarm": "aws_cloudwatch_metric_alarm",
    "AWS::Lambda::Permission": "aws_lambda_permission",
    "AWS::SecretsManager::RotationSchedule": "aws_secretsmanager_secret_rotation",
}
"""Terraform's names of the template's resources."""


class Resource(NamedTuple):
    """A resource that bills, or not."""

    type: str
    address: str
    values: Mapping[str, Any]

    def named(self) -> str:
        """Return the last part of its name, as `backend`."""
        for key in ("function_name", "name", "bucket"):
            if isinstance(self.values.get(key), str):
                return str(self.values[key]).rpartition("/")[2].rpartition("-")[2]
        return self.address


def of_plan(plan: Mapping[str, Any], *, before: bool = False) -> list[Resource]:
    """Return what a plan would leave behind, or what there was before it."""
    module = plan.get("prior_state", {}).get("values", {}) if before else plan["planned_values"]
    found = module.get("root_module", {}).get("resources", ())
    return [Resource(r["type"], r["address"], r.get("values", {})) for r in found if r["mode"] == "managed"]


def deployer(plan: Mapping[str, Any]) -> str:
    """Return who deploys the application, as a plan says: `sam` or `terraform`."""
    return str(plan.get("variables", {}).get("app_deployer", {}).get("value", "sam"))


def of_template(path: Path = templates.IMAGE) -> Iterator[Resource]:
    """Yield what a template makes; a kind that `SAM_TYPES` doesn't know keeps its own name."""
    for name, resource in templates.load(path)["Resources"].items():
        facts = resource.get("Properties", {})
        metrics = facts.get("DefaultRouteSettings", {}).get("DetailedMetricsEnabled")
        values = {
            "memory_size": facts.get("MemorySize"),
            "period": facts.get("Period"),
            "default_route_settings": [{"detailed_metrics_enabled": metrics}],
        }
        if resource["Type"] == "AWS::Serverless::Function":
            values["function_name"] = facts["FunctionName"]["Fn::Sub"]
            values["logging_config"] = [{"system_log_level": facts["LoggingConfig"].get("SystemLogLevel")}]
        yield Resource(SAM_TYPES.get(resource["Type"], resource["Type"]), f"template {name}", values)


def of(plan: Mapping[str, Any]) -> list[Resource]:
    """Return all that a plan and, where it leaves functions and API to SAM, the template make."""
    own = of_plan(plan)
    return own if deployer(plan) == "terraform" else [*own, *of_template()]


@contextmanager
def planner() -> Iterator["Planner"]:
    """Start an emulator that answers what plans ask of AWS, and stop it."""
    from familycorp_ops.servers.ministack import MiniStack  # noqa: PLC0415 - a given plan needs none.

    with tempfile.TemporaryDirectory() as directory, MiniStack() as emulator:
        yield Planner(infra.Terraform(Path(directory), emulator.url))


class Planner:
    """Plans environments as if they were empty."""

    def __init__(self, terraform: infra.Terraform) -> None:
        self._terraform = terraform
        self._made: dict[tuple[str, ...], dict[str, Any]] = {}

    def plan(
        self, env: str, *, deployer: str = "sam", lean: bool = False, **variables: Any
    ) -> dict[str, Any]:
        """Return a plan as `terraform show -json` prints it.

        Args:
            env: dev, stage or prod.
            deployer: sam or terraform.
            lean: whether envs/lean.tfvars is laid over the environment's.
            variables: further variables of Terraform.
        """
        files = ["-var-file=envs/lean.tfvars"] if lean else []
        first, *others = infra.options(env, deployer, **variables)
        options = (first, *files, *others)
        if options not in self._made:  # The same options make the same plan, and each takes seconds.
            self._made[options] = self._terraform.plan(*options)
        return self._made[options]


def read(file: Path, env: str) -> dict[str, Any]:
    """Return an environment's plan that `terraform show -json` wrote; raise `ValueError` for anything else."""
    plan = json.loads(file.read_text("utf-8"))
    if not isinstance(plan, dict) or "planned_values" not in plan:
        raise ValueError(_("{file} is no plan: terraform show -json PLAN > {file}").format(file=file))
    if (planned := plan["variables"]["env"]["value"]) != env:
        raise ValueError(
            _("{file} is a plan of {planned}, not of {env}.").format(file=file, planned=planned, env=env)
        )
    return plan
