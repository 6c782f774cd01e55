#!/usr/bin/env python3
"""Makes what Lambda gets, for its Python and a processor: dependencies, application and policy.

usage: package.py [--arch x86_64|arm64] [--server] dependencies|application|policy|standard-library DIR

`sam build` (be-app/Makefile) and the image's Dockerfile call it; it needs nothing but the standard library and uv.
Versions and hashes are those of uv.lock. Bytecode is compiled here, because Lambda's file system is read-only and
compiling at each start would triple it; it is "unchecked", so that it fits any time that a zip gives the files. Of
dependencies only the bytecode goes along: their sources are a fifth of the size, and only tracebacks would show them.
"""

import argparse
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
VERSION = (3, 12)
PLATFORMS = {"x86_64": "x86_64-manylinux_2_34", "arm64": "aarch64-manylinux_2_34"}
"""uv's names of Amazon Linux 2023, which is what Lambda's Python 3.12 runs on."""

SERVERS = ("uvicorn", "uvloop", "httptools", "h11", "click")
"""What serves HTTP in the image; behind Mangum nothing listens."""

BUILT_FROM_SOURCE = ("pyvips",)
"""What has no wheel; it is pure Python where `pyvips-binary` is."""

AWS_SERVICES = ("dynamodb", "kms", "s3", "secretsmanager", "sns", "sqs", "sts")
"""The services that the application calls. botocore describes four hundred more."""

