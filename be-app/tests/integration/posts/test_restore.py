"""DynamoDB's tables are lost or older than the database: everything in them can be made again."""

from collections.abc import Callable
from datetime import timedelta

import botocore.session

from app.core.clock import now, timestamp
from familycorp_ops.local.provision import provision
from support.contract import edit, ok, unique
from support.stack import EDITOR, Stack, act, draft, make_category, make_unrenderable, published


def test_lost_tables_are_written_again_from_the_database(new_stack: Callable[..., Stack]) -> None:
    stack = new_stack("sqlite")
    stack.start()
    with stack.client() as client:
        make_category(client, "news")
        make_unrenderable(stack, published(client))  # Restored first; the others follow all the same.
        shown = published(client, title="남은 글", tags=["실적"])
        edited = client.put(
            f"/v1/editor/posts/{shown['id']}",
            json={"category": "news", "title": "아직 비공개", "body": "새 원고"},
            headers={**EDITOR, "If-Match": f'"{shown["version"]}"'},
        )
        assert edited.status_code == 200, edited.text
        renamed = ok(edit(client, published(client), slug=(name := unique("s"))))
        former = published(client, slug=unique("s"))
        moved = ok(act(client, ok(edit(client, former, slug=unique("s"))), "publish"))
        hidden = published(client)
        assert act(client, hidden, "unpublish").status_code == 200
        scheduled = draft(client).json()
        at = timestamp(now() + timedelta(hours=1))
        assert act(client, scheduled, "schedule", {"publishAt": at}).status_code == 200
        before = client.get("/v1/posts/" + shown["id"]).json()
        led = {"path": "/2019/05/notice.html", "target": "/ko/about"}
        ok(client.post("/v1/editor/redirects", json=led, headers=EDITOR), 201)

        dynamodb = botocore.session.get_session().create_client(
            "dynamodb", region_name=stack.region, endpoint_url=stack.ministack.url
        )
        for table in (stack.settings.posts_table, stack.settings.events_table):
            dynamodb.delete_table(TableName=table)
        provision(stack.settings)
        for _ in range(2):  # Twice is no different from once.
            stack.run_as("drain", "from app.functions.drain import handler; handler({'restore': True}, None)")

        fresh = stack.start()
        with stack.client(fresh) as reader:
            assert reader.get("/v1/posts/" + shown["id"]).json() == before
            assert reader.get("/v1/posts/" + hidden["id"]).status_code == 404
            of_tag = ok(reader.get("/v1/posts", params={"tag": "실적"}))["items"]
            assert [post["id"] for post in of_tag] == [shown["id"]]
            redirect = reader.get("/v1/redirects", params={"path": led["path"]})
            assert redirect.headers["Location"] == led["target"]
            assert reader.get("/v1/posts/" + former["slug"]).headers["Location"].endswith(moved["slug"])
            assert ok(reader.get("/v1/posts/" + renamed["id"]))["slug"] != name
            assert [c["slug"] for c in reader.get("/v1/categories").json()["items"]] == ["news"]
        markers = dynamodb.query(
            TableName=stack.settings.events_table,
            KeyConditionExpression="#a = :due",
            ExpressionAttributeNames={"#a": "aggregate"},
            ExpressionAttributeValues={":due": {"S": "due"}},
        )["Items"]
        assert any(m["sequence"]["S"].startswith(at) for m in markers)
