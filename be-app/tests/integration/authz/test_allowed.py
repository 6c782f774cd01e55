"""`allowed` in answers: evaluated by the policy, once for all objects that are equal to it."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import app
from app.authz import policy
from support.contract import logged, ok, own_category, unique
from support.stack import EDITOR, Stack, act, draft, published

DATA = json.loads((Path(app.__file__).parents[1] / "opa" / "data" / "data.json").read_text())
OF_POSTS = sorted(action for action, kind in DATA["objects"].items() if kind == "post")
OF_EDITORS = [action for action in OF_POSTS if action != "post:purge"]


def headers(name: str, role: str = "editor") -> dict[str, str]:
    return EDITOR | {"X-Test-Subject": name, "X-Test-Role": role}


@pytest.mark.parametrize("role", ["viewer", "editor", "admin"])
def test_permissions_are_what_the_policy_allows_without_an_object(client: httpx.Client, role: str) -> None:
    told = ok(client.get("/v1/me/permissions", headers=headers("somebody", role)))
    at = int(time.time())
    subject = {"authenticated": True, "id": "somebody", "role": role, "mfaAt": at}
    decided = {
        action
        for of_role in DATA["roles"].values()
        for action in of_role
        if policy.decide(subject, action, None, now=at).allow
    }
    assert told == {"role": role, "allowed": sorted(decided)}


def test_nobody_has_no_permissions(client: httpx.Client) -> None:
    assert client.get("/v1/me/permissions").status_code == 401


def test_a_post_says_what_each_caller_may_do_to_it(client: httpx.Client) -> None:
    post = published(client)
    path = f"/v1/editor/posts/{post['id']}"
    for name, role, actions in (
        ("editor-1", "editor", OF_EDITORS),
        ("editor-2", "editor", OF_EDITORS),
        ("viewer-1", "viewer", ["post:preview", "post:read-any"]),
        ("admin-1", "admin", OF_POSTS),
    ):
        assert ok(client.get(path, headers=headers(name, role)))["allowed"] == actions
    changed = ok(act(client, post, "unpublish"))
    assert changed["allowed"] == OF_POSTS


def test_a_list_asks_the_policy_once_for_all_its_posts(client: httpx.Client, stack: Stack) -> None:
    category = own_category(client)
    for _ in range(6):
        ok(draft(client, category=category), 201)
    public = published(client, category=category)
    for name, role, many in (("editor-1", "editor", 7), ("admin-1", "admin", 7), ("editor-2", "editor", 1)):
        request_id = unique("asked-")
        answer = client.get(
            f"/v1/editor/posts?category={category}",
            headers=headers(name, role) | {"X-Request-ID": request_id},
        )
        items: list[dict[str, Any]] = ok(answer)["items"]
        assert [item["allowed"] for item in items] == [OF_POSTS if role == "admin" else OF_EDITORS] * many
        assert public["id"] in {item["id"] for item in items}
        # One decision about the route, one evaluation for the page.
        assert logged(stack, request_id)[-1]["policy_evaluations"] == 2


def test_many_different_objects_take_few_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated: list[bytes] = []
    loaded, _ = policy._bundle()
    evaluate = loaded.evaluate

    def counted(document: bytes, *entrypoint: str) -> Any:
        evaluated.append(document)
        return evaluate(document, *entrypoint)

    monkeypatch.setattr(loaded, "evaluate", counted)
    at = int(time.time())
    subject = {"authenticated": True, "id": "me", "role": "editor", "mfaAt": at}
    posts = [{"type": "post", "owner": owner, "draft": True} for owner in ["me", *map(str, range(99))] * 5]
    allowed = policy.allowed(subject, posts, now=at)
    assert allowed == [OF_EDITORS if post["owner"] == "me" else [] for post in posts]
    assert len(evaluated) <= 13


def test_a_policy_that_fails_allows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, _ = policy._bundle()
    monkeypatch.setattr(loaded, "evaluate", lambda *_: 1 / 0)
    assert policy.allowed({"authenticated": False}, [None, None], now=0) == [[], []]
