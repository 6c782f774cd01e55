"""One person's inquiries: found by e-mail address, and exported."""

import csv
import io
import uuid
from datetime import datetime
from typing import Any

import httpx

from support.contract import breaks, logged, ok, problem, unique
from support.stack import EDITOR, Stack

FORM, STAFF = "/v1/inquiries", "/v1/editor/inquiries"


def send(client: httpx.Client, email: str, **content: Any) -> str:
    body = {
        "name": "김하늘",
        "email": email,
        "subject": "견적",
        "message": "문의",
        "consent": True,
        **content,
    }
    found: str = ok(client.post(FORM, json=body), 201)["id"]
    return found


def ask(client: httpx.Client, what: str, body: Any, **headers: str) -> httpx.Response:
    return client.post(f"/v1/editor/inquiry-{what}", json=body, headers=EDITOR | headers)


def test_a_person_s_inquiries_are_found_whatever_the_case_of_the_address(each_client: httpx.Client) -> None:
    name = unique()
    sent = [send(each_client, address) for address in (f"{name}@Example.com", f"{name.upper()}@example.com")]
    accented = send(each_client, f"é{name}@example.com")
    send(each_client, f"x{name}@example.com")
    send(each_client, f"e{name}@example.com")
    query = {"email": f"{name}@EXAMPLE.com", "limit": 1}
    first = ok(ask(each_client, "search", query))
    second = ok(ask(each_client, "search", query | {"cursor": first["nextCursor"]}))
    assert [i["id"] for i in first["items"] + second["items"]] == sent[::-1]
    assert second["nextCursor"] is None
    found = ok(ask(each_client, "search", {"email": f"é{name}@example.com"}))["items"]
    assert [i["id"] for i in found] == [accented], "é is no e"
    exported = ok(ask(each_client, "export", {"email": f"{name}@example.com"}))["items"]
    assert exported == [ok(each_client.get(f"{STAFF}/{i}", headers=EDITOR)) for i in sent[::-1]]


def test_the_staff_sort_and_assign_inquiries(client: httpx.Client, stack: Stack) -> None:
    categories, slug = "/v1/editor/inquiry-categories", unique("c")
    listed = client.get(categories, headers=EDITOR)
    items = [*ok(listed)["items"], {"slug": slug, "name": {"ko": "채용", "en": "Jobs"}, "retentionDays": 30}]
    tag = {"If-Match": listed.headers["ETag"]}
    ok(client.put(categories, json={"items": items}, headers=EDITOR | tag))
    member, disabled = (str(uuid.uuid4()) for _ in "12")
    for one, at in ((member, None), (disabled, "2026-11-24 00:00:00")):
        stack.sql(
            "INSERT INTO members (id, issuer, subject, email, name, disabled_at, seen_at, version, created_at, "
            "updated_at) VALUES (:id, 'https://a.example', :id, '', '', :at, :seen, 1, :seen, :seen)",
            id=uuid.UUID(one).hex,
            at=at,
            seen="2026-11-24 00:00:00",
        )
    inquiry = send(client, f"{unique()}@example.com")

    def update(tag: int, **change: Any) -> httpx.Response:
        headers = EDITOR | {"If-Match": f'"{tag}"'}
        return client.put(f"{STAFF}/{inquiry}", json={"status": "in_progress", **change}, headers=headers)

    for other in (disabled, str(uuid.uuid4())):
        breaks(update(1, assignee=other), ("body.assignee", "unknown_member"))
    breaks(update(1, category=unique()), ("body.category", "unknown_category"))
    found = ok(update(1, assignee=member, category=slug))
    assert (found["assignee"], found["category"]) == (member, slug)
    due = datetime.fromisoformat(found["destroyAt"]) - datetime.fromisoformat(found["updatedAt"])
    assert due.days == 30, "the category's period counts"
    kept = ok(update(2, note="메모"))
    assert (kept["assignee"], kept["category"]) == (member, slug)
    for query in ({"assignee": member}, {"category": slug}):
        assert [i["id"] for i in ok(client.get(STAFF, params=query, headers=EDITOR))["items"]] == [inquiry]
    assert ok(update(3, assignee=None, category=None))["assignee"] is None
    assert ok(client.get(STAFF, params={"assignee": member}, headers=EDITOR))["items"] == []


