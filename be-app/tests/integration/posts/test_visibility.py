"""Private objects stay private: with any id in a request, in any state of the object."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.core.clock import new_id
from support.contract import (
    NOBODY,
    as_written,
    breaks,
    document,
    ok,
    operations,
    own_category,
    problem,
    unique,
)
from support.editorial import EDITORIAL, in_seconds, upload
from support.stack import EDITOR, Stack, act, draft, published

pytestmark = pytest.mark.security(46)


def caller(name: str, role: str = "editor") -> dict[str, str]:
    return EDITOR | {"X-Test-Subject": name, "X-Test-Role": role}


KIM, LEE, VIEWER, ADMIN = caller("kim"), caller("lee"), caller("choi", "viewer"), caller("park", "admin")


def written(client: httpx.Client, who: dict[str, str], **content: Any) -> httpx.Response:
    """Write a draft as somebody."""
    slug = unique("post-")
    body = {
        "lang": "ko",
        "category": "news",
        "slug": slug,
        "title": f"소식 {slug}",
        "body": "본문",
        **content,
    }
    return client.post(EDITORIAL, json=body, headers=who)


def step(
    client: httpx.Client, post: dict[str, Any], name: str, who: dict[str, str], body: Any = None
) -> httpx.Response:
    return act(client, post, name, body, **who)


def revised(
    client: httpx.Client, post: dict[str, Any], who: dict[str, str], **changes: Any
) -> httpx.Response:
    headers = who | {"If-Match": f'"{post["version"]}"'}
    return client.put(f"{EDITORIAL}/{post['id']}", json=as_written(post, **changes), headers=headers)


def alike(hidden: httpx.Response, missing: httpx.Response) -> None:
    """Check that nothing distinguishes a hidden object from one that isn't there."""
    assert hidden.status_code == missing.status_code == 404, hidden.text
    assert {**hidden.json(), "requestId": ""} == {**missing.json(), "requestId": ""}
    assert set(hidden.headers) == set(missing.headers)


# -- every id that a request can carry ----------------------------------------------------------------------

