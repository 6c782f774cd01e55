"""What an editor writes and hasn't saved, and two editors who save the same post."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from app.posts.editing.schemas import WorkingCopyUpdate
from app.posts.schemas import PostUpdate
from support.contract import NOBODY, as_written, breaks, edit, ok, own_category, problem, read, unique
from support.editorial import EDITORIAL, in_seconds
from support.stack import EDITOR, Stack, act, draft, published
from support.uploading import photo, state, uploaded

LEE = EDITOR | {"X-Test-Subject": "lee", "X-Test-Role": "editor"}

Post = dict[str, Any]


def at(post: Post) -> str:
    return f"{EDITORIAL}/{post['id']}/working-copy"


def begun(client: httpx.Client, post: Post, who: dict[str, str] = EDITOR, **content: Any) -> httpx.Response:
    return client.post(at(post), json={"baseVersion": post["version"], **content}, headers=who)


def kept(
    client: httpx.Client, post: Post, version: int, who: dict[str, str] = EDITOR, **content: Any
) -> httpx.Response:
    body = {"baseVersion": post["version"], **content}
    return client.put(at(post), json=body, headers=who | {"If-Match": f'"{version}"'})


def test_a_working_copy_is_its_editors_and_ends_with_saving(each_client: httpx.Client) -> None:
    client = each_client
    post = published(client)
    problem(client.get(at(post), headers=EDITOR), 404, "not_found")
    # An unfinished text is kept as it is: only saving demands a title.
    first = begun(client, post, title="", body="쓰는 중", tags=[""], category="")
    copy = ok(first, 201)
    assert first.headers["ETag"] == '"1"'
    assert first.headers["Location"] == at(post)
    problem(begun(client, post), 409, "working_copy_exists")
    second = kept(client, post, 1, title="제목", body="조금 더", slug="아직 -")
    assert second.headers["ETag"] == '"2"'
    assert (
        ok(client.get(at(post), headers=EDITOR))
        == ok(second)
        == {
            **copy,
            "title": "제목",
            "body": "조금 더",
            "tags": [],
            "slug": "아직 -",
            "version": 2,
            "updatedAt": ok(second)["updatedAt"],
        }
    )
    # Another window of the same editor comes too late; another editor has a copy of their own.
    assert problem(kept(client, post, 1), 412, "precondition_failed")["version"] == 2
    problem(client.get(at(post), headers=LEE), 404, "not_found")
    ok(begun(client, post, LEE, title="이"), 201)
    # Neither is a revision: the post stays as it is, for everybody.
    assert read(client, post) == post
    saved = ok(edit(client, post, title="제목"))
    problem(client.get(at(post), headers=EDITOR), 404, "not_found")
    # What was under way when the post was saved doesn't bring the copy back.
    problem(kept(client, post, 2), 412, "precondition_failed")
    assert ok(client.get(at(post), headers=LEE))["baseVersion"] == saved["version"] - 1
    for _ in range(2):
        assert client.delete(at(post), headers=LEE).status_code == 204
    problem(client.get(at(post), headers=LEE), 404, "not_found")


def test_a_file_of_an_unsaved_text_stays(each_client: httpx.Client) -> None:
    client, weeks = each_client, {"ahead": 7 * 86400 + 601}

    def states() -> list[str]:
        # A week passes for the scheduler alone, so the process takes its markers for left: this leaves one.
        ok(act(client, ok(draft(client), 201), "schedule", {"publishAt": in_seconds(60)}))
        ok(client.post("/test/run-due", params=weeks))
        return [state(client, file)["state"] for file in files]

    files = [ok(uploaded(client, photo(), f"{n}.jpg", "image/jpeg", who=EDITOR)) for n in range(3)]
    shown, thumbnail, purged = (file["id"] for file in files)
    post, other = published(client), published(client, thumbnail=purged)
    ok(begun(client, post, LEE, body=f"![](upload:{shown.upper()}) ![](upload:{purged})"), 201)
    ok(begun(client, post, thumbnail=thumbnail), 201)
    # The owner of the file learns that it is used, but not what somebody else writes.
    for file in files:
        answer = client.delete(f"/v1/uploads/{file['id']}", headers=EDITOR)
        told = problem(answer, 409, "upload_in_use")
        assert (post["title"] in told["detail"]) is (file["id"] == thumbnail)
    other = ok(act(client, other, "archive"))
    assert act(client, other, "purge", {"slug": other["slug"]}).status_code == 204
    assert states() == ["clean"] * 3
    # They are looked at again, week by week.
    assert client.delete(at(post), headers=LEE).status_code == 204
    assert states() == ["deleted", "clean", "deleted"]
    ok(edit(client, post))
    assert states() == ["deleted"] * 3


def test_a_private_posts_working_copies_are_as_private(client: httpx.Client) -> None:
    post = ok(draft(client), 201)
    missing = post | {"id": NOBODY}
    for found in (post, missing):
        problem(begun(client, found, LEE), 404, "not_found")
        problem(kept(client, found, 1, LEE), 404, "not_found")
        problem(client.get(at(found), headers=LEE), 404, "not_found")
        problem(client.delete(at(found), headers=LEE), 404, "not_found")
    problem(begun(client, post, EDITOR | {"X-Test-Role": "viewer"}), 403, "forbidden")
    breaks(begun(client, post, title="가" * 201), ("body.title", "string_too_long"))
    problem(client.put(at(post), json={"baseVersion": 1}, headers=EDITOR), 428, "precondition_required")


def test_a_working_copy_keeps_every_field_that_saving_takes() -> None:
    assert set(WorkingCopyUpdate.model_fields) == {*PostUpdate.model_fields, "base_version"}


def test_a_working_copy_is_dropped_within_30_days(client: httpx.Client, stack: Stack) -> None:
    post, other = ok(draft(client), 201), ok(draft(client), 201)
    copy = ok(begun(client, post), 201)
    ok(begun(client, other), 201)
    end = datetime.fromisoformat(copy["expiresAt"])
    assert timedelta(days=29) <= end - datetime.now(UTC) <= timedelta(days=30)
    (marker,) = [item for item in stack.items("due") if item["sequence"].endswith("#working-copies")]
    assert marker["sequence"].startswith(copy["expiresAt"])
    stack.sql(
        "UPDATE working_copies SET expires_at = '2026-01-01 00:00:00' WHERE post_id = :id", id=hexed(post)
    )
    # It is gone at once, whenever the scheduler removes it, and makes room for another.
    problem(client.get(at(post), headers=EDITOR), 404, "not_found")
    problem(kept(client, post, 1), 412, "precondition_failed")
    client.post("/test/run-due", params={"ahead": 61})
    ok(edit(client, ok(draft(client), 201), title="일이 있다"))
    stack.sql(
        "UPDATE working_copies SET expires_at = '2026-01-01 00:00:00' WHERE post_id = :id", id=hexed(other)
    )
    ok(begun(client, other), 201)


def hexed(post: Post) -> str:
    return str(post["id"]).replace("-", "")


def test_the_second_of_two_editors_gets_what_differs(each_client: httpx.Client) -> None:
    client = each_client
    category = own_category(client)
    post = published(client, title="처음", body="하나\n둘\n셋", excerpt="요약")
    theirs = ok(edit(client, post, title="남이 고침", body="하나\n둘\n넷", category=category))
    headers = LEE | {"If-Match": f'"{post["version"]}"'}
    mine = as_written(post, body="영\n하나\n둘\n셋", tags=["IR"], slug=unique("s-"))
    answer = client.put(f"{EDITORIAL}/{post['id']}", json=mine, headers=headers)
    told = problem(answer, 412, "precondition_failed")
    assert told["version"] == theirs["version"]
    found = {d.pop("field"): d for d in told["differences"]}
    assert found == {
        # Only they changed it, only I did, both did.
        "title": {"base": "처음", "yours": "처음", "current": "남이 고침"},
        "tags": {"base": [], "yours": ["IR"], "current": []},
        "body": {"base": "하나\n둘\n셋", "yours": mine["body"], "current": "하나\n둘\n넷"},
        # A revision doesn't keep these.
        "category": {"yours": "news", "current": category},
        "slug": {"yours": mine["slug"], "current": post["slug"]},
    }
    # The client merges, and quotes the version that the problem named.
    headers["If-Match"] = f'"{told["version"]}"'
    merged = mine | {"title": "남이 고침", "body": "영\n하나\n둘\n넷", "category": category}
    saved = ok(client.put(f"{EDITORIAL}/{post['id']}", json=merged, headers=headers))
    assert (saved["title"], saved["tags"]) == ("남이 고침", ["IR"])
    # A change of state alone raises the version and changes no field.
    ok(act(client, saved, "publish"))
    told = problem(edit(client, saved, title="또"), 412, "precondition_failed")
    assert told["differences"] == [
        {"field": "title", "base": "남이 고침", "yours": "또", "current": "남이 고침"}
    ]


def test_of_editors_who_save_at_once_all_but_one_learn_what_differs(each_stack: Stack) -> None:
    with each_stack.client() as client:
        post = published(client)
    url, body = f"{EDITORIAL}/{post['id']}", as_written(post)
    headers = EDITOR | {"If-Match": f'"{post["version"]}"'}

    async def saved() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=each_stack.processes[0].url, trust_env=False, timeout=120
        ) as client:
            names = [f"제목 {n}" for n in range(6)]
            return await asyncio.gather(
                *(client.put(url, json=body | {"title": name}, headers=headers) for name in names)
            )

    answers = asyncio.run(saved())
    (winner,) = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer is not winner:
            (difference,) = problem(answer, 412, "precondition_failed")["differences"]
            assert difference["current"] == ok(winner)["title"] != difference["yours"]
