"""The starter site of front ends in a real browser, on another origin than what `make up` runs."""

import base64
import io
import re
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from pypdf import PdfWriter

from familycorp_ops.local.site import build_variables
from familycorp_ops.local.totp import code
from familycorp_ops.servers.process import NotInstalledError, Process, clean_environment, free_port, http_ok
from familycorp_ops.testing.front_end import SITE, node
from familycorp_ops.testing.servers import missing

TUTORIAL = SITE.parents[1] / "docs" / "tutorial-front-end.md"

WATCH = """
window.shifts = [];
new PerformanceObserver((list) => {
    for (const entry of list.getEntries().filter((entry) => !entry.hadRecentInput))
        for (const { node, previousRect, currentRect } of entry.sources)
            window.shifts.push([node?.outerHTML ?? node?.nodeValue, previousRect.toJSON(), currentRect.toJSON()]);
}).observe({ type: "layout-shift", buffered: true });
"""
"""Notes what Cumulative Layout Shift counts."""

CONTENT = """async ([picture, file]) => {
    const { client } = await import("/scripts/browser/page.js");
    const uploaded = async ({ name, type, content }, purpose) => {
        const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
        return (await client.upload(new File([bytes], name, { type }), { purpose }).done).id;
    };
    const published = async (body, before) => {
        const changed = () =>
            client.put("/v1/editor/posts/{post_id}", { path: { post_id: before.id }, ifMatch: before.etag, body });
        const { data, etag } = await (before ? changed() : client.post("/v1/editor/posts", { body }));
        const path = { post_id: data.id };
        const { etag: now } = await client.post("/v1/editor/posts/{post_id}/publish", { path, ifMatch: etag });
        return { id: data.id, etag: now };
    };
    const thumbnail = await uploaded(picture, "image");
    const said = { alt: { ko: "들머리", en: "The entrance" }, focus: { x: 20, y: 84 }, shared: false };
    await client.put("/v1/uploads/{upload_id}/description", { path: { upload_id: thumbnail }, body: said });
    const files = { thumbnail, attachments: [thumbnail, await uploaded(file, "attachment")] };
    const tags = ["C++ & <태그>", "신제품/전시회"];
    const common = { category: "news", tags, ...files };
    const text = `## 일정\\n\\n![전시장](upload:${thumbnail})\\n\\n서울에서 엽니다.`;
    const korean = { title: "전시회 <안내>", body: text, ...common };
    const { id } = await published({ lang: "ko", slug: "전시회", ...korean });
    const english = { title: "Exhibition", body: "In Seoul.", translationOf: id, ...common };
    const first = await published({ lang: "en", slug: "old-address", ...english });
    await published({ slug: "new-address", ...english }, first);
    const target = "/en/posts/old-address";
    await client.post("/v1/editor/redirects", { body: { path: "/2019/05/notice.html?no=3", target } });
    for (let i = 0; i < 10; i++) {
        const notice = { title: `공지 ${i}`, slug: `공지-${i}`, body: "알립니다." };
        await published({ lang: "ko", category: "notices", ...notice });
    }
    const items = [{ slug: "quote", name: { ko: "견적", en: "Quotes" }, retentionDays: 180 }];
    const { etag } = await client.get("/v1/editor/inquiry-categories");
    await client.put("/v1/editor/inquiry-categories", { ifMatch: etag, body: { items } });
}"""


def follow_tutorial(folder: Path) -> None:
    """Write the files of the tutorial as it says."""
    text = TUTORIAL.read_text()
    for verb, name, content in re.findall(
        r"(Create|Add to) `(src/\S+)`:\n\n```ts\n(.*?)```", text, re.DOTALL
    ):
        with (folder / name).open("w" if verb == "Create" else "a") as file:
            file.write(content)
    registered = re.search(r"In `(src/build.ts)`[^`]*```ts\n(import.*\n)(.*) = (.*\n)```", text)
    assert registered
    name, imported, pages, listed = registered.groups()
    before = (folder / name).read_text()
    after = re.sub(rf"{re.escape(pages)} = .*\n", lambda _: f"{pages} = {listed}", before)
    assert after != before
    (folder / name).write_text(imported + after)


