"""Makes stand-ins for the base images from Debian's packages and this machine's Python: no registry is needed.

They carry the official names, so that be-app/Dockerfile is the same, in a store of the project's own, and the label
`familycorp.bases=local`. The store and everything that took long are below `~/.cache/familycorp`.

- Python: Debian, by `debootstrap`, with this machine's Python 3.12 and its shared libraries in `/usr/local`;
- uv: the program of its PyPI wheel;
- Lambda Web Adapter: ops/familycorp_ops/servers/web_adapter.py, or the file that the variable ADAPTER names;
- Lambda's own image, in which `sam local` runs archives: that Python with Lambda's runtime client.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from familycorp_ops.servers.containers import CACHE, environment
from familycorp_ops.servers.function import runtime_client
from familycorp_ops.servers.process import NotInstalledError

ROOT = Path(__file__).parents[3]
STORE = CACHE / "bases"
STAND_IN = ROOT / "ops" / "familycorp_ops" / "servers" / "web_adapter.py"
RUNTIME = "public.ecr.aws/lambda/python:3.12-x86_64"
"""The image in which SAM runs archives (`LambdaImage` in its `lambda_image.py`)."""
BOOTSTRAP = """#!/bin/sh
# Lambda's Python finds a layer's packages before its own.
export PYTHONPATH=/var/task:/opt/python:/var/runtime
exec python -m awslambdaric "$_HANDLER"
"""
_ROOT = "FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin\n"
WITHOUT = (
    *("config-3.12-*", "idlelib", "tkinter", "turtledemo", "turtle.py", "ensurepip", "lib2to3"),
    *("lib-dynload/_tkinter*", "lib-dynload/_test*", "lib-dynload/_ctypes_test*"),
)
"""Parts that the official slim image doesn't have either, or that nothing imports."""
LIGHT = (
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"),
    *("var/cache/apt", "var/lib/apt/lists", "var/cache/debconf", "var/log", "var/cache/ldconfig"),
)
"""Files that Debian's slim images leave out, and logs with the time of the installation."""


def names() -> Mapping[str, str]:
    """Return the bases as the Dockerfile names them by default, by argument: PYTHON, UV, ADAPTER."""
    text = (ROOT / "be-app" / "Dockerfile").read_text()
    return dict(re.findall(r"^ARG (PYTHON|UV|ADAPTER)=(\S+)$", text, re.MULTILINE))


def build(program: str) -> Mapping[str, str]:
    """Return the stand-ins' names by digest, after making those that aren't there.

    Args:
        program: `buildah` or `podman`.
    """
    made = {"PYTHON": _python, "UV": _uv, "ADAPTER": _adapter}
    STORE.mkdir(parents=True, exist_ok=True)
    return {name: _imported(program, tag, made[name]()) for name, tag in names().items()}


