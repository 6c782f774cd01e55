"""Logins by IAM: what is shown to RDS Proxy, Aurora and ElastiCache, and to nobody who can't prove who they are.

No server here verifies IAM's signatures as AWS does: the token is compared with one that the AWS SDK makes.
"""

import asyncio
import datetime
import ipaddress
import json
import ssl
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mysql_mimic import IdentityProvider, MysqlServer, Session, User
from mysql_mimic.auth import AbstractClearPasswordAuthPlugin, AuthPlugin

from familycorp_ops.servers.mariadb import MariaDB
from familycorp_ops.servers.ministack import CREDENTIALS, REGION
from familycorp_ops.servers.process import clean_environment
from familycorp_ops.servers.valkey import Valkey
from stack import BE_APP

AWS = {
    "FAMILYCORP_ENV": "dev",
    "FAMILYCORP_API_URL": "https://api.familycorp.example",
    "FAMILYCORP_WEBAUTHN_RP_ID": "familycorp.example",
    **CREDENTIALS,
}
PING = """
import asyncio, json
from app.core import database
from app.core.errors import DatabaseUnavailable
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
        root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = self._sign("authority", root_key.public_key(), "authority", root_key, ca=True)
        server = self._sign("server", key.public_key(), "authority", root_key, ca=False)
        self.ca.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        self.certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    @staticmethod
    def _sign(subject: str, key: Any, issuer: str, issuer_key: Any, *, ca: bool) -> x509.Certificate:
        name, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in (subject, issuer))
        at = datetime.datetime.now(datetime.UTC)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(by)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(at - datetime.timedelta(hours=1))
            .not_valid_after(at + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(address, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(True, False, False, False, False, ca, ca, False, False), critical=True
            )
            .sign(issuer_key, hashes.SHA256())
        )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


class Aurora(IdentityProvider):  # type: ignore[misc]
    """A server of MySQL's protocol that asks for the token in the clear, as Aurora and RDS Proxy do."""

    def __init__(self, authority: Authority | None) -> None:
        self.shown: list[tuple[str, str]] = []
        context = None
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(authority.certificate, authority.key)
        self._server = MysqlServer(session_factory=Session, identity_provider=self, ssl=context)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def get_plugins(self) -> list[AuthPlugin]:
        shown = self.shown

        class Clear(AbstractClearPasswordAuthPlugin):  # type: ignore[misc]
            name = "AWSAuthenticationPlugin"

            async def check(self, username: str, password: str) -> str | None:
                shown.append((username, password))
                return username

        return [Clear()]

    async def get_user(self, username: str) -> User | None:
        return User(name=username, auth_plugin="AWSAuthenticationPlugin")

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            self._server.start_server(host="127.0.0.1", port=0), self._loop
        )
        server.result(10)
        self.port = self._server._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"mysql+aiomysql://familycorp_app@127.0.0.1:{self.port}/familycorp"


def test_the_database_is_shown_a_token_over_verified_tls(authority: Authority) -> None:
    with Aurora(authority) as aurora:
        told = run(PING, FAMILYCORP_DATABASE_URL=aurora.url, FAMILYCORP_DATABASE_CA=str(authority.ca))
    assert told == "connected"
    ((user, token),) = set(aurora.shown)
    assert user == "familycorp_app"
    shown = urlsplit(f"https://{token}")
    assert (shown.hostname, shown.port) == ("127.0.0.1", aurora.port)
    query = {name: values[0] for name, values in parse_qs(shown.query).items()}
    assert (query["Action"], query["DBUser"], query["X-Amz-Expires"]) == ("connect", "familycorp_app", "900")


@pytest.mark.parametrize("trusted", ["Amazon's authorities", "another authority"])
def test_a_server_that_cant_prove_who_it_is_sees_no_token(
    authority: Authority, tmp_path: Path, trusted: str
) -> None:
    other = {} if "Amazon" in trusted else {"FAMILYCORP_DATABASE_CA": str(Authority(tmp_path / "other").ca)}
    with Aurora(authority) as aurora:
        told = run(PING, FAMILYCORP_DATABASE_URL=aurora.url, **other)
    assert told != "connected"
    assert aurora.shown == []


def test_a_server_without_tls_sees_no_token(authority: Authority) -> None:
    with Aurora(None) as aurora:
        told = run(PING, FAMILYCORP_DATABASE_URL=aurora.url, FAMILYCORP_DATABASE_CA=str(authority.ca))
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
        url = server.create_database("familycorp").replace("root@", "app:secret@")
        server_side = """
import sys, pymysql
connection = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="root")
connection.cursor().execute("CREATE USER app IDENTIFIED BY 'secret' REQUIRE SSL")
connection.cursor().execute("GRANT ALL ON familycorp.* TO app")
"""
        subprocess.run([sys.executable, "-c", server_side, str(server.port)], check=True)
        ca = {"FAMILYCORP_DATABASE_CA": str(authority.ca)}
        assert run(PING, FAMILYCORP_DATABASE_URL=url, **ca) == "connected"
        assert "certificate verify failed" in run(PING, FAMILYCORP_DATABASE_URL=url)
        migrated = run(
            "import json; from app.core.migrations import handler; print(json.dumps(handler({}, None)))",
            FAMILYCORP_DATABASE_URL=url,
            **ca,
        )
        assert migrated == {"revision": "0003"}


DATABASE_TOKEN = """
import json
from app.core import iam
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
from app.core import cache
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
from app.core import cache
from app.core.settings import Settings, settings

settings()
Settings.in_aws = property(lambda _: True)
asyncio.run(cache.ping())
print(json.dumps("PONG"))
"""


def test_valkey_takes_user_and_token(valkey: Valkey) -> None:
    with closing(redis.Redis.from_url(valkey.url)) as admin:
        # It lets in who comes with any password, as with a token that ElastiCache found right.
        admin.execute_command("ACL", "SETUSER", "iam-user", "on", "nopass", "-@all", "+ping", "+client")
        url = f"redis://iam-user@127.0.0.1:{valkey.port}"
        assert run(ASKED, FAMILYCORP_ENV="test", FAMILYCORP_CACHE_URL=url) == "PONG"
        admin.execute_command("ACL", "DELUSER", "iam-user")


def test_amazons_authorities_are_there_and_outlast_the_decade() -> None:
    pem = (BE_APP / "app" / "core" / "rds_ca.pem").read_bytes()
    found = x509.load_pem_x509_certificates(pem)
    names = {c.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for c in found}
    assert {
        f"Amazon RDS ap-northeast-2 Root CA {kind} G1" for kind in ("RSA2048", "RSA4096", "ECC384")
    } < names
    assert {"Amazon Root CA 1", "Amazon Root CA 4"} < names
    assert min(c.not_valid_after_utc for c in found).year >= 2036
