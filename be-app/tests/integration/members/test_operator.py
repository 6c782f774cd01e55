"""The operator functions through their handlers, on a stack that people have logged in to."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from support.contract import ok
from support.stack import Stack
from support.staff import Person

ARN = "arn:aws:sts::000000000000:assumed-role/AWSReservedSSO_Operators_0123456789abcdef/haneul.kim@familycorp.example"
JOB = {
    "categories": [{"slug": "news", "name": {"ko": "소식", "en": "News"}}],
    "posts": [
        {
            "file": "a.md",
            "post": {"title": "a", "slug": "operated", "lang": "ko", "category": "news", "body": "본문"},
        }
    ],
}


class Functions:
    """Both functions, and the bucket beside them."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.bucket = stack, f"exchange-{stack.region}"
        self.s3 = stack.aws("s3")
        self.s3.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": stack.region}
        )

    def lines(self, function: str, *asked: tuple[str, dict[str, Any]], caller: str | None = ARN) -> list[Any]:
        """Call a function, each time in the same process; return what it logged, and last what it answered."""
        context = {"authorizer": {"iam": {"userArn": caller}}} if caller else {}
        events = [
            {"requestContext": context, "body": json.dumps({"command": name, "arguments": arguments})}
            for name, arguments in asked
        ]
        log = self.stack.directory / f"{uuid.uuid4()}.jsonl"
        script = f"""
import json, sys
sys.stdout = open({str(log)!r}, "w")
from app.functions.operator import {function} as handler
print(json.dumps({{"answers": [handler(event, None) for event in {events!r}]}}))
from app.core.process import process
assert not process.connected(), "a connection would keep Aurora from pausing"
"""
        self.stack.run_as(f"operator-{function}", script, FAMILYCORP_EXCHANGE_BUCKET_NAME=self.bucket)
        return [json.loads(line) for line in log.read_text().splitlines()]

    def call(self, function: str, *asked: tuple[str, dict[str, Any]], **options: Any) -> list[Any]:
        """Call a function; return status and body of each answer."""
        answers = self.lines(function, *asked, **options)[-1]["answers"]
        return [(answer["statusCode"], json.loads(answer["body"])) for answer in answers]


@pytest.fixture(scope="module")
def functions(staff_stack: Stack) -> Functions:
    return Functions(staff_stack)


def test_who_becomes_an_admin_has_to_log_in_again_and_it_is_counted(
    functions: Functions, staff_stack: Stack, somebody: Callable[..., Person]
) -> None:
    person = somebody("editors")
    person.log_in()
    ok(person.client.get("/v1/editor/posts"))
    who = f"{person.username}@familycorp.example"
    *lines, said = functions.lines("write", ("members.grant-role", {"who": who, "role": "admin"}))
    member = json.loads(said["answers"][0]["body"])
    assert member["role"] == "admin"
    assert person.me().status_code == 401
    counted = [line for line in lines if line.get("admin_granted")]
    assert [line["service"] for line in counted] == ["familycorp-operator-write"]
    entries = "SELECT actor, action FROM audit_entries WHERE target = :t AND action = 'member.role_changed'"
    assert staff_stack.sql(entries, t=f"member:{member['id']}") == [(ARN, "member.role_changed")]
    # The same role once more is no grant.
    again = functions.lines("write", ("members.grant-role", {"who": who, "role": "admin"}))
    assert not [line for line in again if line.get("admin_granted")]
    locked, ended = functions.call(
        "write", ("members.disable", {"who": who}), ("members.end-sessions", {"who": member["id"]})
    )
    assert (locked[1]["disabled"], ended[0]) == (True, 200)


def test_everything_else_that_operators_ask(functions: Functions, staff_stack: Stack) -> None:
    functions.s3.put_object(Bucket=functions.bucket, Key="imports/job", Body=json.dumps(JOB).encode())
    looked, imported, again = functions.call(
        "write",
        ("content.import", {"name": "job", "dry_run": True}),
        ("content.import", {"name": "job"}),
        ("content.import", {"name": "job", "resume": True}),
    )
    assert [looked[1]["outcomes"][0]["result"], looked[1]["finished"]] == ["created", True]
    assert imported == again
    assert (imported[1]["outcomes"][0]["result"], imported[1]["pending"]) == ("created", False)
    (listed, trail, schema, outline, inquiries) = functions.call(
        "read",
        ("members.list", {}),
        ("audit.list", {"limit": 1}),
        ("db.status", {}),
        ("content.outline", {}),
        ("inquiries.export", {}),
    )
    assert {status for status, _ in (listed, trail, schema, outline, inquiries)} == {200}
    assert (schema[1]["lacking"], schema[1]["known"]) == ([], True)
    ids = [post["id"] for post in outline[1]["posts"] if post["slug"] == "operated"]
    ((status, stored),) = functions.call("read", ("content.posts", {"ids": ids}))
    assert status == 200
    kept = functions.s3.get_object(Bucket=functions.bucket, Key=f"exports/{stored['object']}")
    assert [item["post"]["title"] for item in json.loads(kept["Body"].read())] == ["a"]


def test_what_is_refused_says_why(functions: Functions) -> None:
    said = functions.call(
        "read",
        ("members.disable", {"who": "x"}),
        ("audit.list", {"limit": 1000}),
        ("content.posts", {"ids": ["x"]}),
        ("members.list", {"who": "x"}),
    )
    refusals = [(404, "unknown_command"), *[(422, "validation_failed")] * 3]
    assert [(status, problem["code"]) for status, problem in said] == refusals
    ((status, problem),) = functions.call("read", ("members.list", {}), caller=None)
    assert (status, problem["code"]) == (403, "not_a_url_call")
