"""Logins by IAM: what is shown to RDS Proxy, Aurora and ElastiCache, and to nobody who can't prove who they are.

No server here verifies IAM's signatures as AWS does: the token is compared with one that the AWS SDK makes.
"""

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pymysql  # type: ignore[import-untyped]
import pytest
import redis
import trustme
from cryptography import x509
from cryptography.x509.oid import NameOID

from familycorp_ops.rehearse import fronts
from familycorp_ops.servers.mariadb import MariaDB
from familycorp_ops.servers.ministack import CREDENTIALS, REGION
from familycorp_ops.servers.process import LOOPBACK, clean_environment, free_port
from familycorp_ops.servers.valkey import Valkey
from support.stack import BE_APP

MIGRATIONS = BE_APP / "migrations" / "versions"

DATABASE = "iam_logins"

AWS = {
    "FAMILYCORP_ENV": "dev",
    "FAMILYCORP_API_URL": "https://api.familycorp.example",
    "FAMILYCORP_WEBAUTHN_RP_ID": "familycorp.example",
    **CREDENTIALS,
}
# A function's credentials are those of a role's session.
OF_A_ROLE = {"AWS_ACCESS_KEY_ID": "ASIAEXAMPLE", "AWS_SESSION_TOKEN": "a-session"}
PING = """
import asyncio, json
from app.core.database import engine as database
from app.core.http.problems import DatabaseUnavailable
try:
    asyncio.run(database.ping())
    print(json.dumps("connected"))
except DatabaseUnavailable as error:
    causes = []
    while error := error.__cause__ or error.__context__:
        causes.append(str(error))
    print(json.dumps("; ".join(causes)))
"""


def run(script: str, **settings: str) -> Any:
    """Run a script as if it ran in AWS; return the JSON of its last line."""
    environment = clean_environment(**{**AWS, **settings})
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=BE_APP,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class Authority:
    """A certificate authority, and the certificate that it gave a server at 127.0.0.1."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.ca, self.certificate, self.key = (
            directory / name for name in ("ca.pem", "server.pem", "server.key")
        )
        authority = trustme.CA()
        given = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(self.ca)
        given.cert_chain_pems[0].write_to_path(self.certificate)
        given.private_key_pem.write_to_path(self.key)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


class Aurora:
    """MariaDB behind what asks for a token in the clear, as Aurora and RDS Proxy do, at a port of its own."""

    def __init__(self, authority: Authority, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[tuple[str, str]] = []
        self.port = free_port()
        self.url = f"mysql+aiomysql://familycorp_app@{LOOPBACK}:{self.port}/{DATABASE}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.certificate, authority.key)
        endpoint = f"{LOOPBACK}:{self.port}"
        self._fronts = fronts.Fronts(
            context, fronts.Front(LOOPBACK, self.port, mariadb.port, lambda: endpoint)
        )
        problem = fronts._problem

        def note(token: str, endpoint: str, user: str) -> str | None:
            self.shown.append((user, token))
            return problem(token, endpoint, user)

        monkeypatch.setattr(fronts, "_problem", note)

    def __enter__(self) -> Self:
        self._fronts.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._fronts.__exit__(None, None, None)
        assert self._fronts.refused == []


@pytest.fixture
def aurora(authority: Authority, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aurora]:
    mariadb.create_database(DATABASE)
    with closing(pymysql.connect(host=LOOPBACK, port=mariadb.port, user="root")) as connection:
        connection.cursor().execute("CREATE USER IF NOT EXISTS familycorp_app")
        connection.cursor().execute(f"GRANT ALL ON {DATABASE}.* TO familycorp_app")
    with Aurora(authority, mariadb, monkeypatch) as made:
        yield made


def test_the_database_is_shown_a_token_over_verified_tls(authority: Authority, aurora: Aurora) -> None:
    told = run(
        PING, **OF_A_ROLE, FAMILYCORP_DATABASE_URL=aurora.url, FAMILYCORP_DATABASE_CA=str(authority.ca)
    )
    assert told == "connected"
    ((user, token),) = set(aurora.shown)
    assert user == "familycorp_app"
    shown = urlsplit(f"https://{token}")
    assert (shown.hostname, shown.port) == ("127.0.0.1", aurora.port)
    query = {name: values[0] for name, values in parse_qs(shown.query).items()}
    assert (query["Action"], query["DBUser"], query["X-Amz-Expires"]) == ("connect", "familycorp_app", "900")


@pytest.mark.parametrize("trusted", ["Amazon's authorities", "another authority"])
def test_a_server_that_cant_prove_who_it_is_sees_no_token(
    aurora: Aurora, tmp_path: Path, trusted: str
) -> None:
    other = {} if "Amazon" in trusted else {"FAMILYCORP_DATABASE_CA": str(Authority(tmp_path / "other").ca)}
    told = run(PING, **OF_A_ROLE, FAMILYCORP_DATABASE_URL=aurora.url, **other)
    assert "certificate verify failed" in told
    assert aurora.shown == []


def test_a_server_without_tls_sees_no_token(
    authority: Authority, aurora: Aurora, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronts, "_SERVER", fronts._SERVER & ~fronts._SSL)
    told = run(
        PING, **OF_A_ROLE, FAMILYCORP_DATABASE_URL=aurora.url, FAMILYCORP_DATABASE_CA=str(authority.ca)
    )
    assert "offers no TLS" in told
    assert aurora.shown == []


def test_a_real_server_is_spoken_to_over_tls(authority: Authority, tmp_path: Path) -> None:
    class Secure(MariaDB):
        def options(self) -> list[str]:
            files = [f"--ssl-cert={authority.certificate}", f"--ssl-key={authority.key}"]
            return [*super().options(), *files]

    try:
        server = Secure(directory=tmp_path / "mariadb")
        server.command()
    except Exception as error:  # noqa: BLE001
        pytest.skip(str(error))
    with server:
        url = server.create_database("familycorp").replace("root@", "app@")
        # A server that isn't Aurora knows no tokens: what stands in for one is the user's password.
        token = "from app.core.aws import iam\niam.database_token = lambda *_: 'secret'\n"
        server_side = """
