"""The contact form through HTTP, and what the staff do with it."""

from typing import Any

import httpx
import pytest

from support.contract import NOBODY, at_once, breaks, ok, pages, problem, unique
from support.stack import EDITOR, Stack

FORM, STAFF = "/v1/inquiries", "/v1/editor/inquiries"


def form(**content: Any) -> dict[str, Any]:
    return {
        "company": "한빛상사",
        "name": "김하늘",
        "email": "haneul@example.com",
        "subject": f"견적 문의 {unique()}",
        "message": "안녕하세요.\n제품 견적을 부탁드립니다.",
        "consent": True,
        "referral": "검색",
        "website": "",
        **content,
    }


def send(client: httpx.Client, key: str | None = None, **content: Any) -> httpx.Response:
    return client.post(FORM, json=form(**content), headers={"Idempotency-Key": key} if key else {})


def read(client: httpx.Client, inquiry: str) -> httpx.Response:
    return client.get(f"{STAFF}/{inquiry}", headers=EDITOR)


def update(client: httpx.Client, inquiry: str, body: Any, tag: str | None) -> httpx.Response:
    headers = EDITOR if tag is None else EDITOR | {"If-Match": tag}
    return client.put(f"{STAFF}/{inquiry}", json=body, headers=headers)


def stored(client: httpx.Client) -> list[str]:
    return [i["id"] for i in pages(client, STAFF, limit=100)]


def test_an_inquiry_reaches_the_staff_as_it_was_sent(each_client: httpx.Client) -> None:
    sent = form(message=" 첫 줄\r\n\t둘째 줄 😀 ", subject=f" 문의 {unique()} ")
    answer = each_client.post(FORM, json=sent)
    receipt = ok(answer, 201)
    assert set(receipt) == {"id"}
    found = ok(read(each_client, receipt["id"]))
    for name in ("company", "name", "email", "referral"):
        assert found[name] == sent[name]
    assert found["message"] == "첫 줄\n\t둘째 줄 😀"
    assert found["subject"] == sent["subject"].strip()
    assert (found["status"], found["note"], found["version"]) == ("new", "", 1)
    assert found["consentedAt"] == found["createdAt"] == found["updatedAt"]
    card = next(i for i in pages(each_client, STAFF) if i["id"] == receipt["id"])
    assert card == {name: found[name] for name in card}
    assert not {"email", "message", "note"} & set(card)


def test_what_may_be_left_out_may_be_left_out(client: httpx.Client) -> None:
    body = form()
    for name in ("company", "referral", "website"):
        del body[name]
    found = ok(read(client, ok(client.post(FORM, json=body), 201)["id"]))
    assert (found["company"], found["referral"]) == ("", "")


NO_CONSENT: tuple[Any, ...] = (False, None, "true", "yes", 0, [])


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        *((name, ..., "missing") for name in ("name", "email", "subject", "message", "consent")),
        *(
            (name, None, "string_type")
            for name in ("company", "name", "email", "subject", "message", "referral")
        ),
        *((name, " \t ", "forbidden_character") for name in ("company", "name", "subject", "referral")),
        *((name, "  ", "string_too_short") for name in ("name", "subject", "message")),
        *((name, "가" * 101, "string_too_long") for name in ("company", "name", "referral")),
        ("subject", "가" * 201, "string_too_long"),
        ("message", "가" * 10_001, "string_too_long"),
        ("message", "a\x00b", "forbidden_character"),
        ("message", "a\u202eb", "forbidden_character"),
        ("name", "a\nb", "forbidden_character"),
        ("name", "a\u2066b", "forbidden_character"),
        ("subject", "\uffff", "forbidden_character"),
        ("name", ["김"], "string_type"),
        ("email", "x" * 250 + "@a.kr", "string_too_long"),
        *(
            ("email", address, "string_pattern_mismatch")
            for address in (
                "",
                "a",
                "a@b",
                "@b.kr",
                "a@b.kr, c@d.kr",
                "a b@c.kr",
                "a@b@c.kr",
            )
        ),
        ("email", "a\u202e@b.kr", "forbidden_character"),
        ("email", "a@b.kr\nBcc: c@d.kr", "forbidden_character"),
        *(("consent", value, "literal_error") for value in NO_CONSENT),
        ("website", 1, "string_type"),
        ("website", "x" * 501, "string_too_long"),
        ("status", "done", "extra_forbidden"),
        ("id", NOBODY, "extra_forbidden"),
    ],
)
def test_each_field_keeps_to_its_rules(client: httpx.Client, field: str, value: Any, rule: str) -> None:
    body = form(**{field: value})
    if value is ...:
        del body[field]
    before = stored(client)
    breaks(client.post(FORM, json=body), (f"body.{field}", rule))
    assert stored(client) == before


def test_every_broken_rule_is_named_at_once(client: httpx.Client) -> None:
    answer = client.post(FORM, json={"name": "", "email": "x", "consent": False, "age": 7})
    breaks(
        answer,
        ("body.name", "string_too_short"),
        ("body.email", "string_pattern_mismatch"),
        ("body.subject", "missing"),
        ("body.message", "missing"),
        ("body.consent", "literal_error"),
        ("body.age", "extra_forbidden"),
    )


def test_an_error_repeats_nothing_that_was_sent(client: httpx.Client) -> None:
    secret = unique("secret")
    answer = client.post(FORM, json=form(name=secret * 20, email=secret, message="\x00" + secret))
    problem(answer, 422, "validation_failed")
    assert secret not in answer.text


