"""What `sam build` makes of the zip variant: complete, compiled, pruned, and no larger than it was."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from familycorp_ops.deploy import templates
from familycorp_ops.deploy.infra import ROOT
from familycorp_ops.servers.process import NotInstalledError, clean_environment
from familycorp_ops.testing.commands import familycorp
from familycorp_ops.testing.servers import missing

pytestmark = [pytest.mark.package, pytest.mark.timeout(1200)]

SAM = ROOT / "ops" / "sam" / ".venv" / "bin" / "sam"
PYTHON = Path(sys.base_prefix, "bin", "python3.12")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not SAM.is_file() or not PYTHON.is_file():
        missing(
            "sam", NotInstalledError("SAM or Python 3.12 isn't installed: `make package-test` installs SAM.")
        )
    made = tmp_path_factory.mktemp("build")
    ran = subprocess.run(
        [str(SAM), "build", "-t", str(templates.ZIP), "--build-dir", str(made)],
        cwd=ROOT,
        env=clean_environment(SAM_CLI_TELEMETRY="0", AWS_DEFAULT_REGION="ap-northeast-2"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    yield made
    shutil.rmtree(made)


def test_the_sizes_are_within_bounds_and_no_dependency_grew(build: Path) -> None:
    ran = familycorp("sizes", str(build))
    assert ran.returncode == 0, ran.stdout


def test_growth_and_newcomers_are_noticed(build: Path, tmp_path: Path) -> None:
    fat = tmp_path / "build"
    shutil.copytree(build, fat)
    python = fat / "DependenciesLayer" / "python"
    (python / "redis" / "more.bin").write_bytes(b"\0" * 1_000_000)
    (python / "newcomer").mkdir()
    (python / "newcomer" / "lib.so").write_bytes(b"\0" * 1_500_000)
    ran = familycorp("sizes", str(fat))
    assert ran.returncode == 1
    assert sorted(line.split()[0] for line in ran.stdout.splitlines()) == ["newcomer", "redis"]


def test_everything_is_compiled_and_nothing_else_is_there(build: Path) -> None:
    python = build / "DependenciesLayer" / "python"
    assert not list(python.rglob("*.py"))
    assert list(python.rglob("*.pyc"))
    for function in templates.functions(templates.load(templates.ZIP)):
        task = build / f"{function.title().replace('-', '')}Function"
        assert {p.name for p in task.iterdir()} == {"app", "migrations"}
        for source in task.rglob("*.py"):
            compiled = Path(importlib.util.cache_from_source(str(source), optimization=""))
            assert compiled.is_file(), source
            # PEP 552: bit 0 says that a hash, not a time, is kept; bit 1 that it is compared with the source.
            assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 1
    here = str(ROOT).encode()
    assert [p for p in build.rglob("*.pyc") if here in p.read_bytes()] == []
    forbidden = {"tests", "__pycache__", "uvicorn", "uvloop", "pip"}
    assert not forbidden & {p.name for p in python.rglob("*") if p.is_dir()}


def test_every_native_module_and_entry_point_loads_from_the_artefact_alone(build: Path) -> None:
    handlers = {f["Handler"] for f in templates.functions(templates.load(templates.ZIP)).values()}
    script = """
import importlib, pathlib, sys
for handler in sys.argv[2:]:
    module, _, name = handler.rpartition(".")
    getattr(importlib.import_module(module), name)
layer = pathlib.Path(sys.argv[1])
for file in layer.rglob("*.so"):
    name = str(file.relative_to(layer)).replace("/", ".").partition(".cpython-")[0]
    name = name.removesuffix(".so").removesuffix(".abi3")
    if ".libs" not in name and "linux-x86_64" not in name and "linux-aarch64" not in name:
        importlib.import_module(name)
import pyvips, wasmtime
wasmtime.Engine(); pyvips.Image.black(2, 2).avg()
"""
    layer = build / "DependenciesLayer" / "python"
    ran = subprocess.run(
        [str(PYTHON), "-S", "-B", "-c", script, str(layer), *handlers],
        env={"PYTHONPATH": f"{build / 'BackendFunction'}:{layer}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_the_policy_is_where_it_mounts_and_precompiled_for_here(build: Path) -> None:
    bundle = build / "PolicyLayer" / "opa" / "bundle"
    assert {p.name for p in bundle.iterdir()} == {
        *("policy.wasm", "data.json", "manifest.json", "policy.cwasm", "policy.json")
    }
    assert json.loads((bundle / "policy.json").read_text())["target"].startswith("x86_64")
