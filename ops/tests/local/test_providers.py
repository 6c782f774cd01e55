"""The login providers do what the application's tests take for granted: code flow with PKCE, keys, logging out."""

import base64
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import psutil
import pytest

from familycorp_ops.local.login import LoginError, browser, log_in, log_out
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.oidc_provider import OidcProvider
from familycorp_ops.servers.people import PEOPLE, Person
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.servers import listening

API = "http://localhost:8765"
EDITOR = PEOPLE[1]


@dataclass
class Login:
    """One login by hand, as an application would lead it."""

    provider: NanoIDP | OidcProvider
    client: httpx.Client

    def __post_init__(self) -> None:
        self.verifier, self.nonce, self.state = (secrets.token_urlsafe(40) for _ in range(3))
        self.discovery = self.client.get(f"{self.provider.url}/.well-known/openid-configuration").json()

    def url(self, **more: str) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=")
        parameters = {
            "client_id": self.provider.client_id,
            "redirect_uri": f"{API}/v1/auth/callback",
            "response_type": "code",
            "scope": "openid email profile",
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
            **more,
        }
        return str(httpx.URL(self.discovery["authorization_endpoint"], params=parameters))

    def code(self, person: Person = EDITOR, password: str | None = None, **more: str) -> str:
        end = log_in(self.client, self.url(**more), person.username, password or person.password, until=API)
        assert end.next_request is not None, end.text
        answer = parse_qs(urlsplit(str(end.next_request.url)).query)
        assert answer["state"] == [self.state]
        return answer["code"][0]

    def redeem(self, code: str, verifier: str | None = None) -> httpx.Response:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": f"{API}/v1/auth/callback",
            "code_verifier": verifier or self.verifier,
        }
        secret = self.provider.client_secret
        authorisation = (self.provider.client_id, secret) if secret else None
        if not secret:
            fields["client_id"] = self.provider.client_id
        return httpx.post(self.discovery["token_endpoint"], data=fields, auth=authorisation)

    def claims(self, token: str) -> dict[str, Any]:
        keys = self.client.get(self.discovery["jwks_uri"]).json()["keys"]
        kid = jwt.get_unverified_header(token)["kid"]
        key = next((key for key in keys if key["kid"] == kid), None)
        assert key is not None, "the key isn't published"
        return jwt.decode(
            token,
            jwt.PyJWK(key),
            ["RS256", "ES256"],
            audience=self.provider.client_id,
            issuer=self.provider.url,
            options={"require": ["exp", "iat", "sub", "nonce"]},
        )


@pytest.fixture(params=[NanoIDP, OidcProvider], ids=lambda kind: kind.__name__, scope="module")
def provider(request):
    try:
        with request.param() as started:
            started.allow(API)
            yield started
    except NotInstalledError as error:
        pytest.skip(str(error))


@pytest.fixture
def login(provider):
    with browser() as client:
        yield Login(provider, client)


def test_a_person_logs_in_and_the_id_token_says_who_they_are(login):
    before = int(time.time())
    answer = login.redeem(login.code())
    assert answer.status_code == 200, answer.text
    claims = login.claims(answer.json()["id_token"])
    assert claims["nonce"] == login.nonce
    assert claims["sub"] == EDITOR.username
    assert claims["name"] == EDITOR.name
    assert (claims["email"], claims["email_verified"]) == (EDITOR.email, True)
    assert claims["groups"] == ["editors"]
    assert claims.get("amr", ["pwd"]) == ["pwd"], "NanoIDP says so only where there was a code too"
    assert before - 1 <= claims["auth_time"] <= time.time() + 1
    token = answer.json()["access_token"]
    userinfo = httpx.get(
        login.discovery["userinfo_endpoint"], headers={"Authorization": f"Bearer {token}"}
    ).json()
    assert (userinfo["sub"], userinfo["email"], userinfo["groups"]) == (
        EDITOR.username,
        EDITOR.email,
        ["editors"],
    )


