"""An inquiry's whole life: how long it is kept, its destruction everywhere, and its absence after a restore."""

import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.aws import dynamodb
from familycorp_ops.local.provision import provision
from support.contract import NOBODY, breaks, ok, pages, problem, unique
from support.stack import EDITOR, Stack

FORM, STAFF, CATEGORIES = "/v1/inquiries", "/v1/editor/inquiries", "/v1/editor/inquiry-categories"
DAY_S = 24 * 3600
RESTORE = "from app.functions.drain import handler; handler({'restore': True}, None)"
MINUTE = "from app.functions.drain import handler; handler({}, None)"


@pytest.fixture(scope="module")
def stack(own_stack: Stack) -> Stack:
    return own_stack


@pytest.fixture
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


def send(client: httpx.Client, **content: Any) -> str:
    body = {
        "name": "김하늘",
        "email": f"{unique()}@example.com",
        "subject": f"견적 문의 {unique()}",
        "message": "안녕하세요.",
        "consent": True,
        **content,
    }
    found: str = ok(client.post(FORM, json=body, headers={"Idempotency-Key": unique("key-")}), 201)["id"]
    return found


def read(client: httpx.Client, inquiry: str) -> httpx.Response:
    return client.get(f"{STAFF}/{inquiry}", headers=EDITOR)


def update(client: httpx.Client, inquiry: str, status: str, note: str = "") -> dict[str, Any]:
    tag = read(client, inquiry).headers["ETag"]
    answer = client.put(
        f"{STAFF}/{inquiry}", json={"status": status, "note": note}, headers=EDITOR | {"If-Match": tag}
    )
    found: dict[str, Any] = ok(answer)
    return found


def destroy(client: httpx.Client, inquiry: str, tag: str = '"1"', **headers: str) -> httpx.Response:
    return client.delete(f"{STAFF}/{inquiry}", headers=EDITOR | {"If-Match": tag} | headers)


def run_due(client: httpx.Client, days: float) -> bool:
    """Do what the scheduler would do in so many days; return whether it looked at the database."""
    return bool(ok(client.post("/test/run-due", params={"ahead": days * DAY_S}))["due"])


def markers(stack: Stack, inquiry: str) -> list[str]:
    named = (item["sequence"].partition("#") for item in stack.items("due"))
    return [at for at, _, about in named if about == f"inquiry:{inquiry}"]


def keys(stack: Stack, inquiry: str) -> int:
    """Return how many idempotency keys are kept of an inquiry."""
    statement = "SELECT count(*) FROM idempotency_keys WHERE created_id = :id"
    ((found,),) = stack.sql(statement, id=uuid.UUID(inquiry).hex)
    return int(found)


def row(stack: Stack, inquiry: str) -> dict[str, Any]:
    """Return what the database has of an inquiry, as a backup would."""
    with stack.database.begin() as connection:
        statement = "SELECT * FROM inquiries WHERE id = ?"
        found = connection.exec_driver_sql(statement, (uuid.UUID(inquiry).hex,)).mappings().one()
    return dict(found)


def come_back(stack: Stack, backup: dict[str, Any]) -> None:
    """Put a row back, as restoring the database from a backup does."""
    names = ", ".join(backup)
    places = ", ".join(f":{name}" for name in backup)
    stack.sql(f"INSERT INTO inquiries ({names}) VALUES ({places})", **backup)


def after(instant: str, days: int) -> datetime:
    return datetime.fromisoformat(instant) + timedelta(days=days)


