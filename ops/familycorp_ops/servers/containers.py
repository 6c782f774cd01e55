"""Container engines of this machine: Docker, podman or buildah.

podman and buildah get a store and a configuration of their own below `~/.cache/familycorp`, so that stand-ins for
base images never appear among a developer's images under official names.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from familycorp_ops.servers.process import NotInstalledError

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "familycorp")
INSTALL: Final = (
    "apt-get install -y --no-install-recommends buildah podman skopeo runc netavark aardvark-dns iptables"
)
"""Debian's packages for builds and runs without Docker."""

_CONTAINERS: Final = """\
[containers]
# The engine's default is more than a container inside a container may ask for.
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
{runtime}
[network]
network_backend = "netavark"
"""

_STORAGE: Final = """\
[storage]
driver = "overlay"
graphroot = "{store}/images"
runroot = "{store}/run"
"""


@cache
def environment() -> Mapping[str, str]:
    """Return the environment of podman, buildah and skopeo: this process's, with the project's store."""
    store = CACHE / "containers"
    store.mkdir(parents=True, exist_ok=True)
    # crun, which podman prefers, fails where cgroups of both versions are mounted.
    runtime = 'runtime = "runc"\n' if shutil.which("runc") else ""
    files = {
        "CONTAINERS_CONF": (store / "containers.conf", _CONTAINERS.format(runtime=runtime)),
        "CONTAINERS_STORAGE_CONF": (store / "storage.conf", _STORAGE.format(store=store)),
    }
    for file, text in files.values():
        if not file.exists() or file.read_text() != text:
            fresh = file.with_suffix(f".{os.getpid()}")
            fresh.write_text(text)
            fresh.replace(file)
    return os.environ | {name: str(file) for name, (file, _) in files.items()}


def builder(*, local: bool) -> str:
    """Return which of `docker`, `podman` and `buildah` builds images here; `NotInstalledError` where none does.

    Args:
        local: whether bases are stand-ins, which Docker can't name by digest.
    """
    if not local and docker_runs():
        return "docker"
    # buildah first: podman only calls it, and loads more.
    found = next(filter(shutil.which, ("buildah", "podman")), None)
    if found is None:
        wanted = "Neither buildah nor podman is" if local else "None of Docker, podman and buildah is"
        raise NotInstalledError(f"{wanted} installed. On Debian: {INSTALL}")
    return found


def podman() -> str:
    """Return the program that runs containers; `NotInstalledError` where it isn't there."""
    found = shutil.which("podman")
    if found is None:
        raise NotInstalledError(f"podman isn't installed. On Debian: {INSTALL}")
    return found


def docker_runs() -> bool:
    """Return whether Docker's program is here and reaches its daemon."""
    if not shutil.which("docker"):
        return False
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