import sys, pymysql
connection = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="root")
connection.cursor().execute("CREATE USER app IDENTIFIED BY 'secret' REQUIRE SSL")
connection.cursor().execute("GRANT ALL ON familycorp.* TO app")
"""
        subprocess.run([sys.executable, "-c", server_side, str(server.port)], check=True)
        ca = {"FAMILYCORP_DATABASE_CA": str(authority.ca)}
        assert run(token + PING, FAMILYCORP_DATABASE_URL=url, **ca) == "connected"
        assert "certificate verify failed" in run(token + PING, FAMILYCORP_DATABASE_URL=url)
        migrated = run(
            f"{token}import json\nfrom app.functions.migrations import handler\n"
            "print(json.dumps(handler({}, None)))",
            FAMILYCORP_DATABASE_URL=url,
            **ca,
        )
        assert migrated == {"revision": max(file.name[:4] for file in MIGRATIONS.glob("*.py"))}


DATABASE_TOKEN = """
import json
from app.core.aws import iam
print(json.dumps(iam.database_token("proxy.example", 3306, "familycorp_app")))
"""


def test_the_databases_token_is_what_the_sdk_makes() -> None:
    session = botocore.session.Session()
    session.set_credentials("test", "test")
    theirs = session.create_client("rds", region_name=REGION).generate_db_auth_token(
        "proxy.example", 3306, "familycorp_app"
    )
    ours = run(DATABASE_TOKEN, FAMILYCORP_DATABASE_URL="mysql+aiomysql://a@b/c")
    of_this_moment = {"X-Amz-Date", "X-Amz-Signature"}
    assert ours.partition("?")[0] == theirs.partition("?")[0]
    assert unsigned(ours, of_this_moment) == unsigned(theirs, of_this_moment)


def unsigned(token: str, without: set[str]) -> dict[str, list[str]]:
    return {n: v for n, v in parse_qs(urlsplit(f"https://{token}").query).items() if n not in without}


CACHE = """
import asyncio, json
from app.core.read_path import cache
pool = cache.client().connection_pool
login = pool.connection_kwargs["credential_provider"]
print(json.dumps([login.get_credentials(), pool.connection_class.__name__, pool.connection_kwargs["host"]]))
"""


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("master.familycorp-dev-cache.abc123.apn2.cache.amazonaws.com", None),
        ("familycorp-dev-cache-abc123.serverless.apn2.cache.amazonaws.com", ["ServerlessCache"]),
    ],
)
def test_the_cache_is_shown_a_token_of_its_own(host: str, kind: list[str] | None) -> None:
    """ElastiCache user guide, "Authenticating with IAM": the host is the cache's name, not its address."""
    (user, token), connection, at = run(
        CACHE,
        FAMILYCORP_DATABASE_URL="mysql+aiomysql://a@b/c",
        FAMILYCORP_CACHE_URL=f"rediss://familycorp-dev-backend@{host}:6379",
    )
    assert (user, connection, at) == ("familycorp-dev-backend", "SSLConnection", host)
    assert token.startswith("familycorp-dev-cache/?")
    query = parse_qs(token.partition("?")[2])
    assert query["Action"] == ["connect"]
    assert query["User"] == [user]
    assert query.get("ResourceType") == kind
    assert f"/{REGION}/elasticache/aws4_request" in query["X-Amz-Credential"][0]


# Over plain TCP, which settings refuse in AWS: the Valkey of the tests has no TLS.
ASKED = """
import asyncio, json
from app.core.read_path import cache
from app.core.settings import Settings, settings

settings()
Settings.in_aws = property(lambda _: True)
asyncio.run(cache.ping())
print(json.dumps("PONG"))
"""


def test_valkey_takes_user_and_token(valkey: Valkey) -> None:
    with closing(redis.Redis.from_url(valkey.url)) as admin:
        command: Any = admin.execute_command  # redis-py has no types for it.
        # The user may log in with any password, as with a token that ElastiCache found right.
        command("ACL", "SETUSER", "iam-user", "on", "nopass", "-@all", "+ping", "+client")
        url = f"redis://iam-user@127.0.0.1:{valkey.port}"
        assert run(ASKED, FAMILYCORP_ENV="test", FAMILYCORP_CACHE_URL=url) == "PONG"
        command("ACL", "DELUSER", "iam-user")


def test_amazons_authorities_are_there_and_outlast_the_decade() -> None:
    pem = (BE_APP / "app" / "core" / "database" / "rds_ca.pem").read_bytes()
    found = x509.load_pem_x509_certificates(pem)
    names = {c.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for c in found}
    assert {
        f"Amazon RDS ap-northeast-2 Root CA {kind} G1" for kind in ("RSA2048", "RSA4096", "ECC384")
    } < names
    assert {"Amazon Root CA 1", "Amazon Root CA 4"} < names
    assert min(c.not_valid_after_utc for c in found).year >= 2036