def build_runtime(program: str) -> None:
    """Make the stand-in for the image in which `sam local` runs archives; that of `PYTHON` must be there.

    Args:
        program: `buildah` or `podman`.
    """
    root = STORE / "runtime"
    shutil.rmtree(root, ignore_errors=True)
    client = root / "var" / "runtime"
    client.mkdir(parents=True)
    for path in runtime_client():
        if path.is_dir():
            shutil.copytree(path, client / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(path, client)
    bootstrap = client / "bootstrap"
    bootstrap.write_text(BOOTSTRAP)
    bootstrap.chmod(0o755)
    _imported(program, RUNTIME, root, f"FROM {names()['PYTHON']}\nCOPY . /\nWORKDIR /var/task\n")


def _imported(program: str, tag: str, root: Path, containerfile: str = _ROOT) -> str:
    """Build an image that holds a directory; return its name by digest."""
    command = [program, "build", "--quiet", "--layers", "--timestamp", "0", "--isolation", "chroot"]
    command += ["--pull-never", "--label", "familycorp.bases=local", "--tag", tag, "--file", "-", str(root)]
    subprocess.run(
        command, input=containerfile.encode(), env=environment(), check=True, stdout=subprocess.DEVNULL
    )
    ask = [program, "images", "--format", "{{.Digest}}", tag]
    digest = subprocess.run(ask, env=environment(), capture_output=True, text=True, check=True).stdout.strip()
    return f"{tag.rpartition(':')[0]}@{digest}"


def _python() -> Path:
    """Return a directory with Debian and this machine's Python."""
    if not shutil.which("debootstrap") or os.geteuid() != 0:
        raise NotInstalledError(
            "Stand-ins for base images need debootstrap (Debian: apt-get install debootstrap) and root."
        )
    home = python_home()
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    # Python's own libraries are this machine's, so the system must be of the same release.
    root = STORE / f"python-{suite}-{home.name}"
    if root.is_dir():
        return root
    with tempfile.TemporaryDirectory(dir=STORE) as work:
        fresh = Path(work, "root")
        packages = "ca-certificates,netbase,tzdata"
        print(f"Installing Debian's {suite} into {root}: two minutes ...", file=sys.stderr)
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={packages}", suite, str(fresh)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for name in LIGHT:
            shutil.rmtree(fresh / name, ignore_errors=True)
            (fresh / name).mkdir(parents=True)
        (fresh / "var/lib/apt/lists/partial").mkdir()
        (fresh / "var/cache/apt/archives/partial").mkdir(parents=True)
        for device in (
            fresh / "dev"
        ).iterdir():  # An engine brings its own, and a user without privileges can't copy these.
            shutil.rmtree(device) if device.is_dir() and not device.is_symlink() else device.unlink()
        _install_python(home, fresh)
        fresh.rename(root)
    return root


def python_home() -> Path:
    """Return the prefix of a Python 3.12 that runs here; raise `NotInstalledError` where there is none."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    candidates: list[str | Path | None] = [
        os.environ.get("UV_PYTHON"),
        sys.executable,
        shutil.which("python3.12"),
        *versions.glob("3.12.*/bin/python"),
    ]
    script = "import sys; print(sys.base_prefix if sys.version_info[:2] == (3, 12) else '')"
    for candidate in (path for path in candidates if path):
        ran = subprocess.run([candidate, "-I", "-c", script], capture_output=True, text=True, check=False)
        if ran.stdout.strip():
            return Path(ran.stdout.strip())
    raise NotInstalledError(
        "No Python 3.12 runs on this machine; the stand-in for its base image is a copy of one."
    )


def _install_python(home: Path, root: Path) -> None:
    """Copy a Python and the shared libraries that its modules load into `/usr/local` of a root directory."""
    local = root / "usr" / "local"
    library = local / "lib" / "python3.12"
    shutil.copytree(
        home / "lib" / "python3.12",
        library,
        symlinks=True,
        ignore=shutil.ignore_patterns("__pycache__", "test", "site-packages"),
    )
    for pattern in WITHOUT:
        for path in list(library.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copy2(home / "bin" / "python3.12", local / "bin")
    for link in ("python", "python3"):
        (local / "bin" / link).symlink_to("python3.12")
    for needed in sorted(_libraries([local / "bin" / "python3.12", *library.rglob("*.so")])):
        if not any(
            (root / place / needed.name).exists()
            for place in ("lib64", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu")
        ):
            shutil.copy2(needed, local / "lib" / needed.name)
    subprocess.run(["chroot", str(root), "ldconfig"], check=True)
    script = "import bz2, ctypes, hashlib, lzma, sqlite3, ssl, uuid, zlib"
    subprocess.run(["chroot", str(root), "/usr/local/bin/python3.12", "-B", "-c", script], check=True)


def _libraries(files: Iterable[Path]) -> set[Path]:
    """Return the shared libraries that programs and modules load on this machine (ldd(1))."""
    listing = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"=> (/\S+)", listing)}


def _uv() -> Path:
    """Return a directory with uv."""
    program = shutil.which("uv") or shutil.which(ROOT / ".tools" / "uv")
    if program is None:
        raise NotInstalledError("uv isn't installed: `make` brings one.")
    root = STORE / "uv"
    root.mkdir(exist_ok=True)
    shutil.copy2(program, root / "uv")
    return root


def _adapter() -> Path:
    """Return a directory with the adapter: this repository's stand-in, or the program that ADAPTER names."""
    root = STORE / "adapter"
    root.mkdir(exist_ok=True)
    shutil.copy(os.environ.get("ADAPTER") or STAND_IN, root / "lambda-adapter")
    (root / "lambda-adapter").chmod(0o755)
    return root
