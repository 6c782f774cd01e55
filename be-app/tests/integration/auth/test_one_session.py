"""One request, one session: credentials of two prove nothing for either. Checklist item 42."""

import json
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import httpx
import jwt
import pytest

from support.authenticator import Passkey
from support.contract import ok, problem
from support.stack import Stack
from support.staff import ACCESS, CSRF, PENDING, REFRESH, SESSION, Person

MakePerson = Callable[..., Person]
SITE = "https://www.familycorp.example"
ROUTES = (
    ("GET", "/v1/auth/second-factor", None),
    ("POST", "/v1/auth/second-factor", {"method": "totp", "code": "000000"}),
    ("POST", "/v1/auth/second-factor/passkey-options", None),
    ("POST", "/v1/auth/enrolment/totp", None),
    ("POST", "/v1/auth/enrolment/totp/confirm", {"code": "000000"}),
    ("POST", "/v1/auth/enrolment/passkey-options", None),
    ("POST", "/v1/auth/enrolment/passkey", {"name": "x", "credential": {}}),
    ("GET", "/v1/auth/factors", None),
    ("DELETE", "/v1/auth/factors/totp", None),
    ("POST", "/v1/auth/recovery-codes", None),
    ("POST", "/v1/auth/refresh", None),
    ("POST", "/v1/auth/logout", None),
    ("GET", "/v1/auth/me", None),
    ("GET", "/v1/auth/sessions", None),
    ("DELETE", "/v1/auth/sessions", None),
    ("DELETE", "/v1/auth/sessions/01900000-0000-7000-8000-000000000000", None),
    ("GET", "/v1/editor/posts", None),
    ("GET", "/v1/members", None),
)


def jar(person: Person) -> dict[str, str]:
    return {name: person.cookie(name) or "" for name in (ACCESS, SESSION, REFRESH)}


def send(stack: Stack, cookies: str, method: str, path: str, body: Any = None) -> httpx.Response:
    """Send a request with exactly these cookies."""
    headers = CSRF | {"Cookie": cookies}
    return httpx.request(
        method, stack.api_url + path, json=body, headers=headers, trust_env=False, timeout=120
    )


