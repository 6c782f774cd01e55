"""People of the staff at their browsers, as tests see them."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from familycorp_ops.local.login import browser, log_in
from support.stack import Stack

CSRF = {"X-CSRF-Protection": "1"}
RETURN_TO = "https://www.familycorp.example/staff"
ACCESS, SESSION, REFRESH = "__Host-access", "__Host-session", "__Secure-refresh"
LOGIN, PENDING = "__Host-login", "__Host-pending"


class Person:
    """Somebody at a browser of their own, with an authenticator once they enrolled one."""

    def __init__(self, client: httpx.Client, username: str, password: str) -> None:
        self.client, self.username, self.password = client, username, password
        self.secret = ""
        self.recovery_codes: list[str] = []
        self._used = 0

    def cookie(self, name: str) -> str | None:
        return next((c.value for c in self.client.cookies.jar if c.name == name), None)

    def plant(self, name: str, value: str, path: str = "/") -> None:
        """Put a cookie into the browser, replacing one of this name."""
        for cookie in [c for c in self.client.cookies.jar if c.name == name]:
            self.client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
        self.client.cookies.set(name, value, domain="127.0.0.1", path=path)

    def visit_provider(self, **query: str) -> httpx.Response:
        """Log in at the provider; return its redirect back to the application, not followed."""
        url = str(self.client.base_url) + "/v1/auth/login"
        start = httpx.URL(url, params={"returnTo": RETURN_TO, **query})
        return log_in(
            self.client,
            str(start),
            self.username,
            self.password,
            until=str(self.client.base_url).rstrip("/") + "/v1/auth/callback",
        )

    def come_back(self, redirect: httpx.Response) -> httpx.Response:
        """Follow the provider's redirect into the application; return its answer."""
        return self.client.get(redirect.headers["location"], follow_redirects=False)

    def first_factor(self, **query: str) -> str:
        """Go to the provider and back; return the outcome that the front end gets."""
        answer = self.come_back(self.visit_provider(**query))
        assert answer.status_code == 303, answer.text
        location = httpx.URL(answer.headers["location"])
        assert str(location).startswith(RETURN_TO)
        return location.params["login"]

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.client.post(path, json=body, headers=CSRF | headers)

    def delete(self, path: str, **headers: str) -> httpx.Response:
        return self.client.delete(path, headers=CSRF | headers)

    def enrol(self) -> httpx.Response:
        """Enrol an authenticator app."""
        begun = self.post("/v1/auth/enrolment/totp")
        assert begun.status_code == 200, begun.text
        self.secret = begun.json()["secret"]
        answer = self.post("/v1/auth/enrolment/totp/confirm", {"code": self.code()})
        if answer.status_code == 200:
            self.recovery_codes = answer.json()["recoveryCodes"] or self.recovery_codes
        return answer

    def code(self, steps: int = 0) -> str:
        """Return the authenticator's code, one that wasn't used yet."""
        step = max(int(time.time()) // 30 + steps, self._used + 1)
        self._used = step
        return totp(self.secret, step)

    def prove(self, code: str | None = None) -> httpx.Response:
        """Prove the second factor, by a code of the authenticator."""
        return self.post("/v1/auth/second-factor", {"method": "totp", "code": code or self.code()})

    def log_in(self, **query: str) -> None:
        """Log in with both factors, enrolling the second the first time."""
        assert self.first_factor(**query) == "second-factor"
        answer = self.prove() if self.secret else self.enrol()
        assert answer.status_code == 200, answer.text

    def refresh(self) -> httpx.Response:
        return self.post("/v1/auth/refresh")

    def me(self) -> httpx.Response:
        return self.client.get("/v1/auth/me")

    @contextmanager
    def elsewhere(self) -> Iterator["Person"]:
        """The same person at another browser, with the same authenticator."""
        with browser(str(self.client.base_url)) as client:
            other = Person(client, self.username, self.password)
            other.secret, other._used = self.secret, self._used
            yield other
            self._used = other._used


def totp(secret: str, step: int) -> str:
    """Return the code of a Base32 secret in a 30-second step."""
    return TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(step * 30).decode()


@contextmanager
def at_browser(stack: Stack, username: str, password: str | None = None) -> Iterator[Person]:
    """Open a browser for one of the provider's people; in tests a password is the name."""
    with browser(stack.api_url) as client:
        yield Person(client, username, password or username)
