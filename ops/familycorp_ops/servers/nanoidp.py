"""NanoIDP, the login provider of `make up`, from its own environment in `ops/provider`."""

import json
import secrets
from collections.abc import Sequence
from gettext import gettext as _
from pathlib import Path
from typing import Any

from familycorp_ops.servers.people import CLIENT_ID, PEOPLE, Person, callback
from familycorp_ops.servers.process import LOOPBACK, NotInstalledError, Server, http_ok, http_post

HOME = Path(__file__).parents[2] / "provider"


class NanoIDP(Server):
    """NanoIDP on a loopback port; its signing keys stay in its directory.

    Args:
        api_urls: origins of the applications that may send people here.
        people: who has an account.
        client_secret: what the application shows with a code; by default it is a public client, which shows
            nothing but the PKCE verifier.
        token_minutes: how long ID and access tokens are valid.
        issuer: its issuer behind a proxy; by default its own address.
        port: where it listens; by default a free one.
        directory: where it works; by default a temporary directory.
        log: file for its output.
    """

    def __init__(
        self,
        *,
        api_urls: Sequence[str] = (),
        people: Sequence[Person] = PEOPLE,
        client_secret: str | None = None,
        token_minutes: int = 60,
        issuer: str | None = None,
        port: int | None = None,
        directory: Path | None = None,
        log: Path | None = None,
    ) -> None:
        self.client_id, self.client_secret = CLIENT_ID, client_secret
        self._api_urls = list(api_urls)
        self._people = {person.username: person for person in people}
        self._token_minutes = token_minutes
        self._issuer = issuer
        # Without it every page that a browser shows could change accounts and keys.
        self._management_secret = secrets.token_urlsafe()
        super().__init__("NanoIDP", port=port, directory=directory, log=log)

    @property
    def url(self) -> str:
        """The issuer."""
        return self._issuer or f"http://{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """Return program and arguments; raise `NotInstalledError` where there is none."""
        python = HOME / ".venv" / "bin" / "python"
        if not (HOME / ".venv" / "bin" / "nanoidp").is_file():
            raise NotInstalledError(
                _("The login provider isn't installed in {home}.").format(home=HOME / ".venv")
            )
        return [str(python), "-I", str(HOME / "serve.py"), str(self.directory), str(self.port)]

    def spawn(self) -> None:
        """Write the configuration, start the program and don't wait until it is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._configure()
        super().spawn()

    def is_ready(self) -> bool:
        """Return whether it answers."""
        return http_ok(self.port, "/health")

    def allow(self, api_url: str) -> None:
        """Let the application at an origin send people here."""
        self._api_urls.append(api_url)
        self._reload()

    def admit(self, person: Person) -> None:
        """Give a person an account, or change the one they have."""
        self._people[person.username] = person
        self._reload()

    def rotate(self) -> None:
        """Sign with a new key from now on; the one before stays published."""
        self._manage("/api/keys/rotate")

    def _reload(self) -> None:
        self._configure()
        self._manage("/api/config/reload")

    def _manage(self, path: str) -> None:
        http_post(self.port, path, {"X-Management-Secret": self._management_secret})

    def _configure(self) -> None:
        client: dict[str, Any] = {
            "client_id": self.client_id,
            # An empty list would allow every address.
            "redirect_uris": [callback(url) for url in self._api_urls] or [f"{self.url}/nowhere"],
            "token_endpoint_auth_method": "none",
        }
        if self.client_secret:
            client |= {
                "client_secret": self.client_secret,
                "token_endpoint_auth_method": "client_secret_basic",
            }
        settings = {
            "security_profile": "oauth21",
            "cors_allowed_origins": [],
            "oauth": {
                "issuer": self.url,
                "audience": self.url,
                "token_expiry_minutes": self._token_minutes,
                "clients": [client],
            },
            "jwt": {"keys_dir": str(self.directory / "keys")},
            "session": {
                "secret_key": self._management_secret,
                "management_secret": self._management_secret,
            },
            "login": {"totp": any(person.totp_secret for person in self._people.values())},
        }
        users = {person.username: _account(person) for person in self._people.values()}
        # JSON is YAML.
        (self.directory / "settings.yaml").write_text(json.dumps(settings))
        (self.directory / "users.yaml").write_text(json.dumps({"users": users}))


def _account(person: Person) -> dict[str, Any]:
    account = {
        "password": person.password,
        "email": person.email,
        "groups": list(person.groups),
        "roles": [],
        "attributes": {"name": person.name},
    }
    return account | ({"totp_secret": person.totp_secret} if person.totp_secret else {})
