"""The second factor: authenticator apps, passkeys, recovery codes, step-up. Checklist items 26 to 29."""

import base64
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from support.authenticator import PRESENT, Passkey, encoded
from support.contract import breaks, problem
from support.stack import Stack
from support.staff import ACCESS, CSRF, PENDING, REFRESH, SESSION, Person, totp

MakePerson = Callable[..., Person]
REJECTED = (401, "second_factor_rejected")
AA = {"id": "AA", "rawId": "AA", "type": "public-key"}
SITE = "https://www.familycorp.example"
CLIENT_DATA = b'{"type": "webauthn.create", "challenge": "AA", "origin": "https://www.familycorp.example"}'


def answered(client_data: bytes, cbor: bytes) -> dict[str, Any]:
    """Return a credential, of a registration and of an authentication, whose authenticator sent any CBOR."""
    response = {
        "clientDataJSON": encoded(client_data),
        "attestationObject": encoded(cbor),
        "authenticatorData": encoded(bytes(32) + b"\x85" + bytes(4) + cbor),
        "signature": "AA",
    }
    return {**AA, "response": response}


def member_of(person: Person) -> str:
    return (person.cookie(REFRESH) or "").split(".")[0]


def make_stale(stack: Stack, person: Person) -> None:
    """Let more than five minutes pass since the second factor was proven, as far as the session knows."""
    member, session, _ = (person.cookie(REFRESH) or "").split(".")
    stack.rewrite(f"member#{member}", f"session#{session}", secondFactorAt=int(time.time()) - 301)
    assert person.refresh().status_code == 204  # A new access token is looked up at once.


def unlock(stack: Stack, person: Person) -> None:
    """Let the time pass for which too many wrong proofs lock a member."""
    stack.rewrite(f"member#{member_of(person)}", "attempts", expiresAt=int(time.time()) - 1)


@pytest.mark.security(26)
def test_no_staff_action_without_a_second_factor(somebody: MakePerson) -> None:
    editor = somebody("editors")
    assert editor.first_factor() == "second-factor"
    for path in ("/v1/auth/me", "/v1/editor/posts", "/v1/members", "/v1/audit"):
        problem(editor.client.get(path), 401, "unauthenticated")
    state = editor.client.get("/v1/auth/second-factor").json()
    assert state == {"state": "pending", "enrolled": False, "methods": []}
    assert editor.enrol().status_code == 200
    state = editor.client.get("/v1/auth/second-factor").json()
    assert state == {"state": "active", "enrolled": True, "methods": ["totp", "recovery"]}
    assert editor.client.get("/v1/editor/posts").status_code == 200


