"""Members who leave: name and e-mail address are erased, a later login is recognised, a restore changes nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.contract import ok, problem
from support.stack import Stack, command
from support.staff import REFRESH, Person

RESTORE = "from app.functions.drain import handler; handler({'restore': True}, None)"
COLUMNS = "issuer, subject, email, name, role, group_role, erased_at"


def erase(admin: Person, member: str, **headers: str) -> Any:
    tag = admin.client.get(f"/v1/members/{member}").headers["ETag"]
    return admin.post(f"/v1/members/{member}/erase", **{"If-Match": tag, **headers})


def row(stack: Stack, member: str) -> dict[str, Any]:
    (found,) = stack.sql(f"SELECT {COLUMNS} FROM members WHERE id = :id", id=member.replace("-", ""))
    return dict(zip(COLUMNS.split(", "), found, strict=True))


@pytest.fixture
def admin(somebody: Callable[..., Person]) -> Person:
    person = somebody("admins")
    person.log_in()
    return person


@pytest.fixture
def leaver(somebody: Callable[..., Person]) -> Person:
    person = somebody("editors")
    person.log_in()
    ok(person.client.get("/v1/editor/posts"))
    return person


def member_of(person: Person) -> str:
    return (person.cookie(REFRESH) or "").split(".")[0]


def test_who_left_is_erased_everywhere_and_comes_back_without_a_role(
    staff_stack: Stack, admin: Person, leaver: Person
) -> None:
    member, own = member_of(leaver), member_of(admin)
    ok(admin.client.get("/v1/audit"))
    backup = row(staff_stack, member)
    problem(admin.post(f"/v1/members/{member}/erase"), 428, "precondition_required")
    problem(erase(admin, member, **{"If-Match": '"99"'}), 412, "precondition_failed")
    assert problem(erase(admin, own), 403, "forbidden")["reasons"] == ["own_account"]
    problem(leaver.post(f"/v1/members/{own}/erase", **{"If-Match": '"1"'}), 403, "forbidden")

    erased = ok(erase(admin, member))
    blank = {"name": "", "email": "", "former": True, "role": None, "groupRole": None}
    assert {name: erased[name] for name in blank} == blank
    assert leaver.me().status_code == 401
    after = row(staff_stack, member)
    assert (after["email"], after["name"], after["role"], after["group_role"]) == ("", "", None, None)
    assert len(after["subject"]) == 64
    assert after["subject"] != backup["subject"]
    table = staff_stack.dynamodb.scan(TableName=staff_stack.settings.sessions_table)["Items"]
    kept = [item for item in table if item["owner"]["S"] == f"member#{member}"]
    assert {item["item"]["S"] for item in kept} <= {"profile", "attempts"}
    assert leaver.username not in json.dumps(kept, ensure_ascii=False)
    problem(erase(admin, member), 409, "former_member")
    tag = {"If-Match": admin.client.get(f"/v1/members/{member}").headers["ETag"], "X-CSRF-Protection": "1"}
    answer = admin.client.put(f"/v1/members/{member}/role", json={"role": "admin"}, headers=tag)
    problem(answer, 409, "former_member")
    trail = ok(admin.client.get("/v1/audit", params={"target": f"member:{member}"}))["items"]
    told = {(entry["action"], entry["formerMember"]) for entry in trail}
    assert told == {("member.erased", False), ("member.joined", True)}

    with leaver.elsewhere() as later:
        later.secret = ""
        later.log_in()
        assert later.me().json()["role"] is None
        problem(later.client.get("/v1/editor/posts"), 403, "forbidden")
        assert row(staff_stack, member) == after

    # The database comes back from a backup of before.
    values = ", ".join(f"{name} = :{name}" for name in backup)
    statement = f"UPDATE members SET {values} WHERE id = :id"
    staff_stack.sql(statement, id=member.replace("-", ""), **backup)
    found = admin.client.get(f"/v1/members/{member}")
    assert (ok(found)["name"], ok(found)["former"]) == ("", True)
    tag["If-Match"] = found.headers["ETag"]
    answer = admin.client.put(f"/v1/members/{member}/role", json={"role": "admin"}, headers=tag)
    problem(answer, 409, "former_member")
    staff_stack.run_as("drain", RESTORE)
    again = row(staff_stack, member)
    assert {**again, "erased_at": None} == {**after, "erased_at": None}
    assert again["erased_at"]


def test_an_operator_erases_a_member(staff_stack: Stack, leaver: Person) -> None:
    email = f"{leaver.username}@familycorp.example"
    status, said = command(staff_stack, "members", "erase", email)
    assert (status, "--yes" in said) == (1, True)
    status, said = command(staff_stack, "members", "erase", email, "--yes")
    assert status == 0, said
    assert leaver.me().status_code == 401
    status, said = command(staff_stack, "members", "list")
    assert leaver.username not in said
    assert "former member" in said
    status, said = command(staff_stack, "audit", "--target", f"member:{member_of(leaver)}")
    assert f"{member_of(leaver)} (former member)  member.joined" in said
    status, said = command(staff_stack, "members", "grant-role", member_of(leaver), "admin")
    assert status == 1
    assert "were erased" in said
