"""AWS's service authorization reference, and an evaluation of policies with it: `ops/iam`, in Node.js."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from familycorp_ops.servers.process import NotInstalledError

IAM: Final = Path(__file__).parents[2] / "iam"
NEEDS: Final = IAM / "needs.yaml"


def ask(**questions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what `ops/iam/check.mjs` answers; raise `NotInstalledError` where Node.js or its packages are missing.

    Args:
        questions: `statements` and `requests`, as that program describes them.
    """
    if (
        shutil.which("node") is None
        or not (IAM / "node_modules" / "@cloud-copilot" / "iam-simulate").is_dir()
    ):
        raise NotInstalledError(
            "AWS's authorization reference isn't installed in ops/iam: `make test` installs it."
        )
    ran = subprocess.run(
        ["node", str(IAM / "check.mjs")],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr)
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value of `needs.yaml` with `${…}` replaced by an environment's names."""
    if isinstance(value, str):
        for name, chosen in names.items():
            value = value.replace("${" + name + "}", chosen)
        return value
    if isinstance(value, Mapping):
        return {key: filled(part, names) for key, part in value.items()}
    return [filled(part, names) for part in value] if isinstance(value, list) else value
