"""Goes through a provider's login pages as a person with a browser does, for tests and demonstrations."""

from collections.abc import Mapping
from html.parser import HTMLParser
from http.cookiejar import Cookie, CookieJar
from urllib.parse import urljoin

import httpx

STEPS = 20
"""Redirects and forms after which something must be wrong."""


class LoginError(Exception):
    """The provider refuses a login; the message is what it showed."""


class _LoopbackCookies(CookieJar):
    """Cookies that are sent over plain HTTP even if they are `Secure`, as browsers do on loopback."""

    def set_cookie(self, cookie: Cookie) -> None:
        """Keep a cookie."""
        cookie.secure = False
        super().set_cookie(cookie)


def browser(base_url: str = "", transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Return a client that keeps cookies as a browser does on loopback, and follows no redirects by itself."""
    return httpx.Client(
        base_url=base_url, cookies=_LoopbackCookies(), timeout=30.0, trust_env=False, transport=transport
    )


def log_in(
    client: httpx.Client, start_url: str, username: str, password: str, *, until: str, code: str = ""
) -> httpx.Response:
    """Log in at a provider and return the response that sends the browser back.

    Args:
        client: one of `browser()`.
        start_url: where to begin: the application's login, or the provider's own address.
        username: what the person types.
        password: what else they type.
        until: beginning of the address that ends it: a redirect there is returned, not followed.
        code: one-time code, for a provider that asks for one on a page of its own.

    Returns:
        That redirect; or the first response that is neither a redirect nor a page with a form.
    """
    typed = {"text": username, "email": username, "password": password, "one-time-code": code}
    return _walk(client, start_url, typed, until)


def log_out(client: httpx.Client, end_session_url: str, *, until: str) -> httpx.Response:
    """Confirm at a provider that the person wants to log out there; arguments and result are `log_in`'s."""
    return _walk(client, end_session_url, {}, until)


def _walk(client: httpx.Client, url: str, typed: Mapping[str, str], until: str) -> httpx.Response:
    request = client.build_request("GET", url)
    asked = False
    for _ in range(STEPS):
        response = client.send(request, follow_redirects=False)
        if response.next_request is not None:
            if str(response.next_request.url).startswith(until):
                return response
            request = response.next_request
            continue
        page = _Page(response)
        if not page.found:
            return response
        if asked and "password" in page.types.values():
            raise LoginError(f"{response.url.host} refuses the login: {page.alert or 'it asks again'}")
        asked = asked or "password" in page.types.values()
        fields = page.values | {n: typed[kind] for n, kind in page.types.items() if kind in typed}
        request = client.build_request(page.method, urljoin(str(response.url), page.action), data=fields)
    raise LoginError(f"{url} leads nowhere: there were {STEPS} redirects and forms")


class _Page(HTMLParser):
    """The first form of a page: its target, its preset fields, and those to fill in."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.found = False
        self.method, self.action = "GET", ""
        self.values: dict[str, str] = {}
        self.types: dict[str, str] = {}
        self.alert = ""
        self._within = self._alerting = self._pressed = False
        if response.headers.get("content-type", "").startswith("text/html"):
            self.feed(response.text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note a form, and the first one's fields."""
        given = {name: value or "" for name, value in attributes}
        self._alerting = self._alerting or given.get("role") == "alert"
        if tag == "form" and not self.found:
            self.found = self._within = True
            self.method, self.action = given.get("method", "GET").upper(), given.get("action", "")
        name = given.get("name")
        if self._within and name:
            kind = given.get("type", "text" if tag == "input" else "submit")
            if tag == "input" and kind in {"text", "email", "password"}:
                self.types[name] = "one-time-code" if given.get("autocomplete") == "one-time-code" else kind
            # The first button with a name is the one that is pressed.
            if tag == "input" or (tag == "button" and not self._pressed):
                self.values[name] = given.get("value", "")
                self._pressed = self._pressed or tag == "button"

    def handle_endtag(self, tag: str) -> None:
        """Note where the form and an alert end."""
        self._within = self._within and tag != "form"
        self._alerting = self._alerting and tag not in {"div", "p"}

    def handle_data(self, data: str) -> None:
        """Keep what an alert says."""
        if self._alerting:
            self.alert = f"{self.alert} {data.strip()}".strip()
