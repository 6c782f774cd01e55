"""Amazon's DynamoDB Local, for those who have it: its licence forbids to hand it on; nothing installs it."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from familycorp_ops.servers.process import LOOPBACK, NotInstalledError, Server, exchange


class DynamoDBLocal(Server):
    """DynamoDB Local, in memory. It has no option to keep it from listening on *all* interfaces.

    Args:
        home: directory of `DynamoDBLocal.jar`; by default what the variable `DYNAMODB_LOCAL` names.
        port: where it listens; by default a free one.
        directory: where it works; by default a temporary directory.
        log: file for its output.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        port: int | None = None,
        directory: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self._home = home or Path(os.environ.get("DYNAMODB_LOCAL", "/nonexistent"))
        super().__init__("DynamoDB Local", port=port, directory=directory, log=log)

    @property
    def url(self) -> str:
        """The endpoint URL for AWS clients."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where there is none."""
        jar, java = self._home / "DynamoDBLocal.jar", shutil.which("java")
        if java is None or not jar.is_file():
            raise NotInstalledError(
                "DynamoDB Local isn't installed: it needs java and DYNAMODB_LOCAL=DIR of its jar."
            )
        options = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(self.port)]
        libraries = jar.with_name("DynamoDBLocal_lib")
        return [java, f"-Djava.library.path={libraries}", "-jar", str(jar), *options]

    def is_ready(self) -> bool:
        """Return whether it answers HTTP."""
        return exchange(self.port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 400")