def test_the_authenticator_gets_its_secret_in_every_form(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.first_factor()
    made = editor.post("/v1/auth/enrolment/totp").json()
    assert len(base64.b32decode(made["secret"])) == 20  # RFC 4226 §4, R6: 160 bits
    assert made["otpauthUri"].startswith("otpauth://totp/FamilyCorp%3A")
    assert (
        f"secret={made['secret']}&issuer=FamilyCorp&algorithm=SHA1&digits=6&period=30" in made["otpauthUri"]
    )
    assert made["qrSvg"].startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "script" not in made["qrSvg"]
    # Encrypted at rest, and not a factor until a code of it came.
    stored = json.dumps(
        staff_stack.dynamodb.scan(TableName=staff_stack.settings.sessions_table)["Items"], default=str
    )
    assert made["secret"] not in stored
    assert base64.b64encode(base64.b32decode(made["secret"])).decode() not in stored
    assert editor.client.get("/v1/auth/second-factor").json()["enrolled"] is False


@pytest.mark.security(27)
def test_a_code_counts_once(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    with editor.elsewhere() as other:
        assert other.first_factor() == "second-factor"
        used = totp(editor.secret, editor._used)
        problem(other.prove(used), *REJECTED)
        earlier = totp(editor.secret, editor._used - 1)
        problem(other.prove(earlier), *REJECTED)
        fresh = other.code()
        assert other.prove(fresh).status_code == 200
        problem(other.prove(fresh), *REJECTED)


@pytest.mark.security(27)
def test_a_code_sent_many_times_at_once_counts_once(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    code = editor.code()
    browsers = []
    for _ in range(4):
        with editor.elsewhere() as other:
            assert other.first_factor() == "second-factor"
            browsers.append(other.cookie(PENDING))

    def prove(pending: str | None) -> int:
        return httpx.post(
            f"{staff_stack.api_url}/v1/auth/second-factor",
            json={"method": "totp", "code": code},
            headers=CSRF | {"Cookie": f"{PENDING}={pending}"},
            trust_env=False,
        ).status_code

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(prove, browsers))
    assert answers == [200, 401, 401, 401]


@pytest.mark.security(27)
@pytest.mark.parametrize("distance", [-3, -2, 2, 3])
def test_a_code_of_another_time_is_refused(somebody: MakePerson, distance: int) -> None:
    editor = somebody("editors")
    editor.first_factor()
    editor.secret = editor.post("/v1/auth/enrolment/totp").json()["secret"]
    step = int(time.time() // 30)
    # The next step may begin meanwhile, which takes a past code farther away and a coming one nearer.
    code = totp(editor.secret, step + distance + (distance > 0))
    problem(editor.post("/v1/auth/enrolment/totp/confirm", {"code": code}), *REJECTED)


@pytest.mark.security(27)
@pytest.mark.security(40)
def test_attempts_are_limited_per_member_across_browsers(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    pending = []
    for _ in range(3):
        with editor.elsewhere() as other:
            other.first_factor()
            pending.append(other.cookie(PENDING))

    def guess(n: int) -> int:
        return httpx.post(
            f"{staff_stack.api_url}/v1/auth/second-factor",
            json={"method": "totp", "code": f"{n:06}"},
            headers=CSRF | {"Cookie": f"{PENDING}={pending[n % 3]}"},
            trust_env=False,
        ).status_code

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(guess, range(12)))
    # Counted before they are checked: of any number at once, five are.
    assert sorted(answers) == [401] * 5 + [429] * 7
    locked = editor.prove()
    problem(locked, 429, "rate_limited")
    assert 0 < int(locked.headers["retry-after"]) <= 900
    unlock(staff_stack, editor)
    code = {"method": "recovery", "code": editor.recovery_codes[0]}
    assert editor.post("/v1/auth/second-factor", code).status_code == 200


def in_full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in text)


TYPED: tuple[Callable[[str], str], ...] = (
    lambda code: f"{code[:3]} {code[3:]}",
    lambda code: f" {code[:3]}-{code[3:]}\n",
    lambda code: f"{code[:3]}\u00a0{code[3:]}",
    lambda code: in_full_width(f"{code[:3]}\u3000{code[3:]}"),
    lambda code: in_full_width(f"{code[:3]}\uff0d{code[3:]}"),
)


@pytest.mark.parametrize("typed", TYPED)
def test_a_code_counts_however_it_is_typed(somebody: MakePerson, typed: Callable[[str], str]) -> None:
    editor = somebody("editors")
    editor.first_factor()
    editor.secret = editor.post("/v1/auth/enrolment/totp").json()["secret"]
    enrolled = editor.post("/v1/auth/enrolment/totp/confirm", {"code": typed(editor.code())})
    assert enrolled.status_code == 200, enrolled.text
    assert editor.prove(typed(editor.code())).status_code == 200
    recovery = in_full_width(enrolled.json()["recoveryCodes"][0].upper()).replace("-", " ")
    assert editor.post("/v1/auth/second-factor", {"method": "recovery", "code": recovery}).status_code == 200


def test_other_digits_and_letters_than_the_codes_own_are_wrong(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    for zero in ("\u0660", "\u06f0", "\u0966", "\U0001d7ce"):
        code = "".join(chr(ord(zero) + int(digit)) for digit in editor.code())
        problem(editor.prove(code), *REJECTED)
    half = b'{"method": "totp", "code": "\\ud800\\ud800"}'
    headers = CSRF | {"Content-Type": "application/json"}
    answer = editor.client.post("/v1/auth/second-factor", content=half, headers=headers)
    problem(answer, 422, "validation_failed")
    for code in ("12345", "1234567", "12345a", "\u0661" * 6, "\u00b9" * 6, "", " - "):
        answer = editor.post("/v1/auth/enrolment/totp/confirm", {"code": code})
        problem(answer, 422, "validation_failed")
    problem(
        editor.post("/v1/auth/enrolment/totp/confirm", {"code": "1" + " " * 40}), 422, "validation_failed"
    )


def test_right_proofs_in_between_reset_the_count(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    for _ in range(4):
        problem(editor.prove("000000"), *REJECTED)
    code = {"method": "recovery", "code": editor.recovery_codes[0]}
    assert editor.post("/v1/auth/second-factor", code).status_code == 200
    for _ in range(4):
        problem(editor.prove("000000"), *REJECTED)
    code = {"method": "recovery", "code": editor.recovery_codes[1].replace("-", "").upper()}
    assert editor.post("/v1/auth/second-factor", code).status_code == 200


@pytest.mark.security(28)
def test_recovery_codes_are_hashed_and_good_for_once(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    codes = editor.recovery_codes
    assert len(set(codes)) == 10
    assert all(len(base64.b32decode(c.replace("-", "").upper())) * 8 >= 112 for c in codes)  # ASVS 6.5.2
    held = json.dumps(staff_stack.held(f"member#{member_of(editor)}", "factors"))
    assert all(c not in held and c.replace("-", "") not in held for c in codes)
    with editor.elsewhere() as other:
        other.first_factor()
        proof = {"method": "recovery", "code": codes[3]}
        assert other.post("/v1/auth/second-factor", proof).status_code == 200
        assert other.client.get("/v1/auth/factors").json()["recoveryCodesLeft"] == 9
        problem(other.post("/v1/auth/second-factor", proof), *REJECTED)
    renewed = editor.post("/v1/auth/recovery-codes").json()["recoveryCodes"]
    assert not set(renewed) & set(codes)
    problem(editor.post("/v1/auth/second-factor", {"method": "recovery", "code": codes[4]}), *REJECTED)
    assert (
        editor.post("/v1/auth/second-factor", {"method": "recovery", "code": renewed[0]}).status_code == 200
    )


@pytest.mark.security(28)
def test_who_knows_the_password_alone_can_enrol_nothing(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    with editor.elsewhere() as thief:
        assert thief.first_factor() == "second-factor"
        for path, body in (
            ("/v1/auth/enrolment/totp", None),
            ("/v1/auth/enrolment/totp/confirm", {"code": "000000"}),
            ("/v1/auth/enrolment/passkey-options", None),
            ("/v1/auth/enrolment/passkey", {"name": "x", "credential": {}}),
        ):
            problem(thief.post(path, body), 409, "factor_exists")
        problem(thief.post("/v1/auth/recovery-codes"), 401, "unauthenticated")
        problem(thief.delete("/v1/auth/factors/totp"), 401, "unauthenticated")


@pytest.mark.security(28)
def test_of_two_first_enrolments_at_once_one_counts(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.first_factor()
    with editor.elsewhere() as other:
        other.first_factor()
        editor.secret = editor.post("/v1/auth/enrolment/totp").json()["secret"]
        other.secret = other.post("/v1/auth/enrolment/totp").json()["secret"]
        codes = [p.post("/v1/auth/enrolment/totp/confirm", {"code": p.code()}) for p in (editor, other)]
        assert codes[0].status_code == 200
        problem(codes[1], 409, "factor_exists")
        assert other.me().status_code == 401


@pytest.mark.security(29)
def test_changing_factors_needs_a_recent_second_factor(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    make_stale(staff_stack, editor)
    assert editor.me().status_code == 200
    changes: list[Callable[[], httpx.Response]] = [
        lambda: editor.post("/v1/auth/enrolment/totp"),
        lambda: editor.post("/v1/auth/enrolment/passkey-options"),
        lambda: editor.post("/v1/auth/enrolment/passkey", {"name": "x", "credential": {}}),
        lambda: editor.post("/v1/auth/recovery-codes"),
        lambda: editor.delete("/v1/auth/factors/totp"),
    ]
    for change in changes:
        problem(change(), 403, "step_up_required")
    assert editor.prove().status_code == 200
    assert editor.post("/v1/auth/recovery-codes").status_code == 200


@pytest.mark.security(29)
@pytest.mark.parametrize("known", [False, True], ids=["response lost", "response received"])
def test_a_step_up_survives_a_refresh_that_is_repeated(
    somebody: MakePerson, staff_stack: Stack, *, known: bool
) -> None:
    editor = somebody("editors")
    editor.log_in()
    make_stale(staff_stack, editor)
    before = editor.cookie(REFRESH) or ""
    assert editor.refresh().status_code == 204
    if not known:
        editor.plant(REFRESH, before, "/v1/auth")
    assert editor.prove().status_code == 200
    current = editor.cookie(REFRESH)
    assert editor.post("/v1/auth/recovery-codes").status_code == 200
    for _ in range(2):
        editor.plant(REFRESH, before, "/v1/auth")
        assert editor.refresh().status_code == 204
        assert editor.cookie(REFRESH) == current
        assert editor.post("/v1/auth/recovery-codes").status_code == 200
    assert editor.refresh().status_code == 204
    assert editor.post("/v1/auth/recovery-codes").status_code == 200


@pytest.mark.security(28)
def test_a_replaced_authenticator_is_void_and_the_last_factor_stays(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    problem(editor.delete("/v1/auth/factors/totp"), 409, "last_factor")
    problem(editor.delete("/v1/auth/factors/nothing"), 404, "not_found")
    old = editor.secret
    editor._used = 0
    answer = editor.enrol()
    assert answer.status_code == 200
    assert answer.json()["recoveryCodes"] is None  # Only the first factor brings codes.
    problem(editor.prove(totp(old, int(time.time()) // 30 + 1)), *REJECTED)


# -- passkeys -------------------------------------------------------------------------------------------------


def add_passkey(person: Person, passkey: Passkey, **options: Any) -> httpx.Response:
    offered = person.post("/v1/auth/enrolment/passkey-options")
    assert offered.status_code == 200, offered.text
    body = {"name": "업무용 노트북", "credential": passkey.create(offered.json()["publicKey"], **options)}
    return person.post("/v1/auth/enrolment/passkey", body)


def prove_passkey(person: Person, passkey: Passkey, **options: Any) -> httpx.Response:
    offered = person.post("/v1/auth/second-factor/passkey-options")
    assert offered.status_code == 200, offered.text
    credential = passkey.prove(offered.json()["publicKey"], **options)
    return person.post("/v1/auth/second-factor", {"method": "passkey", "credential": credential})


@pytest.mark.security(26)
def test_a_passkey_can_be_the_first_factor_and_prove_later_logins(somebody: MakePerson) -> None:
    editor, passkey = somebody("editors"), Passkey(SITE)
    editor.first_factor()
    answer = add_passkey(editor, passkey)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["recoveryCodes"]) == 10
    assert editor.me().status_code == 200
    (card,) = editor.client.get("/v1/auth/factors").json()["items"]
    assert (card["kind"], card["name"]) == ("passkey", "업무용 노트북")
    with editor.elsewhere() as other:
        assert other.first_factor() == "second-factor"
        assert other.client.get("/v1/auth/second-factor").json()["methods"] == ["passkey", "recovery"]
        assert prove_passkey(other, passkey).status_code == 200
        assert other.me().status_code == 200
    # A second factor may go once there is another.
    assert editor.enrol().status_code == 200
    assert editor.delete(f"/v1/auth/factors/{card['id']}").status_code == 204
    problem(editor.post("/v1/auth/second-factor/passkey-options"), 404, "not_found")


@pytest.mark.security(26)
def test_a_passkey_of_another_site_challenge_or_without_its_owner_is_refused(somebody: MakePerson) -> None:
    editor, passkey = somebody("editors"), Passkey(SITE)
    editor.first_factor()
    for bad in (Passkey("https://evil.example"), Passkey(SITE, "evil.example")):
        problem(add_passkey(editor, bad), *REJECTED)
    problem(add_passkey(editor, passkey, flags=PRESENT), *REJECTED)
    assert add_passkey(editor, passkey).status_code == 200
    options = editor.post("/v1/auth/second-factor/passkey-options").json()["publicKey"]
    credential = passkey.prove(options)
    proof = {"method": "passkey", "credential": credential}
    assert editor.post("/v1/auth/second-factor", proof).status_code == 200
    problem(editor.post("/v1/auth/second-factor", proof), *REJECTED)  # A challenge counts once.
    problem(prove_passkey(editor, passkey, flags=PRESENT), *REJECTED)
    passkey.origin = "https://evil.example"
    problem(prove_passkey(editor, passkey), *REJECTED)
    passkey.origin = SITE
    stranger = Passkey(SITE)
    stranger.id = passkey.id
    problem(prove_passkey(editor, stranger), *REJECTED)
    assert prove_passkey(editor, passkey).status_code == 200
    passkey.count -= 3  # As a copy of the authenticator would count.
    problem(prove_passkey(editor, passkey), *REJECTED)


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"id": 1},
        {"id": "x", "rawId": "x", "type": "public-key", "response": {}},
        {
            "id": "AA",
            "rawId": "AA",
            "type": "public-key",
            "response": {"clientDataJSON": "e30", "attestationObject": "oA"},
        },
        {
            "id": "AA",
            "rawId": "AA",
            "type": "public-key",
            "response": {"clientDataJSON": "!!", "attestationObject": "_w"},
        },
        {"id": None, "rawId": [], "type": {}, "response": None},
        {**AA, "response": {"clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA"}},
        {**AA, "clientExtensionResults": [1], "response": {}},
        answered(b"[" * 5_000, b"\xa0"),
        # CBOR that ends too early, is no map, says so where a map should be, or is nested without end.
        answered(CLIENT_DATA, b"\x82\x01"),
        answered(CLIENT_DATA, b"\x1a\x00"),
        answered(CLIENT_DATA, b"\x80"),
        answered(CLIENT_DATA, b"\x9b" + b"\xff" * 8),
        answered(CLIENT_DATA, b"\x81" * 5_000),
    ],
)
def test_a_malformed_credential_is_refused_not_an_error_of_ours(
    somebody: MakePerson, credential: dict[str, Any]
) -> None:
    editor = somebody("editors")
    editor.log_in()
    assert editor.post("/v1/auth/enrolment/passkey-options").status_code == 200
    body = {"name": "x", "credential": credential}
    problem(editor.post("/v1/auth/enrolment/passkey", body), *REJECTED)
    assert add_passkey(editor, Passkey(SITE)).status_code == 200
    assert editor.post("/v1/auth/second-factor/passkey-options").status_code == 200
    problem(editor.post("/v1/auth/second-factor", {"method": "passkey", "credential": credential}), *REJECTED)


@pytest.mark.security(45)
def test_a_credential_that_takes_long_to_decode_is_not_decoded(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    for size in (20_000, 350_000):
        credential = answered(CLIENT_DATA, b"\x9a" + size.to_bytes(4) + b"\x01" * size)
        for path, body in (
            ("/v1/auth/enrolment/passkey", {"name": "x"}),
            ("/v1/auth/second-factor", {"method": "passkey"}),
        ):
            breaks(editor.post(path, body | {"credential": credential}), ("body.credential", "too_long"))


@pytest.mark.security(40)
def test_every_failed_proof_has_the_same_answer(somebody: MakePerson) -> None:
    with_totp, with_passkey, without = somebody("editors"), somebody("editors"), somebody("editors")
    with_totp.log_in()
    with_passkey.first_factor()
    add_passkey(with_passkey, Passkey(SITE))
    without.first_factor()
    said = set()
    for person in (with_totp, with_passkey, without):
        for proof in (
            {"method": "totp", "code": "123456"},
            {"method": "recovery", "code": "aaaa-bbbb"},
            {"method": "passkey", "credential": {}},
        ):
            answer = person.post("/v1/auth/second-factor", proof)
            document = answer.json()
            said.add((answer.status_code, document["code"], document["title"], document.get("detail")))
    assert len(said) == 1


def test_ending_a_pending_login_needs_no_session(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.first_factor()
    assert editor.cookie(PENDING)
    editor.log_in()
    assert not editor.cookie(PENDING)
    assert editor.cookie(ACCESS)
    assert editor.cookie(SESSION)
