"""The media library: found, described, shared and replaced; where each file is used; posts that follow."""

import io
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
from PIL import Image

from support.contract import breaks, ok, pages, problem
from support.editorial import in_seconds
from support.stack import EDITOR, Stack, act, draft, published
from support.uploading import KIM, LEE, pdf, photo, saved, state, uploaded

# Whose posts and files these are, in the role of an editor; `EDITOR` is an admin.
WRITER = {**EDITOR, "X-Test-Role": "editor"}
File = dict[str, Any]


def file_of(client: httpx.Client, name: str, who: dict[str, str] = EDITOR, width: int = 300) -> File:
    made: File = ok(uploaded(client, photo(200, width), name, "image/jpeg", who=who))
    return made


def described(client: httpx.Client, file: File, who: dict[str, str] = EDITOR, **said: Any) -> httpx.Response:
    if "alt" in said:
        said["alt"] = {"ko": "", "en": "", **said["alt"]}
    return client.put(f"/v1/uploads/{file['id']}/description", json=said, headers=who)


def replaced(client: httpx.Client, file: File, by: File, who: dict[str, str] = WRITER) -> httpx.Response:
    body = {"uploadId": by["id"]}
    return client.put(f"/v1/uploads/{file['id']}/replacement", json=body, headers=who)


def listed(client: httpx.Client, who: dict[str, str] = WRITER, **query: Any) -> list[File]:
    items: list[File] = ok(client.get("/v1/uploads", params={"limit": 100, **query}, headers=who))["items"]
    return items


def a_week_passes(client: httpx.Client) -> None:
    """Run the scheduler as in a week. The process takes its markers of this week for left, so this leaves one."""
    ok(act(client, ok(draft(client), 201), "schedule", {"publishAt": in_seconds(60)}))
    ok(client.post("/test/run-due", params={"ahead": 7 * 86400 + 601}))


def ids(files: list[File]) -> list[str]:
    return [file["id"] for file in files]


def page(client: httpx.Client, post: File) -> Any:
    return ok(client.get(f"/v1/posts/{post['id']}"))


def test_uploads_are_found_by_what_is_known_of_them(each_client: httpx.Client) -> None:
    client, word = each_client, uuid.uuid4().hex[:8]
    image = file_of(client, f"준공식 {word}.jpg")
    document = ok(uploaded(client, pdf(), f"실적 {word}.pdf", "application/pdf", who=EDITOR))
    other = file_of(client, f"{word}.jpg", KIM)
    at = datetime.now(UTC).isoformat()
    ok(described(client, image, alt={"en": f"Opening {word}-x", "ko": f"{word} 테이프"}))
    admin = {**LEE, "X-Test-Role": "admin"}
    narrowed: tuple[tuple[dict[str, Any], list[File]], ...] = (
        ({}, [document, image]),
        ({"q": f"실적 {word.upper()}"}, [document]),
        ({"q": f"opening {word}-X"}, [image]),
        ({"q": f"{word} 테이"}, [image]),
        ({"id": image["id"]}, [image]),
        ({"type": "image"}, [image]),
        ({"type": "document"}, [document]),
        ({"since": at}, []),
        ({"until": at}, [document, image]),
        ({"owner": "kim"}, []),
    )
    for query, expected in narrowed:
        assert ids(listed(client, **{"q": word, **query})) == ids(expected), query
    assert ids(listed(client, admin, q=word)) == ids([other, document, image])
    assert ids(listed(client, admin, q=word, owner="kim")) == [other["id"]]
    problem(client.get("/v1/uploads", headers={**LEE, "X-Test-Role": "viewer"}), 403, "forbidden")
    assert ids(list(pages(client, "/v1/uploads", q=word, limit=1))) == ids([other, document, image])
    (shown,) = listed(client, q=word, type="image")
    assert httpx.get(shown["thumbnail"], trust_env=False).headers["Content-Type"] == "image/webp"
    assert (shown["owner"], shown["alt"]["ko"]) == ("editor-1", f"{word} 테이프")
    assert shown["focus"] == {"x": 50, "y": 50}
    # Unused is what no text names: no revision, and no unsaved text.
    post = ok(draft(client, thumbnail=image["id"]), 201)
    assert ids(listed(client, q=word, unused=True)) == [document["id"]]
    copy = {"baseVersion": 1, "title": "", "attachments": [document["id"]]}
    ok(client.post(f"/v1/editor/posts/{post['id']}/working-copy", json=copy, headers=EDITOR), 201)
    assert listed(client, q=word, unused=True) == []
    for file in listed(client, q=word):
        assert file["uses"] == [{"postId": post["id"], "title": post["title"]}]
        assert file["hiddenUses"] == 0