class Site:
    """A copy of the starter site with the tutorial's page."""

    def __init__(self, folder: Path, browser: Any, variables: dict[str, str]) -> None:
        self.folder, self.browser, self.variables = folder, browser, variables
        self.api, self.url = variables["API_URL"], variables["SITE_URL"]
        self.complaints: list[str] = []
        self.codes: list[str] = []
        """Recovery codes of the admin."""
        self.context = self.new_context()

    def new_context(self, **screen: Any) -> Any:
        """Return a browser's profile that nobody has used."""
        context = self.browser.new_context(**screen)
        context.set_default_timeout(120_000)
        context.add_init_script(WATCH)
        return context

    def open(self, path: str, context: Any = None) -> Any:
        """Open a page; what the browser complains about is kept."""
        page = (context or self.context).new_page()
        page.on("console", lambda message: self.complaints.append(f"{path}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"{path}: {error}"))
        page.goto(self.url + path)
        return page

    def get(self, path: str) -> httpx.Response:
        """Request a path as a client that follows nothing."""
        return httpx.get(self.url.replace("localhost", "127.0.0.1") + path, timeout=60)


@pytest.fixture(scope="module")
def site(chromium, running, client_modules, tmp_path_factory):
    """The site, written twice: with the content of `make up`, and with a picture, tags and old addresses besides."""
    if not (SITE / "node_modules" / "typescript").is_dir():
        missing("typescript", NotInstalledError("TypeScript isn't installed in clients/site."))
    folder = tmp_path_factory.mktemp("front") / "site"
    shutil.copytree(SITE, folder, ignore=shutil.ignore_patterns("node_modules", "build", "dist"))
    (folder / "node_modules").symlink_to(SITE / "node_modules")
    follow_tutorial(folder)
    port = free_port()
    variables = {**build_variables(running), "SITE_URL": f"http://localhost:{port}"}
    node("npm", "run", "--silent", "build", cwd=folder, **variables)
    server = Process(
        "site",
        ["node", "build/serve.js"],
        log=folder / "serve.log",
        environment=clean_environment(**variables),
        cwd=folder,
        ready=lambda: http_ok(port, "/"),
    )
    with server:
        made = Site(folder, chromium, variables)
        page = made.open("/en/desk")
        sign_in(page)
        page.get_by_role("status").filter(has_text=f"Add a second factor at {made.api}/console/").wait_for()
        secret = page.evaluate(call("client.post('/v1/auth/enrolment/totp').then((a) => a.data.secret)"))
        confirm = "client.post('/v1/auth/enrolment/totp/confirm', { body: { code: given } })"
        made.codes = page.evaluate(
            call(f"{confirm}.then((a) => a.data.recoveryCodes)"), code(secret, time.time())
        )
        picture = io.BytesIO()
        Image.new("RGB", (1800, 1125), "teal").save(picture, "JPEG")
        files = [
            ("전시회.jpg", "image/jpeg", picture.getvalue()),
            ("표.pdf", "application/pdf", pdf()),
        ]
        page.evaluate(
            CONTENT, [{"name": n, "type": t, "content": base64.b64encode(c).decode()} for n, t, c in files]
        )
        page.close()
        made.complaints.clear()
        node("node", "build/build.js", cwd=folder, **variables)
        yield made
        made.context.close()


def call(expression: str) -> str:
    """Return a function that evaluates an expression with the page's client, and what is `given`."""
    imported = 'const { client } = await import("/scripts/browser/page.js");'
    return f"async (given) => {{ {imported} return {expression}; }}"


def pdf() -> bytes:
    document = io.BytesIO()
    writer = PdfWriter()
    writer.add_blank_page(595, 842)
    writer.write(document)
    return document.getvalue()


def sign_in(page: Any) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Authorize").click()
    page.wait_for_url("**/en/desk*")


def test_a_page_of_the_tutorial_lists_shows_searches_signs_in_and_uploads(site: Site) -> None:
    context = site.new_context()
    page = site.open("/en/desk", context)
    page.get_by_role("button", name="Forty years").click()
    page.get_by_role("heading", name="Forty years").wait_for()
    assert "A good thing is a thing that lasts" in page.locator("#post").inner_text()
    page.get_by_label("Words", exact=True).fill("third quarter")
    page.get_by_role("button", name="Find").click()
    page.locator("#posts li:only-child", has_text="third quarter").wait_for()
    page.once("dialog", lambda dialog: dialog.accept(site.codes.pop()))
    sign_in(page)
    page.get_by_role("status").filter(has_text="admin").wait_for()
    for name, kind, said in (
        ("notes.txt", "text/plain", "Choose a file of one of these types"),
        ("표.pdf", "application/pdf", "표.pdf: clean"),
    ):
        page.get_by_label("File", exact=True).set_input_files(
            {"name": name, "mimeType": kind, "buffer": pdf()}
        )
        page.get_by_role("button", name="Upload").click()
        page.get_by_role("status").filter(has_text=said).wait_for()
    assert page.locator("#bar").evaluate("(bar) => bar.value") == 1
    context.close()
    # Chromium reports refusals (not signed in, no accepted type), and what it would like of a login page.
    assert [text for text in site.complaints if not re.search("status of 4(01|22)|autocomplete", text)] == []
    site.complaints.clear()


def test_every_kind_of_page_is_accessible_stands_still_and_reports_nothing(site: Site) -> None:
    axe = Axe()
    paths = ["/", "/ko/2", "/ko/posts/전시회", "/en/posts/new-address", "/ko/posts/2026-3분기-실적"]
    for lang, word in (("ko", "실적"), ("en", "results")):
        names = ("", "/categories/ir", "/tags/c-태그", "/inquiry", "/404", "/search", f"/search?q={word}")
        paths += [f"/{lang}{name}" for name in names]
    for path in paths:
        page = site.open(path)
        assert page.locator("html").get_attribute("lang") == ("en" if path.startswith("/en") else "ko")
        if "?q=" in path:
            page.locator("#results li").first.wait_for()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = axe.run(page).response["violations"]
            assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == [], (path, scheme)
        assert page.evaluate("window.shifts") == [], path
        page.close()
    assert site.complaints == []


def test_a_post_shows_its_picture_files_tags_and_translation(site: Site) -> None:
    page = site.open("/ko/posts/전시회")
    assert page.get_by_role("heading", level=1).inner_text() == "전시회 <안내>"
    assert (
        page.locator("article .figure img").evaluate(
            "(image) => image.decode().then(() => image.naturalWidth)"
        )
        > 1
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="표.pdf").click()
    assert download.value.suggested_filename == "표.pdf"
    page.get_by_role("link", name="C++ & <태그>").click()
    page.get_by_role("heading", name="태그: C++ & <태그>").wait_for()
    page.get_by_role("link", name="전시회").click()
    page.get_by_role("link", name="English").click()
    page.get_by_role("heading", name="Exhibition").wait_for()
    views = site.api.replace("localhost", "127.0.0.1") + "/v1/posts/new-address"
    assert httpx.get(views).json()["viewCount"] >= 0
    page.close()


@pytest.mark.parametrize(
    ("width", "height", "pixels", "rendition"),
    [
        (320, 568, 1, 320),
        (390, 844, 3, 1600),
        (768, 1024, 1, 1024),
        (1440, 900, 1, 1024),
        (1440, 900, 2, 1600),
    ],
)
def test_each_screen_gets_the_rendition_that_fits_it(
    site: Site, width: int, height: int, pixels: int, rendition: int
) -> None:
    screen = {"viewport": {"width": width, "height": height}, "device_scale_factor": pixels}
    context = site.new_context(**screen)
    asked = list[str]()
    context.on("request", lambda request: asked.append(request.url))
    page = site.open("/ko/posts/전시회", context)
    image = page.get_by_role("img", name="전시장")
    image.scroll_into_view_if_needed()
    shown = image.evaluate("(image) => image.decode().then(() => [image.currentSrc, image.complete])")
    assert urlsplit(shown[0]).path.endswith(f"/{rendition}.avif")
    of_it = {url for url in asked if url.split("/")[-2] == shown[0].split("/")[-2]}
    assert of_it == {shown[0]}, "one rendition alone"
    assert page.evaluate("window.shifts") == []
    context.close()


def test_lists_crop_a_picture_around_its_focal_point(site: Site) -> None:
    for path in ("/ko/categories/news", f"/ko/search?q={quote('전시회')}"):
        page = site.open(path)
        image = page.locator("li", has=page.get_by_role("link", name="전시회 <안내>")).locator("img")
        style = "(image) => ['objectFit', 'objectPosition'].map((name) => getComputedStyle(image)[name])"
        assert image.evaluate(style) == ["cover", "20% 80%"], path
        page.close()
    assert site.complaints == []


def test_a_missing_picture_leaves_its_text_and_its_place(site: Site) -> None:
    context = site.new_context()
    context.route("**/media/**", lambda route: route.abort())
    page = site.open("/ko/posts/전시회", context)
    image = page.get_by_role("img", name="전시장")
    image.scroll_into_view_if_needed()
    page.wait_for_function("() => [...document.images].every((image) => image.complete)")
    assert image.evaluate("(image) => image.naturalWidth") == 0
    # Chromium draws the text in the picture's place, which the page leaves as wide as its column.
    assert image.evaluate("(image) => image.alt && image.getBoundingClientRect().height > 0")
    assert page.evaluate("window.shifts") == []
    context.close()
    site.complaints.clear()


def test_the_demonstration_has_pictures_and_a_document(site: Site) -> None:
    api = site.api.replace("localhost", "127.0.0.1") + "/v1/posts"
    with_picture = {post["slug"]: post for post in httpx.get(api, params={"limit": 100}).json()["items"]}
    for slug in ("창립-40주년", "김해-물류센터-가동"):
        picture = with_picture[slug]["picture"]
        assert (picture["width"], picture["height"]) == (960, 640)
        assert re.search("[가-힣]", picture["alt"])
        answer = httpx.get(picture["src"].replace("localhost", "127.0.0.1"))
        assert answer.headers["Content-Type"] == "image/jpeg"
    (report,) = httpx.get(f"{api}/2026-3분기-실적").json()["attachments"]
    assert (report["name"], report["contentType"]) == ("2026-q3-results.pdf", "application/pdf")


FETCHED = """async (slug) => {
    const { client } = await import("/scripts/browser/page.js");
    const { redirected, url, ok } = await fetch(`${client.baseUrl}/v1/posts/${slug}`);
    const { data } = await client.get("/v1/posts/{id_or_slug}", { path: { id_or_slug: slug } });
    return [redirected && ok, url.split("/").at(-1), data.title];
}"""


def test_a_browser_follows_the_old_address_of_a_renamed_post(site: Site) -> None:
    page = site.open("/en/posts/old-address")
    assert urlsplit(page.url).path == "/en/posts/new-address"
    page.get_by_role("heading", name="Exhibition").wait_for()
    assert urlsplit(page.url).netloc != urlsplit(site.api).netloc
    assert page.evaluate(FETCHED, "old-address") == [True, "new-address", "Exhibition"]
    assert site.complaints == []
    page.close()


DRAFT = """async () => {
    const { client } = await import("/scripts/browser/page.js");
    const { data: shown } = await client.get("/v1/posts/{id_or_slug}", { path: { id_or_slug: "new-address" } });
    const files = { thumbnail: shown.thumbnail.id, attachments: shown.attachments.map(({ id }) => id) };
    const body = { lang: "en", category: "news", title: "Not public yet", body: "*Soon.*", ...files };
    const { data: draft } = await client.post("/v1/editor/posts", { body });
    const path = { post_id: draft.id };
    const links = "/v1/editor/posts/{post_id}/previews";
    const { data: link } = await client.post(links, { path, body: {} });
    const { data: other } = await client.post(links, { path, body: {} });
    return { post: draft, links: [link, other] };
}"""


def test_a_preview_link_shows_a_draft_with_its_files(site: Site) -> None:
    editor = site.open("/en/search")
    link = urlsplit(editor.evaluate(DRAFT)["links"][0]["url"])
    editor.close()
    visitor = site.new_context()
    page = site.open(f"{link.path}#{link.fragment}", visitor)
    page.get_by_role("heading", name="Not public yet").wait_for()
    assert urlsplit(page.url).path == "/en/preview"
    assert "not public" in page.get_by_role("status").inner_text()
    page.locator("article img[src]").wait_for()
    assert (
        page.locator("article img").evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 1
    )
    with page.expect_download() as download:
        page.get_by_role("link", name="표.pdf").click()
    assert download.value.suggested_filename == "표.pdf"
    assert page.evaluate("window.shifts") == []
    assert Axe().run(page).response["violations"] == []
    assert site.complaints == []
    wrong = site.open("/preview#wrong", visitor)
    wrong.get_by_role("status").filter(has_text="취소되었습니다").wait_for()
    assert all("status of 422" in text for text in site.complaints)
    site.complaints.clear()
    visitor.close()


REVOKE = """({ post, links: [{ id }] }) => client.delete(
    "/v1/editor/posts/{post_id}/previews/{preview_id}", { path: { post_id: post.id, preview_id: id } })"""
DELETE = """({ post }) => client.delete(
    "/v1/editor/posts/{post_id}", { path: { post_id: post.id }, ifMatch: `"${post.version}"` })"""


def test_a_preview_link_that_was_revoked_or_whose_post_was_deleted_shows_nothing(site: Site) -> None:
    editor, visitor = site.open("/en/search"), site.new_context()
    made = editor.evaluate(DRAFT)
    for link, end in zip((urlsplit(link["url"]) for link in made["links"]), (REVOKE, DELETE), strict=True):
        page = site.open(f"{link.path}#{link.fragment}", visitor)
        page.get_by_role("heading", name="Not public yet").wait_for()
        assert site.complaints == []
        editor.evaluate(call(f"({end})(given)"), made)
        page.reload()
        page.get_by_role("status").filter(has_text="revoked").wait_for()
        assert "Not public yet" not in page.content()
        assert all("status of 404" in text for text in site.complaints)
        site.complaints.clear()
    editor.close()
    visitor.close()


def test_a_search_of_the_form_finds_posts_page_by_page(site: Site) -> None:
    page = site.open("/ko")
    page.get_by_label("검색어").fill("알립니다")
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="결과").wait_for()
    assert page.title().startswith("알립니다 · ")
    assert page.locator("#results li").count() == 10
    page.get_by_label("검색어").fill("없는말")
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="결과가 없습니다").wait_for()
    page.close()


