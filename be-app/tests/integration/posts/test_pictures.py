"""Pictures in posts: one form everywhere; public ones in a bucket of their own, while a post shows them."""

import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from familycorp_ops.local import cdn
from support.contract import breaks, edit, ok, problem
from support.stack import EDITOR, Stack, act, draft, published
from support.uploading import ADMIN, KIM, LEE, pdf, photo, public_objects, uploaded

TITLE = "준공식"


@pytest.fixture(scope="module")
def image(stacks: Callable[[str], Stack]) -> dict[str, Any]:
    with stacks("sqlite").client() as client:
        return picture(client)


def picture(client: httpx.Client, width: int = 900) -> dict[str, Any]:
    """Upload a photo of the author of posts."""
    name = f"{uuid.uuid4()}.jpg"
    made: dict[str, Any] = ok(uploaded(client, photo(600, width), name, "image/jpeg", who=EDITOR))
    return made


def shows(*images: dict[str, Any], alt: str = TITLE) -> str:
    return "\n\n".join(f"![{alt}](upload:{image['id']})" for image in images)


@contextmanager
def local_cdn(stack: Stack) -> Iterator[str]:
    """Run what `make up` runs in CloudFront's place."""
    with cdn.server(0, stack.settings) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever)
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def digest_of(shown: dict[str, Any]) -> str:
    return str(shown["src"].split("/")[-2])


FORM = re.compile(
    r'<p><picture><source type="image/avif" srcset="[^"]+ 320w, [^"]+ 640w, [^"]+ 900w" sizes="[^"]+">'
    r'<source type="image/webp" srcset="[^"]+ 900w" sizes="[^"]+">'
    r'<img src="([^"]+)" srcset="[^"]+ 900w" sizes="[^"]+" width="900" height="600" alt="준공식" title="1동"'
    r' loading="eager" decoding="async"></picture></p>\n<p>'
)


def test_a_picture_has_one_form_in_preview_and_published(client: httpx.Client, stack: Stack) -> None:
    image = picture(client)
    body = f'![{TITLE}](upload:{image["id"]} "1동")\n\n{shows(image)}'
    post = ok(draft(client, body=body, thumbnail=image["id"]), 201)
    assert post["warnings"] == []
    seen = ok(client.get(f"/v1/editor/posts/{post['id']}/preview", headers=EDITOR))
    ok(act(client, post, "publish"))
    public = ok(client.get(f"/v1/posts/{post['id']}"))
    for page, stays in ((seen, False), (public, True)):
        found = FORM.match(page["html"])
        assert found, page["html"]
        assert page["html"].count('loading="lazy"') == 0, "the same picture again"
        (shown,) = page["pictures"]
        assert (shown["alt"], shown["width"], shown["height"]) == (TITLE, 900, 600)
        assert list(shown["srcset"]) == ["image/avif", "image/webp", "image/jpeg"]
        assert re.fullmatch("#[0-9a-f]{6}", shown["placeholder"])
        assert found[1].replace("&amp;", "&") == shown["src"]
        got = httpx.get(shown["src"], trust_env=False, follow_redirects=True)
        assert (got.status_code, got.headers["Content-Type"]) == (200, "image/jpeg")
        assert ("immutable" in got.headers["Cache-Control"]) is stays
    (card,) = [item for item in ok(client.get("/v1/posts"))["items"] if item["id"] == post["id"]]
    assert card["picture"] == public["picture"] == public["pictures"][0] | {"alt": ""}
    assert public["metadata"]["picture"] == {"url": public["picture"]["src"], "contentType": "image/jpeg"}
    src = public["picture"]["src"]
    for feed, element in (
        ("rss", f'<media:content url="{src}" type="image/jpeg"'),
        ("atom", f'href="{src}"'),
    ):
        assert element in client.get(f"/v1/feed.{feed}").text
    (hit,) = ok(client.get("/v1/search", params={"q": post["title"]}))["items"]
    assert hit["picture"] == public["picture"]


def test_a_text_that_isnt_saved_shows_its_authors_pictures(client: httpx.Client) -> None:
    image = picture(client, 300)

    def html(who: dict[str, str]) -> str:
        path = "/v1/editor/markdown"
        return str(ok(client.post(path, json={"body": shows(image)}, headers=who))["html"])

    found = re.search(r'<img src="([^"]+)"', html(EDITOR))
    assert found
    assert httpx.get(found[1].replace("&amp;", "&"), trust_env=False).status_code == 200
    assert html(LEE).strip() == f"<p>{TITLE}</p>", "somebody else's, in no public post"


