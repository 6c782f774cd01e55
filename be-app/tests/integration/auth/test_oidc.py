"""What the application believes of an OpenID provider, and what not. Checklist items 21 to 25."""

import base64
import hashlib
import hmac
import json
import math
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm
from jwt.warnings import InsecureKeyLengthWarning

from app.auth.errors import ProviderUnavailable
from app.auth.provider_keys import KeySet
from app.core.aws import dynamodb
from familycorp_ops.local.login import browser
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.valkey import Valkey
from support.authenticator import encoded
from support.contract import problem
from support.hostile import HostileProvider
from support.stack import Stack, command, json_lines
from support.staff import ACCESS, LOGIN, PENDING, REFRESH, RETURN_TO, SESSION, Person, at_browser


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileProvider]:
    with HostileProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def stack(
    ministack: MiniStack, valkey: Valkey, hostile: HostileProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("oidc")
    settings: dict[str, Any] = {
        "OIDC_TRUSTED_ACR": "urn:two",
        "OIDC_TRUSTED_AMR": "otp",
        "OIDC_ACR_VALUES": "urn:two,urn:one",
    }
    with Stack(directory, ministack, valkey, provider=hostile, **settings) as made:
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
    """Return why the last login failed, which only the log has."""
    lines = [line for process in stack.processes for line in json_lines(process.log)]
    found: str = [line["reason"] for line in lines if line["message"] == "login_failed"][-1]
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
        {"acr": "urn:two", "auth_time": str(int(time.time()))},
        {"acr": "urn:two", "auth_time": None},
        {"acr": "urn:two", "auth_time": True},
        {"acr": "urn:two", "auth_time": [int(time.time())]},
        {"acr": "urn:two", "auth_time": 0},
        {"acr": "urn:two", "auth_time": -1e30},
        {"acr": "urn:two", "auth_time": 10**30},
        {"acr": "urn:two", "auth_time": 4_000_000_000},
        {"acr": "urn:two", "auth_time": math.nan},
        {"acr": "urn:two", "auth_time": math.inf},
        {"acr": "urn:two", "auth_time": time.time() - 31 * 24 * 3600},
    ],
)
def test_other_claims_of_the_provider_never_replace_our_own_second_factor(
    person: Person, provider: HostileProvider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    assert person.first_factor() == "second-factor"
    assert person.cookie(ACCESS) is None
    assert person.me().status_code == 401


@pytest.mark.security(26)
@pytest.mark.parametrize("claims", [{"acr": "urn:two"}, {"amr": ["otp"]}])
def test_a_second_factor_proven_nobody_says_when_is_demanded_again(
    person: Person, provider: HostileProvider, claims: dict[str, Any]
) -> None:
    """The token is new; the provider's session, in which the factor was proven, may be days old."""
    provider.claims, provider.without = claims, {"auth_time"}
    # What the provider is asked for obliges it to say so (OpenID Connect Core §3.1.2.1).
    assert int(begin(person).params["max_age"]) > 0
    assert person.first_factor() == "second-factor"
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


def _rsa(kid: Any, key: Any = None, **changed: Any) -> dict[str, Any]:
    """Return a published RSA key with some members changed; None leaves one out."""
    made = HostileProvider.published(kid, key or rsa.generate_private_key(65537, 2048)) | changed
    return {name: value for name, value in made.items() if value is not None}


def _ec(kid: Any, curve: ec.EllipticCurve | None = None, **changed: Any) -> dict[str, Any]:
    made = HostileProvider.published(kid, ec.generate_private_key(curve or ec.SECP256R1())) | changed
    return {name: value for name, value in made.items() if value is not None}


def _odd_members(kid: str) -> list[Any]:
    """Return what a key set may hold beside a good key, all with that key's id where they have one."""
    private = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    return [
        "text",
        7,
        None,
        [],
        {},
        {"kid": kid},
        {"kid": kid, "kty": "RSA"},
        {"kid": kid, "kty": ["RSA"]},
        {"kid": kid, "kty": {"RSA": True}},
        {"kid": kid, "kty": "oct", "k": encoded(b"secret" * 10)},
        {"kid": kid, "kty": "oct", "k": encoded(b"secret" * 10), "alg": "HS256", "use": "sig"},
        {"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": encoded(bytes(32))},
        {"kid": kid, "kty": "AKP", "alg": "ML-DSA-44", "pub": encoded(bytes(1312))},
        private | {"kid": kid},
        _rsa(kid, alg="RSA-OAEP"),
        _rsa(kid, alg="RSA-OAEP-256", use="enc"),
        _rsa(kid, alg="RS512"),
        _rsa(kid, alg="none"),
        _rsa(kid, alg=["RS256"]),
        _rsa(kid, alg="ES256"),
        _rsa(kid, use=["sig"]),
        _rsa(kid, use="enc", alg=None),
        _rsa(kid, key_ops=["encrypt"]),
        _rsa(kid, key_ops="verify"),
        _rsa(kid, n=7),
        _rsa(kid, n="한"),
        _rsa(kid, n="!"),
        _rsa(kid, n=""),
        _rsa(kid, n=None),
        _rsa(kid, e="AQ"),
        _rsa(kid, e="Ag"),
        _rsa(kid, e=""),
        _rsa(kid, e=encoded(b"\xff" * 400)),
        _rsa(kid, n=encoded(b"\xff" * 4000)),
        _rsa(kid, rsa.generate_private_key(65537, 1024)),
        _rsa(7),
        _rsa(["rsa"]),
        _rsa({"rsa": 1}),
        _rsa("\ud800", x5c="rubbish"),
        _ec(kid, crv="P-999"),
        _ec(kid, crv=None),
        _ec(kid, crv=["P-256"]),
        _ec(kid, x="AA"),
        _ec(kid, y=encoded(bytes(32))),
        _ec(kid, ec.SECP384R1(), alg="ES384"),
        _ec(kid, ec.SECP384R1()),
        _ec(kid, ec.SECP256K1(), alg="ES256K"),
        _ec("without", alg=None, use=None),
        _rsa("without", alg=None, use=None),
        _rsa(None, alg=None, use=None),
    ]


@pytest.mark.security(19)
def test_a_key_that_cannot_be_used_keeps_nobody_out(person: Person, provider: HostileProvider) -> None:
    provider.claims = {"acr": "urn:two"}
    good, at = provider.jwks, 0
    for kid, alg, key in (
        ("among RS256", "RS256", rsa.generate_private_key(65537, 2048)),
        ("among PS256", "PS256", rsa.generate_private_key(65537, 2048)),
        ("among ES256", "ES256", ec.generate_private_key(ec.SECP256R1())),
    ):
        odd = _odd_members(kid)
        # Before and after it; and the good one need not say which algorithm is its own (RFC 7517 §4.4).
        published = HostileProvider.published(kid, key) | {"alg": alg}
        provider.jwks = [*odd[at:], published, *odd[:at], *good]
        provider.key, provider.header, at = key, {"kid": kid, "alg": alg}, at + 20
        time.sleep(1.1)  # The set isn't asked for more than once a second.
        assert person.first_factor() == "done", kid
        del published["alg"]
        provider.header = {"kid": f"{kid} without alg", "alg": alg}
        provider.jwks = [*odd, published | {"kid": f"{kid} without alg"}, *good]
        time.sleep(1.1)
        assert person.first_factor() == "done", kid


@pytest.mark.security(19)
@pytest.mark.security(24)
def test_a_key_that_must_not_be_used_proves_nothing(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    provider.claims = {"acr": "urn:two"}
    mine, curve = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    small, other = rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256K1())
    private = ECAlgorithm.to_jwk(curve, as_dict=True)
    cases: dict[str, tuple[str, Any, dict[str, Any]]] = {
        "use": ("RS256", mine, _rsa("use", mine, use="enc")),
        "alg": ("RS256", mine, _rsa("alg", mine, alg="RSA-OAEP")),
        "another alg": ("PS256", mine, _rsa("another alg", mine, alg="RS256")),
        "key_ops": ("RS256", mine, _rsa("key_ops", mine, key_ops=["encrypt", "wrapKey"])),
        "small": ("RS256", small, _rsa("small", small)),
        "private": ("ES256", curve, private | {"kid": "private", "alg": "ES256"}),
        "curve": ("ES256K", other, HostileProvider.published("curve", other) | {"alg": "ES256K"}),
        "oct": ("HS256", b"s" * 64, {"kid": "oct", "kty": "oct", "k": encoded(b"s" * 64), "alg": "HS256"}),
        "oct for all": ("HS256", b"s" * 64, {"kid": "oct for all", "kty": "oct", "k": encoded(b"s" * 64)}),
    }
    provider.jwks += [jwk for _, _, jwk in cases.values()]
    for kid, (alg, key, _) in cases.items():
        provider.key, provider.header = key, {"kid": kid, "alg": alg}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            assert person.first_factor() == "failed", kid
        assert any(told in reason(stack) for told in ("unknown key", "not allowed", "not its key's")), kid


@pytest.mark.security(19)
def test_a_token_need_not_name_the_only_key_that_fits(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    """OpenID Connect Core §10.1; and such a key is replaced without a new name for it."""
    provider.claims, provider.header = {"acr": "urn:two"}, {"alg": "RS256"}
    for named in (True, False):
        provider.key = rsa.generate_private_key(65537, 2048)
        provider.jwks = [_rsa("only" if named else None, provider.key), _rsa("enc", use="enc"), _ec("ec")]
        time.sleep(1.1)
        assert person.first_factor() == "done"
    provider.jwks.append(_rsa("second"))
    time.sleep(1.1)
    assert person.first_factor() == "done"  # The set that is known has one that fits.
    provider.key = rsa.generate_private_key(65537, 2048)
    provider.jwks[0] = _rsa("first", provider.key)
    time.sleep(1.1)
    assert person.first_factor() == "failed"
    assert "several fit" in reason(stack)
    provider.header = {"alg": "RS256", "kid": "first"}
    assert person.first_factor() == "done"
    # Two of one name are tried in turn.
    provider.reset()
    provider.claims, provider.header = {"acr": "urn:two"}, {"alg": "RS256", "kid": "twice"}
    provider.jwks += [_rsa("twice"), _rsa("twice", provider.rsa), _ec("twice")]
    time.sleep(1.1)
    assert person.first_factor() == "done"


def _forged_logout(provider: HostileProvider, **header: Any) -> str:
    """Return a logout token that somebody made who knows no key of the provider's."""
    at = int(time.time())
    claims = {"iss": provider.url, "aud": "familycorp", "iat": at, "exp": at + 60, "jti": f"{time.time_ns()}"}
    events: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}
    chosen = {"kid": f"forged {time.time_ns()}", "alg": "PS256"} | header
    claims |= {"sub": "somebody", "events": events}
    return jwt.encode(claims, STRANGERS_KEY, chosen["alg"], headers=chosen)


@pytest.mark.security(19)
@pytest.mark.parametrize(
    "jwk",
    [
        "",
        "{}",
        "[]",
        "rubbish",
        '{"kty":"EC","crv":"P-999","x":"AA","y":"AA"}',
        json.dumps(_ec(None, ec.SECP384R1())),
    ],
)
def test_a_public_key_of_our_own_that_cannot_be_used_verifies_nothing(stack: Stack, jwk: str) -> None:
    """What the function that signs published is read by others, who must cope with any item there."""
    kid = hashlib.sha256(jwk.encode()).hexdigest()[:43]
    stack.dynamodb.put_item(
        TableName=stack.settings.sessions_table,
        Item=dynamodb.encode({"owner": "keys", "item": kid, "jwk": jwk, "expiresAt": int(time.time()) + 60}),
    )
    header = {"kid": kid, "alg": "ES256", "typ": "at+jwt"}
    token = jwt.encode({"sub": "x"}, ec.generate_private_key(ec.SECP256R1()), "ES256", headers=header)
    with stack.client() as client:
        answer = client.get("/v1/auth/me", headers={"Cookie": f"{ACCESS}={token}"})
    problem(answer, 401, "unauthenticated")


STRANGERS_KEY = rsa.generate_private_key(65537, 2048)


@pytest.mark.security(19)
@pytest.mark.parametrize("alg", [None, "RS256"])
def test_a_forged_logout_token_changes_nothing_for_anybody(
    person: Person, provider: HostileProvider, stack: Stack, alg: str | None
) -> None:
    provider.claims = {"acr": "urn:two"}
    for jwk in provider.jwks:
        if alg is None:
            del jwk["alg"]
    # The first request has the keys read: here, a forged token after a new set was published.
    kid = f"published {alg}"
    provider.header = {"kid": kid, "alg": "RS256"}
    provider.jwks.append(_rsa(kid, provider.rsa, alg=alg))
    ends = f"{stack.api_url}/v1/auth/backchannel-logout"
    for n in range(20):
        names = {"kid": kid} if n % 3 == 0 else {}
        token = _forged_logout(provider, **names)
        problem(httpx.post(ends, data={"logout_token": token}, trust_env=False), 400, "logout_token_rejected")
    assert [path for path, _ in provider.asked].count("/jwks") < 5
    time.sleep(1.1)
    assert person.first_factor() == "done"
    # A real change of keys is noticed at the next login, with any tokens of strangers.
    httpx.post(ends, data={"logout_token": _forged_logout(provider)}, trust_env=False)
    provider.key = rsa.generate_private_key(65537, 2048)
    provider.header = {"kid": f"later {alg}", "alg": "RS256"}
    provider.jwks.append(_rsa(f"later {alg}", provider.key))
    time.sleep(1.1)
    assert person.first_factor() == "done"


def test_the_keys_are_read_once_for_all_who_wait_and_a_failure_is_not_kept() -> None:
    answers: list[Any] = [[_rsa("second")], ProviderUnavailable()]
    reading, go = threading.Event(), threading.Event()

    def read() -> list[Any]:
        answer = answers.pop()
        if isinstance(answer, Exception):
            raise answer
        reading.set()
        assert go.wait(300)
        found: list[Any] = answer
        return found

    keys, results = KeySet(read), []
    with pytest.raises(ProviderUnavailable):
        keys.get(0)
    threads = [threading.Thread(target=lambda: results.append(keys.get(0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert reading.wait(300)
    go.set()
    for thread in threads:
        thread.join(120)
    assert results == [keys.get(0)] * 8
    assert results[0] is not None
    assert [key.kid for key in results[0].usable] == ["second"]


@pytest.mark.security(22)
def test_an_answer_counts_once_and_in_the_browser_that_asked(person: Person, stack: Stack) -> None:
    url = begin(person)
    back = httpx.get(url, trust_env=False)
    stolen = back.headers["location"]
    with browser(stack.api_url) as thief:
        problem(thief.get(stolen), 400, "login_expired")  # No login under way there.
        thief.get("/v1/auth/login")
        problem(thief.get(stolen), 400, "login_expired")  # Another login's state.
    login = person.cookie(LOGIN) or ""
    # A forged answer doesn't use up the login that it pretends to be of.
    problem(person.client.get("/v1/auth/callback?code=a-code&state=forged"), 400, "login_expired")
    assert person.come_back(back).headers["location"].endswith("login=second-factor")
    person.plant(LOGIN, login)
    problem(person.client.get(stolen), 400, "login_expired")


@pytest.mark.security(22)
def test_a_login_is_over_after_ten_minutes(person: Person, stack: Stack) -> None:
    url = begin(person)
    key = hashlib.sha256((person.cookie(LOGIN) or "").encode()).hexdigest()
    held = stack.held(f"login#{key}", "login")
    assert held is not None
    assert held["expiresAt"] - time.time() == pytest.approx(600, abs=10)
    assert url.params["state"] not in str(held)
    stack.rewrite(f"login#{key}", "login", expiresAt=int(time.time()) - 1)
    problem(person.come_back(httpx.get(url, trust_env=False)), 400, "login_expired")


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
    assert person.me().json()["email"] == ""  # It isn't verified, so it is nobody's.


def test_what_the_id_token_leaves_out_is_asked_of_userinfo(person: Person, provider: HostileProvider) -> None:
    provider.claims = {"acr": "urn:two", "sub": "quiet"}
    provider.without = {"email", "email_verified", "name", "groups"}
    provider.userinfo = {
        "sub": "quiet",
        "email": "q@familycorp.example",
        "email_verified": True,
        "name": "조용",
        "groups": ["viewers"],
    }
    assert person.first_factor() == "done"
    me = person.me().json()
    assert (me["email"], me["name"], me["role"]) == ("q@familycorp.example", "조용", "viewer")


ADDRESS = "boss@familycorp.example"
OTHER = "mallory@familycorp.example"


@pytest.mark.security(23)
@pytest.mark.parametrize(
    ("token", "userinfo", "email"),
    [
        ({"email": ADDRESS, "email_verified": True}, {}, ADDRESS),
        ({"email": ADDRESS, "email_verified": "true"}, {}, ADDRESS),
        *(
            ({"email": ADDRESS, "email_verified": value}, {}, "")
            for value in (
                False,
                "false",
                "False",
                "True",
                "TRUE",
                " true",
                "yes",
                "1",
                1,
                1.0,
                [True],
                {"a": 1},
                "",
                None,
            )
        ),
        ({"email": ADDRESS}, {}, ""),
        # Of userinfo.
        ({}, {"email": ADDRESS, "email_verified": True}, ADDRESS),
        ({}, {"email": ADDRESS, "email_verified": "true"}, ADDRESS),
        *(
            ({}, {"email": ADDRESS, "email_verified": value}, "")
            for value in ("false", "True", 1, "1", [True], None)
        ),
        ({}, {"email": ADDRESS}, ""),
        # Of both: what is signed counts, and a word is about its own address.
        ({"email": ADDRESS, "email_verified": False}, {"email": ADDRESS, "email_verified": True}, ""),
        ({"email": ADDRESS, "email_verified": "false"}, {"email_verified": "true"}, ""),
        ({"email": ADDRESS}, {"email": OTHER, "email_verified": True}, ""),
        ({"email": ADDRESS}, {"email_verified": True}, ""),
        ({"email": ADDRESS}, {"email": ADDRESS, "email_verified": "true"}, ADDRESS),
        ({"email": OTHER, "email_verified": True}, {"email": ADDRESS, "email_verified": True}, OTHER),
        ({"email_verified": True}, {"email": ADDRESS, "email_verified": "false"}, ""),
        ({"email_verified": True}, {"email": ADDRESS}, ""),
        ({"email_verified": "false"}, {"email": ADDRESS, "email_verified": True}, ""),
        ({"email": None, "email_verified": True}, {"email": ADDRESS, "email_verified": True}, ""),
        # What is no address.
        *(
            ({"email": value, "email_verified": True}, {}, "")
            for value in (
                7,
                ["boss@familycorp.example"],
                {"value": ADDRESS},
                "boss",
                "",
                f"{ADDRESS}\n",
                f"{ADDRESS}\x00",
                "bo\ud800ss@familycorp.example",
                "bo\u200bss@familycorp.example",
                "a b@familycorp.example",
                "a@b@familycorp.example",
                f"{'x' * 250}@familycorp.example",
                f"{'한' * 80}@familycorp.example",
            )
        ),
    ],
)
def test_an_address_counts_where_the_provider_says_that_it_verified_it(
    person: Person, provider: HostileProvider, token: dict[str, Any], userinfo: dict[str, Any], email: str
) -> None:
    provider.claims = {"acr": "urn:two", **token}
    # The name is left out, so that userinfo is requested with any address in the token.
    provider.without = {"name", "email", "email_verified"} - token.keys()
    provider.userinfo = userinfo
    assert person.first_factor() == "done"
    assert person.me().json()["email"] == email


def known(stack: Stack, subject: str, email: str) -> str:
    """Have somebody among the members, as if they had logged in; return their id."""
    member, at = str(uuid.uuid5(uuid.NAMESPACE_URL, subject)), "2026-11-29 00:00:00.000000"
    stack.sql(
        "INSERT INTO members (id, issuer, subject, email, name, seen_at, version, created_at, updated_at) "
        "VALUES (:id, 'https://login.example', :subject, :email, :name, :at, 1, :at, :at)",
        id=member.replace("-", ""),
        subject=subject,
        email=email,
        name=f"이름 {subject}",
        at=at,
    )
    return member


def grant(stack: Stack, who: str, role: str = "admin") -> tuple[int | None, str]:
    return command(stack, "members", "grant-role", who, role)


def granted(stack: Stack) -> list[str]:
    """Return the subjects to whom an operator gave a role."""
    return [subject for (subject,) in stack.sql("SELECT subject FROM members WHERE role IS NOT NULL")]


@pytest.mark.security(23)
def test_a_role_is_granted_to_nobody_who_claims_an_address_or_imitates_it(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    stack.sql("DELETE FROM members")
    provider.claims = {"acr": "urn:two", "sub": "intruder", "email": ADDRESS, "email_verified": "false"}
    assert person.first_factor() == "done"
    assert person.client.get("/v1/members").status_code == 200  # Which writes the member's row.
    known(
        stack, "Kelvin", "boss@\u212aorea.example"
    )  # Its sign is lower-cased to k, and is K in Unicode's forms.
    known(stack, "Cyrillic", "b\u043ess@familycorp.example")
    known(stack, "accent", "b\u00f6ss@familycorp.example")
    known(stack, "other", "boss+other@familycorp.example")
    for meant in (ADDRESS, "boss@korea.example", " "):
        status, said = grant(stack, meant)
        assert (status, "Nobody with this e-mail" in said) == (1, True), said
    assert granted(stack) == []


@pytest.mark.security(23)
@pytest.mark.parametrize(
    ("address", "alike"),
    [
        ("boss@familycorp.example", "boss@familycorp.example"),
        ("Boss@familycorp.example", "bOSS@FamilyCorp.example"),
        ("boss@familycorp.example", "bo\u017f\u017f@familycorp.example"),  # The long s, which folds to s.
        ("boss@familycorp.example", "\uff42oss\uff20familycorp\uff0eexample"),
        ("boss@familycorp.example", "bo\u200bss@familycorp.example"),
        ("boss@familycorp.example", "boss\u3164@familycorp.example"),  # The Hangul filler, which is a letter.
        (
            "boss@familycorp.example",
            "boss\ufe0f@familycorp.example",
        ),  # A variation selector, which is a mark.
        ("boss@familycorp.example", "boss\u2800@familycorp.example"),  # The empty Braille pattern, a symbol.
        ("boss@familycorp.example", "boss@familycorp.example."),
        ("boss@korea.example", "boss@\u212aorea.example"),
        ("boss@caf\u00e9.example", "boss@cafe\u0301.example"),
        ("boss@패밀리.example", "boss@xn--oy2bp6bd68a.example"),
    ],
)
def test_a_role_is_granted_to_nobody_whose_address_could_be_taken_for_anothers(
    stack: Stack, address: str, alike: str
) -> None:
    stack.sql("DELETE FROM members")
    boss, namesake = known(stack, "boss", address), known(stack, "namesake", alike)
    status, said = grant(stack, address)
    assert status == 1
    # Both are named, with their difference: letters that look alike are spelt out.
    spelt = alike.encode("ascii", "backslashreplace").decode()
    for told in (boss, namesake, spelt, "boss at https://login.example", "namesake at https://login.example"):
        assert told in said
    assert granted(stack) == []


@pytest.mark.security(23)
def test_a_role_is_granted_by_id_where_an_address_does_not_decide(stack: Stack) -> None:
    stack.sql("DELETE FROM members")
    boss = known(stack, "boss", ADDRESS)
    known(stack, "namesake", ADDRESS)
    assert grant(stack, str(uuid.uuid4()))[0] == 1
    status, said = grant(stack, boss)
    assert (status, "이름 boss" in said) == (0, True)
    assert granted(stack) == ["boss"]
    stack.sql("DELETE FROM members WHERE subject = 'namesake'")
    assert grant(stack, f" {ADDRESS.upper()} ", "none")[0] == 0
    assert granted(stack) == []


def test_userinfo_adds_to_the_id_token_and_never_outweighs_it(
    person: Person, provider: HostileProvider
) -> None:
    provider.claims = {"acr": "urn:two", "name": "서명한 이름", "groups": []}
    provider.without = {"email"}
    provider.userinfo = {
        "name": "다른 이름",
        "groups": ["admins"],
        "acr": "urn:two",
        "sid": "s",
        "sub": "somebody",
    }
    assert person.first_factor() == "done"
    me = person.me().json()
    assert (me["name"], me["role"]) == ("서명한 이름", None)
    provider.claims = {}
    assert person.first_factor() == "second-factor"  # Nor does it prove a second factor.


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


DEEP: list[Any] = []
for _ in range(300):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "반쪽 \ud83d"}, "반쪽"),
        ({"name": "\ud800\udc00\udfff이름"}, "\U00010000이름"),
        ({"name": "\x1b[31m이름\x00\u202e\n끝"}, "[31m이름 끝"),
        ({"name": ["이름"]}, ""),
        ({"name": {"formatted": "이름"}}, ""),
        ({"name": 7}, ""),
        ({"name": DEEP}, ""),
        ({"name": "가" * 30_000}, "가" * 200),
        ({"name": None}, ""),
        ({"groups": ["\ud800", {"editors": 1}, ["editors"], DEEP, "editors"]}, "누군가"),
        ({"groups": ["g" * 1000] * 200 + ["editors"]}, "누군가"),
        ({"groups": {"editors": {}}, "sid": "\ud800"}, "누군가"),
        ({"groups": "editors", "sid": ["s"]}, "누군가"),
        ({"sid": "s" * 50_000}, "누군가"),
        ({"sid": "\x00"}, "누군가"),
        ({"amr": ["\ud800", ["otp"], {"otp": 1}, "otp"], "acr": "\ud800"}, "누군가"),
        (
            {"amr": DEEP, "picture": DEEP, "\ud800": "\udfff", "locale": 10**100, "updated_at": math.nan},
            "누군가",
        ),
    ],
)
def test_claims_of_any_kind_are_ignored_or_cut_to_size(
    person: Person, provider: HostileProvider, claims: dict[str, Any], name: str
) -> None:
    provider.claims = {"acr": "urn:two", **claims}
    assert person.first_factor() == "done"
    me = person.me().json()
    assert me["name"] == name
    assert person.refresh().status_code == 204
    assert person.client.get("/v1/auth/sessions").status_code == 200
    assert person.client.get("/v1/members").status_code in {200, 403}  # Which writes the member's row.


@pytest.mark.parametrize(
    "changed",
    [
        {"sub": "\ud800"},
        {"sub": "somebody\x00"},
        {"sub": "somebody "},
        {"sub": " somebody"},
        {"sub": "some\u200bbody"},
        {"sub": "some\nbody"},
        {"sub": ["somebody"]},
        {"sub": None},
        {"at_hash": "\ud800"},
        {"at_hash": ["x"]},
        {"azp": "\ud800"},
        {"azp": ["familycorp"]},
        {"nonce": "\ud800"},
        {"nonce": ["x"]},
        {"iss": ["x"]},
        {"iss": "\ud800"},
        {"aud": {"familycorp": 1}},
        {"aud": ["familycorp", 7]},
        {"aud": "\ud800"},
        {"exp": "soon"},
        {"exp": []},
        {"exp": math.nan},
        {"exp": -(10**400)},
        {"iat": {}},
        {"iat": math.inf},
        {"nbf": "\ud800"},
    ],
)
def test_claims_that_prove_nothing_log_nobody_in(
    person: Person, provider: HostileProvider, changed: dict[str, Any]
) -> None:
    provider.claims = {"acr": "urn:two", **changed}
    assert person.first_factor() == "failed"
    assert person.cookie(ACCESS) is None


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": "broken\r\nX-Injected: 1"},
        {"access_token": "\ud800"},
        {"access_token": "한"},
        {"access_token": ["an-access-token"]},
        {"access_token": None},
        {"scope": "\ud800", "expires_in": math.nan, "refresh_token": DEEP},
    ],
)
def test_an_access_token_of_any_kind_fails_no_login_that_needs_none(
    person: Person, provider: HostileProvider, answer: dict[str, Any]
) -> None:
    provider.claims, provider.without, provider.token = {"acr": "urn:two"}, {"name"}, answer
    provider.userinfo = {"name": "이름"}
    assert person.first_factor() == "done"
    assert person.me().json()["name"] == ("이름" if "access_token" not in answer else "")


