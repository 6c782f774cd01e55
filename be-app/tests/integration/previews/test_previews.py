"""Preview links through HTTP: what they show to whom, and how each of them ends."""

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.contract import NOBODY, breaks, edit, log_lines, ok, problem, unique
from support.editorial import EDITORIAL, upload
from support.stack import EDITOR, Application, Stack, act, draft, published
from support.staff import Person

TOKEN = "X-Preview-Token"
PAGE = "https://www.familycorp.example/preview"


def make(client: httpx.Client, post: dict[str, Any], headers: dict[str, str] = EDITOR, **body: Any) -> Any:
    return ok(client.post(f"{EDITORIAL}/{post['id']}/previews", json=body, headers=headers), 201)


def token_of(link: dict[str, Any]) -> str:
    page, _, token = str(link["url"]).partition("#")
    assert page == PAGE
    return token


def show(client: httpx.Client, link: dict[str, Any], path: str = "") -> httpx.Response:
    answer = client.get(f"/v1/preview{path}", headers={TOKEN: token_of(link)})
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    return answer


def ended(answer: httpx.Response) -> None:
    problem(answer, 404, "not_found")


def links(client: httpx.Client, post: dict[str, Any]) -> list[str]:
    found = ok(client.get(f"{EDITORIAL}/{post['id']}/previews", headers=EDITOR))
    return [link["id"] for link in found["items"]]


@pytest.mark.security(49)
def test_a_link_shows_one_revision_until_it_is_revoked(each_client: httpx.Client, each_stack: Stack) -> None:
    client = each_client
    file = upload(each_stack)
    post = ok(draft(client, title="첫 개정", body="**본문**", attachments=[file["id"]]), 201)
    first = make(client, post)
    post = ok(edit(client, post, title="둘째 개정", attachments=[]))
    second, chosen = make(client, post, hours=1), make(client, post, revision=1)
    assert [link["revision"] for link in (first, second, chosen)] == [1, 2, 1]
    assert len({token_of(link) for link in (first, second, chosen)}) == 3
    for link in (first, chosen):
        answer = show(client, link)
        shown = ok(answer)
        assert (shown["title"], shown["html"].strip()) == ("첫 개정", "<p><strong>본문</strong></p>")
        assert answer.headers["X-Robots-Tag"] == "noindex"
        found = ok(show(client, link, f"/attachments/{file['id']}"))
        assert f"/files/{file['id']}/original" in found["url"]
    assert ok(show(client, second))["title"] == "둘째 개정"
    ended(show(client, second, f"/attachments/{file['id']}"))
    # Publication, a later revision and archiving change nothing about a link.
    post = ok(act(client, ok(edit(client, post, title="셋째 개정")), "publish"))
    post = ok(act(client, post, "archive"))
    assert ok(show(client, second))["title"] == "둘째 개정"

    # What is stored can't be sent: of each token, there is a hash.
    stored = {row[0] for row in each_stack.sql("SELECT token_hash FROM preview_links")}
    assert {hashlib.sha256(token_of(link).encode()).hexdigest() for link in (first, second)} <= stored
    assert links(client, post) == [link["id"] for link in (chosen, second, first)]
    listed = ok(client.get(f"{EDITORIAL}/{post['id']}/previews", headers=EDITOR))["items"][0]
    assert listed == {name: value for name, value in chosen.items() if name != "url"}

    revoke = f"{EDITORIAL}/{post['id']}/previews/{first['id']}"
    assert client.delete(revoke, headers=EDITOR).status_code == 204
    ended(show(client, first))
    ended(show(client, first, f"/attachments/{file['id']}"))
    ended(client.delete(revoke, headers=EDITOR))
    assert ok(show(client, chosen))["title"] == "첫 개정"
    assert links(client, post) == [link["id"] for link in (chosen, second)]
    deleted = "DELETE FROM post_revisions WHERE post_id = :p AND number = 2"
    each_stack.sql(deleted, p=uuid.UUID(post["id"]).hex)
    ended(show(client, second))
    trail = ok(client.get("/v1/audit", params={"target": f"post:{post['id']}"}, headers=EDITOR))["items"]
    said = [(e["action"], e["detail"]) for e in reversed(trail) if e["action"].startswith("preview.")]
    assert said == [
        *(
            ("preview.created", {"preview": link["id"], "revision": link["revision"]})
            for link in (first, second, chosen)
        ),
        ("preview.revoked", {"preview": first["id"], "revision": 1}),
    ]


