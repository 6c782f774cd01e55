#!/usr/bin/env python3
"""Puts uv into a directory: the version, and only with the SHA-256, that ops/emulator/uv.lock pins.

usage: bring_uv.py DIR      makes DIR/uv

Needs nothing beside Python's standard library, because Debian's `python3` comes without pip and venv.
"""

import hashlib
import io
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from pathlib import Path

LOCK = Path(__file__).parents[1] / "ops" / "emulator" / "uv.lock"


def platform_tags() -> tuple[str, str]:
    """Return what the file name of this machine's wheel contains: its system's and its processor's tag."""
    machine = platform.machine().lower()
    if platform.system() == "Darwin":
        return "macosx", machine
    return "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux", machine


def download(wheels: list[dict[str, str]]) -> bytes:
    """Return the program from the wheel for this machine, fetched from where the lock file says."""
    tags = platform_tags()
    wheel = next((w for w in wheels if all(tag in w["url"].rsplit("/", 1)[1] for tag in tags)), None)
    if wheel is None:
        raise ValueError(f"there is none for {' '.join(tags)}")
    with urllib.request.urlopen(wheel["url"], timeout=60) as answer:  # noqa: S310 - the lock file's URL.
        content = answer.read()
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != wheel["hash"]:
        raise ValueError(f"{wheel['url']} isn't what the lock file pins")
    archive = zipfile.ZipFile(io.BytesIO(content))
    return archive.read(next(name for name in archive.namelist() if name.endswith("/scripts/uv")))


def by_pip(version: str, wheels: list[dict[str, str]]) -> bytes:
    """Return the program as pip gets it: from a mirror it is configured for, with its own certificates."""
    with tempfile.TemporaryDirectory() as place:
        requirement = Path(place, "requirements.txt")
        requirement.write_text(" ".join([f"uv=={version}", *(f"--hash={wheel['hash']}" for wheel in wheels)]))
        install = ["install", "-q", "--no-deps", "--target", place, "-r", str(requirement)]
        subprocess.run([sys.executable, "-m", "pip", *install], check=True, capture_output=True)
        return Path(place, "bin", "uv").read_bytes()


def main() -> str | None:
    """Do as the module says; return a sentence for the person where it can't be done."""
    target = Path(sys.argv[1], "uv")
    package = next(p for p in tomllib.loads(LOCK.read_text())["package"] if p["name"] == "uv")
    version, wheels = package["version"], package["wheels"]
    sys.stderr.write(f"Fetching uv {version} into {target.parent} ...\n")
    try:
        program = download(wheels)
    except (OSError, ValueError) as error:
        try:
            program = by_pip(version, wheels)
        except (OSError, subprocess.CalledProcessError):  # No pip, or one that couldn't either.
            return f"uv {version} couldn't be fetched ({error}): check the network, or install uv yourself."
    target.parent.mkdir(parents=True, exist_ok=True)
    # Complete or not there at all, whenever this is interrupted.
    partial = target.with_suffix(".partial")
    partial.write_bytes(program)
    partial.chmod(0o755)
    shutil.move(partial, target)
    return None


if __name__ == "__main__":
    sys.exit(main())
