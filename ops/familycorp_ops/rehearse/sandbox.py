"""What AWS Lambda puts around a function, as far as Linux namespaces give it.

MiniStack would start functions in its own interpreter, with its own packages and the whole machine in sight: what
ran there would prove nothing about the artefact. The program made here takes that interpreter's place. It enters a
mount namespace of its own, in which

- layers are merged in `/opt`, and `/opt` and the task's root are read-only, as is everything but `/tmp`;
- `/tmp` is empty and holds 512 MB;
- nothing is resolved but the names that the function's network would resolve, to stand-ins on loopback;
- the authorities that are trusted are the rehearsal's, also in place of Amazon's RDS bundle;

and starts a Python 3.12 without site-packages, in an environment of nothing but Lambda's variables and the
function's own. Memory, CPU, the network's borders and the caller's size limits are not Lambda's.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from familycorp_ops.servers.process import NotInstalledError

VERSION: Final = "3.12"
RDS_CA: Final = "app/core/database/rds_ca.pem"
"""Amazon's authorities of databases, as they come with the code."""

_OUTER: Final = """#!/bin/sh
# Starts one execution environment of a function: $1 is MiniStack's worker script.
# Where the release is an image, a container takes the place of what follows.
[ ! -e image.json ] || exec {container} {hosts} {ca}
exec unshare --map-root-user --mount --propagation private -- {inner} "$@"
"""

_INNER: Final = """#!/bin/sh
set -eu
worker=$1 code=$(pwd -P)
name=${{AWS_LAMBDA_FUNCTION_NAME:?}}

# A later mount hides what an earlier one needs, so everything is gathered below /var first.
mount -t tmpfs -o mode=755 tmpfs /var
mkdir -p /var/task /var/runtime /var/layers
mount --bind "$code" /var/task
cp "$worker" /var/runtime/worker.py
cp {ca} /var/runtime/ca.pem
cp {hosts}/"$name" /var/runtime/hosts 2>/dev/null || cp {hosts}/default /var/runtime/hosts
if [ -e /var/task/{rds_ca} ]; then
  mount --bind /var/runtime/ca.pem /var/task/{rds_ca}
fi
mount -o remount,bind,ro /var/task

mount -t tmpfs -o mode=755 tmpfs /opt
saved=$IFS; IFS=:
for layer in ${{_LAMBDA_LAYERS_DIRS:-}}; do cp -a "$layer/." /opt/; done
IFS=$saved
mount -o remount,ro /opt

mount -t tmpfs -o mode=1777,size=512m tmpfs /tmp
# MiniStack gives its worker the code's path on this machine.
mkdir -p "$code" 2>/dev/null && mount --rbind /var/task "$code"
mount --bind /var/runtime/hosts /etc/hosts
mount --bind /dev/null /etc/resolv.conf
mount -o remount,ro /var
mount -o remount,bind,ro /

cd /var/task
for variable in $(env | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p'); do
  case $variable in
    AWS_CA_BUNDLE | AWS_CONFIG_FILE | AWS_SHARED_CREDENTIALS_FILE) unset "$variable" ;;
    AWS_* | FAMILYCORP_* | OPA_* | LAMBDA_TASK_ROOT | NOTICES_* | _LAMBDA_TIMEOUT | _X_AMZN_*) ;;
    *) unset "$variable" ;;
  esac
done
PATH=/usr/local/bin:/usr/bin:/bin LANG=en_US.UTF-8 TZ=:UTC HOME=/tmp
LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime _LAMBDA_LAYERS_DIRS=/opt
AWS_CA_BUNDLE=/var/runtime/ca.pem SSL_CERT_FILE=/var/runtime/ca.pem AWS_EC2_METADATA_DISABLED=true
export PATH LANG TZ HOME LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR _LAMBDA_LAYERS_DIRS
export AWS_CA_BUNDLE SSL_CERT_FILE AWS_EC2_METADATA_DISABLED
exec {python} -I -S /var/runtime/worker.py
"""


def python() -> Path:
    """Return a real Python of Lambda's version, not a shim; raise `NotInstalledError` where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    candidates = [
        os.environ.get("UV_PYTHON"),
        sys.executable,
        shutil.which(f"python{VERSION}"),
        *map(str, sorted(pyenv.glob(f"{VERSION}*/bin/python"))),
    ]
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.base_prefix)"
    for candidate in filter(None, candidates):
        ran = subprocess.run([candidate, "-I", "-c", code], capture_output=True, text=True, check=False)
        version, _, prefix = ran.stdout.strip().partition(" ")
        program = Path(prefix, "bin", f"python{VERSION}")
        if version == VERSION and program.is_file():
            return program
    raise NotInstalledError(f"Python {VERSION}, Lambda's version, isn't installed: UV_PYTHON may name one.")


def check() -> None:
    """Raise `NotInstalledError` where this machine doesn't let a process have a mount namespace of its own."""
    program = shutil.which("unshare")
    if program is None:
        raise NotInstalledError(
            "unshare isn't installed: the rehearsal isolates functions with Linux's namespaces."
        )
    ran = subprocess.run(
        [
            program,
            "--map-root-user",
            "--mount",
            "--propagation",
            "private",
            "--",
            "mount",
            "-t",
            "tmpfs",
            "tmpfs",
            "/opt",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise NotInstalledError(
            f"This machine gives no mount namespace ({ran.stderr.strip()}): run as root, or allow "
            "unprivileged user namespaces."
        )


def make(directory: Path, ca: Path) -> Path:
    """Write the program that stands in for MiniStack's interpreter; return its path.

    Args:
        directory: where it and its files go.
        ca: PEM file of the authorities that functions trust.
    """
    hosts = directory / "hosts"
    hosts.mkdir(parents=True)
    resolve(hosts, "default", {})
    outer, inner = directory / "function", directory / "function-inside"
    names = {"ca": ca, "hosts": hosts, "inner": inner, "python": python(), "rds_ca": RDS_CA}
    quoted = {key: shlex.quote(str(value)) for key, value in names.items()}
    quoted["container"] = f"{shlex.quote(sys.executable)} -P -m familycorp_ops.rehearse.container"
    for program, text in ((inner, _INNER), (outer, _OUTER)):
        program.write_text(text.format(**quoted))
        program.chmod(0o755)
    return outer


def resolve(hosts: Path, function: str, names: Mapping[str, str]) -> None:
    """Say which address a function finds behind each name; `default` is any other function."""
    lines = [f"{address} {name}\n" for name, address in {"localhost": "127.0.0.1", **names}.items()]
    (hosts / function).write_text("".join(lines))