@pytest.mark.parametrize(
    "token",
    ["\ud800", "한.한.한", "", ".", "..", "a.b", {"id_token": 1}, ["a"], f"{encoded(b'[' * 60_000)}.e30.AA"],
)
def test_an_id_token_that_is_none_logs_nobody_in(
    person: Person, provider: HostileProvider, token: Any
) -> None:
    provider.token = {"id_token": token}
    assert person.first_factor() == "failed"


@pytest.mark.security(24)
def test_what_is_odd_in_a_discovery_document_keeps_nobody_out(
    ministack: MiniStack, valkey: Valkey, provider: HostileProvider, tmp_path: Path
) -> None:
    provider.claims, provider.without = {"acr": "urn:two"}, {"name"}
    provider.discovery = {
        "token_endpoint_auth_methods_supported": None,
        "userinfo_endpoint": 7,
        "end_session_endpoint": ["https://[", "\ud800"],
        "authorization_response_iss_parameter_supported": "true",
        "service_documentation": "\ud800",
        "claims_supported": DEEP,
        "updated": math.nan,
    }
    with Stack(tmp_path, ministack, valkey, provider=provider, OIDC_TRUSTED_ACR="urn:two") as stack:
        stack.prepare().start()
        with at_browser(stack, "somebody") as person:
            assert person.first_factor() == "failed"
            assert "another issuer" in reason(
                stack
            )  # It says, in its way, that it always names itself (RFC 9207).
            provider.callback = {"iss": provider.url}
            assert person.first_factor() == "done"
            assert person.post("/v1/auth/logout").json()["endSessionUrl"] is None
        # One that lacks what a login needs is the provider's fault, and read again.
        application = stack.processes[0]
        application.stop()
        application.start()
        for broken in (
            {"authorization_endpoint": "javascript:alert(1)"},
            {"authorization_endpoint": f"{provider.url}/\r\nSet-Cookie: a=b"},
            {"token_endpoint": 7},
            {"jwks_uri": None},
            {"issuer": [provider.url]},
            {"issuer": "\ud800"},
        ):
            provider.discovery = broken
            with stack.client() as client:
                problem(client.get("/v1/auth/login"), 503, "login_provider_unavailable")


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
        "https://[",
        "https://[::1",
        "https://]",
        "https://[v1.x]/",
        "https://www.familycorp.example[",
        "https://www.familycorp.example]/",
        "https://www.familycorp.example:port/",
        "https://www.familycorp.example:/",
        "https://www.familycorp.example.",
        "https://www.familycorp.example\u2100/",
        "https://www.familycorp.example\uff0f",
        "https://www.familycorp.example/\x00",
        "https://www.familycorp.example/\ufffd",
        "http://[fe80::1%25eth0]/",
        "//[",
        "?",
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


