"""One execution environment of a function whose release is an image: a container, as a worker of MiniStack's.

MiniStack writes a line of JSON to a worker when it starts and another one with each event, and reads a line of JSON
after each. What the worker writes to standard error is the function's log.

The container has the bounds of `ImageFunction`, the function's own variables, and the view of the network that
`sandbox.py` describes: nothing is resolved but the names of a file, and the rehearsal's authority alone is trusted.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from familycorp_ops.rehearse.sandbox import RDS_CA
from familycorp_ops.servers import containers
from familycorp_ops.servers.function import TIMEOUT, ImageFunction
from familycorp_ops.servers.process import ServerError

LABEL: Final = "familycorp.rehearsal"
"""Label of the containers of a rehearsal; its value is the directory of names."""
_TRUSTED: Final = "/var/runtime/ca.pem"
_NOT_LAMBDAS: Final = {"AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}
_PLATFORM: Final = ("START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT ")
"""Beginnings of lines that Lambda's emulator writes; MiniStack writes its own."""
_REPORTED_WITHIN_S: Final = 1.0


def main() -> None:
    """Serve one execution environment until standard input ends, or a signal ends it."""
    hosts, ca = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    given = json.loads(sys.stdin.readline())
    image = json.loads(Path("image.json").read_text())
    try:
        _pull(image["uri"], ca)
        function = ImageFunction(
            image["uri"],
            _settings(given["env"]),
            Path.cwd() / "function",
            command=image["command"],
            memory_mb=given["memory"],
            options=_options(Path(hosts), ca),
        )
        with function:
            _say({"status": "ready"})
            with function.log.open(errors="replace") as log:
                for line in sys.stdin:
                    said = function.invoke(json.loads(line)["event"])
                    _pass_on(log)
                    _say(_answer(said))
    except (ServerError, OSError) as error:
        _say({"status": "error", "error": str(error)})


def _pull(uri: str, ca: str) -> None:
    """Bring an image from the registry into the project's store, where it isn't there."""
    podman, environment = containers.podman(), {**containers.environment(), "SSL_CERT_FILE": ca}
    if subprocess.run([podman, "image", "exists", uri], env=environment, check=False).returncode:
        command = [podman, "pull", "--quiet", uri]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise ServerError(f"{uri} can't be pulled: {ran.stderr.strip()}")


def _settings(own: dict[str, str]) -> dict[str, str]:
    """Return Lambda's variables, the function's own, and what makes the rehearsal's authority the trusted one."""
    lambdas = {k: v for k, v in os.environ.items() if k.startswith("AWS_") and k not in _NOT_LAMBDAS}
    return {
        **lambdas,
        **own,
        TIMEOUT: os.environ["_LAMBDA_TIMEOUT"],
        "AWS_CA_BUNDLE": _TRUSTED,
        "SSL_CERT_FILE": _TRUSTED,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _options(hosts: Path, ca: str) -> list[str]:
    """Return the options of `podman run` that make the function's view of the network."""
    names = hosts / os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    mounts = {
        "/etc/hosts": names if names.exists() else hosts / "default",
        "/etc/resolv.conf": os.devnull,
        _TRUSTED: ca,
        f"/var/task/{RDS_CA}": ca,
    }
    volumes = [option for to, what in mounts.items() for option in ("--volume", f"{what}:{to}:ro")]
    # A slow machine's rehearsal may take longer than a container of a test lives.
    return ["--no-hosts", f"--label={LABEL}={hosts}", "--timeout=7200", *volumes]


def _pass_on(log: Any) -> None:
    """Write to standard error what the function has logged since the last time."""
    lines, deadline = "", time.monotonic() + _REPORTED_WITHIN_S
    while "REPORT RequestId:" not in lines and time.monotonic() < deadline:
        lines += log.read()
        time.sleep(0.002)
    for line in lines.splitlines():
        if line and not line.startswith(_PLATFORM) and " (rapid) " not in line:
            sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _answer(said: Any) -> dict[str, Any]:
    """Return what MiniStack reads: a result, or an error of the function, as the runtime client reports it."""
    if isinstance(said, dict) and {"errorType", "errorMessage"} <= said.keys():
        trace = "".join(said.get("stackTrace") or ())
        return {"status": "error", "error": said["errorMessage"], "trace": trace}
    return {"status": "ok", "result": said}


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def remove(hosts: Path, registry: str) -> None:
    """Remove what containers and images a rehearsal left in the project's store.

    Args:
        hosts: its directory of names.
        registry: beginning of its images' names.
    """
    if not shutil.which("podman"):
        return

    def podman(*arguments: str) -> list[str]:
        command, environment = [containers.podman(), *arguments], containers.environment()
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return ran.stdout.split()

    if left := podman("ps", "--all", "--quiet", f"--filter=label={LABEL}={hosts}"):
        podman("rm", "--force", "--time=0", *left)
    if images := podman("images", "--format={{.Repository}}@{{.Digest}}", f"--filter=reference={registry}/*"):
        podman("rmi", "--force", *images)


if __name__ == "__main__":
    main()
