"""MySQL itself, where it can be had: named by the variable `MYSQLD`, or `mysqld` on PATH."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.servers.sql import SqlServer


@cache
def binary() -> str:
    """Return MySQL's server program; raise `NotInstalledError` where there is none."""
    for candidate in (os.environ.get("MYSQLD"), "mysqld", "/usr/sbin/mysqld"):
        program = shutil.which(candidate) if candidate else None
        # Debian's MariaDB installs itself under this name as well.
        if (
            program
            and b"MariaDB"
            not in subprocess.run([program, "--version"], capture_output=True, check=False).stdout
        ):
            return program
    raise NotInstalledError(
        "MySQL isn't installed: no mysqld on PATH or in MYSQLD (see scripts/install-mysql)."
    )


class MySQL(SqlServer):
    """MySQL 8.0.30 or newer on a loopback port."""

    collation = "utf8mb4_0900_ai_ci"

    def __init__(
        self, *, port: int | None = None, directory: Path | None = None, log: Path | None = None
    ) -> None:
        super().__init__("MySQL", port=port, directory=directory, log=log)

    def initialise(self) -> Sequence[str]:
        """Return the command that fills the data directory; raise `NotInstalledError` where there is none."""
        return [*self.command(), "--initialize-insecure"]

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where there is none."""
        return [
            binary(),
            "--no-defaults",
            *self.options(),
            "--innodb-flush-method=nosync",
            "--innodb-redo-log-capacity=16M",
            "--mysqlx=OFF",
            "--secure-file-priv=NULL",
        ]