def test_a_file_is_private_until_it_is_public_or_in_the_library(client: httpx.Client, stack: Stack) -> None:
    word = uuid.uuid4().hex[:8]
    files = [file_of(client, f"{word}-{n}.jpg", KIM) for n in range(3)]
    private, shared, public = files
    body = {
        "lang": "ko",
        "category": "news",
        "title": f"비밀 {word}",
        "thumbnail": shared["id"],
        "body": "글",
    }
    secret = ok(client.post("/v1/editor/posts", json=body, headers=KIM), 201)
    post = ok(client.post("/v1/editor/posts", json={**body, "thumbnail": public["id"]}, headers=KIM), 201)
    assert listed(client, LEE, q=word) == listed(client, LEE, id=private["id"]) == []
    problem(described(client, private, LEE, shared=True), 404, "not_found")
    problem(client.get(f"/v1/uploads/{shared['id']}", headers=LEE), 404, "not_found")
    taking = {**body, "title": "가져온 글", "thumbnail": shared["id"]}
    refused = client.post("/v1/editor/posts", json=taking, headers=LEE)
    breaks(refused, ("body.thumbnail", "unknown_upload"))
    assert ok(described(client, shared, KIM, shared=True))["shared"]
    ok(act(client, post, "publish", **KIM))
    assert ids(listed(client, LEE, q=word)) == ids([public, shared])
    of_public, of_shared = listed(client, LEE, q=word)
    assert of_public["uses"] == [{"postId": post["id"], "title": post["title"]}]
    assert (of_shared["uses"], of_shared["hiddenUses"]) == ([], 1), "somebody else's draft"
    assert listed(client, KIM, q=word)[1]["uses"] == [{"postId": secret["id"], "title": secret["title"]}]
    assert set(of_shared["allowed"]) == {"upload:attach", "upload:read"}
    assert ok(client.get(f"/v1/uploads/{shared['id']}", headers=LEE))["shared"]
    problem(described(client, shared, LEE), 404, "not_found")
    ok(client.post("/v1/editor/posts", json=taking, headers=LEE), 201)
    # What is in the library is kept without a post, until it is taken out of it.
    alone = file_of(client, "a.jpg")
    ok(described(client, alone, shared=True))
    a_week_passes(client)
    assert state(client, alone)["state"] == "clean"
    assert state(client, private)["state"] == "deleted"
    ok(described(client, alone, shared=False))
    ((due,),) = stack.sql("SELECT due_at FROM uploads WHERE id = :id", id=alone["id"].replace("-", ""))
    assert due


def test_an_alternative_text_and_a_focal_point_serve_every_post(client: httpx.Client) -> None:
    file = file_of(client, "a.jpg")
    body = f"![](upload:{file['id']})\n\n![현장](upload:{file['id']})"
    before = published(client, body=body, thumbnail=file["id"])
    assert [warning["code"] for warning in before["warnings"]] == ["alt_missing"]
    english = published(client, lang="en", category="news", body=body)
    draft_of_it = ok(act(client, before, "publish"))
    ok(described(client, file, alt={"ko": "준공식"}, focus={"x": 20, "y": 80}))
    shown = page(client, before)
    assert [picture["alt"] for picture in shown["pictures"]] == ["준공식", "현장"]
    assert shown["picture"]["alt"] == "준공식"
    assert shown["picture"]["focus"] == {"x": 20, "y": 80}
    assert 'alt="준공식"' in shown["html"]
    assert [picture["alt"] for picture in page(client, english)["pictures"]] == ["", "현장"]
    after = ok(draft(client, body=body), 201)
    assert after["warnings"] == []
    preview = {"body": body, "lang": "ko"}
    html = ok(client.post("/v1/editor/markdown", json=preview, headers=EDITOR))["html"]
    assert re.findall('alt="([^"]*)"', html) == ["준공식", "현장"]
    # The public revision is still the public one, with the version that tells of the change.
    read = ok(client.get(f"/v1/editor/posts/{before['id']}", headers=EDITOR))
    assert (read["publishedRevision"], read["version"]) == (1, draft_of_it["version"] + 1)
    breaks(described(client, file, focus={"x": 101, "y": 0}), ("body.focus.x", "less_than_equal"))


