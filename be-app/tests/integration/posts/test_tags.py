"""Lists of posts by their tags."""

from typing import Any

import httpx
import pytest

from app.core.read_path.read_model import ENTRY
from support.contract import breaks, edit, ok, own_category, pages, unique
from support.stack import Stack, act, draft, published


def tagged(client: httpx.Client, tag: str, **query: Any) -> list[str]:
    return [post["id"] for post in pages(client, "/v1/posts", tag=tag, **query)]


def test_a_list_is_of_the_posts_that_have_a_tag_now(client: httpx.Client) -> None:
    tag, other = f"{unique('실적')} & #1", unique("IR")
    category = own_category(client)
    old = published(client, tags=[tag])
    new = published(client, tags=[other, tag], category=category)
    en = published(client, tags=[tag], lang="en")
    ok(draft(client, tags=[tag]), 201)
    assert tagged(client, tag) == tagged(client, tag, limit=1) == [new["id"], old["id"]]
    assert tagged(client, tag, category=category) == [new["id"]]
    assert tagged(client, tag, lang="en") == [en["id"]]
    assert tagged(client, tag[:-1]) == tagged(client, tag, category=unique("c")) == []

    changed = ok(edit(client, new, tags=[other], category="news"))
    assert tagged(client, tag) == [new["id"], old["id"]]  # The public has what was published.
    changed = ok(act(client, changed, "publish"))
    assert tagged(client, tag) == [old["id"]]
    assert (tagged(client, other), tagged(client, other, category=category)) == ([new["id"]], [])
    again = ok(act(client, ok(edit(client, changed, tags=[tag])), "publish"))
    assert (tagged(client, tag), tagged(client, other)) == ([new["id"], old["id"]], [])
    ok(act(client, again, "unpublish"))
    assert tagged(client, tag) == [old["id"]]
    breaks(client.get("/v1/posts", params={"tag": ""}), ("query.tag", "string_too_short"))
    breaks(client.get("/v1/search", params={"q": "a", "tag": tag}), ("query.tag", "extra_forbidden"))


def test_an_entry_that_a_crash_left_shows_nothing(client: httpx.Client, stack: Stack) -> None:
    tag, lost = unique(), unique()
    posts = [published(client, tags=[tag]) for _ in range(5)]
    name = f"~ko##{tag}"
    entries = [stack.snapshot(f"{post['id']}{ENTRY}{name}") for post in posts]
    assert all(entry and entry["categoryLang"] == name for entry in entries)
    for post in posts[1:4]:
        ok(act(client, ok(edit(client, post, tags=[lost])), "publish"))
    for entry in entries[1:4]:
        assert entry
        item = {n: {"N" if n == "version" else "S": str(v)} for n, v in entry.items()}
        stack.dynamodb.put_item(TableName=stack.settings.posts_table, Item=item)
    for limit in (1, 2, 20):
        assert tagged(client, tag, limit=limit) == [posts[4]["id"], posts[0]["id"]]
    gone = ok(act(client, posts[4], "archive"))
    assert tagged(client, tag, limit=1) == [posts[0]["id"]], gone


@pytest.mark.parametrize("path", ["/v1/posts", "/v1/feed.rss"])
def test_a_list_by_tag_reads_dynamodb_alone(own_stack: Stack, path: str) -> None:
    with own_stack.client() as client:
        tag = unique()
        published(client, tags=[tag])
        answer = client.get(path, params={"tag": tag})
        assert (answer.headers["X-Count-SQL"], answer.headers["X-Count-DynamoDB"]) == ("0", "2")
        published(client)
