"""Sessions: what their cookies are, how long they last, and that an end is an end. Checklist items 1 to 20."""

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import Any

import httpx
import jwt
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import Person as Account
from familycorp_ops.servers.valkey import Valkey
from support.contract import as_bytes, ok, problem
from support.stack import Application, Stack
from support.staff import ACCESS, CSRF, LOGIN, PENDING, REFRESH, RETURN_TO, SESSION, Person, at_browser

MakePerson = Callable[..., Person]


def cookies_set(answer: httpx.Response) -> dict[str, dict[str, str]]:
    """Return the cookies that an answer sets, each with its attributes in lower case."""
    found = {}
    for header in answer.headers.get_list("set-cookie"):
        pair, *attributes = [part.strip() for part in header.split(";")]
        name, _, value = pair.partition("=")
        parsed = dict(a.lower().partition("=")[::2] for a in attributes)
        found[name] = {"value": value, **parsed}
    return found


def family(person: Person) -> tuple[str, str, str]:
    """Return member, session and secret of a browser's refresh token."""
    member, session, secret = (person.cookie(REFRESH) or "").split(".")
    return member, session, secret


def eventually_401(person: Person, within_s: float = 1.0) -> None:
    """Wait until a browser's session is refused, for as long as another process may remember it."""
    deadline = time.monotonic() + within_s + 0.2
    while person.me().status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.05)


# -- cookies --------------------------------------------------------------------------------------------------


@pytest.mark.security(1)
@pytest.mark.security(2)
@pytest.mark.security(3)
def test_every_cookie_is_of_this_host_secure_httponly_and_strict(somebody: MakePerson) -> None:
    editor = somebody("editors")
    begun = editor.client.get("/v1/auth/login", params={"returnTo": RETURN_TO})
    back = editor.come_back(editor.visit_provider())
    answer = editor.enrol()
    renewed = editor.refresh()
    seen = cookies_set(begun) | cookies_set(back)
    assert set(seen) == {LOGIN, PENDING}
    assert seen[PENDING]["samesite"] == "strict"
    for cookies in (cookies_set(answer), cookies_set(renewed)):
        assert {name for name, c in cookies.items() if c["value"] != '""'} == {ACCESS, SESSION, REFRESH}
    assert cookies_set(begun)[LOGIN]["samesite"] == "lax"  # The provider's page sends people back.
    for name, cookie in (cookies_set(begun) | cookies_set(back) | cookies_set(answer)).items():
        assert "secure" in cookie
        assert "httponly" in cookie
        assert "domain" not in cookie
        assert cookie["path"] == ("/v1/auth" if name == REFRESH else "/")
        assert cookie["samesite"] == ("lax" if name == LOGIN else "strict")
        assert name.startswith("__Secure-" if name == REFRESH else "__Host-")
        assert len(name) + len(cookie["value"]) + 200 < 4096