LEFT_OUT = (
    *("bin", "docs", "examples", "include", "share", ".lock"),
    *("**/tests", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.h", "**/__pycache__"),
    *("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.dist-info/WHEEL"),
    *("botocore/data/*/*/examples-1.json", "olefile/olefile2.py", "sqlalchemy/testing"),
)
"""What nobody imports. Metadata stays: packages ask for versions and entry points."""


def uv() -> str:
    """Return this machine's uv, or the project's own; leave where there is none."""
    found = shutil.which("uv") or shutil.which(ROOT / ".tools" / "uv")
    return found or sys.exit("uv isn't installed: `make` brings one, or see https://docs.astral.sh/uv.")


def remove(paths: Iterable[Path]) -> None:
    """Remove files and directories."""
    for path in list(paths):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def compile_all(directory: Path, *, keep_sources: bool = True, runs_in: str = "") -> None:
    """Compile every module; leave if one can't be.

    Args:
        directory: where they are.
        keep_sources: whether sources stay; else bytecode takes their place.
        runs_in: where the directory will be, for tracebacks; by default they name paths relative to it.
    """
    # The same input gives the same bytes: tracebacks don't name this machine's path, sets of constants have one order
    # and one process compiles all, since which constants share a place depends on what it compiled before.
    command = [sys.executable, "-m", "compileall", "-q", "-s", str(directory)]
    command += ["-p", runs_in] if runs_in else []
    command += ["--invalidation-mode", "unchecked-hash"]
    command += [] if keep_sources else ["-b"]  # Beside its source, where it is found without one.
    ran = subprocess.run([*command, str(directory)], env=os.environ | {"PYTHONHASHSEED": "0"}, check=False)
    if ran.returncode:
        sys.exit(f"Something in {directory} can't be compiled.")
    if not keep_sources:
        remove(directory.rglob("*.py"))


def strip(directory: Path, arch: str) -> None:
    """Take symbols for debuggers out of native modules, where there is a tool for the processor."""
    native = platform.machine() == {"arm64": "aarch64"}.get(arch, arch)
    program = shutil.which("strip" if native else f"{arch.replace('arm64', 'aarch64')}-linux-gnu-strip")
    if program is None:
        sys.stderr.write(f"There is no `strip` for {arch}: the result is 20 MB larger (Debian: binutils).\n")
        return
    # `strip` damages files that auditwheel patched: bundled libraries, and the modules that load them.
    patched = ("pyvips_binary.libs", "_libvips.")
    found = [p for p in directory.rglob("*.so") if not str(p.relative_to(directory)).startswith(patched)]
    subprocess.run([program, "--strip-unneeded", *found], check=True)


def install(target: Path, arch: str, *, only: tuple[str, ...] = (), server: bool = False) -> None:
    """Install be-app's locked dependencies, by hash, with or without what the image needs; or `only` those named."""
    with tempfile.TemporaryDirectory() as work:
        locked = Path(work, "requirements.txt")
        chosen = ["--group=image"] if server else [f"--no-emit-package={name}" for name in SERVERS]
        export = [
            "export",
            "-q",
            "--frozen",
            "--no-dev",
            "--package=familycorp-backend",
            "--no-emit-workspace",
        ]
        subprocess.run(
            [uv(), *export, "--no-annotate", "--no-header", *chosen, "-o", str(locked)],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        if only:
            requirements = locked.read_text().replace("\\\n", " ").splitlines()
            locked.write_text(
                "\n".join(r for r in requirements if r.startswith(tuple(f"{n}==" for n in only)))
            )
        source = [f"--no-binary={name}" for name in BUILT_FROM_SOURCE]
        subprocess.run(
            [
                *(
                    uv(),
                    "pip",
                    "install",
                    "-q",
                    "--target",
                    str(target),
                    "-r",
                    str(locked),
                    "--require-hashes",
                ),
                *("--no-deps", "--only-binary=:all:", *source, "--python", sys.executable),
                *("--python-version=3.12", f"--python-platform={PLATFORMS[arch]}"),
            ],
            check=True,
            env=os.environ | {"UV_LINK_MODE": "copy"},  # Else a change to a file here is one in uv's cache.
        )


def dependencies(target: Path, arch: str, *, server: bool) -> None:
    """Install what the application imports, without what it never will."""
    install(target, arch, server=server)
    for pattern in LEFT_OUT:
        remove(target.glob(pattern))
    data = target / "botocore" / "data"
    remove(d for d in data.iterdir() if d.is_dir() and d.name not in AWS_SERVICES)
    trim_endpoints(data / "endpoints.json")
    for model in data.glob("*/*/service-2.json.gz"):
        trim_model(model)
    strip(target, arch)
    compile_all(target, keep_sources=False)


def trim_endpoints(file: Path) -> None:
    """Leave out the addresses of services that aren't called: botocore reads all before its first call, in 15 ms."""
    known = json.loads(file.read_text())
    for partition in known["partitions"]:
        partition["services"] = {n: s for n, s in partition["services"].items() if n in AWS_SERVICES}
    file.write_text(json.dumps(known, separators=(",", ":")))


def trim_model(file: Path) -> None:
    """Leave out a service's documentation, four fifths of its model, and its compression: 7 ms for DynamoDB."""
    model = json.loads(gzip.decompress(file.read_bytes()), object_hook=_undocumented)
    file.with_suffix("").write_text(json.dumps(model, separators=(",", ":")))
    file.unlink()


def _undocumented(value: dict[str, Any]) -> dict[str, Any]:
    # botocore asks that it be there; a member of that name is another object's, and no text.
    return value | {"documentation": ""} if isinstance(value.get("documentation"), str) else value


def application(target: Path) -> None:
    """Copy the application and its migrations."""
    for name in ("app", "migrations"):
        ignore = shutil.ignore_patterns("__pycache__", "*.pyi", "py.typed")
        shutil.copytree(ROOT / "be-app" / name, target / name, ignore=ignore, dirs_exist_ok=True)
    compile_all(target)


def standard_library(target: Path) -> None:
    """Compile the modules that this Python brings, for an image whose Python has no bytecode of them."""
    source = sysconfig.get_path("stdlib")
    unused = ("site-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip")
    not_modules = shutil.ignore_patterns("__pycache__", "lib-dynload", "config-*", "pydoc_data", *unused)
    shutil.copytree(source, target, ignore=not_modules)
    compile_all(target, runs_in=source)
    remove(path for path in target.rglob("*") if path.is_file() and path.suffix != ".pyc")


def policy(target: Path, arch: str) -> None:
    """Copy the built policy, and compile it where this machine is of the kind that will run it."""
    built = ROOT / "be-app" / "opa" / "build" / "opa" / "bundle"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("policy.wasm", "data.json", "manifest.json"):
        shutil.copy(built / name, target)
    here = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    if (platform.system(), here) != ("Linux", arch):
        sys.stderr.write(f"The policy can't be compiled for {arch} here: each process will, in 0.1 s.\n")
        return
    with tempfile.TemporaryDirectory() as libraries:
        install(Path(libraries), arch, only=("orjson", "wasmtime"))
        script = "import pathlib, sys; from app.authz import wasm; wasm.precompile(pathlib.Path(sys.argv[1]))"
        subprocess.run(
            [sys.executable, "-B", "-c", script, str(target / "policy.wasm")],
            check=True,
            env={"PYTHONPATH": os.pathsep.join([libraries, str(ROOT / "be-app")])},
        )


def main() -> None:
    """Do as the module says."""
    parser = argparse.ArgumentParser(description="Make what Lambda gets.")
    parser.add_argument("what", choices=["dependencies", "application", "policy", "standard-library"])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--arch", choices=PLATFORMS, default="x86_64")
    parser.add_argument("--server", action="store_true", help="with what serves HTTP, for the image")
    chosen = parser.parse_args()
    if sys.version_info[:2] != VERSION:
        sys.exit(f"Lambda's Python is 3.12; this is {platform.python_version()}, whose bytecode is another.")
    if chosen.what == "dependencies":
        dependencies(chosen.directory, chosen.arch, server=chosen.server)
    elif chosen.what == "policy":
        policy(chosen.directory, chosen.arch)
    elif chosen.what == "standard-library":
        standard_library(chosen.directory)
    else:
        application(chosen.directory)


if __name__ == "__main__":
    main()
