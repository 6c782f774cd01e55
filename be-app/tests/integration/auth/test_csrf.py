"""What pages of other sites, neighbouring hosts and forged headers can do to a member: nothing."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import Person as Account
from familycorp_ops.servers.valkey import Valkey
from support.contract import logged, problem
from support.stack import Stack
from support.staff import ACCESS, CSRF, PENDING, REFRESH, SESSION, Person, at_browser

MakePerson = Callable[..., Person]
REFUSED = (403, "csrf_rejected")


def writes(person: Person) -> dict[str, Callable[[dict[str, str]], httpx.Response]]:
    """Return a request of each kind that changes something by a cookie."""
    body = {
        "lang": "ko",
        "category": "news",
        "title": "제목",
        "body": "본문",
        "slug": f"s-{uuid.uuid4().hex}",
    }
    client = person.client
    return {
        "post": lambda h: client.post("/v1/editor/posts", json=body, headers=h),
        "refresh": lambda h: client.post("/v1/auth/refresh", headers=h),
        "logout": lambda h: client.post("/v1/auth/logout", headers=h),
        "everywhere": lambda h: client.delete("/v1/auth/sessions", headers=h),
        "second factor": lambda h: client.post("/v1/auth/second-factor", json={"method": "totp"}, headers=h),
        "enrolment": lambda h: client.post("/v1/auth/enrolment/totp", headers=h),
        "recovery codes": lambda h: client.post("/v1/auth/recovery-codes", headers=h),
    }


FOREIGN = {
    "without the header": {},
    "from another origin": CSRF | {"Origin": "https://evil.example"},
    "from a neighbour": CSRF | {"Origin": "https://other.familycorp.example"},
    "from our name over http": CSRF | {"Origin": "http://www.familycorp.example"},
    "from a sandboxed frame": CSRF | {"Origin": "null"},
    "across sites": CSRF | {"Sec-Fetch-Site": "cross-site"},
    "typed by hand": CSRF | {"Sec-Fetch-Site": "none"},
    "our origin across sites": CSRF
    | {"Origin": "https://www.familycorp.example", "Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.security(6)
@pytest.mark.parametrize("kind", list(FOREIGN))
def test_no_foreign_page_can_act_for_a_member(somebody: MakePerson, kind: str) -> None:
    editor = somebody("editors")
    editor.log_in()
    for name, write in writes(editor).items():
        problem(write(FOREIGN[kind]), *REFUSED), name
    assert editor.me().status_code == 200
    assert editor.refresh().status_code == 204
    ours = CSRF | {"Origin": "https://www.familycorp.example", "Sec-Fetch-Site": "same-site"}
    assert writes(editor)["post"](ours).status_code == 201


@pytest.mark.security(6)
def test_no_foreign_page_can_finish_somebodys_login(somebody: MakePerson) -> None:
    editor = somebody("editors")
    assert editor.first_factor() == "second-factor"
    for headers in FOREIGN.values():
        problem(editor.client.post("/v1/auth/enrolment/totp", headers=headers), *REFUSED)
    assert editor.enrol().status_code == 200


@pytest.mark.security(5)
def test_only_the_companys_pages_may_read_with_credentials(somebody: MakePerson) -> None:
    editor = somebody("editors")
    editor.log_in()
    ours = editor.client.get("/v1/auth/me", headers={"Origin": "https://www.familycorp.example"})
    assert ours.headers["access-control-allow-origin"] == "https://www.familycorp.example"
    assert ours.headers["access-control-allow-credentials"] == "true"
    preflight = {
        "Origin": "https://www.familycorp.example",
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "x-csrf-protection,if-match",
    }
    allowed = editor.client.options("/v1/auth/sessions", headers=preflight)
    assert allowed.status_code == 200
    assert "x-csrf-protection" in allowed.headers["access-control-allow-headers"].lower()
    for origin in ("https://evil.example", "null", "https://www.familycorp.example.evil.example"):
        answer = editor.client.get("/v1/auth/me", headers={"Origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "Origin" in answer.headers["vary"]
        problem(
            editor.client.options("/v1/auth/sessions", headers=preflight | {"Origin": origin}),
            400,
            "cors_rejected",
        )


def test_a_planted_refresh_token_slips_nobody_into_another_session(somebody: MakePerson) -> None:
    """A neighbouring subdomain can plant a `__Secure-` cookie, but no `__Host-` one (cookie tossing)."""
    attacker, victim = somebody("editors"), somebody("editors")
    attacker.log_in()
    planted = attacker.cookie(REFRESH) or ""
    victim.plant(REFRESH, planted, "/v1/auth")
    problem(victim.refresh(), 401, "session_expired")  # Somebody who isn't logged in.
    assert victim.cookie(ACCESS) is None
    victim.log_in()
    own, session = victim.cookie(REFRESH) or "", victim.cookie(SESSION) or ""
    victim.plant(REFRESH, planted, "/v1/auth")
    problem(victim.refresh(), 401, "session_expired")  # Somebody who is.
    for order in (f"{REFRESH}={planted}; {REFRESH}={own}", f"{REFRESH}={own}; {REFRESH}={planted}"):
        headers = CSRF | {"Cookie": f"{order}; {SESSION}={session}"}
        answer = httpx.post(f"{victim.client.base_url}/v1/auth/refresh", headers=headers, trust_env=False)
        problem(answer, 401, "session_expired")
    victim.plant(REFRESH, own, "/v1/auth")
    assert victim.refresh().status_code == 204
    for name in (ACCESS, PENDING):
        twice = {"Cookie": f"{name}={attacker.cookie(ACCESS)}; {name}={victim.cookie(ACCESS)}"}
        answer = httpx.get(f"{victim.client.base_url}/v1/auth/me", headers=twice, trust_env=False)
        assert answer.status_code == 401


@pytest.mark.security(7)
def test_reading_ends_and_renews_nothing(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    member, session, _ = (editor.cookie(REFRESH) or "").split(".")
    before = staff_stack.held(f"member#{member}", f"session#{session}")
    for path in ("me", "sessions", "factors", "second-factor", "logout", "refresh", "sessions/x"):
        for method in ("GET", "HEAD"):
            editor.client.request(method, f"/v1/auth/{path}")
    assert staff_stack.held(f"member#{member}", f"session#{session}") == before


# -- limits ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def limited(
    ministack: MiniStack, valkey: Valkey, nanoidp: NanoIDP, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("limited")
    with Stack(directory, ministack, valkey, provider=nanoidp) as made:
        made.prepare().start(TEST_LIMITS="1")
        yield made


@pytest.fixture
def fresh(limited: Stack) -> Stack:
    """The same as if nobody had asked for anything yet."""
    table = limited.settings.sessions_table
    for item in limited.dynamodb.scan(TableName=table)["Items"]:
        if item["owner"]["S"].startswith("limit#"):
            limited.dynamodb.delete_item(TableName=table, Key={n: item[n] for n in ("owner", "item")})
    return limited


@pytest.fixture
def newcomer(nanoidp: NanoIDP) -> str:
    """The name of somebody who has never logged in."""
    name = f"p{uuid.uuid4().hex[:10]}"
    nanoidp.admit(Account(name, name, name, f"{name}@familycorp.example", ("editors",)))
    return name


FORM = {"name": "a", "email": "a@b.kr", "subject": "a", "message": "a", "consent": True}
SPOOFED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP")


@pytest.mark.security(39)
@pytest.mark.security(40)
@pytest.mark.parametrize(
    ("method", "path", "most"),
    [
        ("GET", "/v1/auth/login", 30),
        ("POST", "/v1/auth/refresh", 120),
        ("POST", "/v1/auth/backchannel-logout", 60),
        ("POST", "/v1/inquiries", 20),
    ],
)
def test_each_client_has_its_limit_with_any_claimed_address(
    fresh: Stack, method: str, path: str, most: int
) -> None:
    answers = []
    with fresh.client() as client:
        for n in range(2 * most + 1):
            # A window may end on the way, and then the next allows as many.
            headers = CSRF | dict.fromkeys(SPOOFED, f"203.0.113.{n}")
            context = f'{{"http": {{"sourceIp": "198.51.100.{n}"}}}}'
            headers |= {"X-Amzn-Request-Context": context, "X-Amzn-Lambda-Context": context}
            body = FORM if path == "/v1/inquiries" else None
            answers.append(client.request(method, path, json=body, headers=headers))
            if answers[-1].status_code == 429:
                break
        refused = answers[-1]
        document = problem(refused, 429, "rate_limited")
        assert document["detail"].startswith(f"Try again in {refused.headers['retry-after']} second")
        assert 0 < int(refused.headers["retry-after"]) <= 600
        assert len(answers) > most
        (line,) = logged(fresh, refused.headers["X-Request-ID"])
        assert "203.0.113" not in str(line)
        assert client.get("/v1/posts").status_code == 200


@pytest.mark.security(40)
@pytest.mark.security(45)
@pytest.mark.parametrize("kind", ["rubbish", "forged", "unknown key", "revoked", "made-up login"])
def test_cookies_that_are_no_good_are_counted_and_soon_cost_no_read(
    fresh: Stack, newcomer: str, kind: str
) -> None:
    process = fresh.start(TEST_LIMITS="1")
    with at_browser(fresh, newcomer) as editor, fresh.client(process) as client:
        editor.log_in()
        own = editor.cookie(ACCESS) or ""
        assert client.get("/v1/auth/me", headers={"Cookie": f"{ACCESS}={own}"}).status_code == 200
        head, body, signature = own.split(".")
        name, path = ACCESS, "/v1/auth/me"
        if kind == "revoked":
            assert editor.post("/v1/auth/logout").status_code == 200
            time.sleep(1.1)
        if kind == "made-up login":
            name, path = PENDING, "/v1/auth/second-factor"

        def cookie(n: int) -> str:
            header = {"alg": "ES256", "typ": "at+jwt", "kid": f"{n:043}"}
            foreign = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
            return {
                "rubbish": f"x{n}",
                "forged": f"{head}.{body}.{signature[::-1]}",
                "unknown key": f"{foreign}.{body}.{signature}",
                "revoked": own,
                "made-up login": f"{n:043}",
            }[kind]

        answers = [client.get(path, headers={"Cookie": f"{name}={cookie(n)}"}) for n in range(400)]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {401, 429}
    reads = sum(int(answer.headers["x-count-dynamodb"]) for answer in answers)
    assert reads <= {"rubbish": 0, "forged": 0, "revoked": 1}.get(kind, statuses.count(401))
    assert int(next(a for a in answers if a.status_code == 429).headers["retry-after"]) >= 1
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.headers["x-count-dynamodb"] for answer in refused} == {"0"}


@pytest.mark.security(40)
def test_a_flood_of_bad_cookies_keeps_no_colleague_out(fresh: Stack, newcomer: str) -> None:
    process = fresh.start(TEST_LIMITS="1")
    with at_browser(fresh, newcomer) as editor, fresh.client(process) as client:
        editor.log_in()
        own = {"Cookie": f"{ACCESS}={editor.cookie(ACCESS)}"}
        assert client.get("/v1/auth/me", headers=own).status_code == 200
        flood = [client.get("/v1/auth/me", headers={"Cookie": f"{ACCESS}=x{n}"}) for n in range(200)]
        assert flood[-1].status_code == 429
        time.sleep(1.1)  # So that the process looks the session up again.
        assert client.get("/v1/auth/me", headers=own).status_code == 200


@pytest.mark.security(39)
@pytest.mark.security(40)
def test_the_limit_of_the_second_factor_counts_before_a_proof_is_checked(
    fresh: Stack,
) -> None:
    with at_browser(fresh, "editor") as editor:
        editor.log_in()
        statuses = [editor.post("/v1/auth/second-factor/passkey-options").status_code for _ in range(45)]
    assert statuses[:25] == [404] * 25
    assert 429 in statuses