@pytest.mark.security(49)
def test_a_link_ends_with_its_time_and_with_its_maker(
    staff_stack: Stack, somebody: Callable[..., Person]
) -> None:
    person = somebody("editors")
    person.log_in()
    with staff_stack.client() as client:
        post = published(client)
        url = f"{EDITORIAL}/{post['id']}/previews"
        long, short = (ok(person.post(url, {"hours": hours}), 201) for hours in (720, 1))
        other = make(client, post)
        assert ok(show(client, long))["title"] == post["title"]
        try:
            client.post("/test/clock", params={"ahead": 3601})
            ended(show(client, short))
            assert links(client, post) == [other["id"], long["id"]]
            # The row of a link that has expired goes with the next one's making.
            latest = make(client, post)
            rows = "SELECT COUNT(*) FROM preview_links WHERE post_id = :p"
            assert staff_stack.sql(rows, p=uuid.UUID(post["id"]).hex) == [(3,)]
        finally:
            client.post("/test/clock", params={"ahead": 0})
        member = ok(person.me())["id"]
        headers = EDITOR | {"If-Match": client.get(f"/v1/members/{member}", headers=EDITOR).headers["ETag"]}
        ok(client.post(f"/v1/members/{member}/disable", headers=headers))
        ended(show(client, long))
        assert links(client, post) == [latest["id"], other["id"]]
        headers["If-Match"] = client.get(f"/v1/members/{member}", headers=EDITOR).headers["ETag"]
        ok(client.post(f"/v1/members/{member}/enable", headers=headers))
        ended(show(client, long))


@pytest.mark.security(49)
def test_a_link_ends_with_its_post(each_client: httpx.Client) -> None:
    client = each_client
    never_public, archived = ok(draft(client), 201), ok(act(client, published(client), "archive"))
    headers = EDITOR | {"If-Match": f'"{never_public["version"]}"'}
    made = make(client, never_public), make(client, archived)
    for link in made:
        ok(show(client, link))
    assert client.delete(f"{EDITORIAL}/{never_public['id']}", headers=headers).status_code == 204
    assert act(client, archived, "purge", {"slug": archived["slug"]}).status_code == 204
    for link in made:
        ended(show(client, link))


@pytest.mark.security(49)
def test_a_link_is_made_and_ended_by_those_who_may_change_the_post(client: httpx.Client) -> None:
    post = ok(draft(client), 201)
    link = make(client, post)
    others = EDITOR | {"X-Test-Subject": "editor-2", "X-Test-Role": "editor"}
    viewer = others | {"X-Test-Role": "viewer"}
    url = f"{EDITORIAL}/{post['id']}/previews"
    for headers, status, code in ((others, 404, "not_found"), (viewer, 403, "forbidden")):
        for method, path, body in (("GET", "", None), ("POST", "", {}), ("DELETE", f"/{link['id']}", None)):
            problem(client.request(method, url + path, json=body, headers=headers), status, code)
    ended(client.post(f"{EDITORIAL}/{NOBODY}/previews", json={}, headers=EDITOR))
    ended(client.post(url, json={"revision": 2}, headers=EDITOR))
    # A link of another post isn't ended by this one's address.
    elsewhere = make(client, published(client))
    ended(client.delete(f"{url}/{elsewhere['id']}", headers=EDITOR))
    assert ok(show(client, elsewhere))
    for hours in (0, 721):
        assert client.post(url, json={"hours": hours}, headers=EDITOR).status_code == 422


@pytest.mark.security(49)
def test_a_token_is_read_from_its_header_alone_and_logged_nowhere(client: httpx.Client, stack: Stack) -> None:
    link = make(client, ok(draft(client), 201))
    token = token_of(link)
    assert ok(show(client, link))
    breaks(client.get("/v1/preview"), (f"header.{TOKEN}", "missing"))
    breaks(
        client.get(f"/v1/preview?token={token}", headers={TOKEN: token}), ("query.token", "extra_forbidden")
    )
    breaks(
        client.get("/v1/preview", headers={TOKEN: token[1:]}), (f"header.{TOKEN}", "string_pattern_mismatch")
    )
    ended(client.get("/v1/preview", headers={TOKEN: "A" * 43}))
    assert token not in str(log_lines(stack))
    preflight = {
        "Origin": "https://www.familycorp.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": TOKEN,
    }
    allowed = client.options("/v1/preview", headers=preflight)
    assert (allowed.status_code, TOKEN in allowed.headers["Access-Control-Allow-Headers"]) == (200, True)


@pytest.fixture(scope="module")
def limited(own_stack: Stack) -> Application:
    return own_stack.start(TEST_LIMITS="1")


def test_guesses_are_counted_before_the_database_is_read(own_stack: Stack, limited: Application) -> None:
    guess, answers = {TOKEN: unique().ljust(43, "A")}, list[httpx.Response]()
    with own_stack.client(limited) as client:
        # On a slow machine a new minute's count begins meanwhile.
        while not answers or (answers[-1].status_code == 404 and len(answers) < 1000):
            answers.append(client.get("/v1/preview", headers=guess))
    assert len(answers) > 60
    problem(answers[-1], 429, "rate_limited")
    assert answers[-1].headers["X-Count-SQL"] == "0"