def test_a_code_is_for_its_verifier_and_for_once(login):
    assert login.redeem(login.code(), verifier="x" * 43).status_code == 400
    with browser() as client:
        again = Login(login.provider, client)
        code = again.code()
        assert again.redeem(code).status_code == 200
        assert again.redeem(code).status_code == 400


@pytest.mark.parametrize(
    "more",
    [
        {"redirect_uri": "http://localhost:8766/v1/auth/callback"},
        {"client_id": "somebody-else"},
        {"code_challenge": "", "code_challenge_method": ""},
        {"code_challenge_method": "plain"},
    ],
    ids=["redirect", "client", "no PKCE", "plain PKCE"],
)
def test_what_was_not_agreed_on_is_refused(login, more):
    end = log_in(login.client, login.url(**more), EDITOR.username, EDITOR.password, until=more.get("x", API))
    assert end.status_code >= 400 or "error=" in end.headers["location"]


def test_a_wrong_password_lets_nobody_in(login):
    with pytest.raises(LoginError, match="refuses the login"):
        login.code(password="wrong")


def test_keys_rotate_and_survive_a_restart(login):
    old = login.redeem(login.code()).json()["id_token"]
    login.provider.rotate()
    login.claims(old)
    with browser() as client:
        later = Login(login.provider, client)
        new = later.redeem(later.code()).json()["id_token"]
    assert jwt.get_unverified_header(new)["kid"] != jwt.get_unverified_header(old)["kid"]
    login.provider.stop()
    login.provider.start()
    for token in (old, new):
        login.claims(token)


def test_people_may_come_and_change_while_it_runs(login):
    login.provider.admit(replace(EDITOR, email="editor2@familycorp.example", groups=("admins",)))
    try:
        claims = login.claims(login.redeem(login.code()).json()["id_token"])
    finally:
        login.provider.admit(EDITOR)
    assert (claims["sub"], claims["email"], claims["groups"]) == (
        "editor",
        "editor2@familycorp.example",
        ["admins"],
    )


def test_it_listens_on_loopback_only(provider):
    family = [psutil.Process(provider.pid), *psutil.Process(provider.pid).children(recursive=True)]
    assert listening(family) == {("127.0.0.1", provider.port)}


def test_nanoidp_signs_with_the_same_key_in_a_later_run(tmp_path):
    def key() -> Any:
        try:
            with NanoIDP(directory=tmp_path) as server:
                return httpx.get(f"{server.url}/.well-known/jwks.json").json()["keys"]
        except NotInstalledError as error:
            pytest.skip(str(error))

    assert key() == key()


def test_nanoidp_lets_no_page_change_anything_and_loads_nothing_from_elsewhere(nanoidp):
    headers = {"Origin": "https://evil.example"}
    for path in ("/api/keys/rotate", "/api/users/admin/token", "/api/config/reload", "/users/create"):
        answer = httpx.post(f"{nanoidp.url}{path}", headers=headers)
        assert answer.status_code in {302, 401, 403}, path
        assert "Access-Control-Allow-Origin" not in answer.headers
    page = httpx.get(f"{nanoidp.url}/login")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "https:" not in page.text


def test_nanoidp_as_a_confidential_client_with_a_second_factor(tmp_path):
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    person = replace(EDITOR, totp_secret=secret)
    code = TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(int(time.time())).decode()
    try:
        server = NanoIDP(people=[person], client_secret="confidential", token_minutes=5, api_urls=[API])
        with server, browser() as client:
            login = Login(server, client)
            page = log_in(client, login.url(), person.username, person.password, until=API, code=code)
            fields = login.redeem(parse_qs(urlsplit(page.headers["location"]).query)["code"][0])
            claims = login.claims(fields.json()["id_token"])
    except NotInstalledError as error:
        pytest.skip(str(error))
    assert claims["amr"] == ["pwd", "otp"]
    assert claims["exp"] - claims["iat"] == 300


