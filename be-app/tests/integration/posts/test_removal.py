"""Drafts that their authors delete, and archived posts that admins purge."""

from datetime import UTC, datetime
from typing import Any

import httpx

from app.uploads.processing import UNATTACHED
from support.contract import NOBODY, breaks, edit, ok, problem, unique
from support.editorial import EDITORIAL, in_seconds
from support.stack import EDITOR, Stack, act, draft, published
from support.uploading import pdf, uploaded

Post = dict[str, Any]


def caller(name: str, role: str = "editor") -> dict[str, str]:
    return EDITOR | {"X-Test-Subject": name, "X-Test-Role": role}


KIM, LEE = caller("kim"), caller("lee")


def deleted(client: httpx.Client, post: Post, who: dict[str, str] = EDITOR) -> httpx.Response:
    headers = who | {"If-Match": f'"{post["version"]}"'}
    return client.delete(f"{EDITORIAL}/{post['id']}", headers=headers)


def purged(client: httpx.Client, post: Post, slug: str | None = None, **headers: str) -> httpx.Response:
    return act(client, post, "purge", {"slug": post["slug"] if slug is None else slug}, **headers)


def trail(client: httpx.Client, post: Post) -> list[tuple[str, dict[str, Any]]]:
    entries = ok(client.get("/v1/audit", params={"target": f"post:{post['id']}"}, headers=EDITOR))["items"]
    return [(entry["action"], entry["detail"]) for entry in entries]


def test_an_author_deletes_what_never_was_public(each_stack: Stack, each_client: httpx.Client) -> None:
    client = each_client
    key = {"Idempotency-Key": unique("key-0123456789-")}
    body = {"lang": "ko", "category": "news", "title": "지울 글", "body": "본문"}
    post = ok(client.post(EDITORIAL, json=body, headers=KIM | key), 201)
    copy = {"baseVersion": 1, "title": "쓰던 글"}
    ok(client.post(f"{EDITORIAL}/{post['id']}/working-copy", json=copy, headers=KIM), 201)
    problem(deleted(client, post, LEE), 404, "not_found")
    problem(deleted(client, post | {"id": NOBODY}, KIM), 404, "not_found")
    problem(deleted(client, post, caller("kim", "viewer")), 403, "forbidden")
    problem(deleted(client, post | {"version": 9}, KIM), 412, "precondition_failed")
    post = ok(act(client, post, "schedule", {"publishAt": in_seconds(3600)}, **KIM))
    assert deleted(client, post, KIM).status_code == 204
    problem(client.get(f"{EDITORIAL}/{post['id']}", headers=KIM), 404, "not_found")
    problem(deleted(client, post, KIM), 404, "not_found")
    for table, column in (("posts", "id"), ("post_revisions", "post_id"), ("working_copies", "post_id")):
        statement = f"SELECT {column} FROM {table} WHERE {column} = :post"
        assert each_stack.sql(statement, post=post["id"].replace("-", "")) == []
    assert [action for action, _ in trail(client, post)] == ["post.deleted", "post.scheduled", "post.created"]
    # Its slug is free, and its key makes another post.
    again = ok(client.post(EDITORIAL, json=body, headers=KIM | key), 201)
    assert again["id"] != post["id"]
    ok(act(client, again, "publish", **KIM))
    withdrawn = ok(act(client, ok(act(client, published(client), "unpublish")), "archive"))
    problem(deleted(client, withdrawn), 409, "invalid_state")


def test_an_admin_purges_an_archived_post_after_confirming(
    each_stack: Stack, each_client: httpx.Client
) -> None:
    client, slugs = each_client, [unique("old-"), unique("new-")]
    post = published(client, slug=slugs[0])
    post = ok(act(client, ok(edit(client, post, slug=slugs[1])), "publish"))
    assert [client.get(f"/v1/posts/{slug}").status_code for slug in slugs] == [308, 200]
    problem(purged(client, post), 409, "invalid_state")
    post = ok(act(client, post, "archive"))
    problem(purged(client, post, **LEE), 403, "forbidden")
    breaks(purged(client, post, slugs[0]), ("body.slug", "not_confirmed"))
    problem(purged(client, post | {"version": 1}), 412, "precondition_failed")
    assert purged(client, post).status_code == 204
    problem(client.get(f"{EDITORIAL}/{post['id']}", headers=EDITOR), 404, "not_found")
    for address in (post["id"], *slugs):
        problem(client.get(f"/v1/posts/{address}"), 404, "not_found")
    version = post["version"] + 1
    assert each_stack.events(f"post:{post['id']}")[-1] == f"{version} post.purged"
    action, detail = trail(client, post)[0]
    assert (action, detail) == ("post.purged", {"slug": slugs[1], "files": 0})
    # Its addresses are free.
    for slug in slugs:
        assert ok(client.get(f"/v1/posts/{published(client, slug=slug)['slug']}"))["slug"] == slug


def test_a_purge_takes_the_files_that_no_other_post_names(stack: Stack, client: httpx.Client) -> None:
    own, shared = (ok(uploaded(client, pdf(), "실적.pdf", "application/pdf", who=EDITOR)) for _ in range(2))
    post = published(client, attachments=[own["id"], shared["id"]])
    kept = ok(draft(client, attachments=[shared["id"]]), 201)
    post = ok(act(client, ok(edit(client, post, attachments=[])), "archive"))
    assert purged(client, post).status_code == 204
    client.post("/test/run-due", params={"ahead": 61})
    states = [ok(client.get(f"/v1/uploads/{u['id']}", headers=EDITOR))["state"] for u in (own, shared)]
    assert states == ["deleted", "clean"]
    # A draft's files stay as long as those that no post ever named.
    assert deleted(client, kept).status_code == 204
    client.post("/test/run-due", params={"ahead": 61})
    ((due,),) = stack.sql("SELECT due_at FROM uploads WHERE id = :id", id=shared["id"].replace("-", ""))
    assert str(due)[:10] == f"{datetime.now(UTC) + UNATTACHED:%Y-%m-%d}"
    assert ok(client.get(f"/v1/uploads/{shared['id']}", headers=EDITOR))["state"] == "clean"
