"""clamd, ClamAV's scanner, from Debian's `clamav-daemon`, with signatures of its own instead of the public ones."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from familycorp_ops.servers.process import LOOPBACK, NotInstalledError, Server, exchange

HARMLESS_MALWARE = b"FAMILYCORP-HARMLESS-TEST-SIGNATURE"
"""The content of its one signature. Other scanners on the machine would delete our tests for the usual test file."""


class Clamd(Server):
    """clamd on a loopback port.

    Args:
        port: where it listens; by default a free one.
        directory: where it keeps signatures and configuration; by default a temporary directory.
        log: file for its output.
    """

    def __init__(
        self, *, port: int | None = None, directory: Path | None = None, log: Path | None = None
    ) -> None:
        super().__init__("clamd", port=port, directory=directory, log=log)

    @property
    def url(self) -> str:
        """Host and port."""
        return f"{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where it isn't installed."""
        program = shutil.which("clamd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin")
        if program is None:
            raise NotInstalledError("clamd isn't installed (Debian: apt-get install clamav-daemon).")
        signatures = self.directory / "signatures"
        signatures.mkdir(exist_ok=True)
        # Name, any type of file, at any offset, these bytes (ClamAV's manual, "Extended signature format").
        (signatures / "test.ndb").write_text(f"FamilyCorp.Test:0:*:{HARMLESS_MALWARE.hex()}\n")
        configuration = self.directory / "clamd.conf"
        options = {
            "Foreground": "yes",
            "DatabaseDirectory": signatures,
            "TemporaryDirectory": self.directory,
            "TCPAddr": LOOPBACK,
            "TCPSocket": self.port,
            "StreamMaxLength": "210M",
            "MaxFileSize": "210M",
            "MaxScanSize": "210M",
        }
        configuration.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        return [program, "--config-file", str(configuration)]

    def is_ready(self) -> bool:
        """Return whether it answers PING."""
        return exchange(self.port, b"zPING\0").startswith(b"PONG")