def test_what_a_text_shows_is_checked_when_it_is_saved(client: httpx.Client, image: dict[str, Any]) -> None:
    missing = uuid.uuid4()
    answer = draft(client, body=shows(image, {"id": str(missing)}))
    breaks(answer, ("body.body", "unknown_picture"))
    assert f"upload:{missing}" in answer.text
    assert image["id"] not in answer.text
    document = ok(uploaded(client, pdf(), "a.pdf", "application/pdf", who=EDITOR))
    breaks(draft(client, body=shows(document)), ("body.body", "unknown_picture"))
    others = ok(uploaded(client, photo(), "b.jpg", "image/jpeg", who=KIM))
    body = {"lang": "ko", "category": "news", "title": "소식", "body": shows(others)}
    answer = client.post("/v1/editor/posts", json=body, headers=LEE)
    breaks(answer, ("body.body", "unknown_picture"))

    text = (
        f"![](upload:{image['id']})\n\n![a](https://elsewhere.example/a.png)\n\n![b](b.png)\n\n![c](upload:1)"
    )
    post = ok(draft(client, body=text), 201)
    warnings = [
        {"code": "alt_missing", "subject": f"upload:{image['id']}"},
        {"code": "picture_hotlinked", "subject": "https://elsewhere.example/a.png"},
        {"code": "picture_address", "subject": "b.png"},
        {"code": "picture_address", "subject": "upload:1"},
    ]
    assert post["warnings"] == warnings
    assert ok(client.get(f"/v1/editor/posts/{post['id']}", headers=EDITOR))["warnings"] == warnings
    assert ok(edit(client, post, body=shows(image)))["warnings"] == []


HOSTILE = (
    '<img src="upload:{id}" alt="<img src=x onerror=alert(1)>" title="&quot;><script>alert(1)</script>">'
)


def test_an_alternative_text_is_no_markup(client: httpx.Client, image: dict[str, Any]) -> None:
    for body in (
        HOSTILE,
        '![<img src="x" onerror="alert(1)">](upload:{id})',
        '<a title="<img src=upload:{id}>">x</a>',
    ):
        page = published(client, body=body.format(id=image["id"]))
        html = ok(client.get(f"/v1/posts/{page['id']}"))["html"]
        assert "<script" not in html
        tags = re.findall(r'<[^>"]*(?:"[^"]*"[^>"]*)*>', html)
        assert not [tag for tag in tags if "onerror" in re.sub(r'"[^"]*"', "", tag)], html
        assert "upload:" not in re.sub(r'title="[^"]*"', "", html)
    page = published(client, body=f"[내려받기](upload:{image['id']})")
    assert "href" not in ok(client.get(f"/v1/posts/{page['id']}"))["html"]


def test_a_public_picture_is_gone_with_the_last_post_that_shows_it(
    client: httpx.Client, stack: Stack
) -> None:
    image, other = picture(client, 640), picture(client, 320)
    first = published(client, body=shows(image, other))
    second = published(client, body=shows(image))
    shown = ok(client.get(f"/v1/posts/{first['id']}"))["pictures"]
    digests = [digest_of(picture) for picture in shown]
    assert set(digests) <= public_objects(stack)
    address = shown[1]["src"]
    assert httpx.get(address, trust_env=False).headers["Cache-Control"] == "public, max-age=1800"
    told = problem(client.delete(f"/v1/uploads/{image['id']}", headers=EDITOR), 409, "upload_in_use")
    assert all(post["title"] in told["detail"] for post in (first, second))
    hidden = ok(draft(client, body=shows(other)), 201)
    assert hidden["title"] not in client.delete(f"/v1/uploads/{other['id']}", headers=ADMIN).text

    ok(act(client, first, "unpublish"))
    assert set(digests) & public_objects(stack) == {digests[0]}
    assert httpx.get(address, trust_env=False, follow_redirects=True).status_code == 404
    second = ok(edit(client, second, body="사진이 없습니다."))
    ok(act(client, second, "publish"))
    assert not set(digests) & public_objects(stack)


def test_nobody_gets_into_a_bucket_without_a_signature(client: httpx.Client, stack: Stack) -> None:
    image = picture(client)
    post = published(client, body=shows(image))
    link = httpx.get(
        ok(client.get(f"/v1/posts/{post['id']}"))["pictures"][0]["src"], trust_env=False
    ).headers["Location"]
    assert httpx.get(link, trust_env=False).status_code == 200
    assert httpx.get(link.partition("?")[0], trust_env=False).status_code == 403
    files = f"{stack.settings.aws_endpoint_url}/{stack.settings.uploads_bucket}"
    for place in (
        f"files/{image['id']}/320.jpg",
        f"files/{image['id']}/original",
        f"quarantine/{image['id']}",
    ):
        assert httpx.get(f"{files}/{place}", trust_env=False).status_code == 403
    with local_cdn(stack) as url:
        path = f"/media/{link.partition('?')[0].partition('/media/')[2]}"
        got = httpx.get(url + path, trust_env=False)
        assert (got.status_code, got.headers["Content-Type"]) == (200, "image/jpeg")
        assert got.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert got.headers["Content-Security-Policy"] == "default-src 'none'"
        for odd in (
            f"/files/{image['id']}/320.jpg",
            f"/quarantine/{image['id']}",
            "/",
            path.replace(".jpg", ".svg"),
        ):
            assert httpx.get(url + odd, trust_env=False).status_code == 403
        ok(act(client, post, "unpublish"))
        assert httpx.get(url + path, trust_env=False).status_code == 403
    for odd in ("0" * 31, "../files", "%2e%2e"):
        assert client.get(f"/media/{odd}/320.jpg").status_code in {404, 422}
