"""An author lets a colleague read, or also edit, a private draft, and takes it back."""

import uuid
from typing import Any

import httpx

from support.contract import NOBODY, as_written, breaks, ok, own_category, problem
from support.editorial import EDITORIAL, upload
from support.stack import EDITOR, Stack, act

Post = dict[str, Any]
READS = ("", "/preview", "/revisions", "/revisions/1", "/revisions/1/diff?against=1", "/downloads")


def caller(name: str, role: str = "editor") -> dict[str, str]:
    return EDITOR | {"X-Test-Subject": name, "X-Test-Role": role}


KIM = caller("kim")


def member(stack: Stack, name: str = "이하늘") -> str:
    """Put a member into the database as if they had logged in; return their id."""
    member_id = str(uuid.uuid4())
    stack.sql(
        "INSERT INTO members (id, issuer, subject, email, name, seen_at, version, created_at, updated_at) VALUES"
        " (:id, 'test', :id, '', :name, '2026-01-01', 1, '2026-01-01', '2026-01-01')",
        id=member_id.replace("-", ""),
        name=name,
    )
    return member_id


def shared(
    client: httpx.Client, post: Post, who: str, *, edit: bool = False, by: Any = KIM
) -> httpx.Response:
    return client.put(f"{EDITORIAL}/{post['id']}/shares/{who}", json={"canEdit": edit}, headers=by)


def test_an_author_shares_a_private_draft_and_takes_it_back(
    each_stack: Stack, each_client: httpx.Client
) -> None:
    client, stack = each_client, each_stack
    lee = member(stack)
    category, who, viewer = own_category(client), caller(lee), caller(lee, "viewer")
    file = upload(stack, owner="kim")["id"]
    body = {"lang": "ko", "category": category, "title": "초안", "body": "본문", "attachments": [file]}
    post = ok(client.post(EDITORIAL, json=body, headers=KIM), 201)
    path, trail = f"{EDITORIAL}/{post['id']}", {"target": f"post:{post['id']}"}
    reads = [path + read for read in READS]

    def listed() -> list[str]:
        found = ok(client.get(EDITORIAL, params={"category": category, "q": "초안"}, headers=who))["items"]
        return [card["id"] for card in found]

    def sees(seen: bool) -> None:
        """Check every way to a post, for an editor and a viewer."""
        for headers in (who, viewer):
            statuses = {client.get(read, headers=headers).status_code for read in reads}
            assert statuses == {200 if seen else 404}
            attachment = client.get(f"{path}/attachments/{file}", headers=headers, follow_redirects=False)
            assert attachment.status_code == (302 if seen else 404)
        assert listed() == [post["id"]] * seen
        assert bool(ok(client.get("/v1/audit", params=trail, headers=who))["items"]) is seen
        translation = {**body, "lang": "en", "title": "Draft", "attachments": [], "translationOf": post["id"]}
        answer = client.post(EDITORIAL, json=translation, headers=who)
        assert answer.status_code == (201 if seen else 422)

    sees(False)
    assert ok(shared(client, post, lee))["name"] == "이하늘"
    assert [
        (s["memberId"], s["canEdit"]) for s in ok(client.get(f"{path}/shares", headers=KIM))["items"]
    ] == [(lee, False)]
    sees(True)
    # Who may read may do nothing else, and learns so.
    changes = who | {"If-Match": f'"{post["version"]}"'}
    edited = as_written(post, title="초안, 고침")
    problem(client.put(path, json=edited, headers=changes), 403, "forbidden")
    assert ok(client.get(path, headers=who))["allowed"] == ["post:preview", "post:read-any"]
    ok(shared(client, post, lee, edit=True))
    post = ok(client.put(path, json=edited, headers=changes))
    assert post["allowed"] == ["post:preview", "post:read-any", "post:update"]
    ok(client.post(f"{path}/working-copy", json={"baseVersion": post["version"]}, headers=who), 201)
    # What becomes of it stays the author's.
    for step in ("publish", "archive"):
        told = problem(act(client, post, step, **who), 403, "forbidden")
        assert told["reasons"] == ["not_shared"]
    problem(shared(client, post, lee, edit=True, by=who), 403, "forbidden")
    problem(client.get(f"{path}/shares", headers=who), 403, "forbidden")
    for _ in range(2):
        assert client.delete(f"{path}/shares/{lee}", headers=KIM).status_code == 204
    sees(False)
    problem(client.put(path, json=edited, headers=changes), 404, "not_found")
    actions = [e["action"] for e in ok(client.get("/v1/audit", params=trail, headers=EDITOR))["items"]]
    assert actions == ["post.unshared", "post.updated", "post.shared", "post.shared", "post.created"]


def test_only_an_author_shares_and_only_with_somebody(client: httpx.Client, stack: Stack) -> None:
    post = ok(client.post(EDITORIAL, json=_body(), headers=KIM), 201)
    lee = member(stack)
    problem(shared(client, post, lee, by=caller("park")), 404, "not_found")
    problem(shared(client, post, lee, by=caller("kim", "viewer")), 403, "forbidden")
    breaks(shared(client, post, NOBODY), ("path.member_id", "unknown_member"))
    stack.sql("UPDATE members SET disabled_at = '2026-01-01' WHERE id = :id", id=lee.replace("-", ""))
    breaks(shared(client, post, lee), ("path.member_id", "unknown_member"))


def _body() -> dict[str, Any]:
    return {"lang": "ko", "category": "news", "title": "초안", "body": "본문"}
