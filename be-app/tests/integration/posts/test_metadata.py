"""What search engines and messengers read of posts."""

import json
from typing import Any
from urllib.parse import quote

import httpx

from support.contract import breaks, edit, ok, own_category, unique
from support.editorial import EDITORIAL, upload
from support.stack import EDITOR, Stack, act, draft, published

SITE = "https://www.familycorp.example"


def metadata(client: httpx.Client, post: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = ok(client.get(f"/v1/posts/{post['id']}"))["metadata"]
    return found


def test_metadata_is_as_open_graph_and_schema_org_have_it(
    each_client: httpx.Client, each_stack: Stack
) -> None:
    client = each_client
    file = upload(each_stack, "공장.png", "image/png")
    title, slug = "</script><b>'1 & 2'</b>", unique("새-공장-")
    post = published(client, slug=slug, title=title, excerpt="요약", tags=["회사"], thumbnail=file["id"])
    page, found = ok(client.get(f"/v1/posts/{post['id']}")), metadata(client, post)
    url, picture = f"{SITE}/ko/posts/{quote(slug)}", found["picture"]["url"]
    assert (found["canonicalUrl"], found["description"], found["noindex"]) == (url, "요약", False)
    assert found["picture"]["contentType"] == "image/jpeg"
    assert picture.startswith(f"{each_stack.api_url}/v1/posts/{post['id']}/attachments/{file['id']}?")
    answer = client.get(picture)
    assert (answer.status_code, "thumbnail.jpg" in answer.headers["Location"]) == (302, True)
    # It ends no script element, and is the same to a JSON parser.
    assert not set("<>&") & set(found["jsonLd"])
    site = {"@type": "Organization", "name": "패밀리코퍼레이션", "url": SITE}
    assert json.loads(found["jsonLd"]) == {
        "@context": "https://schema.org",
        "@type": "Article",
        "mainEntityOfPage": url,
        "headline": title,
        "description": "요약",
        "inLanguage": "ko",
        "datePublished": page["publishedAt"],
        "dateModified": page["updatedAt"],
        "author": site,
        "publisher": site,
        "keywords": ["회사"],
        "image": [picture],
    }

    origin = "https://news.example/2026/%EC%86%8C%EC%8B%9D?a=1"
    changes = {"description": "검색에 보일 글", "canonicalUrl": origin, "noindex": True, "thumbnail": None}
    changed = ok(edit(client, post, **changes))
    assert metadata(client, post) == found  # The public has what was published.
    preview = ok(client.get(f"{EDITORIAL}/{post['id']}/preview", headers=EDITOR))["metadata"]
    ok(act(client, changed, "publish"))
    after = metadata(client, post)
    for shown in (preview, after):
        assert (shown["description"], shown["canonicalUrl"]) == ("검색에 보일 글", origin)
        assert (shown["noindex"], shown["picture"]) == (True, None)
        assert json.loads(shown["jsonLd"])["mainEntityOfPage"] == origin
    of_first = ok(client.get(f"{EDITORIAL}/{post['id']}/revisions/1", headers=EDITOR))
    assert [of_first[name] for name in ("description", "canonicalUrl", "noindex")] == ["", None, False]
    diff = ok(client.get(f"{EDITORIAL}/{post['id']}/revisions/2/diff?against=1", headers=EDITOR))["unified"]
    for line in ("+description: 검색에 보일 글", f"+canonicalUrl: {origin}", "+noindex: true"):
        assert line in diff.splitlines()
    restored = ok(
        act(client, ok(client.get(f"{EDITORIAL}/{post['id']}", headers=EDITOR)), "revisions/2/restore")
    )
    assert [restored[name] for name in ("description", "canonicalUrl", "noindex")] == list(changes.values())[
        :3
    ]


def test_a_post_without_words_for_it_is_described_by_its_beginning(client: httpx.Client) -> None:
    post = published(client, category=own_category(client), body="# 제목\n\n**본문**입니다.")
    assert metadata(client, post)["description"] == "제목 본문입니다."


def test_a_canonical_address_is_one_that_needs_no_escaping(client: httpx.Client) -> None:
    for address in (
        *("http://a.example/", "//a.example/", "javascript:alert(1)", "https://", "https://a.example/#x"),
        *('https://a.example/"x', "https://a.example/<", "https://a.example/소식", "https://u@a.example/"),
    ):
        breaks(draft(client, canonicalUrl=address), ("body.canonicalUrl", "string_pattern_mismatch"))
