"""Categories through HTTP: their order, their rules, and what the public sees of them."""

from typing import Any

import httpx
import pytest

from support.contract import at_once, breaks, edit, ok, own_category, problem, unique
from support.stack import EDITOR, act, draft, make_category, published

CATEGORIES = "/v1/editor/categories"


def listed(client: httpx.Client) -> tuple[list[str], str]:
    """Return the editor's list of slugs and its ETag."""
    answer = client.get(CATEGORIES, headers=EDITOR)
    return [c["slug"] for c in ok(answer)["items"]], answer.headers["ETag"]


def public(client: httpx.Client) -> list[str]:
    return [c["slug"] for c in ok(client.get("/v1/categories"))["items"]]


def write(client: httpx.Client, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return client.request(method, f"{CATEGORIES}{path}", json=body, headers=EDITOR | headers)


def names(ko: str = "이름", en: str = "Name") -> dict[str, Any]:
    return {"name": {"ko": ko, "en": en}}


def test_a_new_category_is_the_last_for_everybody_at_once(each_client: httpx.Client) -> None:
    first, second = unique("c"), unique("c")
    for slug in (first, second):
        answer = write(each_client, "POST", "", {"slug": slug, **names(" 투자 정보 ", "Investors")})
        assert answer.status_code == 201
        assert answer.json()["items"][-1] == {"slug": slug, "name": {"ko": "투자 정보", "en": "Investors"}}
        assert public(each_client)[-1] == slug
        assert answer.headers["ETag"] == listed(each_client)[1]
    assert listed(each_client)[0][-2:] == [first, second]


def test_reordering_moves_the_public_list(each_client: httpx.Client) -> None:
    own_category(each_client)
    own_category(each_client)
    before, tag = listed(each_client)
    wanted = [before[-1], *before[:-1]]
    answer = write(each_client, "PUT", "", {"slugs": wanted}, **{"If-Match": tag})
    assert [c["slug"] for c in ok(answer)["items"]] == wanted
    assert answer.headers["ETag"] != tag
    assert public(each_client) == wanted
    assert listed(each_client) == (wanted, answer.headers["ETag"])


def test_an_order_names_each_category_exactly_once(client: httpx.Client) -> None:
    own_category(client)
    slugs, tag = listed(client)
    for wrong in (slugs[1:], [*slugs, slugs[0]], [*slugs[1:], unique()], []):
        answer = write(client, "PUT", "", {"slugs": wrong}, **{"If-Match": tag})
        breaks(answer, ("body.slugs", "incomplete_order"))
    assert listed(client) == (slugs, tag)


def test_renaming_changes_what_the_public_sees(each_client: httpx.Client) -> None:
    slug = own_category(each_client)
    _, tag = listed(each_client)
    answer = write(each_client, "PUT", f"/{slug}", names("새 이름", "New name"), **{"If-Match": tag})
    assert answer.headers["ETag"] != tag
    found = next(c for c in ok(each_client.get("/v1/categories"))["items"] if c["slug"] == slug)
    assert found["name"] == {"ko": "새 이름", "en": "New name"}


def test_deleting_takes_a_category_from_the_public(each_client: httpx.Client) -> None:
    slug = own_category(each_client)
    _, tag = listed(each_client)
    assert slug in public(each_client)
    ok(write(each_client, "DELETE", f"/{slug}", **{"If-Match": tag}))
    assert slug not in public(each_client)
    assert slug not in listed(each_client)[0]
    # The slug is free again.
    make_category(each_client, slug)
    assert public(each_client)[-1] == slug


def test_every_change_needs_the_list_s_current_etag(client: httpx.Client) -> None:
    slug = own_category(client)
    slugs, tag = listed(client)
    changes = (
        ("PUT", "", {"slugs": slugs[::-1]}),
        ("PUT", f"/{slug}", names("다른 이름")),
        ("DELETE", f"/{slug}", None),
    )
    for method, path, body in changes:
        problem(write(client, method, path, body), 428, "precondition_required")
        for stale in ('"1"', f"W/{tag}", "*", tag.strip('"'), f"{tag}, {tag}", '"0"', '"99999999999"', ""):
            answer = write(client, method, path, body, **{"If-Match": stale})
            problem(answer, 412, "precondition_failed")
    assert listed(client) == (slugs, tag)
    assert public(client) == slugs


def test_a_category_that_posts_are_filed_under_stays(each_client: httpx.Client) -> None:
    first, second = own_category(each_client), own_category(each_client)
    post = draft(each_client, category=first).json()
    answer = write(each_client, "DELETE", f"/{first}", **{"If-Match": listed(each_client)[1]})
    problem(answer, 409, "category_in_use")
    assert first in public(each_client)
    assert ok(edit(each_client, post, category=second))["category"] == second
    ok(write(each_client, "DELETE", f"/{first}", **{"If-Match": listed(each_client)[1]}))


def test_a_category_stays_while_the_public_reads_a_post_under_it(each_client: httpx.Client) -> None:
    first, second = own_category(each_client), own_category(each_client)
    post = published(each_client, category=first)
    moved = ok(edit(each_client, post, category=second))
    answer = write(each_client, "DELETE", f"/{first}", **{"If-Match": listed(each_client)[1]})
    problem(answer, 409, "category_in_use")
    ok(act(each_client, moved, "publish"))
    ok(write(each_client, "DELETE", f"/{first}", **{"If-Match": listed(each_client)[1]}))


@pytest.mark.parametrize(
    ("slug", "rule"),
    [
        ("", "string_too_short"),
        ("a" * 61, "string_too_long"),
        (None, "string_type"),
        (7, "string_type"),
        *((s, "string_pattern_mismatch") for s in ("A", "a--b", "-a", "a-", "소식", "a b", "a_b", "a\n")),
    ],
)
def test_a_slug_keeps_to_its_rules(client: httpx.Client, slug: Any, rule: str) -> None:
    before = listed(client)
    breaks(write(client, "POST", "", {"slug": slug, **names()}), ("body.slug", rule))
    assert listed(client) == before


def test_a_slug_is_taken_once(each_client: httpx.Client) -> None:
    slug = own_category(each_client)
    problem(write(each_client, "POST", "", {"slug": slug, **names()}), 409, "category_exists")


def test_a_category_has_a_name_in_each_language(client: httpx.Client) -> None:
    slug = unique("c")
    for name, broken in (
        ({"ko": "이름"}, ("body.name.en", "missing")),
        ({"ko": " ", "en": "Name"}, ("body.name.ko", "string_too_short")),
        ({"ko": "이름", "en": "n" * 101}, ("body.name.en", "string_too_long")),
        ({"ko": "이름", "en": "a\nb"}, ("body.name.en", "forbidden_character")),
        ({"ko": "이름", "en": "Name", "ja": "名"}, ("body.name.ja", "extra_forbidden")),
    ):
        breaks(write(client, "POST", "", {"slug": slug, "name": name}), broken)
    assert slug not in listed(client)[0]


def test_there_is_nothing_to_change_about_an_unknown_category(client: httpx.Client) -> None:
    before = listed(client)
    for method, body in (("PUT", names()), ("DELETE", None)):
        answer = write(client, method, f"/{unique()}", body, **{"If-Match": before[1]})
        problem(answer, 404, "not_found")
    assert listed(client) == before


def test_categories_made_at_once_are_all_kept(each_client: httpx.Client) -> None:
    slugs = [unique("c") for _ in range(8)]
    answers = at_once(8, lambda i: write(each_client, "POST", "", {"slug": slugs[i], **names()}))
    assert [a.status_code for a in answers] == [201] * 8
    kept, tag = listed(each_client)
    assert sorted(kept[-8:]) == sorted(slugs)
    assert public(each_client) == kept
    assert len({a.headers["ETag"] for a in answers}) == 8
    assert tag in {a.headers["ETag"] for a in answers}


def test_of_changes_made_at_once_from_one_version_one_succeeds(each_client: httpx.Client) -> None:
    slug = own_category(each_client)
    slugs, tag = listed(each_client)
    answers = at_once(
        6, lambda i: write(each_client, "PUT", f"/{slug}", names(f"이름 {i}"), **{"If-Match": tag})
    )
    assert sorted(a.status_code for a in answers) == [200, *[412] * 5]
    (kept,) = (a.json()["items"] for a in answers if a.status_code == 200)
    assert ok(each_client.get("/v1/categories"))["items"] == kept
    assert [c["slug"] for c in kept] == slugs