def ends(stack: Stack, token: str) -> httpx.Response:
    """Send a logout token as the provider does."""
    url = f"{stack.api_url}/v1/auth/backchannel-logout"
    return httpx.post(url, data={"logout_token": token}, trust_env=False, timeout=120)


def is_out(person: Person) -> bool:
    """Return whether somebody's session is over, which both of its tokens must agree on."""
    here, refreshed = person.me().status_code, person.refresh().status_code
    assert (here, refreshed) in {(200, 204), (401, 401)}
    return here == 401


@pytest.mark.security(16)
def test_a_session_of_the_provider_takes_all_of_ours_with_it(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    """A person who logs in twice in one browser has two sessions here, and one there."""
    sid = f"s{time.time_ns()}"
    provider.claims = {"acr": "urn:two", "sub": "twice", "sid": sid}
    with at_browser(stack, "somebody") as second, at_browser(stack, "somebody") as elsewhere:
        assert person.first_factor() == second.first_factor() == "done"
        first = {name: person.cookie(name) or "" for name in (ACCESS, SESSION, REFRESH)}
        assert person.first_factor() == "done"
        with at_browser(stack, "somebody") as before:
            for name, value in first.items():
                before.plant(name, value, "/v1/auth" if name == REFRESH else "/")
            provider.claims["sid"] = f"{sid} elsewhere"
            assert elsewhere.first_factor() == "done"
            assert ends(stack, logout_token(provider, sid=sid)).status_code == 200
            assert [is_out(p) for p in (before, person, second, elsewhere)] == [True, True, True, False]


@pytest.mark.security(16)
def test_a_session_of_the_provider_that_is_unknown_here_ends_all_of_its_person(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    sid = f"s{time.time_ns()}"
    with at_browser(stack, "somebody") as other, at_browser(stack, "somebody") as stranger:
        provider.claims = {"acr": "urn:two", "sub": "known", "sid": sid}
        assert person.first_factor() == "done"
        del provider.claims["sid"]
        assert other.first_factor() == "done"
        provider.claims = {"acr": "urn:two", "sub": "stranger", "sid": f"{sid} stranger"}
        assert stranger.first_factor() == "done"
        # Nobody is named: nothing that it could mean.
        assert ends(stack, logout_token(provider, sid=f"{sid} unknown")).status_code == 200
        assert [is_out(p) for p in (person, other, stranger)] == [False, False, False]
        # Another's session isn't this person's; both of this person's end, and the other's stays.
        named = {"sub": "known", "sid": f"{sid} stranger"}
        assert ends(stack, logout_token(provider, **named)).status_code == 200
        assert [is_out(p) for p in (person, other, stranger)] == [True, True, False]
        provider.claims = {"acr": "urn:two", "sub": "known", "sid": sid}
        assert person.first_factor() == other.first_factor() == "done"
        assert ends(stack, logout_token(provider, sub="known", sid=f"{sid} unknown")).status_code == 200
        assert [is_out(p) for p in (person, other, stranger)] == [True, True, False]


def test_a_session_of_the_provider_that_is_over_here_ends_no_other(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    """Logging out here and then there, as front ends do, leaves a person's other browsers alone."""
    sid = f"s{time.time_ns()}"
    with at_browser(stack, "somebody") as other:
        provider.claims = {"acr": "urn:two", "sub": "tidy", "sid": f"{sid} other"}
        assert other.first_factor() == "done"
        provider.claims["sid"] = sid
        assert person.first_factor() == "done"
        assert person.post("/v1/auth/logout").status_code == 200
        assert ends(stack, logout_token(provider, sub="tidy", sid=sid)).status_code == 200
        assert not is_out(other)


@pytest.mark.security(16)
@pytest.mark.parametrize("named", ["sid", "sub", "both"])
def test_a_login_that_waits_for_its_second_factor_is_ended_too(
    person: Person, provider: HostileProvider, stack: Stack, named: str
) -> None:
    sid = f"s{time.time_ns()}"
    provider.claims = {"sub": f"waiting {named}", "sid": sid}
    assert person.first_factor() == "second-factor"
    names = {"sid": sid, "sub": f"waiting {named}"}
    chosen = names if named == "both" else {named: names[named]}
    assert ends(stack, logout_token(provider, **chosen)).status_code == 200
    problem(person.enrol(), 400, "login_expired")
    assert person.cookie(ACCESS) is None
    # The provider may use the same name again for whom it logs in again.
    assert person.first_factor() == "second-factor"
    assert person.prove().status_code == 200
    assert person.me().status_code == 200


def test_long_names_of_sessions_stay_distinct(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    with at_browser(stack, "somebody") as other:
        provider.claims = {"acr": "urn:two", "sub": "long", "sid": "s" * 10_000}
        assert person.first_factor() == "done"
        provider.claims["sid"] += "t"
        assert other.first_factor() == "done"
        assert ends(stack, logout_token(provider, sid="s" * 10_000)).status_code == 200
        assert [is_out(person), is_out(other)] == [True, False]


def test_the_provider_logs_out_a_session_or_a_person(
    person: Person, provider: HostileProvider, stack: Stack
) -> None:
    for claims in ({"sid": "s1"}, {"sid": "s1", "sub": "leaving"}, {"sub": "leaving"}):
        provider.claims = {"acr": "urn:two", "sub": "leaving", "sid": "s1"}
        assert person.first_factor() == "done"
        with at_browser(stack, "somebody") as other:
            provider.claims |= {"sid": "s2"}
            assert other.first_factor() == "done"
            assert ends(stack, logout_token(provider, **claims)).status_code == 200
            assert person.me().status_code == 401
            problem(person.refresh(), 401, "session_expired")
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
        {"nonce": ""},
        {"sub": ""} | {"sid": ""},
        {"sub": "\ud800"},
        {"sub": ["staying"]},
        {"sub": None, "sid": ["s9"]},
        {"sub": None, "sid": 9},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": None}},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": []}},
        {"events": ["http://schemas.openid.net/event/backchannel-logout"]},
        {"events": "http://schemas.openid.net/event/backchannel-logout"},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "\ud800"},
        {"iat": None},
        {"iat": int(time.time()) - 3600, "exp": int(time.time()) + 3600},
        {"iat": str(int(time.time()))},
        {"iat": 4_000_000_000},
        {"iat": math.nan},
        {"exp": "\ud800"},
        {"aud": ["familycorp", "another"]},
        {"azp": "another"},
    ],
)
def test_a_logout_token_that_proves_nothing_ends_nothing(
    person: Person, provider: HostileProvider, stack: Stack, changed: dict[str, Any]
) -> None:
    provider.claims = {"acr": "urn:two", "sub": "staying", "sid": "s9"}
    assert person.first_factor() == "done"
    url = f"{stack.api_url}/v1/auth/backchannel-logout"
    token = logout_token(provider, **({"sub": "staying", "sid": "s9"} | changed))
    problem(httpx.post(url, data={"logout_token": token}, trust_env=False), 400, "logout_token_rejected")
    # Nor does an ID token, or nothing at all.
    problem(
        httpx.post(url, data={"logout_token": provider.id_token()}, trust_env=False),
        400,
        "logout_token_rejected",
    )
    problem(httpx.post(url, trust_env=False), 400, "logout_token_rejected")
    assert person.refresh().status_code == 204
    assert person.me().status_code == 200


def test_a_logout_token_counts_once(person: Person, provider: HostileProvider, stack: Stack) -> None:
    provider.claims = {"acr": "urn:two", "sub": "returning", "sid": "s1"}
    assert person.first_factor() == "done"
    token = logout_token(provider, sub="returning")
    assert ends(stack, token).status_code == 200
    assert person.first_factor() == "done"
    problem(ends(stack, token), 400, "logout_token_rejected")
    assert person.me().status_code == 200
