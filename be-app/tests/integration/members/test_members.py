"""Members: provisioned when first needed, changed by admins, and what of it counts at once."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import Person as Account
from familycorp_ops.servers.valkey import Valkey
from support.contract import at_once, ok, problem
from support.stack import Stack, command
from support.staff import ACCESS, PENDING, REFRESH, Person, at_browser

MakePerson = Callable[..., Person]
SOON_S = 1.2
"""An answer that another process remembers is good for one second."""


def member_of(person: Person) -> str:
    return (person.cookie(REFRESH) or "").split(".")[0]


def change(admin: Person, member: str, what: str, body: Any = None, **headers: str) -> httpx.Response:
    """Change a member as an admin who read them just before."""
    read = admin.client.get(f"/v1/members/{member}")
    headers = {"If-Match": read.headers.get("etag", '"1"'), "X-CSRF-Protection": "1", **headers}
    method = "PUT" if what == "role" else "POST"
    return admin.client.request(method, f"/v1/members/{member}/{what}", json=body, headers=headers)


@pytest.fixture
def admin(somebody: MakePerson) -> Person:
    person = somebody("admins")
    person.log_in()
    return person


@pytest.fixture
def editor(somebody: MakePerson) -> Person:
    person = somebody("editors")
    person.log_in()
    ok(person.client.get("/v1/editor/posts"))
    return person


def test_a_member_gets_a_row_on_the_first_call_that_needs_one(
    somebody: MakePerson, staff_stack: Stack
) -> None:
    editor = somebody("editors")
    editor.log_in()
    ok(editor.me())
    member = member_of(editor)

    def rows() -> list[tuple[Any, ...]]:
        query = "SELECT email, name, role, group_role, issuer, subject FROM members WHERE id = :id"
        return staff_stack.sql(query, id=member.replace("-", ""))

    assert rows() == []  # Logging in needs no database.
    first = editor.client.get("/v1/editor/posts")
    assert ok(first)
    email, name = f"{editor.username}@familycorp.example", f"이름 {editor.username}"
    (row,) = rows()
    assert row[:4] == (email, name, None, "editor")
    assert row[4] == staff_stack.settings.oidc_issuer
    again = editor.client.get("/v1/editor/posts")
    assert int(again.headers["x-count-sql"]) < int(first.headers["x-count-sql"])
    audit = staff_stack.sql("SELECT action FROM audit_entries WHERE actor = :id", id=member)
    assert audit == [("member.joined",)]


def test_many_first_calls_at_once_make_one_row(somebody: MakePerson, staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    cookie = {"Cookie": f"{ACCESS}={editor.cookie(ACCESS)}"}

    url = f"{staff_stack.api_url}/v1/editor/posts"
    with httpx.Client(headers=cookie, trust_env=False, timeout=120) as client:
        assert {a.status_code for a in at_once(16, lambda _: client.get(url))} == {200}
    query = "SELECT count(*) FROM members WHERE id = :id"
    assert staff_stack.sql(query, id=member_of(editor).replace("-", "")) == [(1,)]


@pytest.mark.parametrize("database", ["mariadb", "mysql"])
def test_members_are_the_same_on_every_database(
    request: pytest.FixtureRequest,
    *,
    ministack: MiniStack,
    valkey: Valkey,
    nanoidp: NanoIDP,
    tmp_path: Path,
    database: str,
) -> None:
    url = request.getfixturevalue(database).create_database("members")
    with Stack(tmp_path, ministack, valkey, url, provider=nanoidp) as stack:
        stack.prepare().start()
        with at_browser(stack, "editor") as editor, at_browser(stack, "admin") as admin:

            def read_audit(cookie: str, _: int) -> httpx.Response:
                return httpx.get(f"{stack.api_url}/v1/audit", headers={"Cookie": cookie})

            for person in (editor, admin):
                person.log_in()
                cookie = f"{ACCESS}={person.cookie(ACCESS)}"
                asked = at_once(8, partial(read_audit, cookie))
                assert {answer.status_code for answer in asked} == {200}
            assert stack.sql("SELECT count(*) FROM members") == [(2,)]
            member = member_of(editor)
            ok(change(admin, member, "role", {"role": "viewer"}))
            problem(editor.client.get("/v1/audit"), 403, "forbidden")
            first = ok(admin.client.get("/v1/members", params={"limit": 1}))
            second = ok(admin.client.get("/v1/members", params={"limit": 1, "cursor": first["nextCursor"]}))
            names = {m["name"] for m in (*first["items"], *second["items"])}
            assert names == {"이준호", "김은지"}
            status, said = command(stack, "members", "grant-role", "EDITOR@familycorp.example", "editor")
            assert status == 0, said
            ok(change(admin, member, "disable"))
            assert editor.me().status_code == 401


def test_a_later_login_brings_a_row_up_to_date(
    somebody: MakePerson, staff_stack: Stack, nanoidp: NanoIDP, admin: Person
) -> None:
    person = somebody("viewers")
    person.log_in()
    ok(person.client.get("/v1/editor/posts"))
    nanoidp.admit(
        Account(person.username, person.username, "새 이름", "new@familycorp.example", ("editors",))
    )
    with person.elsewhere() as later:
        later.first_factor()
        proof = {"method": "recovery", "code": person.recovery_codes[0]}
        ok(later.post("/v1/auth/second-factor", proof))
        assert later.me().json()["role"] == "editor"
        ok(later.client.get("/v1/editor/posts"))
        found = ok(admin.client.get(f"/v1/members/{member_of(person)}"))
        assert (found["name"], found["email"]) == ("새 이름", "new@familycorp.example")
        assert (found["role"], found["groupRole"]) == (None, "editor")


def logs_in_again(person: Person, nanoidp: NanoIDP, *groups: str) -> AbstractContextManager[Person]:
    """Log somebody in at another browser, whose groups at the provider have changed."""
    name = person.username
    nanoidp.admit(Account(name, name, f"이름 {name}", f"{name}@familycorp.example", groups))

    @contextmanager
    def opened() -> Iterator[Person]:
        with person.elsewhere() as later:
            later.first_factor()
            code = person.recovery_codes.pop()
            ok(later.post("/v1/auth/second-factor", {"method": "recovery", "code": code}))
            yield later

    return opened()


@pytest.mark.security(17)
@pytest.mark.parametrize("provisioned", [False, True])
def test_losing_a_group_reaches_every_session(
    somebody: MakePerson, staff_stack: Stack, nanoidp: NanoIDP, *, provisioned: bool
) -> None:
    if len(staff_stack.processes) == 1:
        staff_stack.start()
    person = somebody("admins")
    person.log_in()
    cookie = {"Cookie": f"{ACCESS}={person.cookie(ACCESS)}"}
    with staff_stack.client(staff_stack.processes[1]) as elsewhere:
        if provisioned:
            ok(person.client.get("/v1/editor/inquiries"))
            ok(elsewhere.get("/v1/editor/inquiries", headers=cookie))
        with logs_in_again(person, nanoidp, "viewers") as later:
            assert later.me().json()["role"] == "viewer"
            # Access tokens that are live, in every process, within the second that it may remember a session.
            time.sleep(SOON_S)
            for client in (person.client, elsewhere):
                problem(client.get("/v1/editor/inquiries", headers=cookie), 403, "forbidden")
            assert person.me().json()["role"] == "viewer"
            # A refresh of the older session, after the newer login, brings nothing back.
            assert person.refresh().status_code == 204
            assert person.me().json()["role"] == "viewer"
            problem(person.client.get("/v1/editor/inquiries"), 403, "forbidden")
        with logs_in_again(person, nanoidp) as later:
            assert later.me().json()["role"] is None
            assert person.refresh().status_code == 204
            assert person.me().json()["role"] is None


@pytest.mark.security(17)
def test_gaining_a_group_takes_a_login(somebody: MakePerson, nanoidp: NanoIDP) -> None:
    person = somebody("viewers")
    person.log_in()
    ok(person.client.get("/v1/editor/posts"))
    with logs_in_again(person, nanoidp, "admins") as later:
        assert later.me().json()["role"] == "admin"
        ok(later.client.get("/v1/editor/inquiries"))
        assert person.refresh().status_code == 204
        assert person.me().json()["role"] == "viewer"
        problem(person.client.get("/v1/editor/inquiries"), 403, "forbidden")


@pytest.mark.security(17)
def test_the_later_verified_login_decides_in_any_order_of_completion(
    somebody: MakePerson, nanoidp: NanoIDP
) -> None:
    person = somebody("admins")
    person.log_in()
    with person.elsewhere() as earlier:
        earlier.first_factor()  # Verified as an admin's, and left at the second factor.
        with logs_in_again(person, nanoidp, "editors"):
            code = person.recovery_codes.pop()
            ok(earlier.post("/v1/auth/second-factor", {"method": "recovery", "code": code}))
            assert earlier.me().json()["role"] == "editor"
            problem(earlier.client.get("/v1/editor/inquiries"), 403, "forbidden")


@pytest.mark.security(17)
def test_a_role_that_an_admin_gave_outweighs_groups(
    somebody: MakePerson, nanoidp: NanoIDP, admin: Person
) -> None:
    person = somebody("editors")
    person.log_in()
    ok(person.client.get("/v1/editor/posts"))
    ok(change(admin, member_of(person), "role", {"role": "editor"}))
    with logs_in_again(person, nanoidp):
        assert person.refresh().status_code == 204
        assert person.me().json()["role"] == "editor"
    ok(change(admin, member_of(person), "role", {"role": None}))
    assert person.refresh().status_code == 204
    assert person.me().json()["role"] is None


@pytest.mark.security(32)
def test_editors_see_names_alone_and_admins_everything(admin: Person, editor: Person) -> None:
    def of_editor(person: Person) -> dict[str, Any]:
        cursor, found = "", []
        while cursor is not None:
            page = ok(person.client.get("/v1/members", params={"cursor": cursor} if cursor else {}))
            found += [m for m in page["items"] if m["id"] == member_of(editor)]
            cursor = page["nextCursor"]
        (card,) = found
        return {name: value for name, value in card.items() if value is not None}

    assert set(of_editor(editor)) == {"id", "name", "former", "allowed"}
    assert of_editor(editor)["allowed"] == []
    every = ["member:disable", "member:enable", "member:erase", "member:read", "member:set-role"]
    assert of_editor(admin)["allowed"] == every
    read = ok(admin.client.get(f"/v1/members/{member_of(editor)}"))
    assert read["allowed"] == every
    # Nobody changes themselves.
    assert ok(admin.client.get(f"/v1/members/{member_of(admin)}"))["allowed"] == ["member:read"]
    sessions = ok(admin.client.get(f"/v1/members/{member_of(editor)}/sessions"))["items"]
    assert {tuple(session["allowed"]) for session in sessions} == {("session:end-any",)}
    own = ok(editor.client.get("/v1/auth/sessions"))["items"]
    assert {tuple(session["allowed"]) for session in own} == {("session:end-own",)}
    assert of_editor(admin)["email"] == f"{editor.username}@familycorp.example"
    problem(editor.client.get(f"/v1/members/{member_of(admin)}"), 403, "forbidden")


@pytest.mark.security(17)
def test_a_role_counts_at_once_for_who_is_logged_in(
    admin: Person, editor: Person, staff_stack: Stack
) -> None:
    if len(staff_stack.processes) == 1:
        staff_stack.start()
    member, cookie = member_of(editor), {"Cookie": f"{ACCESS}={editor.cookie(ACCESS)}"}
    with staff_stack.client(staff_stack.processes[1]) as elsewhere:
        for role, inquiries, posts in (("admin", 200, 200), ("viewer", 403, 200), (None, 403, 200)):
            ok(change(admin, member, "role", {"role": role}))
            assert editor.client.get("/v1/editor/inquiries").status_code == inquiries
            assert editor.client.get("/v1/editor/posts").status_code == posts
            assert editor.me().json()["role"] == (role or "editor")
            time.sleep(SOON_S)
            assert elsewhere.get("/v1/editor/inquiries", headers=cookie).status_code == inquiries
    audit = (
        "SELECT detail FROM audit_entries WHERE action = 'member.role_changed' AND target = :t ORDER BY id"
    )
    assert len(staff_stack.sql(audit, t=f"member:{member}")) == 3


@pytest.mark.security(17)
def test_a_disabled_member_is_out_and_stays_out(admin: Person, editor: Person, staff_stack: Stack) -> None:
    member = member_of(editor)
    ok(change(admin, member, "disable"))
    assert editor.client.get("/v1/editor/posts").status_code == 401
    assert editor.me().status_code == 401
    problem(editor.refresh(), 401, "session_expired")
    with editor.elsewhere() as again:
        assert again.first_factor() == "failed"
        assert again.cookie(PENDING) is None
    ok(change(admin, member, "enable"))
    # A session that was being created while they were disabled is no way in either.
    _, session, _ = (editor.cookie(REFRESH) or "").split(".")
    key = (f"member#{member}", f"session#{session}")
    before = (staff_stack.held(*key) or {})["createdAt"]
    staff_stack.rewrite(*key, createdAt=int((time.time() + 60) * 1000))
    assert editor.refresh().status_code == 204
    ok(change(admin, member, "disable"))
    assert editor.me().status_code == 401
    problem(editor.refresh(), 401, "session_expired")
    staff_stack.rewrite(*key, createdAt=before)
    ok(change(admin, member, "enable"))
    # The old session doesn't come back to life; a new one begins.
    problem(editor.refresh(), 401, "session_expired")
    assert editor.me().status_code == 401
    with editor.elsewhere() as again:
        assert again.first_factor() == "second-factor"
        proof = {"method": "recovery", "code": editor.recovery_codes[0]}
        ok(again.post("/v1/auth/second-factor", proof))
        ok(again.client.get("/v1/editor/posts"))


@pytest.mark.security(17)
def test_who_is_disabled_between_the_factors_gets_no_session(admin: Person, editor: Person) -> None:
    with editor.elsewhere() as again:
        assert again.first_factor() == "second-factor"
        ok(change(admin, member_of(editor), "disable"))
        proof = {"method": "recovery", "code": editor.recovery_codes[0]}
        problem(again.post("/v1/auth/second-factor", proof), 400, "login_expired")
        assert again.cookie(ACCESS) is None


@pytest.mark.security(18)
def test_admins_see_and_end_anybodys_sessions(admin: Person, editor: Person) -> None:
    member = member_of(editor)
    (session,) = ok(admin.client.get(f"/v1/members/{member}/sessions"))["items"]
    assert session["current"] is False
    missing = uuid.uuid4()
    problem(admin.delete(f"/v1/members/{member}/sessions/{missing}"), 404, "not_found")
    assert admin.delete(f"/v1/members/{member}/sessions/{session['id']}").status_code == 204
    assert editor.me().status_code == 401
    with editor.elsewhere() as again:
        again.first_factor()
        ok(again.post("/v1/auth/second-factor", {"method": "recovery", "code": editor.recovery_codes[0]}))
        assert admin.delete(f"/v1/members/{member}/sessions").status_code == 204
        assert again.me().status_code == 401
        problem(again.client.get(f"/v1/members/{member}/sessions"), 401, "unauthenticated")


@pytest.mark.security(29)
def test_changing_members_needs_a_recent_second_factor(
    admin: Person, editor: Person, staff_stack: Stack
) -> None:
    member, session, _ = (admin.cookie(REFRESH) or "").split(".")
    staff_stack.rewrite(f"member#{member}", f"session#{session}", secondFactorAt=int(time.time()) - 301)
    assert admin.refresh().status_code == 204
    target = member_of(editor)
    ok(admin.client.get("/v1/members"))
    for what, body in (("role", {"role": "admin"}), ("disable", None), ("enable", None)):
        problem(change(admin, target, what, body), 403, "step_up_required")
    problem(admin.delete(f"/v1/members/{target}/sessions"), 403, "step_up_required")
    problem(admin.delete(f"/v1/members/{target}/sessions/{uuid.uuid4()}"), 403, "step_up_required")
    assert editor.me().status_code == 200
    ok(admin.prove())
    ok(change(admin, target, "role", {"role": "viewer"}))


@pytest.mark.security(32)
def test_nobody_raises_or_locks_themselves(admin: Person, editor: Person) -> None:
    own = member_of(admin)
    ok(admin.client.get("/v1/members"))
    for what, body in (("role", {"role": None}), ("role", {"role": "admin"}), ("disable", None)):
        problem(change(admin, own, what, body), 403, "forbidden")
    for what, body in (("role", {"role": "admin"}), ("disable", None), ("enable", None)):
        problem(change(editor, own, what, body, **{"If-Match": '"1"'}), 403, "forbidden")
        problem(change(editor, member_of(editor), what, body, **{"If-Match": '"1"'}), 403, "forbidden")


def test_two_admins_never_undo_each_other_unseen(admin: Person, editor: Person) -> None:
    member = member_of(editor)
    problem(
        change(admin, member, "role", {"role": "viewer"}, **{"If-Match": '"99"'}), 412, "precondition_failed"
    )
    answer = admin.client.put(
        f"/v1/members/{member}/role", json={"role": "viewer"}, headers={"X-CSRF-Protection": "1"}
    )
    problem(answer, 428, "precondition_required")
    problem(change(admin, member, "role", {"role": "owner"}), 422, "validation_failed")
    problem(change(admin, str(uuid.uuid4()), "disable"), 404, "not_found")


def test_somebody_without_a_role_is_known_and_may_nothing(somebody: MakePerson, admin: Person) -> None:
    guest = somebody("strangers")
    guest.log_in()
    assert guest.me().json()["role"] is None
    for path in ("/v1/editor/posts", "/v1/members", "/v1/audit", "/v1/editor/inquiries"):
        problem(guest.client.get(path), 403, "forbidden")
    # So an admin finds them, and gives them one.
    assert ok(admin.client.get(f"/v1/members/{member_of(guest)}"))["role"] is None
    ok(change(admin, member_of(guest), "role", {"role": "viewer"}))
    ok(guest.client.get("/v1/editor/posts"))


@pytest.mark.security(32)
def test_a_draft_is_its_authors(somebody: MakePerson, admin: Person, editor: Person) -> None:
    other, viewer = somebody("editors"), somebody("viewers")
    other.log_in()
    viewer.log_in()
    body = {"lang": "ko", "category": "news", "title": "비밀 초안", "body": "본문"}
    draft = ok(editor.post("/v1/editor/posts", body), 201)
    path, match = f"/v1/editor/posts/{draft['id']}", {"If-Match": f'"{draft["version"]}"'}
    reads = ["", "/preview", "/revisions", "/revisions/1", "/revisions/1/diff?against=1"]
    steps = ["/publish", "/unpublish", "/archive", "/revisions/1/restore"]
    # To an editor it isn't there; a viewer's role alone forbids the steps.
    for stranger, refused in ((other, (404, "not_found")), (viewer, (403, "forbidden"))):
        for read in reads:
            problem(stranger.client.get(path + read), 404, "not_found")
        for step in steps:
            problem(stranger.post(path + step, **match), *refused)
        problem(stranger.post(f"{path}/schedule", {"publishAt": "2099-01-01T00:00:00Z"}, **match), *refused)
        update = stranger.client.put(
            path,
            json={k: v for k, v in body.items() if k != "lang"},
            headers={"X-CSRF-Protection": "1", **match},
        )
        problem(update, *refused)
        listed = ok(stranger.client.get("/v1/editor/posts", params={"limit": 100}))["items"]
        assert draft["id"] not in {p["id"] for p in listed}
    for knows in (editor, admin):
        for read in reads:
            assert knows.client.get(path + read).status_code == 200
        listed = ok(knows.client.get("/v1/editor/posts", params={"limit": 100}))["items"]
        assert draft["id"] in {p["id"] for p in listed}
    # Once it was public it is everybody's work; viewers still only look.
    published = ok(editor.post(f"{path}/publish", **match))
    match = {"If-Match": f'"{published["version"]}"'}
    ok(viewer.client.get(path))
    problem(viewer.post(f"{path}/unpublish", **match), 403, "forbidden")
    ok(other.post(f"{path}/unpublish", **match))
    ok(other.client.get(path))


@pytest.mark.security(32)
def test_editors_see_of_the_audit_trail_what_happened_to_content(admin: Person, editor: Person) -> None:
    body = {"lang": "ko", "category": "news", "title": "기록", "body": "본문"}
    draft = ok(editor.post("/v1/editor/posts", body), 201)
    ok(editor.post(f"/v1/editor/posts/{draft['id']}/publish", **{"If-Match": f'"{draft["version"]}"'}))
    target: dict[str, str | int] = {"target": f"post:{draft['id']}", "limit": 1}
    (entry,) = ok(editor.client.get("/v1/audit", params=target))["items"]
    assert (entry["action"], entry["actor"]) == ("post.published", member_of(editor))
    assert entry["detail"] is entry["correlationId"] is None
    page = ok(admin.client.get("/v1/audit", params=target))
    assert page["items"][0]["detail"] == {"revision": 1}
    assert page["items"][0]["correlationId"]
    rest = ok(admin.client.get("/v1/audit", params=target | {"cursor": page["nextCursor"]}))
    assert [e["action"] for e in rest["items"]] == ["post.created"]
    member = {"target": f"member:{member_of(editor)}"}
    assert [e["action"] for e in ok(admin.client.get("/v1/audit", params=member))["items"]] == [
        "member.joined"
    ]
    assert ok(editor.client.get("/v1/audit", params=member))["items"] == []
    kinds = {
        e["target"].split(":")[0] for e in ok(editor.client.get("/v1/audit", params={"limit": 100}))["items"]
    }
    assert kinds <= {"post", "category"}


def test_a_request_costs_one_round_trip_a_second_for_its_session(editor: Person, staff_stack: Stack) -> None:
    """And never one to Valkey: losing Valkey can't let an ended session live on."""
    time.sleep(1.1)
    first = editor.client.get("/v1/auth/me")
    second = editor.client.get("/v1/auth/me")
    assert (first.headers["x-count-dynamodb"], second.headers["x-count-dynamodb"]) == ("1", "0")
    for answer in (first, second):
        assert (answer.headers["x-count-valkey"], answer.headers["x-count-sql"]) == ("0", "0")


