"""The console in a real browser, with all that `make up` starts: editors and admins at their work."""

import io
import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from pypdf import PdfWriter

from familycorp_ops.local.totp import code
from familycorp_ops.testing.browser import plug_in_authenticator

PAYLOAD = """<img src=x onerror="document.title='pwned'"><script>document.title='pwned'</script>'"&"""
RUN = uuid.uuid4().hex[:8]
"""Part of titles: two posts can't share an address made of one."""
HARMLESS = re.compile(r"status of 4(?:01|03|09|12|22)|autocomplete|/x\b|Failed to load resource: net::ERR")
"""What Chromium reports of answers that say no, and of the picture that a payload names."""


class Desk:
    """Somebody's browser, signed in, and what it reported."""

    def __init__(self, context: Any, url: str, complaints: list[str]) -> None:
        self.context, self.url, self.complaints = context, url, complaints
        self.codes: list[str] = []

    def open(self, path: str = "/") -> Any:
        page = self.context.new_page()
        page.on(
            "console", lambda message: self.complaints.append(f"{message.text} {message.location['url']}")
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        plug_in_authenticator(page)
        page.goto(f"{self.url}/console{path}")
        return page


def sign_in(page: Any, person: str) -> None:
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Username").fill(person)
    page.get_by_label("Password").fill(person)
    page.get_by_role("button", name="Authorize").click()


def enrol_app(page: Any) -> None:
    assert page.evaluate("document.querySelector('.qr').decode().then(() => true)"), "the QR code is an image"
    made = code(page.locator(".secret").inner_text(), time.time())
    page.get_by_label("Code of the app").fill(f"{made[:3]} {made[3:]}")  # As authenticators show it.
    press(page, "Add")


def heading(page: Any, text: str) -> None:
    page.get_by_role("heading", name=text, exact=True, level=1).wait_for()


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def said(page: Any, text: str) -> None:
    page.locator(".note", has_text=text).first.wait_for()


@pytest.fixture(scope="module")
def desks(chromium: Any, running: Any) -> Iterator[Callable[[str], Desk]]:
    """Return the desk of a person by name, who signs in with a passkey once."""
    made: dict[str, Desk] = {}
    complaints: list[str] = []

    def desk(person: str) -> Desk:
        if person not in made:
            context = chromium.new_context(locale="en", viewport={"width": 1280, "height": 900})
            made[person] = Desk(context, running["FAMILYCORP_API_URL"], complaints)
            page = made[person].open()
            heading(page, "Sign in")
            sign_in(page, person)
            heading(page, "Add a second factor")
            if person == "viewer":
                enrol_app(page)
            else:
                press(page, "Use a passkey instead")
            page.locator(".codes li").first.wait_for()
            made[person].codes = page.locator(".codes li").all_inner_texts()
            press(page, "I have kept them")
            heading(page, "Start")
            page.close()
        return made[person]

    yield desk
    for one in made.values():
        one.context.close()
    assert [text for text in complaints if not HARMLESS.search(text)] == []


def write(page: Any, title: str, body: str) -> None:
    page.get_by_label("Title", exact=True).fill(title)
    page.get_by_label("Text (Markdown)").fill(body)
    page.get_by_label("Category", exact=True).select_option("news")


def new_post(desk: Desk, title: str, body: str = "본문") -> Any:
    page = desk.open("/posts/new")
    write(page, title, body)
    press(page, "Save")
    heading(page, "Edit post")
    return page


def preview(page: Any) -> Any:
    return page.frame_locator("iframe[title='Preview']")


def test_the_life_of_a_post(desks: Callable[[str], Desk], running: Any) -> None:
    desk = desks("editor")
    api = running["FAMILYCORP_API_URL"].replace("localhost", "127.0.0.1")
    page = desk.open("/posts/new")
    heading(page, "New post")
    press(page, "Save")
    page.get_by_label("Title", exact=True).and_(page.locator("[aria-invalid]")).wait_for()
    write(page, f"창립 {RUN} {PAYLOAD}", f"## 안녕하세요\n\n**굵게** {PAYLOAD}")
    page.get_by_label("Tags").fill(f"소식, {PAYLOAD[:40]}")
    preview(page).get_by_role("heading", name="안녕하세요").wait_for()
    assert preview(page).locator("script, [onerror]").count() == 0
    page.keyboard.press("Control+s")
    heading(page, "Edit post")
    assert page.title().startswith("Edit post")

    press(page, "Publish")
    said(page, "Published.")
    post_id = page.url.rsplit("/", 1)[1]
    public = httpx.get(f"{api}/v1/posts/{post_id}").json()
    assert (public["category"], public["tags"][0]) == ("news", "소식")
    assert "onerror" not in public["html"]

    page.get_by_label("Title", exact=True).fill("고친 제목")
    page.get_by_label("Description for search engines").fill("검색용 설명")
    press(page, "Save")
    page.get_by_text("Unpublished changes").wait_for()
    press(page, "Preview link")
    press(page, "New link")
    token = page.locator("dialog code").inner_text().partition("#")[2]
    seen = httpx.get(f"{api}/v1/preview", headers={"X-Preview-Token": token}).json()
    assert (seen["title"], seen["metadata"]["description"]) == ("고친 제목", "검색용 설명")
    press(page, "End the link to revision 2")
    page.get_by_text("No link works.").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    page.get_by_role("link", name="History").click()
    heading(page, "History")
    press(page, "Changes of revision 2")
    page.locator("ins", has_text="고친 제목").wait_for()
    page.locator("del", has_text="창립").wait_for()
    press(page, "Restore revision 1")
    heading(page, "Edit post")
    assert page.get_by_label("Title", exact=True).input_value().startswith("창립")
    press(page, "Publish changes")
    said(page, "Published.")

    translate_and_schedule(page, desk)

    page.goto(f"{desk.url}/console/posts?state=published")
    page.get_by_role("link", name=f"창립 {RUN}").click()
    press(page, "Archive")
    page.get_by_role("dialog").get_by_role("button", name="Archive").click()
    said(page, "Archived.")
    assert httpx.get(f"{api}/v1/posts/{post_id}").status_code == 404
    assert "pwned" not in page.title()
    page.close()


def translate_and_schedule(page: Any, desk: Desk) -> None:
    page.get_by_role("link", name="Write the English version").click()
    heading(page, "New post")
    page.frame_locator("iframe[title='Original']").get_by_role("heading", name="안녕하세요").wait_for()
    assert page.get_by_label("Language", exact=True).input_value() == "en"
    write(page, f"Our anniversary {RUN}", "Thank you.")
    press(page, "Save")
    heading(page, "Edit post")
    press(page, "Schedule")
    page.get_by_label("Publish at").fill("2039-01-04T09:00")
    page.get_by_role("dialog").get_by_role("button", name="Schedule").click()
    said(page, "Scheduled.")
    page.get_by_text("Jan 4, 2039, 9:00 AM").wait_for()
    page.goto(f"{desk.url}/console/")
    page.get_by_role("region").or_(page.locator("section", has_text="Planned")).get_by_role(
        "link", name=f"Our anniversary {RUN}"
    ).click()
    heading(page, "Edit post")
    page.get_by_role("link", name="Calendar").click()
    heading(page, "Calendar")
    page.get_by_role("link", name="Later month").click()
    page.goto(f"{desk.url}/console/calendar?month=2039-01")
    page.get_by_role("cell", name=f"09:00 Our anniversary {RUN}").get_by_role("link").click()
    heading(page, "Edit post")
    press(page, "Back to draft")
    said(page, "It is a draft again")


def test_hangul_is_composed_without_losing_a_syllable(desks: Callable[[str], Desk]) -> None:
    page = desks("editor").open("/posts/new")
    keyboard = page.context.new_cdp_session(page)
    for label in ("Title", "Text (Markdown)"):
        page.get_by_label(label, exact=True).focus()
        for finished, steps in (("한", "ㅎ하한"), ("글", "ㄱ그글")):
            for step in steps:
                keyboard.send(
                    "Input.imeSetComposition", {"text": step, "selectionStart": 1, "selectionEnd": 1}
                )
            page.wait_for_timeout(600)  # The local copy and the preview are made meanwhile.
            enter = "new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true, cancelable: true})"
            went_on = page.evaluate(f"document.activeElement.dispatchEvent({enter})")
            assert went_on == (label != "Title"), "it would send the form"
            keyboard.send("Input.insertText", {"text": finished})
        assert page.get_by_label(label, exact=True).input_value() == "한글"
    preview(page).locator("p", has_text="한글").wait_for()
    heading(page, "New post")
    page.close()
    again = desks("editor").open("/posts/new")
    press(again, "Discard it")
    again.close()


def test_two_editors_at_once_lose_nothing(desks: Callable[[str], Desk]) -> None:
    first = new_post(desks("admin"), f"함께 쓰는 글 {RUN}", "처음")
    press(first, "Publish")
    said(first, "Published.")
    second = desks("editor").open(first.url.partition("/console")[2])
    heading(second, "Edit post")
    for page, text in ((second, "편집자의 글"), (first, "관리자의 글")):
        page.get_by_label("Text (Markdown)").fill(text)
    press(second, "Save")
    said(second, "Saved.")
    press(first, "Save")
    dialog = first.get_by_role("dialog", name="Somebody else has saved this post")
    dialog.locator("del", has_text="편집자의 글").wait_for()
    dialog.locator("ins", has_text="관리자의 글").wait_for()
    dialog.get_by_role("button", name="Go on writing").click()
    assert first.get_by_label("Text (Markdown)").input_value() == "관리자의 글"
    press(first, "Save")
    dialog.get_by_role("button", name="Take theirs").click()
    press(first, "Bring my text back")
    assert first.get_by_label("Text (Markdown)").input_value() == "관리자의 글"
    press(first, "Save")
    said(first, "Saved.")

    second.get_by_label("Text (Markdown)").fill("다시 편집자")
    press(second, "Save")
    second.get_by_role("button", name="Save mine as a new revision").click()
    said(second, "Saved.")
    second.get_by_role("link", name="History").click()
    heading(second, "History")
    assert second.locator("tbody tr").count() == 4
    first.close()
    second.close()


def test_a_closed_tab_and_an_ended_session_lose_nothing(desks: Callable[[str], Desk]) -> None:
    desk = desks("editor")
    page = new_post(desk, f"쓰다 만 글 {RUN}")
    path = page.url.partition("/console")[2]
    page.get_by_label("Text (Markdown)").fill("문장의 한가운")
    page.close(run_before_unload=False)
    page = desk.open(path)
    page.get_by_text("Your unsaved text of").wait_for()
    assert page.get_by_label("Text (Markdown)").input_value() == "문장의 한가운"
    press(page, "Discard it")
    assert page.get_by_label("Text (Markdown)").input_value() == "본문"

    page.get_by_label("Text (Markdown)").fill("끊긴 동안 쓴 글")
    desk.context.set_offline(True)
    press(page, "Save")
    said(page, "cannot be reached")
    desk.context.set_offline(False)
    desk.context.clear_cookies()
    press(page, "Save")
    said(page, "Your session has ended.")
    assert page.get_by_label("Text (Markdown)").input_value() == "끊긴 동안 쓴 글"
    press(page, "Sign in again")
    page.get_by_label("Username").fill("editor")
    page.get_by_label("Password").fill("editor")
    page.get_by_role("button", name="Authorize").click()
    heading(page, "Second factor")
    page.get_by_label("recovery code").fill(desk.codes.pop())
    press(page, "Continue")
    heading(page, "Edit post")
    assert page.get_by_label("Text (Markdown)").input_value() == "끊긴 동안 쓴 글"
    press(page, "Save")
    said(page, "Saved.")
    page.close()


def entries(page: Any) -> list[str]:
    found: list[str] = page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    return found


def test_everybody_sees_what_they_may_do(desks: Callable[[str], Desk]) -> None:
    published = desks("viewer").open("/posts?state=published")
    heading(published, "Posts")
    assert entries(published) == ["Posts", "My account"]
    assert published.get_by_role("link", name="New post").count() == 0
    assert set(published.locator("td[data-label=Author]").all_inner_texts()) <= {"–", "Import"}
    published.locator("tbody a").first.click()
    heading(published, "Edit post")
    published.frame_locator("iframe[title='Preview']").locator("p").first.wait_for()
    assert published.get_by_role("button", name="Publish").count() == 0
    published.close()

    editor = desks("editor").open("/")
    heading(editor, "Start")
    assert entries(editor) == ["Posts", "Calendar", "Categories", "Audit trail", "My account"]
    editor.goto(editor.url + "inquiries")
    said(editor, "This needs the role admin.")
    editor.close()

    admin = desks("admin").open("/members")
    heading(admin, "Members")
    assert entries(admin)[3:6] == ["Inquiries", "Members", "Redirects"]
    admin.locator("tbody a", has_text="").nth(0).wait_for()
    admin.close()


def test_a_step_up_in_the_middle_goes_on(desks: Callable[[str], Desk]) -> None:
    desk = desks("admin")
    page = desk.open("/redirects")
    heading(page, "Redirects")
    press(page, "New redirect")
    dialog = page.get_by_role("dialog", name="New redirect")
    dialog.get_by_label("Earlier path").fill("/2019/05/notice.html")
    dialog.get_by_label("Leads to").fill("/ko/notices")
    problem = {"code": "step_up_required", "title": "-", "status": 403}
    demand = {"status": 403, "content_type": "application/problem+json", "json": problem}
    page.route("**/v1/editor/redirects", lambda route: route.fulfill(**demand), times=1)
    dialog.get_by_role("button", name="Save").click()
    asked = page.get_by_role("dialog", name="Confirm that it is you")
    asked.get_by_label("recovery code").fill("wrong-code")
    asked.get_by_role("button", name="Continue").click()
    said(page, "not accepted")
    asked.get_by_label("recovery code").fill(desk.codes.pop())
    asked.get_by_role("button", name="Continue").click()
    said(page, "Saved.")
    page.get_by_role("cell", name="/2019/05/notice.html", exact=True).wait_for()
    page.get_by_role("button", name="Delete /2019/05/notice.html").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("There are no redirects.").wait_for()
    page.close()


def test_an_inquiry_is_answered_and_destroyed(desks: Callable[[str], Desk], running: Any) -> None:
    form: dict[str, Any] = {
        "name": "김방문",
        "email": "visitor@example.com",
        "subject": f"견적 {PAYLOAD}"[:200],
    }
    form |= {"message": f"안녕하세요 {PAYLOAD}", "consent": True}
    api = running["FAMILYCORP_API_URL"].replace("localhost", "127.0.0.1")
    assert httpx.post(f"{api}/v1/inquiries", json=form).status_code == 201
    page = desks("admin").open("/inquiries?status=new")
    page.get_by_role("link", name="견적 <img").click()
    heading(page, "Inquiry")
    page.get_by_text("안녕하세요 <img").wait_for()
    page.get_by_label("State").select_option("done")
    page.get_by_label("Assignee").select_option(index=1)
    page.get_by_label("Note").fill("전화로 답했습니다.")
    press(page, "Save")
    said(page, "Saved.")
    assert page.get_by_label("Note").input_value() == "전화로 답했습니다."
    page.get_by_role("link", name="All inquiries").click()
    heading(page, "Inquiries")
    press(page, "Search by email")
    page.get_by_role("dialog").get_by_label("Email").fill("visitor@example.com")
    page.get_by_role("dialog").get_by_role("button", name="Search").click()
    with page.expect_download() as saved:
        press(page, "Export as CSV")
    assert "전화로 답했습니다." in saved.value.path().read_text("utf-8-sig")
    page.get_by_role("dialog").get_by_role("link", name="견적 <img").click()
    heading(page, "Inquiry")
    press(page, "Destroy")
    page.get_by_role("dialog").get_by_role("button", name="Destroy").click()
    said(page, "Destroyed.")
    page.goto(f"{desks('admin').url}/console/audit")
    page.get_by_role("cell", name="Destroyed an inquiry").first.wait_for()
    assert "pwned" not in page.title()
    page.close()


def test_categories_are_kept_by_keyboard(desks: Callable[[str], Desk]) -> None:
    page = desks("editor").open("/categories")
    press(page, "New category")
    dialog = page.get_by_role("dialog", name="New category")
    dialog.get_by_label("Korean name").fill("행사")
    dialog.get_by_label("English name").fill("Events")
    dialog.get_by_label("Part of addresses").fill("Events!")
    dialog.get_by_role("button", name="Save").click()
    dialog.locator("[aria-invalid]").wait_for()
    dialog.get_by_label("Part of addresses").fill("events")
    dialog.get_by_role("button", name="Save").click()
    lines = page.locator("ol.order li")
    lines.last.filter(has_text="Events").wait_for()
    page.get_by_role("button", name="행사 / Events: Up").press("Enter")
    lines.nth(-2).filter(has_text="Events").wait_for()
    assert page.evaluate("document.activeElement.id") == "up-events"
    page.get_by_role("button", name="Delete 행사 / Events").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    lines.filter(has_text="Events").wait_for(state="detached")
    page.close()


def documents() -> Iterator[dict[str, Any]]:
    """Return a photo, and a file that is sent in parts."""
    photo = io.BytesIO()
    Image.effect_noise((800, 600), 60).convert("RGB").save(photo, "JPEG", quality=90)
    yield {"name": "창립 40주년.jpg", "mimeType": "image/jpeg", "buffer": photo.getvalue()}
    document = io.BytesIO()
    writer = PdfWriter()
    writer.add_blank_page(595, 842)
    writer.add_attachment("bytes.bin", bytes(range(256)) * 50_000)
    writer.write(document)
    yield {"name": "사업보고서 부록.pdf", "mimeType": "application/pdf", "buffer": document.getvalue()}


@pytest.mark.security(1)
@pytest.mark.security(2)
@pytest.mark.security(6)
def test_files_go_to_the_bucket_with_progress(desks: Callable[[str], Desk], running: Any) -> None:
    page = new_post(desks("editor"), f"첨부가 있는 글 {RUN}")
    page.evaluate(
        """() => {
            window.shares = [];
            const look = () => document.querySelectorAll("progress").forEach((bar) => shares.push(bar.value));
            new MutationObserver(look).observe(document.body, { subtree: true, attributes: true, childList: true });
        }"""
    )
    sent: list[tuple[str, str]] = []
    page.on("request", lambda request: sent.append((request.method, request.url)))
    for file in documents():
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_role("button", name=f"Remove {file['name']}").wait_for()
    page.get_by_label("Thumbnail").check()
    press(page, "Save")
    said(page, "Saved.")
    press(page, "Publish")
    said(page, "Published.")
    shares = page.evaluate("shares")
    assert max(shares) == 1
    assert len(set(shares)) > 2
    elsewhere = [method for method, url in sent if "/familycorp-local-uploads" in url]
    assert sorted(elsewhere) == ["POST", "PUT", "PUT"]
    api = running["FAMILYCORP_API_URL"].replace("localhost", "127.0.0.1")
    post_id = page.url.rsplit("/", 1)[1]
    post = httpx.get(f"{api}/v1/posts/{post_id}").json()
    assert post["thumbnail"]["name"] == "창립 40주년.jpg"
    for found, file in zip(post["attachments"], documents(), strict=True):
        url = f"{api}/v1/posts/{post_id}/attachments/{found['id']}"
        got = httpx.get(url, follow_redirects=True)
        assert f"filename*=UTF-8''{quote(file['name'])}" in got.headers["Content-Disposition"]
        assert got.headers["Content-Type"] == file["mimeType"]
    page.close()


def check_cookies(page: Any, api: str) -> None:
    """Check that the browser keeps a login's cookies from scripts and from other sites."""
    cookies = {c["name"]: c for c in page.context.cookies(f"{api}/v1/auth") if c["name"].startswith("__")}
    assert set(cookies) == {"__Host-access", "__Host-session", "__Secure-refresh"}
    for name, cookie in cookies.items():
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        assert cookie["path"] == ("/v1/auth" if name == "__Secure-refresh" else "/")
        assert cookie["domain"] == "localhost"
        assert len(cookie["value"]) < 4000
    assert page.evaluate("document.cookie") == ""
    logging_out = (
        f"fetch('{api}/v1/auth/logout', {{method: 'POST', credentials: 'include', headers: HEADERS}})"
    )
    for headers in ("{}", "{'X-CSRF-Protection': '1'}"):
        # A page of another site can send this at most without our cookies, and read nothing.
        foreign = page.context.new_page()
        foreign.route("**/elsewhere", lambda route: route.fulfill(body="<p>", content_type="text/html"))
        foreign.goto("http://127.0.0.1:9/elsewhere")
        foreign.evaluate(f"{logging_out.replace('HEADERS', headers)}.then(() => 0, () => 0)")
        foreign.close()
    assert page.evaluate(f"fetch('{api}/v1/auth/me').then(a => a.status)") == 200


def test_somebody_keeps_their_account_and_ends_what_is_elsewhere(
    desks: Callable[[str], Desk], chromium: Any
) -> None:
    desk = desks("viewer")
    page = desk.open("/account")
    heading(page, "My account")
    page.get_by_text("viewer@familycorp.example").wait_for()
    check_cookies(page, desk.url)
    with page.expect_response("**/v1/auth/enrolment/passkey") as added:
        press(page, "Add a passkey")
    assert added.value.status == 200
    page.get_by_role("cell", name="Passkey", exact=True).wait_for()

    with chromium.new_context(locale="en") as context:
        other = Desk(context, desk.url, desk.complaints).open("/account")
        sign_in(other, "viewer")
        heading(other, "Second factor")
        other.get_by_label("recovery code").fill(desk.codes.pop())
        press(other, "Continue")
        heading(other, "My account")
        assert other.url.endswith("/console/account"), "what the login left in the address is gone"
        other.get_by_role("button", name="End the session on").first.click()
        other.get_by_role("button", name="End the session on").wait_for(state="detached")

        # Ended from there, this browser has nothing left, and comes back by its passkey.
        page.reload()
        heading(page, "Sign in")
        sign_in(page, "viewer")
        heading(page, "Second factor")
        press(page, "Use a passkey")
        heading(page, "My account")
        press(page, "Sign out everywhere")
        page.get_by_role("dialog").get_by_role("button", name="Sign out everywhere").click()
        heading(page, "Sign in")
        other.reload()
        heading(other, "Sign in")

    sign_in(page, "viewer")
    press(page, "Use a passkey")
    heading(page, "My account")
    page.context.clear_cookies(name="__Host-access")  # It expires after 15 minutes; nobody notices.
    page.goto(f"{desk.url}/console/")
    heading(page, "Start")
    with page.expect_request(re.compile("/logout")) as asked:  # At the login provider, too.
        press(page, "Sign out")
    assert asked.value
    heading(page, "Sign in")
    page.close()


SHOTS = Path(__file__).parents[2] / "build" / "console"
"""Where pictures of the pages are kept, for people."""

PAGES = (
    "/",
    "/posts",
    "/posts/new",
    "/calendar",
    "/categories",
    "/inquiries",
    "/members",
    "/redirects",
    "/audit",
    "/account",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier(desks: Callable[[str], Desk], scheme: str) -> None:
    """Check each page by axe, in Korean on a phone and in light, and in English on a desktop and in dark."""
    desk, axe, found = desks("admin"), Axe(), []
    page = desk.open("/")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(
        {"width": 375, "height": 740} if scheme == "light" else {"width": 1280, "height": 900}
    )
    if scheme == "light":
        page.evaluate("localStorage.setItem('familycorp:console:language', 'ko')")
    members = page.evaluate("fetch('/v1/members').then((r) => r.json()).then(({ items }) => items[0].id)")
    posts = page.evaluate("fetch('/v1/editor/posts').then((r) => r.json()).then(({ items }) => items[0].id)")
    for path in (*PAGES, f"/members/{members}", f"/posts/{posts}", f"/posts/{posts}/history"):
        page.goto(f"{desk.url}/console{path}")
        page.locator("main h1").wait_for()
        result = axe.run(page).response
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{scheme}{re.sub('[0-9a-f-]{36}|/', '-', path)}.png")
        found += [(path, v["id"], v["nodes"][0]["html"]) for v in result["violations"]]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.locator("html").get_attribute("lang") == ("ko" if scheme == "light" else "en")
    page.evaluate("localStorage.removeItem('familycorp:console:language')")
    page.close()
    assert found == []
