"""The saved queries answer what operators ask, run on lines that the application has just written."""

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from familycorp_ops.deploy.infra import SOURCE
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.people import Person as Account
from support import faults, insights
from support.contract import unique
from support.stack import Stack, json_lines, published
from support.staff import Person, at_browser

QUERIES = {file.stem: file.read_text() for file in (SOURCE / "queries").glob("*.txt")}

Rows = list[dict[str, Any]]


class Night:
    """What a night of trouble left in the logs of an environment."""

    def __init__(self, stack: Stack, staff_stack: Stack, editor: Person) -> None:
        with stack.client() as client:
            self.post = published(client)
            for _ in range(5):
                client.get("/v1/categories")
                client.get(f"/v1/posts/{self.post['slug']}")
            deadline = time.monotonic() + 120  # For a second after a publication nothing is kept.
            while client.get("/v1/categories").headers["X-Count-DynamoDB"] != "0":
                assert time.monotonic() < deadline
        self.refused = unique("refused-")
        faults.a_caller_who_may_not(stack, 3, self.refused)
        faults.a_policy_without_a_line(stack, 0)
        faults.a_change_that_is_refused(stack, 0)
        away = stack.start(FAMILYCORP_DATABASE_URL=faults.NOBODYS)
        self.failed = unique("asked-")
        with stack.client(away) as client:
            client.get("/v1/search", params={"q": unique()}, headers={"X-Request-ID": self.failed})
        faults.a_refresh_token_that_comes_again(staff_stack, editor)
        self.logs = [p.log for s in (stack, staff_stack) for p in s.processes]
        self.logs += stack.directory.glob("drain-*.jsonl")

    def ask(self, name: str, **changes: str) -> Rows:
        """Run a saved query, with other words in the place of some."""
        query = QUERIES[name]
        for old, new in changes.items():
            query = query.replace(old, new)
        return insights.run(query, (line for log in self.logs for line in json_lines(log)))


@pytest.fixture(scope="module")
def night(own_stack: Stack, staff_stack: Stack, nanoidp: NanoIDP) -> Iterator[Night]:
    name = unique("p")
    nanoidp.admit(Account(name, name, "야근", f"{name}@familycorp.example", ("editors",)))
    with at_browser(staff_stack, name) as editor:
        yield Night(own_stack, staff_stack, editor)


def only(rows: Rows, **values: Any) -> dict[str, Any]:
    """Return the one row that has these values."""
    (found,) = [row for row in rows if row.items() >= values.items()]
    return found


def what_fails(night: Night) -> None:
    rows = night.ask("what-fails")
    row = only(rows, correlation_id=night.failed)
    assert (row["route"], row["status"], row["cause"]) == ("/v1/search", 503, "OperationalError 2003")
    (crash, *_) = [row for row in rows if row["message"] == "unhandled_error"]
    assert crash["exception_name"] == "Refused"
    assert any(r["status"] == 500 for r in rows if r["correlation_id"] == crash["correlation_id"])
    assert rows == sorted(rows, key=lambda row: row["@timestamp"], reverse=True)


def one_request(night: Night) -> None:
    assert night.ask("one-request") == []
    (row,) = night.ask("one-request", **{"X-REQUEST-ID": night.failed})
    assert (row["message"], row["status"]) == ("request", 503)
    # `caused_by` leads from the request that made a change to the job that can't deliver it.
    (later,) = night.ask("one-request", **{"X-REQUEST-ID": "test"})
    assert (later["service"], later["exception_name"]) == ("familycorp-drain", "Refused")


def what_is_slow(night: Night) -> None:
    rows = night.ask(
        "what-is-slow", **{"limit 20": "limit 100"}
    )  # Other tests asked the same server for more routes.
    assert rows == sorted(rows, key=lambda row: row["p95"], reverse=True)
    publishing = only(rows, route="/v1/editor/posts/{post_id}/publish")
    assert 0 < publishing["sql"] < publishing["p99"] >= publishing["p50"]
    assert only(rows, route="/v1/categories")["sql"] is None


def cold_starts(night: Night) -> None:
    rows = night.ask("cold-starts")
    assert {row["service"] for row in rows} == {"familycorp-backend", "familycorp-drain"}
    assert sum(row["starts"] for row in rows) == len(night.logs)


def how_well_the_cache_works(night: Night) -> None:
    rows = night.ask("how-well-the-cache-works")
    assert all(0 <= row["share"] <= 1 for row in rows)
    assert sum(row["reads"] for row in rows if row["route"] == "/v1/categories") >= 5
    assert max(row["share"] for row in rows) > 0


def who_is_refused(night: Night) -> None:
    hashed = hashlib.blake2b(night.refused.encode(), digest_size=8).hexdigest()
    row = only(night.ask("who-is-refused"), action="category:create", subject=hashed)
    assert (row["times"], row["status"]) == (4, 403)


def what_was_refused_to_us(night: Night) -> None:
    rows = night.ask("what-was-refused-to-us")
    assert "AccessDeniedException" in {row["cause"] for row in rows}
    assert "unhandled_error" in {row["message"] for row in rows}


def logins_that_failed(night: Night) -> None:
    # Other tests failed to log in, too.
    rows = night.ask("logins-that-failed", **{"limit 50": "limit 10000"})
    (row, *_) = [row for row in rows if row["message"] == "refresh_token_reused"]
    assert row["member"]
    assert row["since"] <= row["until"]


def what_the_outbox_holds(night: Night) -> None:
    (row,) = night.ask("what-the-outbox-holds")
    assert (row["kind"], row["exception_name"], row["caused_by"]) == ("test.owed", "Refused", "test")
    assert row["outbox_id"] >= 1


def what_visitors_read(night: Night) -> None:
    row = only(night.ask("what-visitors-read"), route="/v1/posts/{id_or_slug}")
    assert row["reads"] >= 5
    assert row["total_bytes"] > 500


ANSWERS: dict[str, Callable[[Night], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        what_fails,
        one_request,
        what_is_slow,
        cold_starts,
        how_well_the_cache_works,
        who_is_refused,
        what_was_refused_to_us,
        logins_that_failed,
        what_the_outbox_holds,
        what_visitors_read,
    )
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_saved_query_answers_its_question(night: Night, name: str) -> None:
    ANSWERS[name](night)


@pytest.mark.parametrize(
    "query",
    ["dedup route", "filter strlen(route) > 3", "stats stddev(latency)", "sort route", "filter a ~= 1"],
)
def test_the_interpreter_refuses_what_it_does_not_know(query: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        insights.run(query, [{"timestamp": "2026-11-24T00:00:00Z", "route": "/"}])