def test_logging_in_needs_no_database_and_never_imports_its_client(
    nanoidp: NanoIDP, ministack: MiniStack, valkey: Valkey, tmp_path: Path
) -> None:
    with Stack(tmp_path, ministack, valkey, provider=nanoidp) as stack:
        stack.prepare()
        application = stack.start(
            deployed=True,
            PYTHONPROFILEIMPORTTIME="1",
            FAMILYCORP_DATABASE_URL="mysql+aiomysql://app@127.0.0.1:1/nothing",
        )
        with at_browser(stack, "editor") as person:
            person.log_in()
            ok(person.me())
            assert person.refresh().status_code == 204
            ok(person.client.get("/v1/auth/sessions"))
            ok(person.client.get("/v1/auth/factors"))
            ok(person.post("/v1/auth/logout"))
        loaded = application.imported()
    assert {"jwt", "botocore.session"} <= loaded
    assert not {"sqlalchemy", "aiomysql", "aiosqlite", "redis", "alembic"} & loaded


@pytest.mark.security(23)
def test_an_operator_makes_the_first_admin_of_who_has_logged_in(
    somebody: MakePerson, staff_stack: Stack
) -> None:
    first = somebody()
    email = f"{first.username}@familycorp.example"
    status, said = command(staff_stack, "members", "grant-role", email, "admin")
    # Nobody is given anything for an address that somebody may claim one day.
    assert (status, "Nobody with this e-mail" in said) == (1, True)
    first.log_in()
    problem(first.client.get("/v1/editor/inquiries"), 403, "forbidden")
    status, said = command(staff_stack, "members", "grant-role", email.upper(), "admin")
    assert (status, said.strip()) == (
        0,
        f"이름 {first.username} ({email}) is admin now, and has to log in again.",
    )
    assert first.me().status_code == 401
    first.log_in()
    ok(first.client.get("/v1/editor/inquiries"))
    status, said = command(staff_stack, "members", "list")
    assert status == 0
    assert f"{email:40} admin" in said
    status, said = command(staff_stack, "members", "grant-role", email, "none", "--json")
    assert json.loads(said)["role"] is None
    assert first.me().status_code == 401
    # An authenticator has no third code within a minute.
    assert first.first_factor() == "second-factor"
    ok(first.post("/v1/auth/second-factor", {"method": "recovery", "code": first.recovery_codes[0]}))
    problem(first.client.get("/v1/editor/inquiries"), 403, "forbidden")
    entries = "SELECT actor, action FROM audit_entries WHERE target = :t AND action = 'member.role_changed'"
    assert staff_stack.sql(entries, t=f"member:{member_of(first)}") == [("system", "member.role_changed")] * 2
    status, said = command(staff_stack, "members", "grant-role", email, "owner")
    assert status == 2
