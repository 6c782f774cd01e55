"""Input that is made to cost more than its size: it is counted before it is read, refused early, or worked on aside.

What is asserted is order and outcome: who is answered first, and how. `bench/hostile.py` holds the ratios.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.core.rate_limits import fixed_window
from support.contract import breaks, ok, problem
from support.hostile_bodies import BODIES, MARKDOWN, QUERIES, VALID
from support.stack import EDITOR, Stack, draft

JSON = {"Content-Type": "application/json"}
INQUIRY = "/v1/inquiries"


@pytest.fixture
def limited(stacks: Callable[[str], Stack]) -> Iterator[httpx.Client]:
    """A client of a process that counts; what it counted is forgotten afterwards."""
    stack = stacks("sqlite")
    application = stack.start(TEST_LIMITS="1")
    with stack.client(application) as client:
        yield client
    application.kill()
    stack.processes.remove(application)
    table, dynamodb = stack.settings.sessions_table, stack.aws("dynamodb")
    for item in dynamodb.scan(TableName=table)["Items"]:
        if item["owner"]["S"].startswith("limit#"):
            dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("owner", "item")})


@pytest.mark.security(40, 45)
@pytest.mark.parametrize(
    ("path", "most"),
    [
        (INQUIRY, fixed_window.INQUIRY.most),
        ("/v1/auth/second-factor", fixed_window.SECOND_FACTOR.most),
        ("/v1/auth/enrolment/totp/confirm", fixed_window.SECOND_FACTOR.most),
        ("/v1/auth/backchannel-logout", fixed_window.BACKCHANNEL.most),
    ],
)
def test_a_stranger_is_counted_before_the_body_is_read(limited: httpx.Client, path: str, most: int) -> None:
    headers = JSON | {"X-CSRF-Protection": "1"}
    statuses: list[int] = []
    while 429 not in statuses:
        # Twice as many as a window takes, should one end meanwhile.
        assert len(statuses) <= 2 * most
        statuses.append(limited.post(path, content=b"{", headers=headers).status_code)
    assert set(statuses[:-1]) == {400}
    # A refused request's body isn't read at all: what would be refused for its size is refused for its number.
    answer = limited.post(path, content=b" " * 2_000_000, headers=headers)
    problem(answer, 429, "rate_limited")


@pytest.mark.security(40)
def test_login_is_counted_before_its_query_is_read(limited: httpx.Client) -> None:
    statuses: list[int] = []
    while 429 not in statuses:
        assert len(statuses) <= 2 * fixed_window.LOGIN.most
        statuses.append(limited.get("/v1/auth/login?nonsense=1").status_code)
    assert set(statuses[:-1]) == {422}


@pytest.mark.security(40)
def test_a_foreign_page_uses_up_nobodys_limit(limited: httpx.Client) -> None:
    foreign = {"Origin": "https://evil.example", "X-CSRF-Protection": "1"}
    for _ in range(2 * fixed_window.SECOND_FACTOR.most + 1):
        answer = limited.post("/v1/auth/second-factor", content=b"{", headers=JSON | foreign)
        problem(answer, 403, "csrf_rejected")


@pytest.mark.security(45)
@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_is_refused_before_it_is_parsed(client: httpx.Client, name: str) -> None:
    answer = client.post(INQUIRY, content=BODIES[name](), headers=JSON)
    assert answer.status_code in {400, 422}, answer.text[:500]
    assert len(answer.json().get("errors", ())) <= 50
    for path in ("/v1/editor/posts", "/v1/editor/categories", "/v1/auth/second-factor"):
        assert client.post(path, content=BODIES[name](), headers=JSON | EDITOR).status_code in {400, 401, 422}


def test_valid_bodies_of_a_megabyte_are_taken(client: httpx.Client) -> None:
    for body in VALID.values():
        assert client.post(INQUIRY, content=body(), headers=JSON).status_code == 201


@pytest.mark.security(45)
def test_a_body_of_too_many_members_is_refused(client: httpx.Client) -> None:
    told = problem(client.post(INQUIRY, content=BODIES["members"](), headers=JSON), 400, "body_malformed")
    assert "500 members and items" in told["detail"]


@pytest.mark.security(45)
@pytest.mark.parametrize("name", QUERIES)
def test_a_hostile_address_is_refused(client: httpx.Client, name: str) -> None:
    for path in ("/v1/posts", "/v1/search", "/v1/posts/a", "/v1/auth/login", "/health", "/v1/auth/callback"):
        answer = client.get(f"{path}?{QUERIES[name]()}")
        assert answer.status_code in {414, 422}, (path, answer.text[:500])
        assert len(answer.content) < 20_000


@pytest.mark.security(45)
@pytest.mark.parametrize(
    "headers",
    [
        [(f"X-{i}", "a") for i in range(300)],
        [("Cookie", "__Host-access=a")] * 300,
        [("Cookie", "a=b; " * 20_000 + "a=b")],
        [("If-None-Match", '"a", ' * 20_000 + '"a"')],
        [("Accept-Encoding", "a;q=0.5, " * 10_000 + "a")],
    ],
)
def test_a_hostile_head_is_refused(client: httpx.Client, headers: list[tuple[str, str]]) -> None:
    for path in ("/v1/posts", "/v1/editor/posts", "/health"):
        problem(client.get(path, headers=headers), 431, "headers_too_large")


@pytest.mark.security(45)
@pytest.mark.parametrize("name", MARKDOWN)
def test_a_text_that_takes_long_to_render_keeps_nobody_waiting(
    client: httpx.Client, stack: Stack, name: str
) -> None:
    """Health is requested while the text is rendered; with either outcome, no other request waited for it."""
    done: list[str] = []

    def write() -> httpx.Response:
        with stack.client() as other:
            answer = draft(other, body=MARKDOWN[name]())
        done.append("draft")
        return answer

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not done:
            assert client.get("/health").status_code == 200
            done.append("health")
        answer = writing.result()
    assert done[0] == "health"
    if answer.status_code != 201:
        (told,) = problem(answer, 422, "validation_failed")["errors"]
        assert told["field"] == "body.body"
        assert told["rule"] in {"too_complex", "too_long_rendered"}


@pytest.mark.security(45)
@pytest.mark.parametrize(
    "marks",
    ["\u0301\u0316" * 30_000, "\u0301" * 30_000 + "\u0316" * 30_000, "\u0301" * 31 + "\u0316"],
)
def test_endless_combining_marks_are_refused(client: httpx.Client, marks: str) -> None:
    answer = draft(client, body=f"a{marks}")
    breaks(answer, ("body.body", "too_many_marks"))


def test_text_of_any_language_and_form_is_taken(client: httpx.Client) -> None:
    lines = "━" * 400, "\u1112\u1161\u11ab\u1100\u1173\u11af" * 400, "e\u0301\u0323" * 400, "👩🏽‍🚀" * 400
    ok(draft(client, body="\n\n".join(lines)), 201)


def revised(client: httpx.Client, before: str, after: str) -> str:
    """Write a post and revise it; return the address of the difference."""
    post: dict[str, Any] = ok(draft(client, body=before), 201)
    content = {name: post[name] for name in ("title", "category", "slug")} | {"body": after}
    headers = {**EDITOR, "If-Match": f'"{post["version"]}"'}
    ok(client.put(f"/v1/editor/posts/{post['id']}", json=content, headers=headers))
    return f"/v1/editor/posts/{post['id']}/revisions/2/diff?against=1"


TEXTS: dict[str, tuple[str, str]] = {
    "the same line, again and again": ("a\n" * 9_000 + "b", "a\n\n" * 6_000 + "b"),
    "two lines in turn": ("a\nb\n" * 4_500 + "c", "b\na\n" * 4_500 + "c"),
    "lines in reverse": (
        "\n".join(f"    {i}" for i in range(6_000)),
        "\n".join(f"    {i}" for i in reversed(range(6_000))),
    ),
}


@pytest.mark.security(45)
@pytest.mark.parametrize("name", TEXTS)
def test_a_difference_of_any_texts_keeps_nobody_waiting(
    client: httpx.Client, stack: Stack, name: str
) -> None:
    before, after = (f"```\n{text}\n```" for text in TEXTS[name])
    path = revised(client, before, after)
    done: list[str] = []

    def compare() -> httpx.Response:
        with stack.client() as other:
            answer = other.get(path, headers=EDITOR)
        done.append("diff")
        return answer

    with ThreadPoolExecutor(1) as pool:
        comparing = [pool.submit(compare) for _ in range(4)]
        while not done:
            client.get("/health")
            done.append("health")
        unified = [ok(answer.result())["unified"] for answer in comparing]
    assert done[0] == "health"
    assert len(set(unified)) == 1
    assert applied(unified[0], before.split("\n")) == after.split("\n")


def applied(unified: str, before: list[str]) -> list[str]:
    """Return what a unified diff makes of the body's lines; the head of four lines is the same before and after."""
    made: list[str] = []
    lines, at = ["", "", "", "", *before], 0
    for line in unified.split("\n")[2:]:
        if line.startswith("@@"):
            start, _, length = line.split()[1][1:].partition(",")
            start_at = int(start) - (length != "0")
            made += lines[at:start_at]
            at = start_at
        elif line.startswith("+"):
            made.append(line[1:])
        else:
            made += [line[1:]] if line.startswith(" ") else []
            at += 1
    return (made + lines[at:])[4:]


def test_a_difference_of_ordinary_texts_is_as_small_as_it_can_be(client: httpx.Client) -> None:
    before = "# 실적\n\n매출이 늘었습니다.\n\n- 하나\n- 둘\n\n끝"
    after = "# 실적\n\n매출이 크게 늘었습니다.\n\n- 하나\n- 둘\n- 셋\n\n끝"
    unified = ok(client.get(revised(client, before, after), headers=EDITOR))["unified"]
    changed = [line for line in unified.split("\n")[2:] if line[:1] in {"+", "-"}]
    assert changed == ["-매출이 늘었습니다.", "+매출이 크게 늘었습니다.", "+- 셋"]


@pytest.mark.security(45)
def test_ready_is_counted(limited: httpx.Client) -> None:
    assert '"visitors"' in limited.get("/ready").headers["RateLimit"]


def test_numbers_have_one_spelling(client: httpx.Client) -> None:
    ok(client.get("/v1/posts?limit=10"))
    for spelt in ("1_0", "%2010", "10%20", "%2B10", "10.0", "1e1", "１０", "%C2%A010"):
        breaks(client.get(f"/v1/posts?limit={spelt}"), ("query.limit", "int_parsing"))