# What names an object, and the policy's question about that object, or why there is none.
NAMES = {
    "PostCreate attachments[]": "upload:attach",
    "PostCreate thumbnail": "upload:attach",
    "PostCreate translationOf": "post:read-any",
    "PostCreate slug": "a wish; posts that were scheduled or published are the one reason to refuse it, then",
    "PostCreate category": "categories are public",
    "PostUpdate attachments[]": "upload:attach",
    "PostUpdate thumbnail": "upload:attach",
    "PostUpdate translationOf": "post:read-any",
    "PostUpdate slug": "a wish; posts that were scheduled or published are the one reason to refuse it, then",
    "PostUpdate category": "categories are public",
    "WorkingCopyUpdate attachments[]": "only kept for the caller; saving asks upload:attach",
    "WorkingCopyUpdate thumbnail": "only kept for the caller; saving asks upload:attach",
    "WorkingCopyUpdate translationOf": "only kept for the caller; saving asks post:read-any",
    "WorkingCopyUpdate slug": "only kept for the caller",
    "WorkingCopyUpdate category": "only kept for the caller",
    "CategoryCreate slug": "categories are public",
    "CategoryOrder slugs[]": "categories are public",
    "InquiryCategories items[].slug": "categories are public",
    "PreviewCreate revision": "a revision of the post in the path",
    "Replacement uploadId": "upload:update",
    "PartsWanted items[].number": "a part of the upload in the path",
    "Proof credential": "a passkey of the member whose session it is",
    "? logout_token": "names the provider's own sessions; it is verified",
    "header Idempotency-Key": "the caller's own keys; the post that it made is asked about again",
    "header X-Preview-Token": "one link, which names one revision",
    "header If-Match": "a version of the object in the path",
    "path attachment_id": "a file that the post in the path, or the revision of the token, names",
    "path factor_id": "the caller's own factors",
    "path id_or_slug": "what is public",
    "path inquiry_id": "inquiry:read; inquiries are nobody's alone",
    "path member_id": "member:read; a colleague with whom the post in the path is shared, whom all editors see",
    "path number": "a revision of the post in the path",
    "path post_id": "the route's action, of the post",
    "path redirect_id": "redirect:list, redirect:update, redirect:delete, which admins alone have",
    "path preview_id": "preview:revoke, of the post in the path",
    "path session_id": "session:end-own, session:end-any",
    "path slug": "categories are public",
    "path upload_id": "the route's action, of the upload",
    "query translationOf": "post:read-any",
    "query assignee": "narrows the list of inquiries, which admins alone have",
    "query against": "a revision of the post in the path",
    "query id": "narrows the list of uploads that the caller may see",
    "query category": "categories are public",
    "query code": "a login of the browser whose cookie comes with it",
    "query cursor": "a place in a list, which is kept to what the caller may know",
    "query owner": "narrows the list of uploads, which is kept to what the caller may know",
    "query author": "narrows the list of posts, which is kept to what the caller may know",
    "Purge slug": "the slug of the post in the path",
    "query target": "narrows the audit trail, which is kept to what the caller may know",
}
# What names nothing.
WORDS = re.compile(
    r"\? state|(CategoryCreate|CategoryUpdate) name\.(en|ko)|Inquiry(Create|Update|Search|ExportRequest) \w+"
    r"|InquiryCategories items\[\]\.(name\.(en|ko)|retentionDays)|PartsWanted items\[\]\.sha256"
    r"|MarkdownText (body|lang)|PasskeyAddition name|Passkey\w* credential.*|PreviewCreate hours"
    r"|(PostCreate|PostUpdate|WorkingCopyUpdate)"
    r" (baseVersion|body|canonicalUrl|description|excerpt|lang|noindex|tags\[\]|title)"
    r"|Proof (code|method)|Redirect(Create|Update) (path|target)|RoleChange role"
    r"|ShareUpdate canEdit|Schedule (publishAt|unpublishAt)"
    r"|TotpConfirmation code|UploadCreate (contentType|name|purpose|sha256|size)"
    r"|UploadDescription (alt\.(ko|en)|focus(\.(x|y))?|shared)"
    r"|path (digest|variant)"
    r"|query (anew|error|iss|lang|limit|maxSpamScore|minSpamScore|path|q|returnTo|state|status|tag|variant"
    r"|date|since|sort|type|until|unused|weeksAgo)"
)


