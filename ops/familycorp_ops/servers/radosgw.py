"""radosgw, Ceph's S3 gateway, from Debian's `radosgw`, on a cluster of its own: one monitor and one OSD in memory."""

import shutil
import uuid
from collections.abc import Sequence

from familycorp_ops.servers.ministack import CREDENTIALS
from familycorp_ops.servers.process import (
    LOOPBACK,
    NotInstalledError,
    Process,
    Server,
    ServerError,
    clean_environment,
    free_port,
    http_ok,
)

_PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_PATH = "/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin"
_SETUP_S = 30.0

# See https://docs.ceph.com/en/pacific/rados/configuration/ for what isn't explained here.
_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = [v2:{host}:{monitor}]
public addr = {host}
cluster addr = {host}
ms bind msgr1 = false
# Nothing but this machine reaches the cluster, and its content is of tests. Without keys there is no encryption.
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
run dir = {directory}
crash dir = {directory}
admin socket =
log file = {directory}/$name.log
mon data = {directory}/mon
osd data = {directory}/osd
rgw data = {directory}
# Small, and of one copy.
osd objectstore = memstore
memstore device bytes = 1G
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
rgw rados pool pg num min = 1
rgw thread pool size = 32
# Every pool is a change of the map, which else waits a second for others to join it.
paxos propose interval = 0.05
paxos min wait = 0.01
rgw frontends = beast endpoint={host}:{port}
# Buckets may name any region, as they may on the other servers.
rgw relaxed region enforcement = true
{lifecycle}
"""


class RadosGW(Server):
    """radosgw on a loopback port, with one account: the emulator's credentials.

    Its cluster begins with it and lasts until it is closed: when the gateway alone is killed, the data stays.

    Args:
        day_s: seconds that count as a day in lifecycle rules; by default they are days.
    """

    def __init__(self, *, day_s: int | None = None) -> None:
        super().__init__("radosgw")
        self._configuration = self.directory / "ceph.conf"
        self._monitor_port = free_port()
        self._day_s = day_s
        self._cluster: list[Process] = []

    @property
    def url(self) -> str:
        """The endpoint URL for S3 clients."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """Return program and arguments; start the cluster; `NotInstalledError` where something isn't installed."""
        missing = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
        if missing:
            raise NotInstalledError(
                f"{', '.join(missing)} isn't installed (Debian: apt-get install radosgw ceph-mon ceph-osd)."
            )
        if not self._cluster:
            self._begin()
        return self._with_configuration("radosgw", "-f")

    def is_ready(self) -> bool:
        """Return whether it answers."""
        return http_ok(self.port, "/")

    def close(self) -> None:
        """Stop it and its cluster, and forget everything."""
        for process in self._cluster:
            process.kill()
        super().close()

    def _begin(self) -> None:
        fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
        for name in ("mon", "osd"):
            (self.directory / name).mkdir()
        lifecycle = "" if self._day_s is None else f"rgw lc debug interval = {self._day_s}"
        self._configuration.write_text(
            _CONFIGURATION.format(
                directory=self.directory,
                fsid=fsid,
                host=LOOPBACK,
                lifecycle=lifecycle,
                monitor=self._monitor_port,
                port=self.port,
            )
        )
        monitors = str(self.directory / "monmap")
        address = f"[v2:{LOOPBACK}:{self._monitor_port}]"
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monitors)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors)
        self._keep("ceph-mon", "-i", "a", "-f")
        self._run("ceph", "osd", "new", osd)
        self._run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd)
        self._keep("ceph-osd", "-i", "0", "-f")
        account = {
            "uid": "test",
            "display-name": "test",
            "access-key": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "secret-key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        }
        self._run(
            "radosgw-admin", "user", "create", *(f"--{name}={value}" for name, value in account.items())
        )

    def _with_configuration(self, program: str, *arguments: str) -> list[str]:
        found = shutil.which(program, path=_PATH) or program
        return [found, "--conf", str(self._configuration), *arguments]

    def _process(self, program: str, *arguments: str) -> Process:
        return Process(
            program,
            self._with_configuration(program, *arguments),
            environment=clean_environment(),
            cwd=self.directory,
            log=self.directory / "cluster.log",
        )

    def _keep(self, program: str, *arguments: str) -> None:
        process = self._process(program, *arguments)
        process.spawn()
        self._cluster.append(process)

    def _run(self, program: str, *arguments: str) -> None:
        process = self._process(program, *arguments)
        try:
            process.spawn()
            if process.wait(_SETUP_S):
                raise ServerError(f"{program} failed:\n{process.tail()}")
        finally:
            process.kill()
