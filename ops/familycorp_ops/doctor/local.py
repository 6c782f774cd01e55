"""Whether this machine has what `make up`, the tests and a deployment need."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Final, NamedTuple

from familycorp_ops import environment
from familycorp_ops.deploy import infra
from familycorp_ops.doctor.checks import Check, Finding
from familycorp_ops.messages import marked
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
    Tool("git", marked("releases and their differences")),
    Tool("make", marked("every target")),
    Tool("terraform", marked("plans, applies and costs"), ("version",), (1, 10)),
    Tool("docker", marked("building the image")),
    Tool("skopeo", marked("pushing the image to a registry")),
    Tool("opa", marked("building the policy"), ("version",)),
    Tool("mariadbd", marked("tests on MariaDB")),
    Tool("node", marked("the tests' login provider")),
)
"""None of them is needed to run the application here."""
PARTS: Final = {
    marked("The AWS emulator"): ROOT / "ops" / "emulator" / ".venv" / "bin" / "ministack",
    marked("The login provider"): ROOT / "ops" / "provider" / ".venv" / "bin" / "nanoidp",
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
        fix = _("install 3.12, then `make clean` and `make up`: they take the best that is there.")
        findings.append(
            Finding(_("Python {version} isn't supported.").format(version=f"{version[0]}.{version[1]}"), fix)
        )
    return Check(marked("python"), f"{platform.python_version()}, {sys.prefix}", tuple(findings))


def tools() -> Check:
    """Return which programs are there, and whether they are new enough."""
    seen, findings = [], []
    for tool in TOOLS:
        path = shutil.which(tool.name) or shutil.which(tool.name, path="/usr/sbin")
        if path is None:
            seen.append(_("no {tool} (for {purpose})").format(tool=tool.name, purpose=_(tool.purpose)))
            continue
        version = _version([path, *tool.version])
        seen.append(f"{tool.name} {version or '?'}")
        if tool.name == "terraform" and not infra.has_provider():
            seen[-1] += f" ({_(infra.NO_PROVIDER).rstrip('.')})"
        if tool.least and tuple(map(int, version.split(".")[:2])) < tool.least:
            least = ".".join(map(str, tool.least))
            findings.append(
                Finding(
                    _("{path} is {version}, and {least} is needed for: {purpose}.").format(
                        path=path, version=version, least=least, purpose=_(tool.purpose)
                    ),
                    _("put {tool} {least} or newer first on PATH.").format(tool=tool.name, least=least),
                )
            )
    return Check(marked("tools"), ", ".join(seen), tuple(findings))


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
    what, fix = _("{part} isn't installed."), _("`make up` installs it.")
    findings = tuple(Finding(what.format(part=_(name)), fix) for name in missing)
    seen = _("{there} of {all} that `make up` starts")
    return Check(marked("parts"), seen.format(there=len(PARTS) - len(missing), all=len(PARTS)), findings)


def listening(state: Path, port: int) -> Check:
    """Return whether `make up` could listen, or already does."""
    if port_is_free(port):
        return Check(marked("port"), _("{port} is free").format(port=port))
    if environment.running_settings(state):
        return Check(
            "port", _("{port} is in use, and `make up` runs on {state}").format(port=port, state=state)
        )
    finding = Finding(
        _("Another program listens on port {port}.").format(port=port),
        _("`make up PORT={port}`, or end the other.").format(port=port + 1),
    )
    return Check("port", _("{port} is in use").format(port=port), (finding,))


def directory(state: Path) -> Check:
    """Return whether the state directory can be made and written."""
    there = _existing(state)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Check(marked("state"), _("{state} can be written").format(state=state))
    finding = Finding(
        _("{there} is no directory that can be written.").format(there=there),
        _("`make up STATE=DIR` with another one."),
    )
    return Check("state", str(state), (finding,))


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(p for p in (path, *path.parents) if p.exists())


def disk(state: Path, needed: int) -> Check:
    """Return whether the state directory's disk has as many bytes left as are needed."""
    free = shutil.disk_usage(_existing(state)).free
    seen = _("{free:.1f} GB free").format(free=free / 1024**3)
    if free >= needed:
        return Check(marked("disk"), seen)
    fix = _("`make clean` deletes environments and caches; `make reset` the local data.")
    return Check(
        "disk", seen, (Finding(_("{needed:.1f} GB are needed.").format(needed=needed / 1024**3), fix),)
    )


def settings() -> Check:
    """Return whether FAMILYCORP_* variables, which win over what `make up` chooses, can be used."""
    given = sorted(name for name in os.environ if name.startswith("FAMILYCORP_"))
    if not given:
        return Check(marked("settings"), _("no FAMILYCORP_* variable is set"))
    from app.core.settings import SettingsError  # noqa: PLC0415 - only who sets variables waits for it.
    from app.core.settings import settings as read  # noqa: PLC0415

    try:
        read()
    except SettingsError as error:
        fix = _("unset {variables}, or correct it: docs/reference/settings.md lists all settings.").format(
            variables=" ".join(given)
        )
        return Check("settings", ", ".join(given), (Finding(f"{error}.", fix),))
    return Check("settings", _("{variables}: accepted").format(variables=", ".join(given)))
