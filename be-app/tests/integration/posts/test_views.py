"""Views of each day: copied when a day ends, without a request more for a view, and without the database."""

from typing import Any

import httpx
import pytest

from support.contract import ok, unique
from support.stack import EDITOR, Stack, act, published

DAY_END = """
import asyncio, sys
from datetime import timedelta
from app.core.clock import now
from app.functions import drain

drain.now = lambda: now() - timedelta(days=int(sys.argv[1]))
asyncio.run(drain.run_minute())
"""
NO_DATABASE = {"FAMILYCORP_DATABASE_URL": "mysql+aiomysql://nobody@127.0.0.1:1/nothing"}


@pytest.fixture(scope="module")
def stack(own_stack: Stack) -> Stack:
    return own_stack


def viewed(client: httpx.Client, post: dict[str, Any], times: int) -> None:
    for _ in range(times):
        assert client.post(f"/v1/posts/{post['id']}/views").status_code == 204


def test_views_of_a_week_are_one_request(stack: Stack, client: httpx.Client) -> None:
    old, withdrawn = published(client, title=unique("옛 소식 ")), published(client)
    viewed(client, old, 5)

    def end_of_day(days_ago: int, **environment: str) -> None:
        stack.run_as("drain", DAY_END, str(days_ago), **(environment or NO_DATABASE))

    end_of_day(
        0, FAMILYCORP_LOG_LEVEL="INFO"
    )  # It does what the first run of a release does in the database.
    end_of_day(4)  # The first run of all leaves the first marker.
    end_of_day(3)
    viewed(client, old, 3)
    viewed(client, withdrawn, 1)
    new = published(client)
    viewed(client, new, 4)
    end_of_day(2)
    withdrawn = ok(act(client, withdrawn, "unpublish"))
    viewed(client, old, 2)
    end_of_day(1)
    withdrawn = ok(act(client, withdrawn, "publish"))
    end_of_day(0)
    viewed(client, old, 1)  # Today is not over.

    colleague = EDITOR | {"X-Test-Subject": "viewer-1", "X-Test-Role": "viewer"}
    figures = ok(client.get("/v1/editor/views", headers=colleague))
    assert [(item["postId"], item["views"], item["days"]) for item in figures["items"]] == [
        (old["id"], 5, [0, 0, 0, 0, 3, 2, 0]),
        (new["id"], 4, [0, 0, 0, 0, 4, 0, 0]),
        (withdrawn["id"], 1, [0, 0, 0, 0, 1, 0, 0]),
    ]
    assert figures["items"][0]["title"] == old["title"]
    assert figures["complete"]
    earlier = ok(client.get("/v1/editor/views?weeksAgo=1", headers=colleague))
    assert (earlier["items"], earlier["until"] < figures["since"]) == ([], True)
    lasting = {item["expiresAt"] for item in stack.items("views")}
    assert min(lasting) - max(lasting) > -5 * 86400
    assert ok(client.get(f"/v1/posts/{old['id']}"))["viewCount"] == 11
