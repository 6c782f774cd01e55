"""The SAM templates: valid, rendered where they repeat, and asking for nothing that Terraform doesn't keep.

That they make what Terraform would make is compared with a plan, in `test_terraform_plan.py`.
"""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from familycorp_ops import facts
from familycorp_ops.deploy import templates, zip_template
from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.servers.process import NotInstalledError, clean_environment
from familycorp_ops.testing.servers import missing

BOTH = [templates.IMAGE, templates.ZIP]
ENVIRONMENTS = ("dev", "stage", "prod")
SAM = ROOT / "ops" / "sam" / ".venv" / "bin" / "sam"
NAMES = (ROOT / "terraform" / "names.tf").read_text()


def sam(*arguments: str) -> subprocess.CompletedProcess[str]:
    if not SAM.is_file():
        missing("sam", NotInstalledError("SAM isn't installed: `make test` installs it."))
    environment = clean_environment(SAM_CLI_TELEMETRY="0", AWS_DEFAULT_REGION="ap-northeast-2")
    return subprocess.run(
        [str(SAM), *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("template", BOTH, ids=lambda t: t.name)
def test_templates_are_valid_and_lint_finds_nothing(template: Path) -> None:
    ran = sam("validate", "--lint", "-t", str(template))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("template", BOTH, ids=lambda t: t.name)
def test_cfn_lint_finds_nothing(template: Path) -> None:
    cfn_lint = SAM.with_name("cfn-lint")
    if not os.access(cfn_lint, os.X_OK):
        missing("sam", NotInstalledError("cfn-lint isn't installed: `make test` installs it."))
    ran = subprocess.run(
        [str(cfn_lint), "--regions", "ap-northeast-2", "--", str(template)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_zip_template_is_rendered_from_the_images() -> None:
    assert zip_template.rendered() == {templates.ZIP: templates.ZIP.read_text()}, "run `make templates`"


def test_functions_are_those_of_the_one_file() -> None:
    for path, packaging in ((templates.IMAGE, {"PackageType", "ImageUri"}), (templates.ZIP, {"Handler"})):
        functions = templates.functions(templates.load(path))
        assert functions.keys() == facts.FUNCTIONS.keys()
        for name, fact in facts.FUNCTIONS.items():
            found = functions[name]
            assert found["Description"] == f"Function that {fact['purpose']}"
            assert (found["Timeout"], found["MemorySize"]) == (fact["timeout"], fact["memory"])
            assert ("VpcConfig" in found) is fact["vpc"]
            runs = found["ImageConfig"]["Command"][0] if "ImageConfig" in found else found.get("Handler")
            assert runs == (
                fact["handler"] or (path == templates.ZIP and "app.functions.http.handler") or None
            )
            assert found.keys() >= packaging


ROUTES = """
import sys
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

stacks, _ = SamLocalStackProvider.get_stacks(sys.argv[1])
known = {function.functionname: function.name for function in SamFunctionProvider(stacks).get_all()}
for route in ApiProvider(stacks).api.routes:
    print(route.path, known.get(route.function_name))
"""


@pytest.mark.parametrize("template", BOTH, ids=lambda t: t.name)
def test_sam_local_finds_the_function_of_each_route(template: Path) -> None:
    """SAM resolves few intrinsic functions, and would serve a route without a function as 502."""
    if not SAM.is_file():
        missing("sam", NotInstalledError("SAM isn't installed: `make test` installs it."))
    ran = subprocess.run(
        [str(SAM.with_name("python")), "-c", ROUTES, str(template)],
        env=clean_environment(AWS_DEFAULT_REGION="ap-northeast-2"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert dict(line.split() for line in ran.stdout.splitlines()) == {
        "$default": "BackendFunction",
        "/v1/auth/{proxy+}": "AuthFunction",
    }


def test_no_account_address_or_secret_is_typed() -> None:
    for path in [*BOTH, ROOT / "samconfig.toml"]:
        text = path.read_text()
        for typed in ("amazonaws.com/", "arn:aws:", "subnet-", "sg-", "https://www."):
            assert typed not in text, (path.name, typed)
        assert not any(len(word) == 12 and word.isdigit() for word in text.replace(":", " ").split())


def test_images_are_named_by_digest_or_built_by_sam() -> None:
    template = templates.load(templates.IMAGE)
    for name in ("ImageDigest", "FunctionsDigest"):
        assert template["Parameters"][name]["Default"] == ""
        assert re.fullmatch(template["Parameters"][name]["AllowedPattern"], "sha256:" + "a" * 64)
        assert not re.fullmatch(template["Parameters"][name]["AllowedPattern"], "latest")
    registry = "{{resolve:ssm:/familycorp/${Environment}/registry/backend}}"
    for name, fact in facts.FUNCTIONS.items():
        function = template["Resources"][f"{name.title().replace('-', '')}Function"]
        # The Web Adapter, an extension, starts wherever it is in the image.
        target, digest = (
            ("http", "ImageDigest") if fact["handler"] is None else ("functions", "FunctionsDigest")
        )
        uri = {"Fn::If": ["HasImages", {"Fn::Sub": f"{registry}@${{{digest}}}"}, {"Ref": "AWS::NoValue"}]}
        assert function["Properties"]["ImageUri"] == uri
        assert function["Metadata"] == {
            "Dockerfile": "be-app/Dockerfile",
            "DockerContext": ".",
            "DockerTag": "sam",
            "DockerBuildTarget": f"sam-{target}",
        }


def test_a_template_looks_up_less_than_cloudformation_bears() -> None:
    for path in BOTH:
        looked_up = path.read_text().count("{{resolve:")
        functions = len(templates.functions(templates.load(path)))
        # What is in `Globals` is looked up once for each function; sixty is the limit for one template.
        in_globals = path.read_text().partition("Resources:")[0].count("{{resolve:")
        assert looked_up + in_globals * (functions - 1) <= 60


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_each_environment_has_its_configuration(env: str) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())[env]
    deploy = config["deploy"]["parameters"]
    assert deploy["stack_name"] == f"familycorp-{env}-backend"
    assert '"releases"] : kind => "${local.name}-${kind}${local.bucket_suffix}"' in NAMES
    assert deploy["s3_bucket"] == f"familycorp-{env}-releases"
    assert {c["parameters"]["stack_name"] for c in config.values()} == {deploy["stack_name"]}
    assert {c["parameters"]["region"] for c in config.values()} == {"ap-northeast-2"}
    file = deploy["parameter_overrides"].removeprefix("file://")
    given: dict[str, Any] = yaml.safe_load((ROOT / file).read_text())
    assert given.pop("Environment") == env
    assert all(name.startswith(f"/familycorp/{env}/") for name in given.values())
    wanted = templates.load(templates.ZIP)["Parameters"]
    assert given.keys() == {name for name, p in wanted.items() if p["Type"].startswith("AWS::SSM")}
    assert {n for n, p in wanted.items() if "Default" not in p} == {"Environment", *given}
