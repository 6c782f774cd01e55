"""Whether this machine has what `make up`, the tests and a deployment need."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from familycorp_ops import up
from familycorp_ops.doctor import Check, Finding
from familycorp_ops.servers.process import port_is_free

ROOT: Final = Path(__file__).parents[3]
FREE_BYTES: Final = 2 * 1024**3
"""Environments of all tools, a database and logs fit into it."""


class Tool(NamedTuple):
    """A program that something here starts."""

    name: str
    purpose: str
    version: tuple[str, ...] = ("--version",)
    least: tuple[int, ...] = ()


TOOLS: Final = (
    Tool("git", "releases and their differences"),
    Tool("make", "every target"),
    Tool("terraform", "plans and applies", ("version",), (1, 10)),
    Tool("docker", "building the image"),
    Tool("skopeo", "bringing the image into a registry"),
    Tool("opa", "building the policy anew", ("version",)),
    Tool("mariadbd", "tests on MariaDB"),
    Tool("node", "the tests' login provider"),
)
"""None of them is needed to run the application here."""
PARTS: Final = {
    "The AWS emulator": ROOT / "ops" / "emulator" / ".venv" / "bin" / "ministack",
    "The login provider": ROOT / "ops" / "provider" / ".venv" / "bin" / "nanoidp",
}


def checks(state: Path, port: int) -> Iterator[Check]:
    """Look at this machine."""
    yield python(sys.version_info[:2])
    yield tools()
    yield parts()
    yield listening(state, port)
    yield directory(state)
    yield disk(state, FREE_BYTES)
    yield settings()


def python(version: tuple[int, int]) -> Check:
    """Return whether the interpreter is one that the code supports."""
    findings = []
    if not (3, 11) <= version < (3, 14):
        mend = "install 3.12, then `make clean` and `make up`: they take the best that is there."
        findings.append(Finding(f"Python {version[0]}.{version[1]} isn't supported.", mend))
    return Check("python", f"{platform.python_version()}, {sys.prefix}", tuple(findings))


def tools() -> Check:
    """Return which programs are there, and whether they are new enough."""
    seen, findings = [], []
    for tool in TOOLS:
        path = shutil.which(tool.name) or shutil.which(tool.name, path="/usr/sbin")
        if path is None:
            seen.append(f"no {tool.name} (for {tool.purpose})")
            continue
        version = _version([path, *tool.version])
        seen.append(f"{tool.name} {version or '?'}")
        if tool.least and tuple(map(int, version.split(".")[:2])) < tool.least:
            least = ".".join(map(str, tool.least))
            findings.append(
                Finding(
                    f"{path} is {version}, and {tool.purpose} need {least}.",
                    f"put {tool.name} {least} or newer first on PATH.",
                )
            )
    return Check("tools", ", ".join(seen), tuple(findings))


def _version(command: list[str]) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "0.0"
    found = re.search(r"(?<!\d)\d{1,4}\.\d{1,4}(?:\.\d{1,6})?", ran.stdout + ran.stderr)
    return found[0] if found else "0.0"


def parts() -> Check:
    """Return whether what `make up` starts is installed."""
    missing = [name for name, program in PARTS.items() if not program.is_file()]
    findings = tuple(Finding(f"{name} isn't installed.", "`make up` installs it.") for name in missing)
    return Check("parts", f"{len(PARTS) - len(missing)} of {len(PARTS)} that `make up` starts", findings)


def listening(state: Path, port: int) -> Check:
    """Return whether `make up` could listen, or already does."""
    if port_is_free(port):
        return Check("port", f"{port} is free")
    if up.running_settings(state):
        return Check("port", f"{port} is in use, and `make up` runs on {state}")
    finding = Finding(
        f"Another program listens on port {port}.", f"`make up PORT={port + 1}`, or end the other."
    )
    return Check("port", f"{port} is in use", (finding,))


def directory(state: Path) -> Check:
    """Return whether the state directory can be made and written."""
    there = _existing(state)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check("state", f"{state} can be written")
    finding = Finding(
        f"{there} is no directory that can be written.", "`make up STATE=DIR` with another one."
    )
    return Check("state", str(state), (finding,))


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(p for p in (path, *path.parents) if p.exists())


def disk(state: Path, needed: int) -> Check:
    """Return whether the state directory's disk has as many bytes left as are needed."""
    free = shutil.disk_usage(_existing(state)).free
    seen = f"{free / 1024**3:.1f} GB free"
    if free >= needed:
        return Check("disk", seen)
    mend = "`make clean` deletes environments and caches; `make reset` the local data."
    return Check("disk", seen, (Finding(f"{needed / 1024**3:.1f} GB are needed.", mend),))


def settings() -> Check:
    """Return whether FAMILYCORP_* variables, which win over what `make up` chooses, can be used."""
    given = sorted(name for name in os.environ if name.startswith("FAMILYCORP_"))
    if not given:
        return Check("settings", "no FAMILYCORP_* variable is set")
    from app.core.settings import SettingsError  # noqa: PLC0415 - only who sets variables waits for it.
    from app.core.settings import settings as read  # noqa: PLC0415

    try:
        read()
    except SettingsError as error:
        mend = f"unset {' '.join(given)}, or correct it: docs/backend.md lists all settings."
        return Check("settings", ", ".join(given), (Finding(f"{error}.", mend),))
    return Check("settings", f"{', '.join(given)}: accepted")