def test_what_looks_like_spam_is_kept_and_can_be_filtered(each_client: httpx.Client) -> None:
    name, text = unique(), f"{unique()} 문의드립니다"

    def scored(inquiry: str) -> int:
        found: int = ok(each_client.get(f"{STAFF}/{inquiry}", headers=EDITOR))["spamScore"]
        return found

    honest = send(each_client, f"a{name}@example.com", message=text)
    again = send(each_client, f"b{name}@example.com", message=f"  {text.upper()}\n")
    often = send(each_client, f"A{name}@example.com", message=f"{text} {unique()}")
    links = " ".join(["HTTPS://x.example www.x.example"] * 50)
    linked = send(each_client, f"c{name}@example.com", message=f"{unique()} {links}")
    worst = [send(each_client, f"d{name}@example.com", message=f"{links} {text}") for _ in range(5)][-1]
    assert [scored(i) for i in (honest, again, often, linked, worst)] == [0, 30, 10, 60, 100]

    def listed(**query: int) -> set[str]:
        answer = each_client.get(STAFF, params={"limit": 100, **query}, headers=EDITOR)
        return {item["id"] for item in ok(answer)["items"]} & {honest, again, often, linked, worst}

    assert listed(maxSpamScore=30) == {honest, again, often}
    assert listed(minSpamScore=60) == {linked, worst}
    assert listed(minSpamScore=10, maxSpamScore=10) == {often}
    assert listed() == {honest, again, often, linked, worst}
    answer = each_client.get(STAFF, params={"maxSpamScore": 101}, headers=EDITOR)
    breaks(answer, ("query.maxSpamScore", "less_than_equal"))


def test_an_export_is_a_table_without_formulas_and_leaves_a_trace_without_the_address(
    client: httpx.Client, stack: Stack
) -> None:
    email = f"{unique()}@example.com"
    inquiry = send(client, email, subject='=HYPERLINK("x")', message='두 줄,\n"따옴표"')
    answer = ask(client, "export.csv", {"email": email})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="inquiries.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content.startswith("\ufeff".encode())
    (row,) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    assert (row["id"], row["email"], row["subject"]) == (inquiry, email, '\'=HYPERLINK("x")')
    assert row["message"] == '두 줄,\n"따옴표"'
    assert set(row) == set(ok(client.get(f"{STAFF}/{inquiry}", headers=EDITOR)))
    lines = logged(stack, answer.headers["X-Request-ID"])
    trail = "SELECT actor, target, detail FROM audit_entries WHERE correlation_id = :id"
    (entry,) = stack.sql(trail, id=answer.headers["X-Request-ID"])
    assert entry == ("editor-1", "inquiries", '{"count": 1}')
    assert email not in str(lines)


def test_what_is_asked_keeps_to_rules_and_rights(client: httpx.Client, stack: Stack) -> None:
    breaks(ask(client, "search", {"email": "x"}), ("body.email", "string_pattern_mismatch"))
    assert ok(ask(client, "export", {"email": f"{unique()}@example.com"})) == {"items": []}
    for what in ("search", "export", "export.csv"):
        problem(ask(client, what, {"email": "a@b.kr"}, **{"X-Test-Role": "editor"}), 403, "forbidden")
        problem(client.post(f"/v1/editor/inquiry-{what}", json={"email": "a@b.kr"}), 401, "unauthenticated")
    email = f"{unique()}@example.com"
    inquiry = send(client, email)
    names = (
        "company, name, email, subject, message, referral, consented_at, status, note, version, created_at"
    )
    for number in range(50):
        stack.sql(
            f"INSERT INTO inquiries (id, {names}, updated_at) "
            f"SELECT :new, {names}, updated_at FROM inquiries WHERE id = :old",
            new=f"{number:031x}f",
            old=uuid.UUID(inquiry).hex,
        )
    problem(ask(client, "export", {"email": email}), 409, "export_too_large")
    stack.sql("DELETE FROM inquiries WHERE email = :email", email=email)
