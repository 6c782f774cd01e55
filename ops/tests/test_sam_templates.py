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
S3 = (ROOT / "terraform" / "s3.tf").read_text()


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


def test_no_account_address_or_secret_is_typed() -> None:
    for path in [*BOTH, ROOT / "samconfig.toml"]:
        text = path.read_text()
        for typed in ("amazonaws.com/", "arn:aws:", "subnet-", "sg-", "https://www."):
            assert typed not in text, (path.name, typed)
        assert not any(len(word) == 12 and word.isdigit() for word in text.replace(":", " ").split())


def test_the_digest_of_an_image_has_no_default() -> None:
    digest = templates.load(templates.IMAGE)["Parameters"]["ImageDigest"]
    assert digest.keys() == {"Type", "AllowedPattern", "Description"}


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
    assert '"releases"] : kind => "${local.name}-${kind}${local.bucket_suffix}"' in S3
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


def test_the_image_takes_its_bases_by_digest_and_doesnt_run_as_root() -> None:
    lines = (ROOT / "be-app" / "Dockerfile").read_text().splitlines()
    arguments = [line.removeprefix("ARG ") for line in lines if line.startswith("ARG ")]
    assert all("=" not in a for a in arguments)  # No default: without a digest nothing is built.
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert len(bases) == 4
    assert all(re.fullmatch(r"[a-z0-9./-]+@\$\{[A-Z]+_DIGEST\}", base) for base in bases)
    assert {b.partition("${")[2].rstrip("}") for b in bases} <= set(arguments)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert not users[-1].startswith(("0", "root"))
    text = "\n".join(lines)
    assert "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS=200-299" in text
    assert "/opt/opa/bundle" in text


def test_without_pinned_bases_make_refuses_to_build_an_image() -> None:
    if (ROOT / "be-app" / "base-images.env").exists():
        return
    ran = subprocess.run(["make", "image"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "make base-images" in ran.stdout
    assert "docker" not in ran.stdout


DOCKER = """#!/bin/sh
# Docker's default builder writes no OCI archive, as on GitHub's machines.
echo "$*" >>docker.log
case "$*" in
  "buildx inspect "*) [ -e made-"$3" ];;
  "buildx create "*) case "$*" in *"--driver docker-container"*) touch made-"$4";; *) exit 1;; esac;;
  "buildx build "*) case "$*" in *"--builder "*) [ -e made-"$4" ] && touch build/image.tar;; *) exit 1;; esac;;
  *) exit 1;;
esac
"""


def test_the_image_is_built_by_a_pinned_builder_that_writes_oci_archives(tmp_path: Path) -> None:
    (tmp_path / "be-app").mkdir()
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    docker = tmp_path / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    pins = {name: f"sha256:{str(n) * 64}" for n, name in enumerate(("PYTHON", "UV", "ADAPTER", "BUILDKIT"))}
    (tmp_path / "be-app" / "base-images.env").write_text(
        "".join(f"# its name\n{name}_DIGEST={digest}\n" for name, digest in pins.items())
    )
    path = os.pathsep.join((str(tmp_path), os.environ["PATH"]))
    for _ in range(2):  # The second time the builder is there.
        ran = subprocess.run(
            ["make", "image"],
            cwd=tmp_path,
            env=clean_environment(PATH=path),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    said = (tmp_path / "docker.log").read_text().splitlines()
    (created,) = [line for line in said if line.startswith("buildx create ")]
    assert f"--driver-opt image=docker.io/moby/buildkit@{pins['BUILDKIT']}" in created
    built = [line for line in said if line.startswith("buildx build ")]
    assert len(built) == 2
    for name in ("PYTHON", "UV", "ADAPTER"):
        assert f"--build-arg {name}_DIGEST={pins[name]}" in built[0]
    assert "type=oci,dest=build/image.tar" in built[0]
    # Nothing is fetched that isn't pinned: not even what understands the Dockerfile.
    assert not (ROOT / "be-app" / "Dockerfile").read_text().startswith("# syntax")
