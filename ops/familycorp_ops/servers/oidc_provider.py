"""oidc-provider, a certified OpenID provider on Node.js from `ops/oidc-provider`, for tests."""

import json
import secrets
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from subprocess import run
from typing import Any, Literal

from familycorp_ops.servers.people import CLIENT_ID, PEOPLE, Person, callback
from familycorp_ops.servers.process import LOOPBACK, NotInstalledError, Server, http_ok, http_post

HOME = Path(__file__).parents[2] / "oidc-provider"

OLDEST_NODE = 20

Method = Literal["client_secret_basic", "client_secret_post", "none"]
Algorithm = Literal["RS256", "ES256"]


@cache
def node() -> str:
    """Return the program of Node.js; raise `NotInstalledError` where there is none, or one too old."""
    program = shutil.which("node")
    version = (
        run([program, "--version"], capture_output=True, text=True, check=False).stdout if program else ""
    )
    if not program or int(version.lstrip("v").partition(".")[0] or 0) < OLDEST_NODE:
        raise NotInstalledError(
            f"oidc-provider needs Node.js {OLDEST_NODE} or newer (Debian: apt-get install nodejs npm)."
        )
    return program


class OidcProvider(Server):
    """oidc-provider on a loopback port: PKCE with S256 is demanded, and logging out reaches the application.

    Args:
        people: who has an account.
        method: how the application shows its secret.
        algorithm: what ID and logout tokens are signed with.
        acr_values: what the application may ask for as `acr_values`.
        lifetimes: seconds by name of what lives so long: `IdToken`, `AccessToken`, `Session`, …
        claims_in_id_token: whether a person's claims are in the ID token too, or only in userinfo.
        port: where it listens; by default a free one.
        directory: where it works; by default a temporary directory.
        log: file for its output.
    """

    def __init__(
        self,
        *,
        people: Sequence[Person] = PEOPLE,
        method: Method = "client_secret_basic",
        algorithm: Algorithm = "RS256",
        acr_values: Sequence[str] = ("urn:familycorp:one-factor", "urn:familycorp:two-factors"),
        lifetimes: dict[str, int] | None = None,
        claims_in_id_token: bool = True,
        port: int | None = None,
        directory: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self.client_id = CLIENT_ID
        self.client_secret = None if method == "none" else secrets.token_urlsafe()
        self._people = {person.username: person for person in people}
        self._client: dict[str, Any] = {
            "client_id": self.client_id,
            "token_endpoint_auth_method": method,
            "id_token_signed_response_alg": algorithm,
            "redirect_uris": [],
            "post_logout_redirect_uris": [],
            "backchannel_logout_session_required": True,
        }
        if self.client_secret:
            self._client["client_secret"] = self.client_secret
        self._keys = _new_keys()
        self._settings = {
            "acrValues": list(acr_values),
            "conformIdTokenClaims": not claims_in_id_token,
            "cookieKeys": [secrets.token_urlsafe()],
            "ttl": {
                "AccessToken": 3600,
                "Grant": 86400,
                "IdToken": 3600,
                "Interaction": 3600,
                "Session": 86400,
                **(lifetimes or {}),
            },
        }
        super().__init__("oidc-provider", port=port, directory=directory, log=log)

    @property
    def url(self) -> str:
        """The issuer."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where something isn't there."""
        program = node()
        if not (HOME / "node_modules" / "oidc-provider").is_dir():
            raise NotInstalledError(f"oidc-provider isn't installed in {HOME} (`make test` does that).")
        return [program, str(HOME / "server.mjs"), str(self._file)]

    def spawn(self) -> None:
        """Write the configuration, start the program and don't wait until it is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._configure()
        super().spawn()

    def is_ready(self) -> bool:
        """Return whether it answers."""
        return http_ok(self.port, "/.well-known/openid-configuration")

    def allow(self, api_url: str, *, post_logout_uri: str | None = None) -> None:
        """Let the application at an origin send people here, and notify it when a person logs out.

        Args:
            api_url: the origin, as in its FAMILYCORP_API_URL.
            post_logout_uri: where it wants people to be sent after they logged out here.
        """
        self._client["redirect_uris"].append(callback(api_url))
        self._client["backchannel_logout_uri"] = f"{api_url}/v1/auth/backchannel-logout"
        if post_logout_uri:
            self._client["post_logout_redirect_uris"].append(post_logout_uri)
        self._reload()

    def admit(self, person: Person) -> None:
        """Give a person an account, or change the one they have."""
        self._people[person.username] = person
        self._reload()

    def rotate(self, *, publish_old: bool = True) -> None:
        """Sign with new keys from now on.

        Args:
            publish_old: whether those before stay published; else what they signed can't be verified any more.
        """
        self._keys = _new_keys() + (self._keys if publish_old else [])
        self._reload()

    @property
    def _file(self) -> Path:
        return self.directory / "configuration.json"

    def _reload(self) -> None:
        self._configure()
        http_post(self.port, "/reload")

    def _configure(self) -> None:
        # A client without any redirect URI is refused.
        client = self._client | {"redirect_uris": self._client["redirect_uris"] or [f"{self.url}/nowhere"]}
        accounts = {person.username: _account(person) for person in self._people.values()}
        settings = {
            **self._settings,
            "issuer": self.url,
            "port": self.port,
            "clients": [client],
            "accounts": accounts,
            "keys": self._keys,
        }
        self._file.write_text(json.dumps(settings))


def _account(person: Person) -> dict[str, Any]:
    claims = {
        "email": person.email,
        "email_verified": True,
        "name": person.name,
        "groups": list(person.groups),
    }
    account = {"password": person.password, "amr": list(person.amr), "claims": claims}
    return account | ({"acr": person.acr} if person.acr else {})


def _new_keys() -> list[dict[str, Any]]:
    """Return private keys for RS256 and ES256 as JWKs."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm  # noqa: PLC0415

    names = {"use": "sig", "kid": secrets.token_hex(8)}
    rs256 = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True)
    es256 = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    # Jwt adds `key_ops`, which forbids in one word what `use` allows in another.
    rs256.pop("key_ops", None)
    es256.pop("key_ops", None)
    return [
        rs256 | names | {"alg": "RS256"},
        es256 | names | {"alg": "ES256", "kid": secrets.token_hex(8)},
    ]