def test_what_a_bot_sends_is_kept_with_the_highest_score_and_it_learns_nothing(
    client: httpx.Client, stack: Stack
) -> None:
    answer = send(client, website="https://spam.example")
    honest = send(client)
    assert answer.status_code == honest.status_code == 201
    assert {k: type(v) for k, v in answer.json().items()} == {k: type(v) for k, v in honest.json().items()}
    assert set(answer.headers) == set(honest.headers)
    scores = [ok(read(client, sent.json()["id"]))["spamScore"] for sent in (answer, honest)]
    assert scores[0] == 100 > scores[1]
    assert "spam.example" not in stack.processes[0].log.read_text()


def test_a_key_sends_once(each_client: httpx.Client) -> None:
    key, content = unique("key-"), form()
    first, second = (send(each_client, key, **content) for _ in range(2))
    assert ok(first, 201) == ok(second, 201)
    problem(send(each_client, key, **content | {"message": "다른 글"}), 422, "idempotency_key_reused")
    subjects = [i["subject"] for i in pages(each_client, STAFF, limit=100)]
    assert subjects.count(content["subject"]) == 1


def test_a_key_that_comes_many_times_at_once_sends_once(each_client: httpx.Client) -> None:
    key, content = unique("key-"), form()
    answers = at_once(8, lambda _: send(each_client, key, **content))
    assert [a.status_code for a in answers] == [201] * 8
    assert len({a.text for a in answers}) == 1
    subjects = [i["subject"] for i in pages(each_client, STAFF, limit=100)]
    assert subjects.count(content["subject"]) == 1


def test_without_a_key_each_request_is_an_inquiry_of_its_own(client: httpx.Client) -> None:
    content = form()
    assert send(client, **content).json() != send(client, **content).json()


def test_the_staff_s_list_is_newest_first_by_status_and_in_pages(each_client: httpx.Client) -> None:
    made = [send(each_client).json()["id"] for _ in range(5)][::-1]
    for status, inquiry in (("done", made[0]), ("in_progress", made[3])):
        ok(update(each_client, inquiry, {"status": status}, '"1"'))

    def found(**query: Any) -> list[str]:
        return [i["id"] for i in pages(each_client, STAFF, limit=2, **query) if i["id"] in made]

    assert found() == made
    assert found(status="new") == [made[1], made[2], made[4]]
    assert found(status="done") == [made[0]]
    assert found(status="in_progress") == [made[3]]


def test_status_and_note_follow_the_version(each_client: httpx.Client) -> None:
    inquiry = send(each_client).json()["id"]
    before = read(each_client, inquiry)
    assert before.headers["ETag"] == '"1"'
    answer = update(each_client, inquiry, {"status": "in_progress", "note": " 전화함\n내일 다시 "}, '"1"')
    updated = ok(answer)
    assert (updated["status"], updated["note"], updated["version"]) == ("in_progress", "전화함\n내일 다시", 2)
    assert answer.headers["ETag"] == '"2"'
    assert updated["updatedAt"] > updated["createdAt"]
    assert ok(read(each_client, inquiry)) == updated
    for stale in ('"1"', '"3"', 'W/"2"', "*", "2"):
        answer = update(each_client, inquiry, {"status": "done"}, stale)
        problem(answer, 412, "precondition_failed")
    problem(update(each_client, inquiry, {"status": "done"}, None), 428, "precondition_required")
    assert ok(read(each_client, inquiry)) == updated


def test_of_updates_made_at_once_from_one_version_one_is_kept(each_client: httpx.Client) -> None:
    inquiry = send(each_client).json()["id"]
    answers = at_once(
        8, lambda i: update(each_client, inquiry, {"status": "done", "note": f"메모 {i}"}, '"1"')
    )
    assert sorted(a.status_code for a in answers) == [200, *[412] * 7]
    (kept,) = (a.json() for a in answers if a.status_code == 200)
    assert ok(read(each_client, inquiry)) == kept


def test_an_update_keeps_to_its_rules(client: httpx.Client) -> None:
    inquiry = send(client).json()["id"]
    for body, broken in (
        ({"status": "open"}, ("body.status", "literal_error")),
        ({"note": "x"}, ("body.status", "missing")),
        ({"status": "done", "note": "가" * 10_001}, ("body.note", "string_too_long")),
        ({"status": "done", "message": "x"}, ("body.message", "extra_forbidden")),
    ):
        breaks(update(client, inquiry, body, '"1"'), broken)
    assert ok(read(client, inquiry))["version"] == 1


def test_there_is_nothing_to_see_of_an_unknown_inquiry(client: httpx.Client) -> None:
    problem(read(client, NOBODY), 404, "not_found")
    problem(update(client, NOBODY, {"status": "done"}, '"1"'), 404, "not_found")
    breaks(read(client, "x"), ("path.inquiry_id", "uuid_parsing"))


def test_no_visitor_reads_an_inquiry(client: httpx.Client) -> None:
    inquiry = send(client).json()["id"]
    problem(client.get(FORM), 405, "method_not_allowed")
    problem(client.get(f"{FORM}/{inquiry}"), 404, "not_found")
    problem(client.get(f"{STAFF}/{inquiry}"), 401, "unauthenticated")
    problem(client.get(STAFF), 401, "unauthenticated")


def test_what_people_wrote_stays_out_of_log_and_audit_trail(client: httpx.Client, stack: Stack) -> None:
    words = {name: unique(name) for name in ("company", "name", "subject", "message", "referral")}
    email = unique() + "@example.com"
    inquiry = ok(send(client, email=email, **words), 201)["id"]
    note = unique("note")
    ok(update(client, inquiry, {"status": "done", "note": note}, '"1"'))
    log = stack.processes[0].log.read_text()
    audit = str(stack.sql("SELECT detail, target FROM audit_entries"))
    events = str(stack.items(f"inquiry:{inquiry}"))
    assert inquiry in audit
    assert inquiry in events
    for word in (*words.values(), email, note):
        assert word not in log
        assert word not in audit
        assert word not in events
