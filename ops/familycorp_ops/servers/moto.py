"""moto server, a second emulator of AWS, from its own environment in `ops/moto`; for the tests of `terraform/`.

It checks less than MiniStack and forgets writes under load, but it knows more kinds of resources.
"""

from collections.abc import Sequence
from pathlib import Path

from familycorp_ops.servers.ministack import ACCOUNT, CREDENTIALS
from familycorp_ops.servers.process import LOOPBACK, NotInstalledError, Server, clean_environment, http_ok


class Moto(Server):
    """moto server on a loopback port; its content is lost when it stops."""

    def __init__(self, *, port: int | None = None, directory: Path | None = None) -> None:
        super().__init__("moto", port=port, directory=directory)

    @property
    def url(self) -> str:
        """The endpoint URL for AWS clients."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where there is none."""
        home = Path(__file__).parents[2] / "moto" / ".venv"
        if not (home / "bin" / "moto_server").is_file():
            raise NotInstalledError(f"moto isn't installed in {home}: `make infra-test` installs it.")
        return [str(home / "bin" / "python"), "-I", "-m", "moto.server", "-H", LOOPBACK, "-p", str(self.port)]

    def environment(self) -> dict[str, str]:
        """Return the environment of its process."""
        return clean_environment(
            **CREDENTIALS,
            MOTO_ACCOUNT_ID=ACCOUNT,
            MOTO_IAM_LOAD_MANAGED_POLICIES="true",  # The plan's role has a policy of AWS's own.
        )

    def is_ready(self) -> bool:
        """Return whether it answers."""
        return http_ok(self.port, "/moto-api/")