@pytest.mark.security(15)
def test_access_lasts_15_minutes_and_refresh_30_days_at_most(
    somebody: MakePerson, staff_stack: Stack
) -> None:
    editor = somebody("editors")
    editor.first_factor()
    cookies = cookies_set(editor.enrol())
    assert cookies[ACCESS]["max-age"] == "900"
    claims = jwt.decode(cookies[ACCESS]["value"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 900
    idle_days = staff_stack.settings.session_idle_days
    assert int(cookies[REFRESH]["max-age"]) == pytest.approx(idle_days * 86400, abs=5)
    member, session, _ = family(editor)
    held = staff_stack.held(f"member#{member}", f"session#{session}")
    assert held is not None
    assert held["endsAt"] - time.time() == pytest.approx(30 * 86400, abs=30)
    assert held["expiresAt"] - time.time() == pytest.approx(idle_days * 86400, abs=30)
    # Near its absolute end a refresh doesn't move that end.
    end = int(time.time()) + 120
    staff_stack.rewrite(f"member#{member}", f"session#{session}", endsAt=end, expiresAt=end)
    renewed = editor.refresh()
    assert renewed.status_code == 204
    assert int(cookies_set(renewed)[REFRESH]["max-age"]) <= 120
    # An idle session is over although DynamoDB hasn't removed it yet.
    staff_stack.rewrite(f"member#{member}", f"session#{session}", expiresAt=int(time.time()) - 1)
    problem(editor.refresh(), 401, "session_expired")
    eventually_401(editor)


@pytest.mark.security(4)
def test_no_token_is_in_a_body_a_url_or_a_log(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    answers = [editor.come_back(editor.visit_provider()), editor.enrol()]
    secrets = {name: editor.cookie(name) or "" for name in (ACCESS, REFRESH)}
    answers += [editor.refresh(), editor.me(), editor.client.get("/v1/auth/sessions"), editor.prove()]
    secrets |= {f"{name} later": editor.cookie(name) or "" for name in (ACCESS, REFRESH)}
    answers.append(editor.post("/v1/auth/logout"))
    assert all(len(value) > 100 for value in secrets.values())
    parts = [part for value in secrets.values() for part in value.split(".") if len(part) > 40]
    assert len(parts) >= 4
    logs = staff_stack.logs()
    assert "session_created" in logs
    for part in (*parts, editor.secret):
        for answer in answers:
            assert part not in answer.text
            assert part not in str(answer.url)
            assert part not in answer.headers.get("location", "")
        assert part not in logs


@pytest.mark.security(8)
def test_private_answers_are_stored_nowhere(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    for answer in (
        editor.me(),
        editor.client.get("/v1/auth/sessions"),
        editor.client.get("/v1/editor/posts"),
        editor.refresh(),
        editor.client.get("/v1/members"),
        editor.post("/v1/auth/refresh", **{"X-CSRF-Protection": ""}),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["strict-transport-security"].startswith("max-age=63072000")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["referrer-policy"] == "no-referrer"


# -- refreshing -----------------------------------------------------------------------------------------------


@pytest.mark.security(9)
def test_a_refresh_token_is_random_and_kept_as_a_hash_alone(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    _, session, secret = family(editor)
    assert len(base64.urlsafe_b64decode(secret + "==")) == 32
    editor.refresh()
    _, _, successor = family(editor)
    assert len(base64.urlsafe_b64decode(successor + "==")) == 32
    everything = staff_stack.dynamodb.scan(TableName=staff_stack.settings.sessions_table)["Items"]
    stored = json.dumps(everything, default=str)
    assert session in stored
    for token in (secret, successor):
        assert token not in stored


@pytest.mark.security(10)
def test_each_login_and_each_refresh_makes_new_tokens(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    seen = [(editor.cookie(ACCESS), editor.cookie(REFRESH))]
    assert editor.refresh().status_code == 204
    seen.append((editor.cookie(ACCESS), editor.cookie(REFRESH)))
    assert editor.prove().status_code == 200  # Re-authentication
    seen.append((editor.cookie(ACCESS), editor.cookie(REFRESH)))
    with editor.elsewhere() as other:
        assert other.first_factor() == "second-factor"
        recovery = other.post(
            "/v1/auth/second-factor", {"method": "recovery", "code": editor.recovery_codes[0]}
        )
        assert recovery.status_code == 200
        seen.append((other.cookie(ACCESS), other.cookie(REFRESH)))
    assert len({access for access, _ in seen}) == len({refresh for _, refresh in seen}) == len(seen)


def later_than_grace(stack: Stack, person: Person) -> None:
    """Make the last rotation of a browser's session older than the grace period."""
    member, session, _ = family(person)
    before = int((time.time() - 60) * 1000)
    stack.rewrite(f"member#{member}", f"session#{session}", rotatedAt=before)


@pytest.mark.security(11)
def test_a_stolen_refresh_token_ends_the_session_of_thief_and_victim(
    somebody: MakePerson, staff_stack: Stack
) -> None:
    editor = somebody("editors")
    editor.log_in()
    stolen, session = editor.cookie(REFRESH) or "", editor.cookie(SESSION) or ""
    assert editor.refresh().status_code == 204
    later_than_grace(staff_stack, editor)
    with editor.elsewhere() as thief:
        thief.plant(REFRESH, stolen, "/v1/auth")
        thief.plant(SESSION, session)
        problem(thief.refresh(), 401, "session_expired")
        # The answer was an error, and yet the revocation stands: the successor is dead too.
        problem(editor.refresh(), 401, "session_expired")
        problem(thief.refresh(), 401, "session_expired")
    eventually_401(editor)
    assert "refresh_token_reused" in staff_stack.logs()


@pytest.mark.security(11)
@pytest.mark.security(14)
def test_a_token_of_long_ago_is_known_as_long_as_its_family_lives(
    somebody: MakePerson, staff_stack: Stack
) -> None:
    editor = somebody("editors")
    editor.log_in()
    first, session = editor.cookie(REFRESH) or "", editor.cookie(SESSION) or ""
    member, _, _ = family(editor)
    for _ in range(5):
        assert editor.refresh().status_code == 204
    held = staff_stack.held(f"member#{member}", f"session#{session}")
    query = staff_stack.dynamodb.query(
        TableName=staff_stack.settings.sessions_table,
        KeyConditionExpression="#o = :o AND begins_with(#i, :p)",
        ExpressionAttributeNames={"#o": "owner", "#i": "item"},
        ExpressionAttributeValues={":o": {"S": f"member#{member}"}, ":p": {"S": "rotated#"}},
    )["Items"]
    assert len(query) == 5
    assert held is not None
    assert {int(item["expiresAt"]["N"]) for item in query} == {held["endsAt"]}
    # Five rotations on, within the grace of the last one, the first token is still a stolen one.
    editor.plant(REFRESH, first, "/v1/auth")
    problem(editor.refresh(), 401, "session_expired")
    assert staff_stack.held(f"member#{member}", f"session#{session}") is None


@pytest.mark.security(12)
def test_a_lost_answer_is_given_again_with_the_same_successor(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    before = editor.cookie(REFRESH) or ""
    successors = set()
    for _ in range(3):
        editor.plant(REFRESH, before, "/v1/auth")
        assert editor.refresh().status_code == 204
        successors.add(editor.cookie(REFRESH))
    assert len(successors) == 1
    assert successors != {before}
    assert editor.refresh().status_code == 204
    # Once the successor was used, the answer was not lost.
    editor.plant(REFRESH, before, "/v1/auth")
    problem(editor.refresh(), 401, "session_expired")


@pytest.fixture(scope="module")
def graceless(
    ministack: MiniStack, valkey: Valkey, nanoidp: NanoIDP, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Two processes behind a gateway that give a repeated refresh no time at all: order alone decides."""
    settings = {"REFRESH_GRACE_S": "0"}
    directory = tmp_path_factory.mktemp("graceless")
    with Stack(directory, ministack, valkey, provider=nanoidp, **settings) as made:
        made.prepare()
        for _ in range(2):
            made.start(AWS_LAMBDA_RUNTIME_API="127.0.0.1:1")
        yield made


@pytest.fixture
def hurried(graceless: Stack, nanoidp: NanoIDP) -> Iterator[Person]:
    """Somebody who is logged in there."""
    name = f"p{uuid.uuid4().hex[:10]}"
    nanoidp.admit(Account(name, name, name, f"{name}@familycorp.example", ("editors",)))
    with at_browser(graceless, name) as person:
        person.log_in()
        yield person


@pytest.mark.security(13)
def test_of_50_refreshes_at_once_one_rotates_and_nobody_is_logged_out(
    graceless: Stack, hurried: Person
) -> None:
    member, session, _ = family(hurried)
    cookies = "; ".join(f"{name}={hurried.cookie(name)}" for name in (REFRESH, SESSION))
    several = Barrier(50)
    # However long they take here, the gateway got them in the same moment.
    at = {"X-Amzn-Request-Context": json.dumps({"timeEpoch": int(time.time() * 1000)})}

    with httpx.Client(headers=CSRF | at | {"Cookie": cookies}, timeout=120, trust_env=False) as client:

        def refresh(n: int) -> tuple[int, str]:
            several.wait()  # In two processes.
            process = graceless.processes[n % 2]
            answer = client.post(f"{process.url}/v1/auth/refresh")
            while answer.status_code == 503:  # Too busy: front ends repeat it.
                answer = client.post(f"{process.url}/v1/auth/refresh")
            return answer.status_code, cookies_set(answer).get(REFRESH, {}).get("value", "")

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(refresh, range(50)))
    assert {status for status, _ in answers} == {204}
    assert len({token for _, token in answers}) == 1
    rotated = graceless.dynamodb.query(
        TableName=graceless.settings.sessions_table,
        KeyConditionExpression="#o = :o AND begins_with(#i, :p)",
        ExpressionAttributeNames={"#o": "owner", "#i": "item"},
        ExpressionAttributeValues={
            ":o": {"S": f"member#{member}"},
            ":p": {"S": f"rotated#session#{session}"},
        },
    )["Items"]
    assert len(rotated) == 1
    hurried.plant(REFRESH, answers[0][1], "/v1/auth")
    assert hurried.refresh().status_code == 204


@contextmanager
def held_at(application: Application, point: int, cookies: str) -> Iterator[list[httpx.Response]]:
    """Hold a refresh in a process, just before its `point`-th store request, during a block; append its response."""
    answers: list[httpx.Response] = []
    headers = CSRF | {"Cookie": cookies, "X-Test-Signal": f"{point} STOP"}

    def refresh() -> None:
        url = f"{application.url}/v1/auth/refresh"
        answers.append(httpx.post(url, headers=headers, trust_env=False, timeout=120))

    thread = Thread(target=refresh)
    thread.start()
    process = psutil.Process(application.pid)
    try:
        while process.status() != psutil.STATUS_STOPPED:
            assert thread.is_alive(), answers
            time.sleep(0.005)
        yield answers
    finally:
        application.resume()
        thread.join()


@pytest.mark.security(12)
@pytest.mark.security(13)
@pytest.mark.parametrize("point", [1, 2, 3])
def test_a_refresh_that_waits_while_others_go_on_gets_what_they_have(
    somebody: MakePerson, staff_stack: Stack, point: int
) -> None:
    """However long a process takes: what counts is that the request was there before the token was used up."""
    editor = somebody("editors")
    editor.log_in()
    cookies = "; ".join(f"{name}={editor.cookie(name)}" for name in (REFRESH, SESSION))
    slow = staff_stack.start(FAMILYCORP_REFRESH_GRACE_S="0")
    with staff_stack.client(slow) as client:
        client.get("/v1/auth/me", headers={"Cookie": f"{ACCESS}={editor.cookie(ACCESS)}"})
        # It has the signing key now, and so its next refresh begins with the session.
        first = client.post("/v1/auth/refresh", headers=CSRF | {"Cookie": cookies})
        assert first.status_code == 204
    editor.plant(REFRESH, cookies_set(first)[REFRESH]["value"], "/v1/auth")
    editor.plant(ACCESS, cookies_set(first)[ACCESS]["value"])
    before = "; ".join(f"{name}={editor.cookie(name)}" for name in (REFRESH, SESSION))
    with held_at(slow, point, before) as answers:
        assert editor.refresh().status_code == 204
        assert editor.refresh().status_code == 204  # And its successor was used, too.
        current = editor.cookie(REFRESH)
    (answer,) = answers
    assert answer.status_code == 204, answer.text
    assert cookies_set(answer)[REFRESH]["value"] == current
    ok(editor.me())
    # The same token, sent after all that, is a stolen one.
    late = httpx.post(f"{slow.url}/v1/auth/refresh", headers=CSRF | {"Cookie": before}, trust_env=False)
    problem(late, 401, "session_expired")
    problem(editor.refresh(), 401, "session_expired")


@pytest.mark.security(11)
def test_without_a_grace_a_repeated_token_ends_its_session(hurried: Person) -> None:
    before = hurried.cookie(REFRESH) or ""
    assert hurried.refresh().status_code == 204
    after = hurried.cookie(REFRESH) or ""
    hurried.plant(REFRESH, before, "/v1/auth")
    problem(hurried.refresh(), 401, "session_expired")
    hurried.plant(REFRESH, after, "/v1/auth")
    problem(hurried.refresh(), 401, "session_expired")


def test_a_rotation_that_a_crash_left_half_done_is_finished(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    cookies = "; ".join(f"{name}={editor.cookie(name)}" for name in (REFRESH, SESSION))
    dying = staff_stack.start()
    with staff_stack.client(dying) as client:
        # Before the fourth: it has published its key, read the session and begun to rotate.
        headers = CSRF | {"Cookie": cookies, "X-Test-Signal": "4 KILL"}
        with pytest.raises(httpx.TransportError):
            client.post("/v1/auth/refresh", headers=headers)
    member, session, secret = family(editor)
    begun = f"rotated#session#{session}#{hashlib.sha256(secret.encode()).hexdigest()}"
    assert staff_stack.held(f"member#{member}", begun)
    dying.stop()
    staff_stack.processes.remove(dying)
    assert editor.refresh().status_code == 204
    assert editor.refresh().status_code == 204
    ok(editor.me())


@pytest.mark.parametrize("planted", ["", "x", "a.b.c", "a.b", ".." + "x" * 100, "%s.%s.wrong", "한글.b.c"])
def test_a_made_up_refresh_token_is_refused_and_harms_nobody(somebody: MakePerson, planted: str) -> None:
    editor = somebody("editors")
    editor.log_in()
    member, session, _ = family(editor)
    value = planted % (member, session) if "%s" in planted else planted
    headers = as_bytes({**CSRF, "Cookie": f"{REFRESH}={value}; {SESSION}={session}".encode()})
    problem(httpx.post(f"{editor.client.base_url}/v1/auth/refresh", headers=headers), 401, "session_expired")
    assert editor.refresh().status_code == 204


# -- ends -----------------------------------------------------------------------------------------------------


@pytest.mark.security(16)
def test_logging_out_ends_the_access_token_too(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    kept = {name: editor.cookie(name) or "" for name in (ACCESS, SESSION, REFRESH)}
    assert editor.me().status_code == 200
    answer = editor.post("/v1/auth/logout")
    assert answer.status_code == 200
    assert {name for name, c in cookies_set(answer).items() if c["max-age"] == "0"} >= set(kept)
    with editor.elsewhere() as thief:
        thief.plant(ACCESS, kept[ACCESS])
        thief.plant(SESSION, kept[SESSION])
        thief.plant(REFRESH, kept[REFRESH], "/v1/auth")
        eventually_401(thief)
        problem(thief.refresh(), 401, "session_expired")
    assert editor.post("/v1/auth/logout").status_code == 200  # Twice is no error, and says nothing.


@pytest.mark.security(10)
def test_a_new_login_replaces_the_session_that_the_browser_had(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    before = {name: editor.cookie(name) or "" for name in (ACCESS, SESSION, REFRESH)}
    assert editor.first_factor() == "second-factor"
    proof = {"method": "recovery", "code": editor.recovery_codes[0]}
    assert editor.post("/v1/auth/second-factor", proof).status_code == 200
    assert len(editor.client.get("/v1/auth/sessions").json()["items"]) == 1
    with editor.elsewhere() as thief:
        for name, value in before.items():
            thief.plant(name, value, "/v1/auth" if name == REFRESH else "/")
        eventually_401(thief)
        problem(thief.refresh(), 401, "session_expired")
    assert editor.me().status_code == 200


@pytest.mark.security(16)
def test_another_process_refuses_an_ended_session_within_a_second(
    somebody: MakePerson, staff_stack: Stack
) -> None:
    editor = somebody("editors")
    editor.log_in()
    if len(staff_stack.processes) == 1:
        staff_stack.start()
    access = {"Cookie": f"{ACCESS}={editor.cookie(ACCESS)}"}
    with staff_stack.client(staff_stack.processes[1]) as second:
        assert second.get("/v1/auth/me", headers=access).status_code == 200
        assert editor.post("/v1/auth/logout").status_code == 200
        time.sleep(1.2)
        assert second.get("/v1/auth/me", headers=access).status_code == 401


@pytest.mark.security(18)
def test_members_see_and_end_their_own_sessions(somebody: MakePerson) -> None:
    editor, stranger = somebody("editors"), somebody("editors")
    editor.log_in()
    stranger.log_in()
    with editor.elsewhere() as other:
        assert other.first_factor() == "second-factor"
        code = {"method": "recovery", "code": editor.recovery_codes[0]}
        assert (
            other.post("/v1/auth/second-factor", code, **{"User-Agent": "Other Browser/2.0"}).status_code
            == 200
        )
        listed = editor.client.get("/v1/auth/sessions").json()["items"]
        assert [s["current"] for s in listed].count(True) == 1
        assert [s["device"] for s in listed if not s["current"]] == ["Other Browser/2.0"]
        (theirs,) = [s["id"] for s in listed if not s["current"]]
        # Nobody else's session can be ended, or even be known to exist.
        problem(stranger.delete(f"/v1/auth/sessions/{theirs}"), 404, "not_found")
        assert other.me().status_code == 200
        assert editor.delete(f"/v1/auth/sessions/{theirs}").status_code == 204
        assert other.me().status_code == 401
        problem(other.refresh(), 401, "session_expired")
        problem(editor.delete(f"/v1/auth/sessions/{theirs}"), 404, "not_found")
    kept = [(name, editor.cookie(name) or "") for name in (ACCESS, SESSION, REFRESH)]
    assert editor.delete("/v1/auth/sessions").status_code == 204
    assert editor.cookie(ACCESS) is None
    for name, value in kept:  # As if the browser had ignored that its cookies are removed.
        editor.plant(name, value, "/v1/auth" if name == REFRESH else "/")
    assert editor.me().status_code == 401
    problem(editor.refresh(), 401, "session_expired")
    assert stranger.me().status_code == 200


# -- tokens ---------------------------------------------------------------------------------------------------


def signing_key(stack: Stack) -> dict[str, Any]:
    """Return the application's private key, as only its own function may."""
    found = stack.aws("secretsmanager").get_secret_value(SecretId=stack.settings.signing_key_secret)
    key: dict[str, Any] = json.loads(found["SecretString"])
    return key


def own_claims(stack: Stack, person: Person) -> dict[str, Any]:
    return jwt.decode(person.cookie(ACCESS) or "", options={"verify_signature": False})


@pytest.mark.security(19)
@pytest.mark.security(20)
def test_only_our_own_tokens_of_now_are_accepted(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    key = signing_key(staff_stack)
    private = jwt.PyJWK(key, algorithm="ES256").key
    claims, kid = own_claims(staff_stack, editor), key["kid"]
    foreign = ec.generate_private_key(ec.SECP256R1())
    public_pem = base64.b64encode(b"-----BEGIN PUBLIC KEY-----")
    at = int(time.time())

    def made(
        changed: dict[str, Any] | None = None,
        *,
        without: str = "",
        using: Any = private,
        algorithm: str = "ES256",
        **headers: Any,
    ) -> str:
        body = {n: v for n, v in (claims | (changed or {})).items() if n != without}
        return jwt.encode(body, using, algorithm, headers={"kid": kid, "typ": "at+jwt"} | headers)

    def status(token: str) -> int:
        with editor.elsewhere() as other:
            other.plant(ACCESS, token)
            return other.me().status_code

    assert status(made()) == 200
    head, body, signature = made().split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt", "kid": kid}).encode())
    deep = b'{"sub":' + b"[" * 1_000 + b"]" * 1_000 + b',"sid":"x"}'
    nested = base64.urlsafe_b64encode(deep).decode().rstrip("=")
    refused = {
        "expired": made({"exp": at - 1}),
        "not yet valid": made({"nbf": at + 60}),
        "from the future": made({"iat": at + 60}),
        "for another audience": made({"aud": "familycorp-web"}),
        "by another issuer": made({"iss": "https://evil.example"}),
        "of another type": made(typ="JWT"),
        "of no type": made(typ=None),
        "with a foreign key": made(using=foreign),
        "with an unknown kid": made(kid="A" * 43),
        "with a hostile kid": made(kid="../../keys"),
        "HS256 with the public key": made(using=public_pem * 3, algorithm="HS256"),
        "unsigned": f"{none.decode().rstrip('=')}.{body}.",
        "signature cut": f"{head}.{body}.{signature[:-4]}",
        "of another session": made({"sid": "01900000-0000-7000-8000-000000000000"}),
        "of another member": made({"sub": "01900000-0000-7000-8000-000000000000"}),
        **{
            f"without {name}": made(without=name)
            for name in ("exp", "nbf", "iat", "aud", "iss", "sub", "sid")
        },
        "rubbish": "x.y.z",
        "empty": ".",
        "too long": made({"more": "x" * 2_000}),
        # Python 3.11 can't make text of this.
        "nested": f"{head}.{nested}.{signature}",
    }
    assert {name: status(token) for name, token in refused.items()} == dict.fromkeys(refused, 401)


@pytest.mark.security(20)
def test_a_login_that_waits_for_its_second_factor_is_no_session(somebody: MakePerson) -> None:
    editor = somebody("editors")
    assert editor.first_factor() == "second-factor"
    pending = editor.cookie(PENDING) or ""
    assert editor.cookie(ACCESS) is None
    for name in (ACCESS, REFRESH, SESSION):
        editor.plant(name, pending, "/v1/auth" if name == REFRESH else "/")
    for path in ("/v1/auth/me", "/v1/auth/sessions", "/v1/auth/factors", "/v1/editor/posts", "/v1/members"):
        assert editor.client.get(path).status_code == 401
    problem(editor.refresh(), 401, "session_expired")


@pytest.mark.security(19)
def test_a_new_signing_key_logs_nobody_out(
    new_stack: Callable[..., Stack], nanoidp: Any, somebody: MakePerson, staff_stack: Stack
) -> None:
    editor = somebody("editors")
    editor.log_in()
    secrets, name = staff_stack.aws("secretsmanager"), staff_stack.settings.signing_key_secret

    def current() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
        return found

    old = current()
    # As Secrets Manager calls it, each step twice.
    version = str(uuid.uuid4())
    for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        assert current() == old
        event = {"Step": step, "SecretId": name, "ClientRequestToken": version}
        staff_stack.run_as(
            "rotation", f"from app.functions.rotation import handler\nfor _ in '12': handler({event}, None)"
        )
    new = current()
    assert (new["kid"], new["d"]) != (old["kid"], old["d"])
    assert secrets.get_secret_value(SecretId=name)["VersionId"] == version
    second = staff_stack.start()  # A process that starts now signs with the new key.
    before = editor.cookie(ACCESS)
    with staff_stack.client(second) as client:
        cookies = "; ".join(f"{name}={editor.cookie(name)}" for name in (REFRESH, SESSION))
        assert client.get("/v1/auth/me", headers={"Cookie": f"{ACCESS}={before}"}).status_code == 200
        answer = client.post("/v1/auth/refresh", headers=CSRF | {"Cookie": cookies})
        assert answer.status_code == 204
    after = cookies_set(answer)[ACCESS]["value"]
    assert jwt.get_unverified_header(after)["kid"] == new["kid"]
    # The process that knows the old key alone learns the new one by its kid; the old one stays good.
    for token in (after, before):
        editor.plant(ACCESS, token or "")
        assert editor.me().status_code == 200
