"""What each direct dependency weighs: `python bench/dependencies.py [--write docs/decisions/0001-dependencies.md]`.

Sizes are of the installed files, without bytecode and without what the package needs in turn. Import times are of a
fresh process with compiled bytecode, in CPU time, the interpreter's own start taken off: medians of several runs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import distribution
from pathlib import Path

from familycorp_ops.markdown import with_part

ROOT = Path(__file__).parents[1]
RUNS = 5
# What a program that uses the package imports, where that isn't the package's own name.
MODULES = {
    "aiomysql": "aiomysql",
    "botocore": "botocore.session",
    "cryptography": "cryptography.hazmat.primitives.asymmetric.ec",
    "fastapi": "fastapi",
    "fido2": "fido2.server",
    "markdown-it-py": "markdown_it",
    "pyjwt": "jwt",
    "redis": "redis.asyncio",
    "sqlalchemy": "sqlalchemy.ext.asyncio",
    "uuid-utils": "uuid_utils.compat",
    "pyyaml": "yaml",
}


def _direct(project: Path) -> list[str]:
    requirements = tomllib.loads(project.read_text())["project"]["dependencies"]
    names = [r.split(">=")[0].split("[")[0] for r in requirements]
    return [n for n in names if not n.startswith("familycorp")]


def _size_mb(name: str) -> float:
    files = [f for f in distribution(name).files or [] if f.suffix != ".pyc"]
    paths = [Path(str(f.locate())) for f in files]
    return sum(p.stat().st_size for p in paths if p.is_file()) / 1e6


def _import_ms(module: str, environment: dict[str, str]) -> float:
    code = f"import time; t = time.process_time(); import {module}; print((time.process_time() - t) * 1000)"
    command = [sys.executable, "-c", code]

    def run() -> float:
        return float(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)

    run()
    return statistics.median(run() for _ in range(RUNS))


def main() -> None:
    """Print the table; with `--write`, put it into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = bytecode
        base = _import_ms("fastapi", environment)
        lines = ["| package | version | MB | import, of FastAPI's |", "|---|---|---:|---:|"]
        for project in ("be-app", "ops"):
            for name in _direct(ROOT / project / "pyproject.toml"):
                took = _import_ms(MODULES.get(name, name.replace("-", "_")), environment)
                version = distribution(name).version
                lines.append(f"| {name} | {version} | {_size_mb(name):.1f} | {took / base:.2f} |")
    table = "\n".join(lines)
    if chosen.write:
        chosen.write.write_text(with_part(chosen.write, "measured", table))
    print(table)


if __name__ == "__main__":
    main()
