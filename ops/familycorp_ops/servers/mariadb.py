"""MariaDB from the system's packages, with a throw-away data directory."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.servers.sql import SqlServer


class MariaDB(SqlServer):
    """MariaDB on a loopback port."""

    collation = "utf8mb4_unicode_520_ci"

    def __init__(
        self, *, port: int | None = None, directory: Path | None = None, log: Path | None = None
    ) -> None:
        super().__init__("MariaDB", port=port, directory=directory, log=log)

    def initialise(self) -> Sequence[str]:
        """Return the command that fills the data directory; raise `NotInstalledError` where there is none."""
        return [
            _program("mariadb-install-db"),
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            f"--datadir={self.data}",
            *(["--user=root"] if os.geteuid() == 0 else []),
        ]

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where there is none."""
        return [_program("mariadbd"), "--no-defaults", *self.options(), "--innodb-flush-method=nosync"]


def _program(name: str) -> str:
    # Debian keeps servers out of an ordinary user's PATH; Homebrew's prefix may be missing from it as well.
    places = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"]
    program = shutil.which(name, path=os.pathsep.join(places))
    if program is None:
        raise NotInstalledError(
            f"MariaDB isn't installed: there is no {name} (on Debian: apt-get install mariadb-server)."
        )
    return program
