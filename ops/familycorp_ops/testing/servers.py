"""Pytest fixtures: real servers on loopback, started when a test first asks and stopped with the session.

Every worker of pytest-xdist is a session and has servers of its own. Tests share them, so each makes itself
room (a database, a table prefix, a key prefix); one that stops, kills or suspends a server starts its own:
`with Valkey() as valkey: …`.

Where a server isn't installed its tests are skipped, unless the variable `REQUIRE_SERVERS` (names of
fixtures, separated by commas) says that it must be there, as in CI.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NoReturn, TypeVar

import psutil
import pytest

from familycorp_ops.servers.clamd import Clamd
from familycorp_ops.servers.dynamodb_local import DynamoDBLocal
from familycorp_ops.servers.mariadb import MariaDB
from familycorp_ops.servers.ministack import CREDENTIALS, MiniStack
from familycorp_ops.servers.mysql import MySQL
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.oidc_provider import OidcProvider
from familycorp_ops.servers.process import NotInstalledError, Server
from familycorp_ops.servers.radosgw import RadosGW
from familycorp_ops.servers.seaweedfs import SeaweedFS
from familycorp_ops.servers.valkey import Valkey

S = TypeVar("S", bound=Server)


def pytest_configure() -> None:
    """Free the tests from the developer's own AWS and FamilyCorp settings, and from proxies for loopback."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "FAMILYCORP_"))]:
        del os.environ[name]
    os.environ |= {**CREDENTIALS, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def missing(fixture: str, error: NotInstalledError) -> NoReturn:
    """Skip the test that wants what isn't installed, or let it fail where that must be there."""
    if fixture in os.environ.get("REQUIRE_SERVERS", "").split(","):
        raise error
    pytest.skip(str(error))


def listening(processes: Iterable[psutil.Process]) -> set[tuple[str, int]]:
    """Return the addresses, (host, port), on which processes listen; one that has ended listens on none."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found |= {c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    return found


def pytest_collection_finish() -> None:
    """Let no worker's first test meet the settings under which files of tests imported the application."""
    _forget_settings()


@pytest.fixture(autouse=True)
def _no_settings_left() -> Iterator[None]:
    """Let no test meet the settings under which another used the application in this process."""
    yield
    _forget_settings()


def _forget_settings() -> None:
    if (loaded := sys.modules.get("app.core.settings")) is not None:
        loaded.settings.cache_clear()


def _running(server: S, fixture: str) -> Iterator[S]:
    try:
        with server:
            yield server
    except NotInstalledError as error:
        missing(fixture, error)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Valkey, which writes nothing to disk."""
    yield from _running(Valkey(), "valkey")


@pytest.fixture(scope="session")
def ministack() -> Iterator[MiniStack]:
    """MiniStack without tables or buckets: `provision(settings)` creates those that `settings` names."""
    yield from _running(MiniStack(), "ministack")


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[SeaweedFS]:
    """SeaweedFS without buckets, for what an S3 server must enforce."""
    yield from _running(SeaweedFS(), "seaweedfs")


@pytest.fixture(scope="session")
def radosgw() -> Iterator[RadosGW]:
    """Ceph's S3 gateway without buckets, for the same."""
    yield from _running(RadosGW(), "radosgw")


@pytest.fixture(scope="session")
def clamd() -> Iterator[Clamd]:
    """ClamAV's scanner, which knows one harmless signature."""
    yield from _running(Clamd(), "clamd")


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[DynamoDBLocal]:
    """DynamoDB Local, where `DYNAMODB_LOCAL` names its directory."""
    yield from _running(DynamoDBLocal(), "dynamodb_local")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """MariaDB; `create_database(name)` returns the SQLAlchemy URL of an empty database."""
    yield from _running(MariaDB(), "mariadb")


@pytest.fixture(scope="session")
def mysql() -> Iterator[MySQL]:
    """MySQL itself; `create_database(name)` returns the SQLAlchemy URL of an empty database."""
    yield from _running(MySQL(), "mysql")


@pytest.fixture(scope="session")
def nanoidp() -> Iterator[NanoIDP]:
    """The login provider of `make up`; `allow(api_url)` lets an application send people there."""
    yield from _running(NanoIDP(), "nanoidp")


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OidcProvider]:
    """A certified OpenID provider; `allow(api_url)` lets an application send people there."""
    yield from _running(OidcProvider(), "oidc_provider")