def test_the_inquiry_form_shows_each_fields_error_and_then_sends(site: Site) -> None:
    page = site.open("/ko/inquiry")
    assert "1095일" in page.locator("#period").inner_text()
    page.get_by_label("문의 분류").select_option("견적")
    assert "180일" in page.locator("#period").inner_text()
    page.get_by_label("이메일").fill("haneul")
    page.get_by_role("button", name="보내기").click()
    page.get_by_role("alert").filter(has_text="이름").wait_for()
    assert page.get_by_label("이름").evaluate("(input) => input === document.activeElement")
    wrong = page.locator("[aria-invalid]").evaluate_all("(inputs) => inputs.map((input) => input.id)")
    assert wrong == ["name", "email", "subject", "message", "consent"]
    for name in wrong:
        assert re.search("[가-힣]", page.locator(f"#{name}-error").inner_text())
    page.get_by_label("이름").fill("김하늘")
    page.get_by_label("이메일").fill("haneul@example.com")
    page.get_by_label("제목").fill("견적 문의")
    page.get_by_label("문의 내용").fill("견적을 부탁드립니다.")
    page.get_by_label("동의합니다").check()
    with page.expect_request("**/v1/inquiries") as sent:
        page.get_by_role("button", name="보내기").click()
    page.get_by_role("heading", name="문의를 보냈습니다").wait_for()
    body = sent.value.post_data_json
    assert (body["category"], body["consent"], "website" in body) == ("quote", True, False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", body["consentVersion"])
    page.close()
    site.complaints[:] = [text for text in site.complaints if "status of 422" not in text]


def test_addresses_lead_on_and_machines_find_what_they_read(site: Site) -> None:
    for old in ("/en/posts/old-address", "/2019/05/notice.html?no=3"):
        response = site.get(old)
        assert (response.status_code, response.headers["Location"]) == (308, "/en/posts/new-address"), old
    assert site.get("/en/").status_code == site.get("/ko/search/").status_code == 200
    for path, lang in (("/ko/posts/none", "ko"), ("/en/none", "en"), ("/%2e%2e/%2e%2e/package.json", "ko")):
        response = site.get(path)
        assert (response.status_code, f'lang="{lang}"' in response.text) == (404, True), path
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    entries = ET.fromstring(site.get("/sitemap.xml").content)
    listed = {urlsplit(entry[0].text or "").path for entry in entries}
    korean = {quote(path) for path in ("/ko/posts/전시회", "/ko/tags/c-태그", "/ko/2")}
    assert {*korean, "/en/posts/new-address", "/ko", "/en/inquiry"} <= listed
    assert not {path for path in listed if "search" in path or "404" in path or "desk" in path}
    for path in listed:
        assert site.get(path).status_code == 200, unquote(path)
    assert f"Sitemap: {site.url}/sitemap.xml" in site.get("/robots.txt").text
    page = site.open("/en/posts/new-address")
    canonical = page.locator("link[rel=canonical]").get_attribute("href")
    assert urlsplit(canonical).path == "/en/posts/new-address"
    korean = page.locator("link[hreflang=ko]").get_attribute("href")
    assert unquote(korean) == f"{site.url}/ko/posts/전시회"
    feed = page.locator("link[type='application/atom+xml']").get_attribute("href")
    assert "Exhibition" in httpx.get(feed.replace("localhost", "127.0.0.1")).text
    page.close()