def _leaves(whole: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of every value that JSON of a schema may hold."""
    if "$ref" in schema:
        schema = whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    parts = [part for way in ("anyOf", "oneOf", "allOf") for part in schema.get(way, [])]
    for part in parts:
        yield from _leaves(whole, part, path)
    if "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from _leaves(whole, inner, f"{path}.{name}" if path else name)
    elif "items" in schema:
        yield from _leaves(whole, schema["items"], f"{path}[]")
    elif not parts:
        yield path


def _carried(client: httpx.Client) -> set[str]:
    whole, found = document(client), set[str]()
    for _, _, operation in operations(client):
        named = [
            p for p in operation.get("parameters", []) if "$ref" not in p
        ]  # Those that all share name nothing.
        found |= {f"{p['in']} {p['name']}" for p in named}
        for content in operation.get("requestBody", {}).get("content", {}).values():
            model = content["schema"].get("$ref", "?").rpartition("/")[2]
            found |= {f"{model} {path}" for path in _leaves(whole, content["schema"])}
    return found


def test_every_id_that_a_request_can_carry_is_put_to_the_policy_or_needs_no_question(
    client: httpx.Client,
) -> None:
    carried = _carried(client)
    unknown = {field for field in carried if field not in NAMES and not WORDS.fullmatch(field)}
    assert not unknown, "whose objects do these name, and which question of the policy is asked about them?"
    assert set(NAMES) <= carried


# -- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["attachments", "thumbnail"])
def test_a_file_is_its_owners_to_attach_until_everybody_has_it(
    each_stack: Stack, each_client: httpx.Client, field: str
) -> None:
    client = each_client
    file = upload(each_stack, "사진.png", "image/png", owner="kim")["id"]

    def naming(name: str) -> dict[str, Any]:
        return {field: [name] if field == "attachments" else name}

    refused = (f"body.{field}", "unknown_upload")
    own = ok(written(client, KIM, **naming(file)), 201)
    hidden, missing = (written(client, LEE, **naming(name)) for name in (file, str(new_id())))
    breaks(hidden, refused)
    assert hidden.json()["errors"] == missing.json()["errors"]
    theirs = ok(written(client, LEE), 201)
    breaks(revised(client, theirs, LEE, **naming(file)), refused)
    # Admins oversee files as they oversee drafts.
    ok(written(client, ADMIN, **naming(file)), 201)
    own = ok(revised(client, own, ADMIN, title="고침"))
    # In a draft, even of a post that is public, it isn't public.
    shared = ok(step(client, ok(written(client, KIM), 201), "publish", KIM))
    shared = ok(revised(client, shared, KIM, **naming(file)))
    breaks(written(client, LEE, **naming(file)), refused)
    # Who may edit the post keeps and restores what its revisions name.
    shared = ok(revised(client, shared, LEE, title="남의 손"))
    shared = ok(revised(client, shared, LEE, attachments=[], thumbnail=None))
    shared = ok(step(client, shared, "revisions/2/restore", LEE))
    shared = ok(step(client, shared, "publish", KIM))
    theirs = ok(written(client, LEE, **naming(file)), 201)
    ok(step(client, shared, "unpublish", KIM))
    breaks(written(client, LEE, **naming(file)), refused)
    ok(revised(client, theirs, LEE, title="그대로"))


# -- states -------------------------------------------------------------------------------------------------

READS = ("", "/preview", "/revisions", "/revisions/1", "/revisions/1/diff?against=1", "/downloads")
# Ways from a new draft to what never was public.
PRIVATE = {
    "draft": (),
    "scheduled": ("schedule",),
    "archived": ("archive",),
    "taken back": ("schedule", "unpublish"),
    "archived when scheduled": ("schedule", "archive"),
    "taken back from the archive": ("archive", "unpublish"),
    "scheduled again": ("archive", "unpublish", "schedule", "schedule"),
}
STEPS = {"publish", "schedule", "unpublish", "archive"}


def test_these_are_all_steps_between_states(client: httpx.Client) -> None:
    steps = {
        path.rpartition("/")[2]
        for method, path, _ in operations(client)
        if method == "POST" and re.fullmatch(r"/v1/editor/posts/\{post_id\}/\w+", path)
    }
    assert steps - {"previews"} == STEPS | {
        "purge"
    }  # A link changes no state; after a purge there is no post.
    assert {step for steps_ in PRIVATE.values() for step in steps_} == STEPS - {"publish"}


@pytest.mark.security(32)
@pytest.mark.parametrize("way", PRIVATE)
def test_what_never_was_public_is_its_authors_in_every_state(client: httpx.Client, way: str) -> None:
    category = own_category(client)
    post = ok(written(client, KIM, category=category), 201)
    for name in PRIVATE[way]:
        at = {"publishAt": in_seconds(3600)} if name == "schedule" else None
        post = ok(step(client, post, name, KIM, at))
    path = f"{EDITORIAL}/{post['id']}"
    for who in (VIEWER, LEE):
        for read in READS:
            alike(
                client.get(path + read, headers=who), client.get(f"{EDITORIAL}/{NOBODY}{read}", headers=who)
            )
        listed = ok(client.get(EDITORIAL, params={"category": category}, headers=who))
        assert listed["items"] == []
        for state in ("draft", "scheduled", "archived"):
            answer = client.get(EDITORIAL, params={"category": category, "state": state}, headers=who)
            assert ok(answer)["items"] == []
    assert [
        p["id"] for p in ok(client.get(EDITORIAL, params={"category": category}, headers=KIM))["items"]
    ] == [post["id"]]
    # Neither may anything be done to it; a version that fits or doesn't is no difference.
    missing = post | {"id": NOBODY}
    for version in (post["version"], 999):
        guess = {**post, "version": version}
        for name in sorted(STEPS):
            at = {"publishAt": in_seconds(3600)} if name == "schedule" else None
            alike(step(client, guess, name, LEE, at), step(client, missing, name, LEE, at))
            problem(step(client, guess, name, VIEWER, at), 403, "forbidden")
        alike(revised(client, guess, LEE), revised(client, missing, LEE))
        versions = LEE | {"If-Match": f'"{version}"'}
        alike(client.delete(path, headers=versions), client.delete(f"{EDITORIAL}/{NOBODY}", headers=versions))
        alike(
            step(client, guess, "revisions/1/restore", LEE), step(client, missing, "revisions/1/restore", LEE)
        )
    seen = [ok(client.get(path, headers=who)) for who in (KIM, ADMIN)]
    assert [{**as_seen, "allowed": post["allowed"]} for as_seen in seen] == [post, post]


@pytest.mark.parametrize("name", ["unpublish", "archive"])
def test_what_was_public_stays_the_staffs(client: httpx.Client, name: str) -> None:
    post = ok(step(client, ok(written(client, KIM), 201), "publish", KIM))
    post = ok(step(client, post, name, LEE))
    for who in (VIEWER, LEE, ADMIN):
        seen = ok(client.get(f"{EDITORIAL}/{post['id']}", headers=who))
        assert seen | {"allowed": post["allowed"]} == post  # What each may do differs.


def test_another_s_upload_answers_as_if_it_were_not_there(client: httpx.Client) -> None:
    body = {"name": "a.png", "size": 9, "contentType": "image/png", "sha256": "0" * 64, "purpose": "image"}
    path = f"/v1/uploads/{ok(client.post('/v1/uploads', json=body, headers=KIM), 201)['id']}"
    parts = {"items": [{"number": 1, "sha256": "0" * 64}]}
    for method, end, sent in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/complete", None),
        ("POST", "/restore", None),
        ("GET", "/parts", None),
        ("POST", "/parts", parts),
    ):
        hidden, missing = (
            client.request(method, start + end, json=sent, headers=LEE)
            for start in (path, f"/v1/uploads/{NOBODY}")
        )
        alike(hidden, missing)


# -- translations -------------------------------------------------------------------------------------------


def test_nobody_joins_a_translation_that_they_may_not_read(each_client: httpx.Client) -> None:
    client = each_client
    hidden = ok(written(client, KIM), 201)
    refused = ("body.translationOf", "unknown_post")
    for name in (hidden["id"], NOBODY):
        breaks(written(client, LEE, lang="en", translationOf=name), refused)
        breaks(revised(client, ok(written(client, LEE, lang="en"), 201), LEE, translationOf=name), refused)
    scheduled = ok(step(client, hidden, "schedule", KIM, {"publishAt": in_seconds(3600)}))
    breaks(written(client, LEE, lang="en", translationOf=scheduled["id"]), refused)
    joined = ok(written(client, ADMIN, lang="en", translationOf=hidden["id"]), 201)
    assert joined["translationKey"] == hidden["translationKey"]


def test_a_hidden_translation_is_no_reason_to_refuse_another(each_client: httpx.Client) -> None:
    client = each_client
    korean = ok(step(client, ok(written(client, KIM), 201), "publish", KIM))
    hidden = ok(written(client, KIM, lang="en", translationOf=korean["id"]), 201)
    seen = ok(written(client, LEE, lang="en", translationOf=korean["id"]), 201)
    assert seen["translationKey"] == hidden["translationKey"] == korean["translationKey"]
    problem(written(client, KIM, lang="en", translationOf=korean["id"]), 409, "translation_exists")
    problem(written(client, LEE, lang="en", translationOf=korean["id"]), 409, "translation_exists")
    # The first to be published has the place; the other is refused when its turn comes, and not before.
    ok(step(client, seen, "publish", LEE))
    assert ok(client.get(f"{EDITORIAL}/{hidden['id']}", headers=KIM)) == hidden
    (told,) = ok(client.get(f"/v1/posts/{korean['id']}"))["translations"]
    assert told["slug"] == seen["slug"]
    problem(step(client, hidden, "publish", KIM), 409, "translation_exists")
    alone = ok(revised(client, hidden, KIM, translationOf=None))
    ok(step(client, alone, "publish", KIM))


# -- slugs --------------------------------------------------------------------------------------------------


def test_a_hidden_slug_is_no_reason_to_refuse_it(each_client: httpx.Client) -> None:
    client, slug = each_client, unique("비밀-")
    hidden = ok(written(client, KIM, slug=slug), 201)
    seen = ok(written(client, LEE, slug=slug), 201)
    assert seen["slug"] == slug
    third = caller("third")
    also = ok(revised(client, ok(written(client, third), 201), third, slug=slug))
    assert also["slug"] == slug == ok(client.get(f"{EDITORIAL}/{also['id']}/preview", headers=third))["slug"]
    # The first to be published has it; to the others' authors nothing changes until they publish.
    public = ok(step(client, seen, "publish", LEE))
    assert ok(client.get(f"/v1/posts/{slug}"))["id"] == public["id"]
    for post, who in ((hidden, KIM), (also, third)):
        assert ok(client.get(f"{EDITORIAL}/{post['id']}", headers=who)) == post
        problem(step(client, post, "publish", who), 409, "slug_taken")
        problem(step(client, post, "schedule", who, {"publishAt": in_seconds(3600)}), 409, "slug_taken")
        moved = ok(revised(client, post, who, slug=unique("s-")))
        assert ok(client.get(f"/v1/posts/{ok(step(client, moved, 'publish', who))['slug']}"))


def test_a_scheduled_post_has_its_slug_for_good(each_client: httpx.Client) -> None:
    client, slug = each_client, unique("s-")
    hidden = ok(written(client, KIM, slug=slug), 201)
    seen = ok(written(client, LEE, slug=slug), 201)
    scheduled = ok(step(client, seen, "schedule", LEE, {"publishAt": in_seconds(3600)}))
    problem(step(client, hidden, "publish", KIM), 409, "slug_taken")
    other = ok(written(client, caller("third"), slug=slug), 201)
    assert other["slug"] == slug
    # What is scheduled claims what it is given.
    taken = ok(written(client, KIM), 201)
    moved = ok(revised(client, scheduled, LEE, slug=taken["slug"]))
    assert moved["slug"] == taken["slug"]
    problem(revised(client, moved, LEE, slug=published(client)["slug"]), 409, "slug_taken")
    problem(step(client, taken, "publish", KIM), 409, "slug_taken")
    ok(step(client, hidden, "publish", KIM))


# -- the audit trail ----------------------------------------------------------------------------------------


def trail(client: httpx.Client, who: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = ok(client.get("/v1/audit", params=query, headers=who))["items"]
    return entries


@pytest.mark.parametrize("way", PRIVATE)
def test_the_trail_shows_editors_nothing_of_hidden_posts(each_client: httpx.Client, way: str) -> None:
    client = each_client
    post = ok(written(client, KIM), 201)
    for name in PRIVATE[way]:
        at = {"publishAt": in_seconds(3600)} if name == "schedule" else None
        post = ok(step(client, post, name, KIM, at))
    target = f"post:{post['id']}"
    assert trail(client, LEE, target=target) == trail(client, LEE, target=f"post:{NOBODY}") == []
    assert post["id"] not in str(trail(client, LEE, limit=100))
    steps = len(PRIVATE[way]) + 1
    assert len(trail(client, KIM, target=target)) == len(trail(client, ADMIN, target=target)) == steps
    # Once it was public all of it is known, and stays so.
    if post["state"] != "archived":
        post = ok(step(client, ok(step(client, post, "publish", KIM)), "archive", KIM))
        assert len(trail(client, LEE, target=target)) == steps + 2


def test_an_idempotency_key_gives_the_post_only_to_who_made_it(client: httpx.Client) -> None:
    key = {"Idempotency-Key": unique("key-0123456789-")}
    body = {"lang": "ko", "category": "news", "title": "한 번", "body": "본문"}
    first = ok(client.post(EDITORIAL, json=body, headers=KIM | key), 201)
    assert ok(client.post(EDITORIAL, json=body, headers=KIM | key), 201) == first
    assert ok(client.post(EDITORIAL, json=body, headers=LEE | key), 201)["id"] != first["id"]


def test_a_visitor_sees_nothing_of_it(client: httpx.Client) -> None:
    public = published(client)
    hidden = draft(client, slug=unique("s-")).json()
    for address in (hidden["id"], hidden["slug"], f"~{hidden['id'].replace('-', '')}"):
        problem(client.get(f"/v1/posts/{address}"), 404, "not_found")
    assert ok(client.get(f"/v1/posts/{public['id']}"))["translations"] == []
