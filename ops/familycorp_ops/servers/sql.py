"""Shared by MariaDB and MySQL."""

import os
import subprocess
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from familycorp_ops.servers.process import LOOPBACK, Server, ServerError, exchange


class SqlServer(Server):
    """A server of the MySQL family, only for tests: `root` has no password, and nothing is forced to disk."""

    collation: str
    """Options of new databases; each product's best collation for all languages."""

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the server, without a database."""
        return f"mysql+aiomysql://root@{LOOPBACK}:{self.port}"

    def create_database(self, name: str) -> str:
        """Create an empty database, replacing one of this name, and return its SQLAlchemy URL."""
        import pymysql  # type: ignore[import-untyped]  # noqa: PLC0415

        with closing(pymysql.connect(host=LOOPBACK, port=self.port, user="root")) as connection:
            cursor = connection.cursor()
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
            cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE {self.collation}")
        return f"{self.url}/{name}"

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.directory / "data"

    @abstractmethod
    def initialise(self) -> Sequence[str]:
        """Return the command that fills the data directory."""

    def spawn(self) -> None:
        """Start the program, after filling its data directory where it is empty."""
        if not self.data.exists():
            self.data.mkdir(parents=True)
            with self.log.open("ab") as log:
                code = subprocess.run(self.initialise(), stdout=log, stderr=log, check=False).returncode
            if code:
                raise ServerError(f"{self.name} couldn't create its data directory:\n{self.tail()}")
        super().spawn()

    def options(self) -> list[str]:
        """Return the arguments that the whole family knows."""
        return [
            f"--datadir={self.data}",
            f"--bind-address={LOOPBACK}",
            f"--port={self.port}",
            f"--socket={self.directory / 'socket'}",
            f"--pid-file={self.directory / 'pid'}",
            "--character-set-server=utf8mb4",
            f"--collation-server={self.collation}",
            "--max-connections=200",
            "--skip-log-bin",
            "--performance-schema=OFF",
            # A commit survives SIGKILL, because the kernel has it; it needn't survive a power failure.
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-doublewrite=0",
            "--innodb-buffer-pool-size=64M",
            # A server refuses to run as root without this option.
            *(["--user=root"] if os.geteuid() == 0 else []),
        ]

    def is_ready(self) -> bool:
        """Return whether it greets clients, with its protocol's version 10."""
        return exchange(self.port)[4:5] == b"\x0a"