def test_oidc_provider_says_how_a_person_logged_in_and_authenticates_again(oidc_provider):
    oidc_provider.allow(API)
    strong = replace(EDITOR, username="strong", acr="urn:familycorp:two-factors", amr=("pwd", "otp"))
    oidc_provider.admit(strong)
    with browser() as client:
        login = Login(oidc_provider, client)
        claims = login.claims(login.redeem(login.code(strong)).json()["id_token"])
        assert (claims["acr"], claims["amr"]) == ("urn:familycorp:two-factors", ["pwd", "otp"])
        # The provider's own session saves the password, unless the application wants it asked for.
        assert log_in(client, login.url(), "", "", until=API).next_request is not None
        with pytest.raises(LoginError):
            login.code(strong, password="wrong", prompt="login")
        time.sleep(2.1)  # It counts in whole seconds.
        with pytest.raises(LoginError):
            login.code(strong, password="wrong", max_age="1")
        later = login.claims(login.redeem(login.code(strong, max_age="1")).json()["id_token"])
        assert later["auth_time"] > claims["auth_time"]


def test_oidc_provider_notifies_the_application_when_a_person_logs_out(oidc_provider):
    received = []

    class Application(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append((self.path, parse_qs(body)["logout_token"][0]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Application) as application, browser() as client:
        thread = threading.Thread(target=application.serve_forever)
        thread.start()
        try:
            # Codes come back to the one, and the other is notified of the logout, since it was allowed last.
            oidc_provider.allow(API)
            oidc_provider.allow(f"http://127.0.0.1:{application.server_port}", post_logout_uri=f"{API}/bye")
            login = Login(oidc_provider, client)
            token = login.redeem(login.code()).json()["id_token"]
            parameters = {"id_token_hint": token, "post_logout_redirect_uri": f"{API}/bye"}
            url = str(httpx.URL(login.discovery["end_session_endpoint"], params=parameters))
            end = log_out(client, url, until=f"{API}/bye")
            assert end.next_request is not None, end.text
            claims = login.claims(token)
        finally:
            application.shutdown()
            thread.join()
    (path, logout_token) = received[0]
    assert path == "/v1/auth/backchannel-logout"
    assert jwt.get_unverified_header(logout_token)["typ"] == "logout+jwt"
    logout = jwt.decode(logout_token, options={"verify_signature": False})
    assert (logout["sub"], logout["sid"], logout["aud"]) == (claims["sub"], claims["sid"], "familycorp")
    assert list(logout["events"]) == ["http://schemas.openid.net/event/backchannel-logout"]


@pytest.mark.parametrize("method", ["client_secret_post", "none"])
def test_oidc_provider_with_another_client_and_algorithm(method):
    try:
        server = OidcProvider(method=method, algorithm="ES256", lifetimes={"IdToken": 60})
        with server, browser() as client:
            server.allow(API)
            login = Login(server, client)
            fields = {
                "grant_type": "authorization_code",
                "code": login.code(),
                "redirect_uri": f"{API}/v1/auth/callback",
                "code_verifier": login.verifier,
                "client_id": server.client_id,
                **({"client_secret": server.client_secret} if server.client_secret else {}),
            }
            token = client.post(login.discovery["token_endpoint"], data=fields).json()["id_token"]
            claims = login.claims(token)
            assert claims["exp"] - claims["iat"] == 60
            assert jwt.get_unverified_header(token)["alg"] == "ES256"
            # Those who have only the keys of now can't verify what was signed before.
            server.rotate(publish_old=False)
            with pytest.raises(AssertionError, match="isn't published"):
                login.claims(token)
    except NotInstalledError as error:
        pytest.skip(str(error))


def test_who_logs_in_where_nobody_asks_gets_what_is_there(oidc_provider):
    url = f"{oidc_provider.url}/.well-known/openid-configuration"
    with browser() as client:
        assert json.loads(log_in(client, url, "a", "b", until=API).text)["issuer"] == oidc_provider.url
