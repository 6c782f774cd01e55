"""What the application believes of an OpenID provider, and what not. Checklist items 21 to 25."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from authenticator import encoded
from contract import problem
from familycorp_ops.login import browser
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.valkey import Valkey
from hostile import HostileProvider
from stack import Stack
from staff import ACCESS, LOGIN, PENDING, RETURN_TO, SESSION, Person, at_browser


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileProvider]:
    with HostileProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def stack(
    ministack: MiniStack, valkey: Valkey, hostile: HostileProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("oidc")
    settings = {
        "OIDC_TRUSTED_ACR": "urn:two",
        "OIDC_TRUSTED_AMR": "otp",
        "OIDC_ACR_VALUES": "urn:two,urn:one",
    }
    with Stack(directory, ministack, valkey, valkey_database=13, provider=hostile, **settings) as made:
        made.prepare().start()
        yield made


@pytest.fixture
def provider(hostile: HostileProvider) -> Iterator[HostileProvider]:
    hostile.reset()
    yield hostile
    hostile.reset()


@pytest.fixture
def person(stack: Stack, provider: HostileProvider) -> Iterator[Person]:
    with at_browser(stack, "somebody") as made:
        yield made


def begin(person: Person, **query: str) -> httpx.URL:
    """Begin a login; return the address at the provider."""
    answer = person.client.get("/v1/auth/login", params={"returnTo": RETURN_TO, **query})
    assert answer.status_code == 303, answer.text
    return httpx.URL(answer.headers["location"])


def reason(stack: Stack) -> str:
    """Return why the last login failed, which only the log tells."""
    lines = [json.loads(line) for line in stack.logs().splitlines() if '"message":"login_failed"' in line]
    found: str = lines[-1]["reason"]
    return found


@pytest.mark.security(21)
@pytest.mark.security(22)
def test_a_login_asks_for_a_code_with_pkce_state_and_nonce(person: Person) -> None:
    first, second = begin(person).params, begin(person).params
    assert first["response_type"] == "code"
    assert first["code_challenge_method"] == "S256"
    assert len(first["code_challenge"]) == 43
    assert first["acr_values"] == "urn:two urn:one"
    assert first["redirect_uri"] == str(person.client.base_url).rstrip("/") + "/v1/auth/callback"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]
    assert "prompt" not in first
    assert (begin(person, anew="true").params["prompt"], begin(person, anew="true").params["max_age"]) == (
        "login",
        "0",
    )


def test_the_provider_proves_the_second_factor_where_it_is_trusted_to(
    person: Person, provider: HostileProvider
) -> None:
    proven_at = int(time.time()) - 40
    provider.claims = {"acr": "urn:two", "auth_time": proven_at}
    assert person.first_factor() == "done"
    me = person.me().json()
    assert (me["role"], me["name"]) == ("editor", "누군가")
    assert me["secondFactorAt"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(proven_at)))
    provider.claims = {"amr": ["pwd", "otp"]}
    assert person.first_factor() == "done"


@pytest.mark.security(26)
@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"acr": "urn:one"},
        {"acr": ""},
        {"acr": ["urn:two"]},
        {"amr": ["pwd"]},
        {"amr": "otp"},
        {"amr": {"otp": True}},
        {"acr": "urn:two", "auth_time": "yesterday"},
    ],
)
def test_whatever_else_the_provider_says_our_own_second_factor_is_demanded(
    person: Person, provider: HostileProvider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    assert person.first_factor() == "second-factor"
    assert person.cookie(ACCESS) is None
    assert person.me().status_code == 401


def _sets(**claims: Any) -> Callable[[HostileProvider], None]:
    return lambda provider: provider.claims.update(claims)


def _without(*names: str) -> Callable[[HostileProvider], None]:
    return lambda provider: provider.without.update(names)


def _forged(provider: HostileProvider, algorithm: str, sign: Callable[[bytes], bytes]) -> None:
    claims = jwt.decode(provider.id_token(), options={"verify_signature": False})
    header = {"alg": algorithm, "kid": "rsa", "typ": "JWT"}
    content = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    provider.raw = f"{content}.{encoded(sign(content.encode()))}"


def _unsigned(provider: HostileProvider) -> None:
    _forged(provider, "none", lambda _: b"")


def _symmetric(provider: HostileProvider) -> None:
    """Sign with the published RSA key as if it were a shared secret (RFC 8725 §2.1)."""
    pem = provider.rsa.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _forged(provider, "HS256", lambda content: hmac.digest(pem, content, "sha256"))


def _foreign_key(provider: HostileProvider) -> None:
    provider.key = rsa.generate_private_key(65537, 2048)


def _embedded_key(provider: HostileProvider) -> None:
    provider.key = ec.generate_private_key(ec.SECP256R1())
    jwk = HostileProvider.published("mine", provider.key)
    provider.header = {"kid": "mine", "alg": "ES256", "jwk": jwk}


def _wrong_algorithm(provider: HostileProvider) -> None:
    provider.header = {"kid": "rsa", "alg": "PS256"}


def _encryption_key(provider: HostileProvider) -> None:
    provider.key = provider.ec
    # Beside the others: the application keeps what it read, and the next test's key must be in it.
    provider.jwks.append(HostileProvider.published("enc", provider.ec) | {"use": "enc"})
    provider.header = {"kid": "enc", "alg": "ES256"}


def _raw(value: Any) -> Callable[[HostileProvider], None]:
    return lambda provider: provider.token.update(id_token=value)


FAR, NOW = 4_000_000_000, 0
ATTACKS: dict[str, tuple[Callable[[HostileProvider], None], str]] = {
    "unsigned": (_unsigned, "algorithm is not allowed"),
    "HS256 with the public key": (_symmetric, "algorithm is not allowed"),
    "signed with a foreign key": (_foreign_key, "Signature verification failed"),
    "brings its own key": (_embedded_key, "unknown key"),
    "key of another algorithm": (_wrong_algorithm, "not its key's"),
    "key not for signatures": (_encryption_key, "unknown key"),
    "another issuer": (_sets(iss="https://evil.example"), "issuer"),
    "issuer with a slash more": (lambda p: p.claims.update(iss=f"{p.url}/"), "issuer"),
    "for another client": (_sets(aud="somebody-else"), "udience"),
    "for two, made for neither": (_sets(aud=["familycorp", "somebody-else"]), "azp"),
    "for us, made for another": (_sets(azp="somebody-else"), "azp"),
    "expired": (_sets(exp=1_000_000_000), "expired"),
    "not yet valid": (_sets(nbf=FAR), "not yet valid"),
    "issued in the future": (_sets(iat=FAR), "not yet valid"),
    "of another login": (_sets(nonce="x" * 43), "nonce"),
    "of no login": (_without("nonce"), "nonce"),
    "of another access token": (_sets(at_hash="x" * 22), "at_hash"),
    "subject not text": (_sets(sub=7), "ubject"),
    "subject empty": (_sets(sub=""), "sub is not"),
    "subject too long": (_sets(sub="x" * 256), "sub is not"),
    **{f"without {name}": (_without(name), name) for name in ("iss", "aud", "sub", "exp", "iat")},
    "no ID token": (_raw(None), "no token"),
    "ID token a number": (_raw(7), "no token"),
    "ID token rubbish": (_raw("a.b.c"), "invalid"),
    "userinfo about somebody else": (
        lambda p: (p.without.add("email"), p.userinfo.update(sub="another"))[0],  # type: ignore[func-returns-value]
        "somebody else",
    ),
    "an error instead of a token": (lambda p: setattr(p, "status", 400), "provider answered 400"),
    "another issuer in the answer": (lambda p: p.callback.update(iss="https://evil.example"), "iss"),
    "an error instead of a code": (
        lambda p: p.callback.update(code="-", error="access_denied"),
        "access_denied",
    ),
    "an error that is an attack": (lambda p: p.callback.update(code="-", error="%3Cscript%3E"), "no code"),
}


@pytest.mark.security(24)
@pytest.mark.parametrize("attack", list(ATTACKS))
def test_an_answer_that_proves_nothing_logs_nobody_in(
    person: Person, provider: HostileProvider, stack: Stack, attack: str
) -> None:
    provider.claims = {"acr": "urn:two"}
    prepare, expected = ATTACKS[attack]
    url = begin(person)
    if prepare in {_unsigned, _symmetric}:  # They forge before the login asks.
        provider._nonce = url.params["nonce"]
    prepare(provider)
    answer = person.come_back(httpx.get(url, trust_env=False))
    # Whatever is wrong, the front end learns the same; operators read the reason in the log.
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"{RETURN_TO}?login=failed"
    assert person.cookie(ACCESS) is person.cookie(PENDING) is person.cookie(SESSION) is None
    assert expected in reason(stack)


@pytest.mark.security(24)
def test_a_right_answer_of_each_kind_is_accepted(person: Person, provider: HostileProvider) -> None:
    access_hash = hashlib.sha256(b"an-access-token").digest()[:16]
    at_hash = base64.urlsafe_b64encode(access_hash).decode().rstrip("=")
    for claims in (
        {"at_hash": at_hash},
        {"azp": "familycorp"},
        {"aud": ["familycorp"]},
        {"aud": ["familycorp", "another"], "azp": "familycorp"},
    ):
        provider.claims = {"acr": "urn:two", **claims}
        assert person.first_factor() == "done", claims
    provider.key, provider.header = provider.ec, {"kid": "ec", "alg": "ES256"}
    provider.callback = {"iss": provider.url}
    assert person.first_factor() == "done"


@pytest.mark.security(19)
def test_the_provider_may_change_its_keys_at_any_time(person: Person, provider: HostileProvider) -> None:
    provider.claims = {"acr": "urn:two"}
    assert person.first_factor() == "done"
    provider.key = rsa.generate_private_key(65537, 2048)
    provider.header = {"kid": "new", "alg": "RS256"}
    provider.jwks.append(HostileProvider.published("new", provider.key))
    time.sleep(1.1)  # The set isn't asked for more than once a second.
    assert person.first_factor() == "done"


@pytest.mark.security(22)
def test_an_answer_counts_once_and_in_the_browser_that_asked(person: Person, stack: Stack) -> None:
    url = begin(person)
    back = httpx.get(url, trust_env=False)
    stolen = back.headers["location"]
    with browser(stack.api_url) as thief:
        problem(thief.get(stolen), 400, "login_not_under_way")  # No login under way there.
        thief.get("/v1/auth/login")
        problem(thief.get(stolen), 400, "login_not_under_way")  # Another login's state.
    login = person.cookie(LOGIN) or ""
    # A forged answer doesn't use up the login that it pretends to be of.
    problem(person.client.get("/v1/auth/callback?code=a-code&state=forged"), 400, "login_not_under_way")
    assert person.come_back(back).headers["location"].endswith("login=second-factor")
    person.plant(LOGIN, login)
    problem(person.client.get(stolen), 400, "login_not_under_way")


@pytest.mark.security(22)
def test_a_login_is_over_after_ten_minutes(person: Person, stack: Stack) -> None:
    url = begin(person)
    key = hashlib.sha256((person.cookie(LOGIN) or "").encode()).hexdigest()
    held = stack.held(f"login#{key}", "login")
    assert held is not None
    assert held["expiresAt"] - time.time() == pytest.approx(600, abs=10)
    assert url.params["state"] not in str(held)
    stack.rewrite(f"login#{key}", "login", expiresAt=int(time.time()) - 1)
    problem(person.come_back(httpx.get(url, trust_env=False)), 400, "login_not_under_way")


@pytest.mark.security(21)
def test_a_stolen_code_is_worth_nothing_without_the_verifier(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    """A code that was issued for the attacker's own login, injected into the victim's (RFC 9700 §4.5)."""
    victim = begin(person)
    assert httpx.get(victim, trust_env=False).status_code == 302
    with browser(stack.api_url) as attacker:
        other = attacker.get("/v1/auth/login").headers["location"]
        assert (
            httpx.get(other, trust_env=False).status_code == 302
        )  # The provider's code is now of this challenge.
    answer = person.client.get(
        "/v1/auth/callback",
        params={"code": "a-code", "state": victim.params["state"]},
        follow_redirects=False,
    )
    assert answer.headers["location"].endswith("login=failed")
    assert "invalid_grant" in reason(stack)


@pytest.mark.security(23)
def test_somebody_is_issuer_and_subject_never_an_email(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    provider.claims = {"acr": "urn:two", "sub": "first", "email": "shared@familycorp.example"}
    assert person.first_factor() == "done"
    first = person.me().json()
    provider.claims |= {"sub": "second"}
    assert person.first_factor() == "done"
    second = person.me().json()
    assert first["email"] == second["email"]
    assert first["id"] != second["id"]
    provider.claims |= {"sub": "first", "email": "other@familycorp.example"}
    assert person.first_factor() == "done"
    assert person.me().json()["id"] == first["id"]
    provider.claims |= {"email_verified": False}
    assert person.first_factor() == "done"
    assert person.me().json()["email"] == ""  # Nobody vouches for it, so nobody is told that it is theirs.


def test_what_the_id_token_leaves_out_is_asked_of_userinfo(person: Person, provider: HostileProvider) -> None:
    provider.claims = {"acr": "urn:two", "sub": "quiet"}
    provider.without = {"email", "name", "groups"}
    provider.userinfo = {
        "sub": "quiet",
        "email": "q@familycorp.example",
        "name": "조용",
        "groups": ["viewers"],
    }
    assert person.first_factor() == "done"
    me = person.me().json()
    assert (me["email"], me["name"], me["role"]) == ("q@familycorp.example", "조용", "viewer")


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["viewers", "admins"], "admin"),
        (["nobody"], None),
        ([], None),
        ("admins", None),
        ({"admins": True}, None),
        ([["admins"], 7, None], None),
        (None, None),
    ],
)
def test_only_known_groups_give_a_role(
    person: Person, provider: HostileProvider, groups: Any, role: str | None
) -> None:
    provider.claims = {"acr": "urn:two", "sub": f"grouped {groups}"[:200], "groups": groups}
    assert person.first_factor() == "done"
    assert person.me().json()["role"] == role


def test_cognitos_names_of_claims_are_a_setting(
    ministack: MiniStack, valkey: Valkey, provider: HostileProvider, tmp_path: Path
) -> None:
    settings = {
        "OIDC_GROUPS_CLAIM": "cognito:groups",
        "OIDC_AMR_CLAIM": "custom:amr",
        "OIDC_TRUSTED_AMR": "mfa",
    }
    provider.claims = {"cognito:groups": ["admins"], "custom:amr": ["mfa"], "token_use": "id"}
    provider.without = {"groups"}
    provider.discovery = {"userinfo_endpoint": None, "end_session_endpoint": f"{provider.url}/logout"}
    with Stack(tmp_path, ministack, valkey, valkey_database=8, provider=provider, **settings) as stack:
        stack.prepare().start()
        with at_browser(stack, "somebody") as person:
            assert person.first_factor() == "done"
            assert person.me().json()["role"] == "admin"
            ended = httpx.URL(person.post("/v1/auth/logout").json()["endSessionUrl"])
            assert ended.params["client_id"] == "familycorp"


@pytest.mark.security(25)
@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/staff",
        "https://www.familycorp.example.evil.example/",
        "https://www.familycorp.example@evil.example/",
        "https://evil.example#https://www.familycorp.example",
        "https://www.familycorp.example:8443/",
        "http://www.familycorp.example/",
        "https:\\\\www.familycorp.example/",
        "https://www.familycorp.example\\@evil.example/",
        "https://www.familycorp.example\t.evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        " https://www.familycorp.example/",
        "https://www.familycorp.example/%0d%0aSet-Cookie:x",
        "",
    ],
)
def test_a_login_never_leads_elsewhere(person: Person, target: str) -> None:
    answer = person.client.get("/v1/auth/login", params={"returnTo": target})
    if target.startswith("https://www.familycorp.example/%"):
        assert answer.status_code == 303  # Escaped, it is just a path.
        return
    document = problem(answer, 422, "validation_failed")
    assert document["errors"][0]["field"] == "query.returnTo"


@pytest.mark.security(25)
def test_the_way_back_keeps_its_query(person: Person, provider: HostileProvider) -> None:
    target = "https://www.familycorp.example/staff?tab=%ED%95%9C&login=old#part"
    answer = person.client.get("/v1/auth/login", params={"returnTo": target})
    back = person.come_back(httpx.get(answer.headers["location"], trust_env=False))
    assert back.headers["location"] == (
        "https://www.familycorp.example/staff?tab=%ED%95%9C&login=second-factor#part"
    )


# -- the provider ends it -------------------------------------------------------------------------------------


def logout_token(provider: HostileProvider, **changed: Any) -> str:
    at = int(time.time())
    claims = {
        "iss": provider.url,
        "aud": "familycorp",
        "iat": at,
        "exp": at + 120,
        "jti": f"{time.time_ns()}",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        **changed,
    }
    return provider.sign({n: v for n, v in claims.items() if v is not None})


def test_the_provider_logs_out_a_session_or_a_person(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    def ends(token: str) -> httpx.Response:
        return httpx.post(
            f"{stack.api_url}/v1/auth/backchannel-logout", data={"logout_token": token}, trust_env=False
        )

    for claims in ({"sid": "s1"}, {"sid": "s1", "sub": "leaving"}, {"sub": "leaving"}):
        provider.claims = {"acr": "urn:two", "sub": "leaving", "sid": "s1"}
        assert person.first_factor() == "done"
        with at_browser(stack, "somebody") as other:
            provider.claims |= {"sid": "s2"}
            assert other.first_factor() == "done"
            assert ends(logout_token(provider, **claims)).status_code == 200
            assert person.me().status_code == 401
            problem(person.refresh(), 401, "session_over")
            assert other.me().status_code == (200 if "sid" in claims else 401)


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1_000_000_000},
        {"events": None},
        {"events": {}},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": 1}},
        {"nonce": "x"},
        {"sid": None, "sub": None},
        {"jti": None},
        {"iat": None},
    ],
)
def test_a_logout_token_that_proves_nothing_ends_nothing(
    person: Person, provider: HostileProvider, stack: Stack, changed: dict[str, Any]
) -> None:
    provider.claims = {"acr": "urn:two", "sub": "staying", "sid": "s9"}
    assert person.first_factor() == "done"
    url = f"{stack.api_url}/v1/auth/backchannel-logout"
    token = logout_token(provider, **({"sub": "staying", "sid": "s9"} | changed))
    problem(httpx.post(url, data={"logout_token": token}, trust_env=False), 400, "logout_refused")
    # Nor does an ID token, or nothing at all.
    problem(
        httpx.post(url, data={"logout_token": provider.id_token()}, trust_env=False), 400, "logout_refused"
    )
    problem(httpx.post(url, trust_env=False), 400, "logout_refused")
    assert person.refresh().status_code == 204
    assert person.me().status_code == 200


def test_a_logout_token_counts_once(person: Person, provider: HostileProvider, stack: Stack) -> None:
    provider.claims = {"acr": "urn:two", "sub": "returning", "sid": "s1"}
    assert person.first_factor() == "done"
    url, token = f"{stack.api_url}/v1/auth/backchannel-logout", logout_token(provider, sub="returning")
    assert httpx.post(url, data={"logout_token": token}, trust_env=False).status_code == 200
    assert person.first_factor() == "done"
    problem(httpx.post(url, data={"logout_token": token}, trust_env=False), 400, "logout_refused")
    assert person.me().status_code == 200
