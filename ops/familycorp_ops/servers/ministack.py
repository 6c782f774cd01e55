"""MiniStack, the emulator of AWS services, from its own environment in `ops/emulator`."""

from collections.abc import Mapping, Sequence
from gettext import gettext as _
from pathlib import Path
from types import MappingProxyType
from typing import Any

from familycorp_ops.servers.process import LOOPBACK, NotInstalledError, Server, clean_environment, http_ok

REGION = "ap-northeast-2"
ACCOUNT = "000000000000"
"""The account of every emulator's resources."""

DEVELOPMENT_ORIGINS = ("http://localhost:*", "http://127.0.0.1:*")
"""Origins of a developer's own pages, as S3 writes those of every port."""

CREDENTIALS: Mapping[str, str] = MappingProxyType(
    {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Nothing from a developer's own profiles.
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
)
"""Environment variables with which AWS clients reach the emulator, and could never reach AWS."""


def client(url: str, service: str) -> Any:
    """Return a client of an emulator's service, by the address of the emulator."""
    from botocore.session import get_session  # noqa: PLC0415 - starting one needn't wait for it.

    return get_session().create_client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


class MiniStack(Server):
    """MiniStack on a loopback port.

    Args:
        port: where it listens; by default a free one.
        directory: where it works; by default a temporary directory.
        log: file for its output.
        persist: whether it saves its state in its directory when it is stopped (never when it is killed) and
            loads it when it starts.
        origins: whose pages may use it, `http://localhost:*` for those of every port; by default every
            origin's, for a test's short life.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        directory: Path | None = None,
        log: Path | None = None,
        persist: bool = False,
        origins: Sequence[str] | None = None,
    ) -> None:
        self._persist, self._origins = persist, origins
        # Killed while it saves, it would lose everything since it was started.
        super().__init__(
            "MiniStack", port=port, directory=directory, log=log, grace_s=60.0 if persist else 15.0
        )

    @property
    def url(self) -> str:
        """The endpoint URL for AWS clients."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def state(self) -> Path:
        """Directory of the JSON files that hold the saved state of each service."""
        return self.directory / "state"

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where there is none."""
        emulator = Path(__file__).parents[2] / "emulator"
        home = emulator / ".venv"
        if not (home / "bin" / "ministack").is_file():
            raise NotInstalledError(_("The AWS emulator isn't installed in {home}.").format(home=home))
        if self._origins is None:
            return [str(home / "bin" / "python"), "-I", "-m", "ministack"]
        return [str(home / "bin" / "python"), "-I", str(emulator / "guarded_ministack.py"), *self._origins]

    def environment(self) -> dict[str, str]:
        """Return the environment of its process."""
        settings = {
            # Access keys that nobody made are refused, and bucket policies hold.
            "AUTH": "true",
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "TMPDIR": str(self.directory),
        }
        if self._persist:
            settings |= {
                "PERSIST_STATE": "1",
                "STATE_DIR": str(self.state),
                "S3_PERSIST": "1",
                "S3_DATA_DIR": str(self.directory / "s3"),
            }
        return clean_environment(**settings)

    def is_ready(self) -> bool:
        """Return whether it has loaded its state and responds."""
        return http_ok(self.port, "/_ministack/ready")