EXPORTED = """
import asyncio, io, sys, urllib.request, uuid
from PIL import Image
from app.content import exporting

(post,) = asyncio.run(exporting.posts([uuid.UUID(sys.argv[1])]))
(file,) = post.files
assert file.name == "new.png", file
with urllib.request.urlopen(file.link) as answer:
    assert Image.open(io.BytesIO(answer.read())).size == (400, 100)
"""
"""Takes a post out as `familycorp content export` does, and looks at its picture."""


def test_posts_follow_a_picture_that_is_replaced(client: httpx.Client, stack: Stack) -> None:
    old = file_of(client, "old.jpg", width=300)
    image = saved(Image.new("RGB", (400, 100), (10, 120, 60)), "PNG")
    new = ok(uploaded(client, image, "new.png", "image/png", who=EDITOR))
    document = ok(uploaded(client, pdf(), "a.pdf", "application/pdf", who=EDITOR))
    foreign = file_of(client, "b.jpg", KIM)
    body = f"![준공식](upload:{old['id']})"
    post = published(client, body=body, thumbnail=old["id"], attachments=[old["id"]])
    hidden = ok(draft(client, body=body, attachments=[old["id"]]), 201)
    first = page(client, post)
    breaks(replaced(client, old, document), ("body.uploadId", "unknown_picture"))
    problem(replaced(client, old, foreign), 404, "not_found")
    problem(replaced(client, foreign, new), 404, "not_found")

    done = ok(replaced(client, old, new))
    assert ok(replaced(client, old, new)) == done, "a client that repeats its request takes nothing back"
    assert (done["id"], done["name"], done["contentType"]) == (old["id"], "new.png", "image/png")
    then = page(client, post)
    assert (then["picture"]["width"], then["picture"]["height"]) == (400, 100)
    assert then["picture"]["src"] != first["picture"]["src"]
    assert then["attachments"][0]["name"] == "new.png"
    got = httpx.get(then["picture"]["src"], trust_env=False, follow_redirects=True)
    assert Image.open(io.BytesIO(got.content)).size == (400, 100)
    assert httpx.get(first["picture"]["src"], trust_env=False, follow_redirects=True).status_code == 404
    preview = ok(client.get(f"/v1/editor/posts/{hidden['id']}/preview", headers=EDITOR))
    assert 'width="400" height="100"' in preview["html"]
    drawn = httpx.get(preview["pictures"][0]["src"], trust_env=False)
    assert Image.open(io.BytesIO(drawn.content)).size == (400, 100)
    for where in (
        f"/v1/posts/{post['id']}/attachments/{old['id']}",
        f"/v1/editor/posts/{hidden['id']}/attachments/{old['id']}",
    ):
        moved = client.get(where, headers=EDITOR)
        assert moved.status_code == 302
        original = httpx.get(moved.headers["Location"], trust_env=False)
        assert original.headers["Content-Type"] == "image/png"
        assert Image.open(io.BytesIO(original.content)).size == (400, 100)
    stack.run("-c", EXPORTED, post["id"])
    # It can be taken back, until what was replaced is collected; then the posts still show what they show.
    ok(replaced(client, old, old))
    assert page(client, post)["picture"] == first["picture"]
    ok(replaced(client, old, new))
    assert page(client, post)["picture"] == then["picture"]
    a_week_passes(client)
    assert state(client, new)["state"] == "deleted"
    assert httpx.get(then["picture"]["src"], trust_env=False, follow_redirects=True).status_code == 200
    moved = client.get(f"/v1/posts/{post['id']}/attachments/{old['id']}")
    assert httpx.get(moved.headers["Location"], trust_env=False).status_code == 200
    # What a post names can't take another's place.
    used = file_of(client, "c.jpg")
    published(client, thumbnail=used["id"])
    breaks(replaced(client, old, used), ("body.uploadId", "in_use"))