def ends(found: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(found["destroyAt"])


def test_the_period_begins_with_the_last_change_or_when_it_was_done(
    stack: Stack, client: httpx.Client
) -> None:
    inquiry = send(client)
    found = ok(read(client, inquiry))
    assert ends(found) == after(found["createdAt"], 1095)
    assert markers(stack, inquiry) == [found["destroyAt"]]
    found = update(client, inquiry, "in_progress")
    assert ends(found) == after(found["updatedAt"], 1095)
    done = update(client, inquiry, "done")
    assert done["doneAt"] == done["updatedAt"]
    assert ends(done) == after(done["doneAt"], 1095)
    noted = update(client, inquiry, "done", "메모")
    assert (noted["doneAt"], noted["destroyAt"]) == (done["doneAt"], done["destroyAt"])
    assert markers(stack, inquiry) == [done["destroyAt"]]
    opened = update(client, inquiry, "in_progress")
    assert opened["doneAt"] is None
    assert markers(stack, inquiry) == [opened["destroyAt"]]


def test_what_the_form_said_at_consent_is_kept_with_the_inquiry(client: httpx.Client) -> None:
    found = ok(read(client, send(client, consentVersion="2026-12-01")))
    assert (found["consentVersion"], found["consentedAt"]) == ("2026-12-01", found["createdAt"])
    assert ok(read(client, send(client)))["consentVersion"] is None


def test_an_inquiry_is_destroyed_everywhere_at_its_time_and_stays_so_after_a_restore(
    stack: Stack, client: httpx.Client
) -> None:
    word = unique("개인정보")
    inquiry = send(client, message=word, email=f"{word}@example.com")
    ok(client.get("/health"))
    backup, other = row(stack, inquiry), send(client)
    assert run_due(client, 1) in {True, False}  # What was due before.
    assert run_due(client, 1094) is False, "nothing is due, so the database sleeps"
    update(client, other, "in_progress")
    assert keys(stack, inquiry) == 1
    # Other tests' inquiries, and the one that was changed since, have some seconds more.
    at = datetime.fromisoformat(ok(read(client, inquiry))["destroyAt"])
    left = (at - datetime.now(at.tzinfo)).total_seconds()
    assert run_due(client, (left + 0.001) / DAY_S)
    ok(read(client, other))

    problem(read(client, inquiry), 404, "not_found")
    assert inquiry not in [found["id"] for found in pages(client, STAFF, limit=100)]
    assert keys(stack, inquiry) == keys(stack, other) == 0, "no key is older than a week"
    assert markers(stack, inquiry) == []
    entries = stack.sql(
        "SELECT action, actor, detail FROM audit_entries WHERE target = :t ORDER BY id",
        t=f"inquiry:{inquiry}",
    )
    assert [action for action, *_ in entries] == ["inquiry.received", "inquiry.destroyed"]
    assert entries[-1][1:] == ("system", '{"reason": "retention"}')
    (recorded,) = [i for i in stack.items("destroyed") if i["sequence"] == f"inquiry:{inquiry}"]
    assert set(recorded) == {"aggregate", "sequence", "at", "reason"}
    runs = stack.sql("SELECT detail FROM audit_entries WHERE action = 'inquiries.destroyed'")
    assert {"count", "reason"} == set(json.loads(runs[-1][0]))
    stack.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    for file in Path(stack.directory).glob("content.db*"):
        assert word.encode() not in file.read_bytes(), file
    tables = [stack.settings.events_table, stack.settings.posts_table, stack.settings.sessions_table]
    assert word not in str([stack.dynamodb.scan(TableName=table)["Items"] for table in tables])
    assert word not in stack.logs()

    come_back(stack, backup)
    problem(read(client, inquiry), 404, "not_found")
    tag = {"If-Match": '"1"'}
    answer = client.put(f"{STAFF}/{inquiry}", json={"status": "done"}, headers=EDITOR | tag)
    problem(answer, 404, "not_found")
    assert inquiry not in [found["id"] for found in pages(client, STAFF, limit=100)]
    for _ in range(2):
        stack.run_as("drain", RESTORE)
        assert stack.sql("SELECT id FROM inquiries WHERE id = :id", id=uuid.UUID(inquiry).hex) == []
    ok(read(client, other))


def test_an_admin_destroys_an_inquiry_at_once(stack: Stack, client: httpx.Client) -> None:
    inquiry = send(client)
    backup = row(stack, inquiry)
    problem(destroy(client, inquiry, **{"X-Test-Role": "editor"}), 403, "forbidden")
    problem(client.delete(f"{STAFF}/{inquiry}", headers=EDITOR), 428, "precondition_required")
    problem(destroy(client, inquiry, '"2"'), 412, "precondition_failed")
    problem(destroy(client, NOBODY), 404, "not_found")
    assert keys(stack, inquiry) == 1
    assert destroy(client, inquiry).status_code == 204
    problem(read(client, inquiry), 404, "not_found")
    assert keys(stack, inquiry) == 0, "it has a digest of what was sent"
    problem(destroy(client, inquiry), 404, "not_found")
    assert markers(stack, inquiry) == []
    query = "SELECT actor, detail FROM audit_entries WHERE action = 'inquiry.destroyed' AND target = :t"
    assert stack.sql(query, t=f"inquiry:{inquiry}") == [("editor-1", '{"reason": "request"}')]
    come_back(stack, backup)
    assert destroy(client, inquiry).status_code == 204, "a destruction whose commit failed can be repeated"
    assert stack.sql("SELECT id FROM inquiries WHERE id = :id", id=uuid.UUID(inquiry).hex) == []


def test_a_lost_record_and_lost_markers_are_written_again(stack: Stack, client: httpx.Client) -> None:
    gone, kept = send(client), send(client)
    assert destroy(client, gone).status_code == 204
    stack.dynamodb.delete_table(TableName=stack.settings.events_table)
    provision(stack.settings)
    stack.run_as("drain", RESTORE)
    assert f"inquiry:{gone}" in [item["sequence"] for item in stack.items("destroyed")]
    assert markers(stack, kept) == [ok(read(client, kept))["destroyAt"]]


def test_a_category_s_shorter_period_counts_for_what_is_there(stack: Stack, client: httpx.Client) -> None:
    listed = client.get(CATEGORIES, headers=EDITOR)
    assert ok(listed)["retentionDays"] == 1095
    items: list[dict[str, Any]] = [
        {"slug": "quote", "name": {"ko": "견적", "en": "Quotes"}, "retentionDays": None},
        {"slug": "jobs", "name": {"ko": "채용", "en": "Jobs"}, "retentionDays": 5000 % 3650},
    ]

    def put(items: Any, tag: str) -> httpx.Response:
        return client.put(CATEGORIES, json={"items": items}, headers=EDITOR | {"If-Match": tag})

    breaks(client.post(FORM, json=form_of("jobs")), ("body.category", "unknown_category"))
    changed = put(items, listed.headers["ETag"])
    assert ok(changed)["items"] == items
    problem(put([], listed.headers["ETag"]), 412, "precondition_failed")
    breaks(put([items[0], items[0]], changed.headers["ETag"]), ("body.items", "duplicate_slug"))
    shown = ok(client.get(f"{FORM}/categories"))
    assert shown == {"items": items, "retentionDays": 1095}
    job, quote = send(client, category="jobs"), send(client, category="quote")
    found = ok(read(client, job))
    assert (found["category"], ends(found)) == ("jobs", after(found["createdAt"], 1095)), (
        "no period is longer"
    )
    items[1]["retentionDays"] = 180
    changed = ok(put(items, changed.headers["ETag"]))
    assert run_due(client, 61 / DAY_S)
    found = ok(read(client, job))
    assert (ends(found), found["version"]) == (after(found["createdAt"], 180), 1)
    assert markers(stack, job) == [found["destroyAt"]]
    assert ends(ok(read(client, quote))) == after(ok(read(client, quote))["createdAt"], 1095)
    assert run_due(client, 180.001)
    problem(read(client, job), 404, "not_found")
    ok(read(client, quote))


def form_of(category: str) -> dict[str, Any]:
    return {
        "name": "김하늘",
        "email": "haneul@example.com",
        "subject": "지원",
        "message": "지원합니다.",
        "category": category,
        "consent": True,
    }


def test_a_new_setting_counts_for_what_is_there_and_rows_of_an_earlier_release_get_their_time(
    stack: Stack, client: httpx.Client
) -> None:
    inquiry, earlier = send(client), send(client)
    stack.sql("UPDATE inquiries SET destroy_at = NULL WHERE id = :id", id=uuid.UUID(earlier).hex)
    stack.run_as("drain", MINUTE, FAMILYCORP_INQUIRY_RETENTION_DAYS="30")
    for found in (ok(read(client, inquiry)), ok(read(client, earlier))):
        assert ends(found) == after(found["createdAt"], 30)
        assert found["destroyAt"] in markers(stack, found["id"])
    known = [dynamodb.decode(i) for i in stack.dynamodb.scan(TableName=stack.settings.events_table)["Items"]]
    assert [i["periods"].split()[-1] for i in known if i["aggregate"] == "retention"] == ["30"]