def text(*cookies: tuple[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies)


def held(stack: Stack, person: Person) -> dict[str, Any] | None:
    member, session, _ = (person.cookie(REFRESH) or "").split(".")
    return stack.held(f"member#{member}", f"session#{session}")


def expired(stack: Stack, person: Person) -> str:
    """Return a person's access token as it is when its 15 minutes are over."""
    secret = stack.aws("secretsmanager").get_secret_value(SecretId=stack.settings.signing_key_secret)
    key = json.loads(secret["SecretString"])
    claims = jwt.decode(person.cookie(ACCESS) or "", options={"verify_signature": False})
    past = claims | {"iat": claims["iat"] - 1000, "nbf": claims["nbf"] - 1000, "exp": int(time.time()) - 1}
    headers = {"kid": key["kid"], "typ": "at+jwt"}
    return jwt.encode(past, jwt.PyJWK(key, algorithm="ES256").key, "ES256", headers=headers)


def mixes(own: dict[str, str], other: dict[str, str], own_expired: str) -> dict[str, str]:
    """Return the ways to join credentials of two sessions in one request."""
    found = {}
    for choice in product((own, other), repeat=3):
        if choice[0] is choice[1] is choice[2]:
            continue
        pairs = [(name, which[name]) for name, which in zip((ACCESS, SESSION, REFRESH), choice, strict=True)]
        found["".join("own "[: 3 * (w is own)] or "other " for w in choice)] = text(*pairs)
    rest = [(name, other[name]) for name in (SESSION, REFRESH)]
    found["expired access"] = text((ACCESS, own_expired), *rest)
    found["two access cookies"] = text((ACCESS, own[ACCESS]), (ACCESS, other[ACCESS]), *rest)
    found["two access cookies, the other first"] = text((ACCESS, other[ACCESS]), (ACCESS, own[ACCESS]), *rest)
    found["two of each"] = text(*own.items(), *other.items())
    found["no session cookie"] = text((ACCESS, own[ACCESS]), (REFRESH, other[REFRESH]))
    found["no refresh cookie"] = text((ACCESS, own[ACCESS]), (SESSION, other[SESSION]))
    return found


@pytest.mark.security(42)
@pytest.mark.parametrize("same_member", [False, True], ids=["two members", "two sessions of one member"])
def test_cookies_of_two_sessions_are_refused_everywhere(
    somebody: MakePerson, staff_stack: Stack, *, same_member: bool
) -> None:
    admin, editor = somebody("admins"), somebody("editors")
    admin.log_in()
    with admin.elsewhere() as again:
        if same_member:
            again.first_factor()
            ok(again.post("/v1/auth/second-factor", {"method": "recovery", "code": admin.recovery_codes[0]}))
            editor = again
        else:
            editor.log_in()
        before = held(staff_stack, admin), held(staff_stack, editor)
        joined = mixes(jar(editor), jar(admin), expired(staff_stack, editor))
        for name, (method, path, body) in product(joined, ROUTES):
            answer = send(staff_stack, joined[name], method, path, body)
            assert answer.status_code == 401, (name, method, path, answer.text)
        assert (held(staff_stack, admin), held(staff_stack, editor)) == before
        for person in (admin, editor):
            ok(person.me())
            assert person.refresh().status_code == 204


@pytest.mark.security(42)
@pytest.mark.parametrize("method", ["totp", "recovery", "passkey"])
def test_no_proof_of_ones_own_steps_up_somebody_elses_session(
    somebody: MakePerson, staff_stack: Stack, method: str
) -> None:
    admin, editor = somebody("admins"), somebody("editors")
    admin.log_in()
    editor.log_in()
    passkey = Passkey(SITE)
    options = ok(editor.post("/v1/auth/enrolment/passkey-options"))["publicKey"]
    addition = {"name": "x", "credential": passkey.create(options)}
    ok(editor.post("/v1/auth/enrolment/passkey", addition))
    member, session, _ = (admin.cookie(REFRESH) or "").split(".")
    staff_stack.rewrite(f"member#{member}", f"session#{session}", secondFactorAt=int(time.time()) - 301)
    if method == "totp":
        proof: dict[str, Any] = {"method": method, "code": editor.code()}
    elif method == "recovery":
        proof = {"method": method, "code": editor.recovery_codes[0]}
    else:
        challenge = ok(editor.post("/v1/auth/second-factor/passkey-options"))["publicKey"]
        proof = {"method": method, "credential": passkey.prove(challenge)}
    stolen = jar(admin)
    cookies = text(
        (ACCESS, editor.cookie(ACCESS) or ""), (SESSION, stolen[SESSION]), (REFRESH, stolen[REFRESH])
    )
    problem(send(staff_stack, cookies, "POST", "/v1/auth/second-factor", proof), 401, "session_expired")
    assert (held(staff_stack, admin) or {})["secondFactorAt"] < time.time() - 300
    problem(admin.post("/v1/auth/recovery-codes"), 403, "step_up_required")
    # The request was refused before the proof was checked, so it is still valid for its own session.
    ok(editor.post("/v1/auth/second-factor", proof))


@pytest.mark.security(42)
def test_a_challenge_is_answered_in_its_own_session(somebody: MakePerson) -> None:
    editor, passkey = somebody("editors"), Passkey(SITE)
    editor.log_in()
    options = ok(editor.post("/v1/auth/enrolment/passkey-options"))["publicKey"]
    ok(editor.post("/v1/auth/enrolment/passkey", {"name": "x", "credential": passkey.create(options)}))
    with editor.elsewhere() as other:
        other.first_factor()
        ok(other.post("/v1/auth/second-factor", {"method": "recovery", "code": editor.recovery_codes[0]}))
        challenge = ok(editor.post("/v1/auth/second-factor/passkey-options"))["publicKey"]
        proof = {"method": "passkey", "credential": passkey.prove(challenge)}
        problem(other.post("/v1/auth/second-factor", proof), 401, "second_factor_rejected")
        secret = ok(editor.post("/v1/auth/enrolment/totp"))["secret"]
        other.secret, other._used = secret, 0
        problem(
            other.post("/v1/auth/enrolment/totp/confirm", {"code": other.code()}),
            401,
            "second_factor_rejected",
        )


@pytest.mark.security(42)
def test_a_step_up_without_its_session_costs_no_proof(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    own, proof = jar(editor), {"method": "recovery", "code": editor.recovery_codes[0]}
    for names in ((ACCESS,), (ACCESS, SESSION), (ACCESS, REFRESH)):
        cookies = text(*((name, own[name]) for name in names))
        answer = send(staff_stack, cookies, "POST", "/v1/auth/second-factor", proof)
        problem(answer, 401, "session_expired")
    ok(editor.post("/v1/auth/second-factor", proof))


@pytest.mark.security(42)
def test_cookies_of_two_sessions_hinder_no_login_and_end_nobodys_session(
    somebody: MakePerson, staff_stack: Stack
) -> None:
    editor, other, person = somebody("editors"), somebody("editors"), somebody("editors")
    for somebody_else in (editor, other):
        somebody_else.log_in()
    person.first_factor()
    person.secret = ok(person.post("/v1/auth/enrolment/totp"))["secret"]
    mixed = [(ACCESS, editor.cookie(ACCESS) or ""), (SESSION, other.cookie(SESSION) or "")]
    cookies = text((PENDING, person.cookie(PENDING) or ""), *mixed, (REFRESH, other.cookie(REFRESH) or ""))
    done = send(staff_stack, cookies, "POST", "/v1/auth/enrolment/totp/confirm", {"code": person.code()})
    assert len(ok(done)["recoveryCodes"]) == 10
    for somebody_else in (editor, other):
        ok(somebody_else.me())
    # Logging out removes such cookies, and says that it ended no session.
    answer = send(staff_stack, text(*mixed), "POST", "/v1/auth/logout")
    problem(answer, 401, "session_expired")
    removed = {header.partition("=")[0] for header in answer.headers.get_list("set-cookie")}
    assert removed >= {ACCESS, SESSION, REFRESH}
    for somebody_else in (editor, other):
        ok(somebody_else.me())
