"""Runs `familycorp` as an operator types it, to its end."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from familycorp_ops.servers.ministack import CREDENTIALS
from familycorp_ops.servers.process import clean_environment
from familycorp_ops.testing.forking import start

Ran = subprocess.CompletedProcess[str]


def familycorp(*arguments: str, environment: Mapping[str, str] | None = None, **variables: str) -> Ran:
    """Run the command and return its status and output.

    Args:
        arguments: the words after `familycorp`.
        environment: all variables of the command; by default those of the tests, without AWS's.
        variables: further variables.
    """
    command = [sys.executable, "-m", "familycorp_ops", *arguments]
    chosen = {**(clean_environment() if environment is None else environment), **variables}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        program = start(command, chosen, None, output, errors)
        try:
            status = program.wait(300)
        finally:
            program.kill()
        output.seek(0)
        errors.seek(0)
        return Ran(command, status, output.read().decode(), errors.read().decode())


def on_emulator(url: str) -> dict[str, str]:
    """Return the variables with which the command takes an emulator for AWS."""
    return {**CREDENTIALS, "AWS_ENDPOINT_URL": url}


@cache
def empty_database() -> bytes:
    """Return an SQLite file with the newest schema and no rows: to copy it is quicker than to migrate again."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "content.db"
        ran = familycorp("db", "upgrade", FAMILYCORP_DATABASE_URL=f"sqlite+aiosqlite:///{file}")
        assert ran.returncode == 0, ran.stderr  # noqa: S101 - helpers of tests fail as tests do.
        return file.read_bytes()
