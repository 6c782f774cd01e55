"""Redirects through HTTP: whom they lead where, and how admins change them."""

import json
import unicodedata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from support.contract import NOBODY, at_once, breaks, edit, ok, pages, problem, unique
from support.stack import EDITOR, Stack, act, command, published

REDIRECTS = "/v1/editor/redirects"


def write(client: httpx.Client, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return client.request(method, f"{REDIRECTS}{path}", json=body, headers=EDITOR | headers)


def redirect(client: httpx.Client, path: str, target: str) -> dict[str, Any]:
    made: dict[str, Any] = ok(write(client, "POST", "", {"path": path, "target": target}), 201)
    return made


def retarget(client: httpx.Client, one: dict[str, Any], target: str) -> httpx.Response:
    headers = {"If-Match": f'"{one["version"]}"'}
    return write(client, "PUT", f"/{one['id']}", {"target": target}, **headers)


def leads(client: httpx.Client, path: str) -> str | None:
    """Return where a visitor's path leads, the second time from the cache."""
    first, second = (client.get("/v1/redirects", params={"path": path}) for _ in range(2))
    assert (first.status_code, first.headers.get("Location")) == (
        second.status_code,
        second.headers.get("Location"),
    )
    if first.status_code == 404:
        problem(first, 404, "not_found")
        return None
    assert (first.status_code, first.content) == (308, b""), first.text
    found: str = first.headers["Location"]
    assert found.isascii()
    return found


def test_a_path_leads_to_its_target_until_it_is_changed_or_deleted(each_client: httpx.Client) -> None:
    client, path = each_client, f"/2019/05/{unique()}.html"
    assert leads(client, path) is None
    answer = write(client, "POST", "", {"path": path, "target": "/ko/about"})
    made = ok(answer, 201)
    assert (made["path"], made["target"]) == (path, "/ko/about")
    assert answer.headers["Location"] == f"{REDIRECTS}/{made['id']}"
    assert leads(client, path) == "/ko/about"
    problem(write(client, "POST", "", {"path": path, "target": "/en"}), 409, "redirect_exists")

    read = write(client, "GET", f"/{made['id']}")
    assert (read.json(), read.headers["ETag"]) == (made, answer.headers["ETag"])
    assert ok(write(client, "GET", f"?path={quote(path)}"))["items"] == [made]
    assert made in list(pages(client, REDIRECTS, limit=1))

    changed = ok(retarget(client, made, "/ko/회사"))
    assert leads(client, path) == f"/ko/{quote('회사')}"
    problem(retarget(client, made, "/en"), 412, "precondition_failed")
    problem(write(client, "PUT", f"/{made['id']}", {"target": "/"}), 428, "precondition_required")

    stale, fresh = ({"If-Match": f'"{one["version"]}"'} for one in (made, changed))
    problem(write(client, "DELETE", f"/{made['id']}", **stale), 412, "precondition_failed")
    assert write(client, "DELETE", f"/{made['id']}", **fresh).status_code == 204
    assert leads(client, path) is None
    for gone in (made["id"], NOBODY):
        problem(write(client, "GET", f"/{gone}"), 404, "not_found")
        problem(write(client, "DELETE", f"/{gone}", **fresh), 404, "not_found")
    # A path that is redirected again leads there, whatever was shown of it before.
    redirect(client, path, "/en")
    assert leads(client, path) == "/en"

    trail = ok(client.get("/v1/audit", params={"target": f"redirect:{made['id']}"}, headers=EDITOR))
    assert [entry["action"] for entry in reversed(trail["items"])] == [
        "redirect.created",
        "redirect.updated",
        "redirect.deleted",
    ]


def test_redirects_are_listed_by_their_target(each_client: httpx.Client) -> None:
    client, target = each_client, f"/ko/{unique()}"
    first, second = (redirect(client, f"/2019/{unique()}.html", target) for _ in range(2))
    redirect(client, f"/2019/{unique()}.html", "/ko/about")
    assert ok(write(client, "GET", f"?target={quote(target)}"))["items"] == [second, first]
    assert ok(write(client, "GET", f"?target={quote(target)}&path={quote(first['path'])}"))["items"] == [
        first
    ]


def test_chains_are_collapsed_and_loops_refused(each_client: httpx.Client) -> None:
    client, (a, b, c, d) = each_client, [f"/{unique()}/{n}" for n in "abcd"]
    first = redirect(client, a, b)
    second = redirect(client, b, c)
    assert [leads(client, path) for path in (a, b)] == [c, c]
    third = redirect(client, d, a)  # Leads where its target leads.
    assert (third["target"], leads(client, d)) == (c, c)
    for target in (a, b, d):
        problem(write(client, "POST", "", {"path": c, "target": target}), 409, "redirect_loop")
    problem(retarget(client, second, b), 409, "redirect_loop")
    # Where the end is redirected, all go there, and nobody holds an older version.
    redirect(client, c, "/end")
    assert [leads(client, path) for path in (a, b, c, d)] == ["/end"] * 4
    problem(retarget(client, first, "/"), 412, "precondition_failed")


def test_two_at_once_make_no_loop(each_client: httpx.Client) -> None:
    paths = [f"/{unique()}" for _ in range(2)]
    answers = at_once(
        2,
        lambda n: write(each_client, "POST", "", {"path": paths[n], "target": paths[1 - n]}),
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]


def test_a_target_follows_its_post(client: httpx.Client) -> None:
    post, path = published(client, slug=unique("옛-이름-")), f"/board/{unique()}.php?id=3&page=1"
    redirect(client, path, f"/ko/posts/{post['slug']}")
    assert leads(client, path) == f"/ko/posts/{quote(post['slug'])}"
    moved = ok(act(client, ok(edit(client, post, slug=unique("새-이름-"))), "publish"))
    assert leads(client, path) == f"/ko/posts/{quote(moved['slug'])}"
    # One that is withdrawn is named still; its address says that it is gone.
    ok(act(client, moved, "unpublish"))
    assert leads(client, path) == f"/ko/posts/{quote(post['slug'])}"


def test_a_path_is_found_in_each_spelling(client: httpx.Client) -> None:
    path = f"/{unique()}/공지 1.html"
    redirect(client, quote(path), "/ko")
    for spelling in (path, quote(path), unicodedata.normalize("NFD", path)):
        answer = client.get(f"/v1/redirects?path={quote(spelling)}&utm_source=mail")
        assert answer.headers.get("Location") == "/ko", spelling


@pytest.mark.security(46)
@pytest.mark.parametrize(
    "target",
    [
        "https://elsewhere.example/",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "/%2Felsewhere.example",
        "/%5Celsewhere.example",
        "/a\\b",
        "/#x",
        "ko",
        "",
    ],
)
def test_a_target_is_a_path_of_the_own_site(client: httpx.Client, target: str) -> None:
    answer = write(client, "POST", "", {"path": f"/{unique()}", "target": target})
    breaks(answer, ("body.target", "string_pattern_mismatch"))


def test_editors_change_none(client: httpx.Client) -> None:
    who = EDITOR | {"X-Test-Role": "editor"}
    one = redirect(client, f"/{unique()}", "/ko")
    for method, path, body in (
        ("GET", "", None),
        ("POST", "", {"path": "/x", "target": "/y"}),
        ("GET", f"/{one['id']}", None),
        ("PUT", f"/{one['id']}", {"target": "/y"}),
        ("DELETE", f"/{one['id']}", None),
    ):
        problem(client.request(method, REDIRECTS + path, json=body, headers=who), 403, "forbidden")


def test_a_lookup_reads_dynamodb_alone_and_is_cached(own_stack: Stack) -> None:
    with own_stack.client() as client:
        path = f"/{unique()}"
        redirect(client, path, "/ko")
        answer = client.get("/v1/redirects", params={"path": path})
        assert (answer.headers["X-Count-SQL"], answer.headers["X-Count-DynamoDB"]) == ("0", "1")


def test_a_file_leads_old_addresses_to_new_ones(own_stack: Stack, tmp_path: Path) -> None:
    one, other, third = (f"/{unique()}.html" for _ in range(3))
    file = tmp_path / "redirects.csv"

    def imported(*lines: str) -> tuple[int | None, dict[str, Any]]:
        file.write_text("\n".join(["\ufeffpath,target", *lines]), encoding="utf-8")
        status, said = command(own_stack, "redirects", "import", str(file), "--json")
        return status, json.loads(said)

    def counted(found: dict[str, Any]) -> list[int]:
        return [found[name] for name in ("created", "changed", "unchanged", "failed")]

    with own_stack.client() as client:
        lines = [f"{one},/ko/옛-글", f'"{other}?a=1,2",/ko']
        status, found = imported(*lines)
        assert (status, counted(found)) == (0, [2, 0, 0, 0])
        assert leads(client, one) == f"/ko/{quote('옛-글')}"
        assert leads(client, f"{other}?a=1,2") == "/ko"
        bad = [f"{third},https://elsewhere.example", third, f"/ko/옛-글,{one}"]
        status, found = imported(f"{one},/en", lines[1], *bad)
        assert (status, counted(found)) == (1, [1, 1, 1, 2])
        assert [error["line"] for error in found["errors"]] == [4, 5]
        assert [leads(client, path) for path in (one, third, "/ko/옛-글")] == ["/en", None, "/en"]
        status, found = imported(f"/en,{one}")
        assert (status, counted(found)) == (1, [0, 0, 0, 1])
        assert "leads back" in found["errors"][0]["message"]
    file.write_bytes(b"\xff\xfe")
    status, said = command(own_stack, "redirects", "import", str(file))
    assert (status, "is no CSV in UTF-8" in said) == (1, True)
