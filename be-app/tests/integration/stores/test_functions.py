"""The functions that events start, through the entry points that Lambda calls, twice in one process as it does."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from support.contract import ok, read
from support.stack import EDITOR, Stack, act, draft

FUNCTIONS = {"app.functions.drain": "drain", "app.functions.notices": "events"}
TWICE = """
import json, sys
from {module} import handler
for event in {events!r}:
    print(json.dumps(handler(event, None)))
from app.core.process import process
assert not process.connected(), "a connection would keep Aurora from pausing"
"""


@pytest.fixture(scope="module")
def stack(own_stack: Stack) -> Stack:
    return own_stack


def call(stack: Stack, module: str, *events: Any, **settings: str) -> list[Any]:
    """Call a function with events, one after the other in one process; return its answers."""
    script = TWICE.format(module=module, events=events)
    answers = stack.directory / f"{uuid.uuid4()}.txt"
    script = f"import sys\nsys.stdout = open({str(answers)!r}, 'w')\n{script}"
    stack.run_as(FUNCTIONS[module], script, **settings)
    return [
        found
        for line in answers.read_text().splitlines()
        if not isinstance(found := json.loads(line), dict) or "timestamp" not in found
    ]


def test_the_minutes_function_publishes_what_is_due(stack: Stack, client: httpx.Client) -> None:
    posts = [ok(draft(client), 201) for _ in "12"]
    at = datetime.now(UTC) + timedelta(seconds=5)
    for post in posts:
        ok(act(client, post, "schedule", {"publishAt": at.isoformat()}))
    time.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()) + 0.5)
    call(stack, "app.functions.drain", {"source": "aws.events"}, {"source": "aws.events"})
    for post in posts:
        assert read(client, post)["state"] == "published"


@pytest.fixture
def told(stack: Stack) -> Callable[[int], list[dict[str, Any]]]:
    """Return a function that waits for a number of notices, as a subscriber, and returns them and any more."""
    sns, sqs = stack.aws("sns"), stack.aws("sqs")
    topic = sns.create_topic(Name="familycorp-test-notices")["TopicArn"]
    queue = sqs.create_queue(QueueName=f"subscriber-{uuid.uuid4().hex}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def wait(number: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + 120
        while len(found) < number and time.monotonic() < deadline:
            told = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            found += [json.loads(message["Body"]) for message in told.get("Messages", ())]
        return found

    return wait


def records_of(stack: Stack, since: int) -> list[dict[str, Any]]:
    """Return the records of the events table's stream as Lambda hands them to a function."""
    table = stack.dynamodb.describe_table(TableName=stack.settings.events_table)["Table"]
    streams, arn = stack.aws("dynamodbstreams"), table["LatestStreamArn"]
    found = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        found += streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    records = [record | {"eventSourceARN": arn} for record in found[since:]]
    # Times are numbers in Lambda's JSON.
    decoded: list[dict[str, Any]] = json.loads(json.dumps(records, default=lambda at: at.timestamp()))
    return decoded


def test_people_are_notified_of_their_events_and_of_nothing_else(
    stack: Stack, client: httpx.Client, told: Callable[[int], list[dict[str, Any]]]
) -> None:
    before = len(records_of(stack, 0))
    post = ok(draft(client), 201)
    ok(act(client, post, "publish"))
    categories = "/v1/editor/inquiry-categories"
    listed = {"items": [{"slug": "quote", "name": {"ko": "견적", "en": "Quotes"}}]}
    tag = client.get(categories, headers=EDITOR).headers["ETag"]
    ok(client.put(categories, json=listed, headers=EDITOR | {"If-Match": tag}))
    inquiry = {
        "category": "quote",
        "name": "김하나",
        "email": "hana@example.com",
        "subject": "문의드립니다",
        "message": "연락 부탁드립니다.",
        "consent": True,
    }
    answer = client.post("/v1/inquiries", json=inquiry, headers={"Idempotency-Key": str(uuid.uuid4())})
    ok(client.post("/v1/inquiries", json=inquiry | {"website": "https://spam.example"}), 201)
    records = records_of(stack, before)
    assert len(records) > 2, "markers are in the stream, too"
    batches = {"Records": records[:2]}, {"Records": records[2:]}
    staff = {"FAMILYCORP_STAFF_URL": "https://staff.familycorp.example", "FAMILYCORP_DEFAULT_LANGUAGE": "ko"}
    answers = call(stack, "app.functions.notices", *batches, **staff)
    assert answers == [{"batchItemFailures": []}] * 2
    notices = told(2)
    kinds = [notice["MessageAttributes"]["kind"]["Value"] for notice in notices]
    assert sorted(kinds) == ["inquiry.received", "post.published"]
    by_kind = dict(zip(kinds, notices, strict=True))
    assert (
        f"https://staff.familycorp.example/console/posts/{post['id']}" in by_kind["post.published"]["Message"]
    )
    notice = by_kind["inquiry.received"]
    assert notice["Subject"] == "FamilyCorp test: 새 문의"
    first, _, at, *lines = notice["Message"].split("\n")
    assert (first, at[:4], at[-4:]) == ("새 문의", "시각: ", "(한국)")
    link = f"https://staff.familycorp.example/console/inquiries/{ok(answer, 201)['id']}"
    assert lines == ["분류: 견적", f"열기: {link}"]
    assert notice["MessageAttributes"]["category"]["Value"] == "quote"
    for personal in ("김하나", "hana@example.com", "문의드", "연락"):
        assert personal not in json.dumps(notices, ensure_ascii=False), "mail isn't the place for it"


def test_a_failed_notice_is_retried_from_its_record_on(stack: Stack, client: httpx.Client) -> None:
    before = len(records_of(stack, 0))
    ok(act(client, ok(draft(client), 201), "publish"))
    records = [r for r in records_of(stack, before) if "kind" in r["dynamodb"].get("NewImage", {})]
    lost = [records[0] | {"eventSourceARN": "arn:aws:dynamodb:nowhere-1:000000000000:table/x/stream/y"}]
    (answer,) = call(stack, "app.functions.notices", {"Records": lost})
    assert answer == {"batchItemFailures": [{"itemIdentifier": lost[0]["dynamodb"]["SequenceNumber"]}]}
