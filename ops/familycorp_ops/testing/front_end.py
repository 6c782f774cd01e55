"""Pytest fixture: the typed client of front ends, generated from the contract and compiled."""

import fcntl
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from familycorp_ops.docs.contract import FILE
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.servers import missing

CLIENT = FILE.parents[1] / "clients" / "typescript"
SITE = CLIENT.with_name("site")


def node(*command: str, cwd: Path = CLIENT, **environment: str) -> str:
    """Run a command of Node.js and return its output; fail with it unless it succeeds."""
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stdout[-4000:] + done.stderr[-2000:])
    return done.stdout


@pytest.fixture(scope="session")
def client_modules() -> Mapping[str, bytes]:
    """Each module of the client under its name; one worker of pytest-xdist compiles it for all."""
    if not (CLIENT / "node_modules" / "typescript").is_dir():
        missing("typescript", NotInstalledError("TypeScript isn't installed in clients/typescript."))
    main = CLIENT / "dist" / "index.js"
    sources = [FILE, *CLIENT.glob("*.json"), *CLIENT.glob("*.mjs"), *(CLIENT / "src").glob("*.ts")]
    with (CLIENT / "node_modules" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not main.exists() or main.stat().st_mtime < max(file.stat().st_mtime for file in sources):
            node("npm", "run", "--silent", "build")  # tsconfig.json is strict.
    return {file.name: file.read_bytes() for file in main.parent.glob("*.js")}
