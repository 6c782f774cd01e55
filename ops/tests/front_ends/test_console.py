"""The console in a real browser, with all that `make up` starts: editors and admins at their work."""

import io
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw, ImageOps
from pypdf import PdfWriter

from familycorp_ops.local.totp import code
from familycorp_ops.testing.browser import plug_in_authenticator

PAYLOAD = """<img src=x onerror="document.title='pwned'"><script>document.title='pwned'</script>'"&"""
RUN = uuid.uuid4().hex[:8]
"""Part of titles: two posts can't share an address made of one."""
HARMLESS = re.compile(
    r"status of 4(?:01|03|09|12|22)|status of 404 .*/v1/editor/posts/|autocomplete|/x\b"
    r"|Failed to load resource: net::ERR|Autofocus processing was blocked"
)
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


def barriers(page: Any) -> list[tuple[str, str]]:
    """Return what axe finds on a page as it is."""
    return [(v["id"], v["nodes"][0]["html"]) for v in Axe().run(page).response["violations"]]


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
def everybody() -> dict[str, Desk]:
    """Return the desks of those who have signed in, by their names."""
    return {}


@pytest.fixture(autouse=True)
def no_leftovers(everybody: dict[str, Desk]) -> Iterator[None]:
    """Drop what a failed test leaves in a browser: its unsaved text would return in the tests after it."""
    yield
    for desk in everybody.values():
        left = desk.context.pages
        for page in left:
            page.close()
        if left:
            page = desk.open()
            page.evaluate("localStorage.clear()")
            page.close()


@pytest.fixture(scope="module")
def desks(chromium: Any, running: Any, everybody: dict[str, Desk]) -> Iterator[Callable[[str], Desk]]:
    """Return the desk of a person by name, who signs in with a passkey once."""
    made = everybody
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


def focused(page: Any) -> str | None:
    name: str | None = page.evaluate("document.activeElement.dataset.field")
    return name


def preview(page: Any) -> Any:
    return page.frame_locator("iframe[title='Preview']")


def test_the_life_of_a_post(desks: Callable[[str], Desk], running: Any) -> None:
    desk = desks("editor")
    api = running["FAMILYCORP_API_URL"].replace("localhost", "127.0.0.1")
    page = desk.open("/posts/new")
    heading(page, "New post")
    correct(page)
    write(page, f"창립 {RUN} {PAYLOAD}", f"## 안녕하세요\n\n**굵게** {PAYLOAD}")
    page.get_by_label("Tags").fill(f"소식, {PAYLOAD[:40]}")
    preview(page).get_by_role("heading", name="안녕하세요").wait_for()
    assert preview(page).locator("script, [onerror]").count() == 0
    page.keyboard.press("Control+s")
    heading(page, "Edit post")
    assert page.title().startswith("Edit post")
    assert page.locator(".note.alert").count() == 0, "what was wrong before is over"

    publish(page)
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


def correct(page: Any) -> None:
    """Save a post without its fields, and see each one reported until it is filled in."""
    press(page, "Save")
    page.get_by_label("Title", exact=True).and_(page.locator("[aria-invalid]")).wait_for()
    assert focused(page) == "title", "the first field of those that are wrong"
    assert page.locator(".error", has_text="Choose one").is_visible()
    page.get_by_label("Category", exact=True).select_option("news")
    assert page.locator(".error", has_text="Choose one").count() == 0, "it was chosen"


def publish(page: Any) -> None:
    press(page, "Publish")
    said(page, "Published.")
    page.locator("button:focus", has_text="Save").wait_for()  # The first of the new buttons.


def translate_and_schedule(page: Any, desk: Desk) -> None:
    page.get_by_role("link", name="English version").click()
    heading(page, "English version")
    page.frame_locator("iframe[title='Original']").get_by_role("heading", name="안녕하세요").wait_for()
    assert page.get_by_label("Language", exact=True).input_value() == "en"
    write(page, f"Our anniversary {RUN}", "Thank you.")
    press(page, "Save")
    heading(page, "Edit post")
    press(page, "Schedule")
    page.get_by_label("Publish at").fill("2039-01-04T09:00")
    page.get_by_role("dialog").get_by_role("button", name="Schedule").click()
    said(page, "Scheduled.")
    page.locator("button:focus", has_text="Schedule").wait_for()
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
    body_of(page).fill("Thank you all.")
    press(page, "Save")
    page.get_by_text("Revision 1 will be published: Jan 4, 2039").wait_for()
    press(page, "Back to draft")
    said(page, "It is a draft again")


def confirm(page: Any, name: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()


def test_posts_are_found_planned_shared_and_deleted(desks: Callable[[str], Desk]) -> None:
    viewer = desks("viewer")  # Who has signed in before the page of the editor is loaded is offered there.
    page = new_post(desks("editor"), f"사내 공지 {RUN}", "아직 비밀인 초안")
    share_and_delete(page, viewer)
    plan_and_archive(page, desks("editor"))
    page.close()
    purge(desks("admin"))


def share_and_delete(page: Any, desk: Desk) -> None:
    """Share a draft with somebody, stop it, and delete the draft."""
    viewer = desk.open("/posts?state=published")
    heading(viewer, "Posts")
    name = viewer.evaluate("fetch('/v1/auth/me').then((r) => r.json()).then((me) => me.name)")
    path = page.url.partition("/console")[2]
    press(page, "Share")
    dialog = page.get_by_role("dialog", name="Sharing")
    dialog.get_by_label("Colleague").select_option(label=name)
    dialog.get_by_role("button", name="Share", exact=True).click()
    dialog.get_by_role("cell", name=name, exact=True).wait_for()
    assert barriers(page) == []
    viewer.goto(f"{desk.url}/console{path}")
    heading(viewer, f"사내 공지 {RUN}")
    assert viewer.get_by_role("button", name="Delete").count() == 0
    dialog.get_by_role("button", name=f"Stop sharing with {name}").click()
    dialog.get_by_text("It is shared with nobody.").wait_for()
    viewer.reload()
    viewer.get_by_text("This page could not be loaded.").wait_for()
    viewer.close()
    dialog.get_by_role("button", name="Close").first.click()  # Another one is the message's.
    press(page, "Delete")
    confirm(page, "Delete")
    said(page, "Deleted.")
    heading(page, "Posts")


def plan_and_archive(page: Any, desk: Desk) -> None:
    """Plan the change of a published post and its end, drop the plan, and archive the post."""
    page.goto(f"{desk.url}/console/posts/new")
    write(page, f"겨울 전시 {RUN}", "눈 내리는 마을")
    page.get_by_label("Tags").fill("전시")
    press(page, "Save")
    heading(page, "Edit post")
    press(page, "Publish")
    said(page, "Published.")
    body_of(page).fill("눈 내리는 마을, 둘째 판")
    press(page, "Schedule")  # It saves first, so that the revision that is planned has what was written.
    page.get_by_label("Publish at").fill("2039-02-01T09:00")
    page.get_by_label("Take back at").fill("2039-01-01T09:00")
    assert barriers(page) == []
    confirm(page, "Schedule")
    page.get_by_label("Take back at").and_(page.locator("[aria-invalid]")).wait_for()
    page.get_by_label("Take back at").fill("2039-02-14T18:30")
    confirm(page, "Schedule")
    said(page, "Scheduled.")
    page.get_by_text("Will be published: Feb 1, 2039").wait_for()
    page.get_by_text("Ends: Feb 14, 2039").wait_for()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"{desk.url}/console/calendar?month=2039-02")
    page.get_by_role("cell", name=f"09:00 겨울 전시 {RUN} Change").wait_for()
    assert [url for url in requests if "/v1/editor/" in url and "/calendar?" not in url] == []
    page.get_by_role("cell", name=f"18:30 겨울 전시 {RUN} End").get_by_role("link").click()
    heading(page, "Edit post")
    press(page, "Schedule")
    confirm(page, "Drop the plan")
    said(page, "Nothing is planned")
    press(page, "Archive")
    confirm(page, "Archive")
    said(page, "Archived.")
    assert page.get_by_role("button", name="Delete for good").count() == 0, "an admin may"


def purge(desk: Desk) -> None:
    """Find the archived post by words of its text and a tag, and delete it for good."""
    page = desk.open("/posts")
    page.get_by_label("Search in title").fill("눈 내리는 둘째")
    page.locator("summary").click()
    page.get_by_label("Tag", exact=True).fill("전시")
    page.get_by_label("From day").fill("2020-01-01")
    press(page, "Search")
    page.get_by_role("link", name=f"겨울 전시 {RUN}").click()
    heading(page, "Edit post")
    press(page, "Delete for good")
    assert barriers(page) == []
    address = page.get_by_role("dialog").get_by_label("Type the address of the post to confirm")
    for typed in ("another", f"겨울-전시-{RUN}"):
        address.fill(typed)
        confirm_proven(page, desk, "Delete for good")
        if typed == "another":
            address.and_(page.locator("[aria-invalid]")).wait_for()
    said(page, "Deleted.")
    page.goto(f"{desk.url}/console/posts?q={quote(f'겨울 전시 {RUN}')}")
    page.get_by_text("There are no such posts.").wait_for()
    page.goto(f"{desk.url}/console/audit")
    page.get_by_role("cell", name="Deleted a post for good").first.wait_for()
    page.close()


def confirm_proven(page: Any, desk: Desk, name: str) -> None:
    """Confirm a step that asks for the second factor first, where the last proof is too old."""
    with page.expect_response("**/purge") as first:
        confirm(page, name)
    if first.value.status == 403:
        asked = page.get_by_role("dialog", name="Confirm that it is you")
        asked.get_by_label("recovery code").fill(desk.codes.pop())
        asked.get_by_role("button", name="Continue").click()


def test_hangul_is_composed_without_losing_a_syllable(desks: Callable[[str], Desk]) -> None:
    page = desks("editor").open("/posts/new")
    keyboard = page.context.new_cdp_session(page)
    for label in ("Title", "Text (Markdown)"):
        assert page.get_by_label(label, exact=True).input_value() == "", (
            "an earlier text is no longer unsaved"
        )
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


def body_of(page: Any) -> Any:
    return page.get_by_label("Text (Markdown)", exact=True)


def test_two_editors_at_once_lose_nothing(desks: Callable[[str], Desk]) -> None:
    first = new_post(desks("admin"), f"함께 쓰는 글 {RUN}", "하나\n\n둘\n\n셋")
    press(first, "Publish")
    said(first, "Published.")
    second = desks("editor").open(first.url.partition("/console")[2])
    heading(second, "Edit post")
    body_of(second).fill("하나 (편집자)\n\n둘\n\n셋")
    press(second, "Save")
    said(second, "Saved.")
    body_of(first).fill("하나\n\n둘\n\n셋 (관리자)")
    first.get_by_label("Tags").fill("관리자의 태그")
    press(first, "Save")
    dialog = first.get_by_role("dialog", name="Somebody else has saved this post")
    dialog.locator("del", has_text="셋").wait_for()
    dialog.locator("ins", has_text="셋 (관리자)").wait_for()
    assert dialog.get_by_role("group").all_inner_texts()[0].startswith("Text (Markdown)")
    assert dialog.locator("fieldset").count() == 1, "only one field differs by both"
    dialog.get_by_role("button", name="Go on writing").click()
    assert body_of(first).input_value() == "하나\n\n둘\n\n셋 (관리자)"
    press(first, "Save")
    assert dialog.get_by_label("Merged text").input_value() == "하나 (편집자)\n\n둘\n\n셋 (관리자)"
    dialog.get_by_label("Theirs", exact=True).check()
    dialog.get_by_role("button", name="Save this as a new revision").click()
    said(first, "Saved.")
    assert body_of(first).input_value() == "하나 (편집자)\n\n둘\n\n셋"
    press(first, "Bring my text back")
    assert body_of(first).input_value() == "하나\n\n둘\n\n셋 (관리자)"
    press(first, "Save")
    said(first, "Saved.")

    second.get_by_label("Title", exact=True).fill(f"편집자의 제목 {RUN}")
    body_of(second).fill("하나 (편집자)\n\n둘\n\n셋 또는 넷")
    press(second, "Save")
    theirs = second.get_by_role("dialog", name="Somebody else has saved this post")
    merged = theirs.get_by_label("Merged text")
    merged.wait_for()
    assert merged.input_value() == "하나\n\n둘\n\n셋 또는 넷\n셋 (관리자)"
    theirs.get_by_text("put them in order").wait_for()
    assert barriers(second) == []
    assert theirs.get_by_role("group", name="Tags").get_by_label("Theirs", exact=True).is_checked()
    merged.fill("하나\n\n둘\n\n셋, 넷")
    theirs.get_by_role("button", name="Save this as a new revision").click()
    theirs.wait_for(state="detached")
    said(second, "Saved.")
    assert second.get_by_label("Tags").input_value() == "관리자의 태그"
    assert second.get_by_label("Title", exact=True).input_value() == f"편집자의 제목 {RUN}"
    second.get_by_role("link", name="History").click()
    heading(second, "History")
    assert second.locator("tbody tr").count() == 5

    publish_what_another_changed(first)
    first.close()
    second.close()


def publish_what_another_changed(first: Any) -> None:
    """See what another editor has saved before it is published."""
    press(first, "Publish changes")
    changed = first.get_by_role("dialog", name="This post has changed meanwhile")
    changed.locator("ins", has_text=f"편집자의 제목 {RUN}").wait_for()
    assert barriers(first) == []
    changed.get_by_role("button", name="Cancel").click()
    assert body_of(first).input_value() == "하나\n\n둘\n\n셋 (관리자)"
    body_of(first).fill("저장하지 않은 글")
    press(first, "Archive")
    first.get_by_role("dialog", name="Archive").get_by_role("button", name="Archive").click()
    first.get_by_role("dialog", name="Somebody else has saved this post").wait_for()
    first.get_by_role("button", name="Go on writing").click()
    body_of(first).fill("하나\n\n둘\n\n셋 (관리자)")
    press(first, "Publish changes")
    changed.get_by_role("button", name="Go on with the newest version").click()
    preview(first).get_by_text("셋, 넷").wait_for()
    assert body_of(first).input_value() == "하나\n\n둘\n\n셋, 넷"
    press(first, "Publish changes")
    said(first, "Published.")


def autosaved(page: Any) -> None:
    page.get_by_text("Unsaved changes, autosaved at").wait_for()


def test_a_closed_tab_and_an_ended_session_lose_nothing(desks: Callable[[str], Desk]) -> None:
    desk = desks("editor")
    page = new_post(desk, f"쓰다 만 글 {RUN}")
    path = page.url.partition("/console")[2]
    body_of(page).fill("문장의 한가운")
    page.close(run_before_unload=False)
    page = desk.open(path)
    page.get_by_text("Your unsaved text of").wait_for()
    assert body_of(page).input_value() == "문장의 한가운"
    press(page, "Discard it")
    page.get_by_text("Your unsaved text of").wait_for(state="detached")
    assert body_of(page).input_value() == "본문"

    body_of(page).fill("다른 기기에서 이어 쓸 글")
    autosaved(page)
    page.evaluate(
        "Object.keys(localStorage).filter((k) => k.includes(':text:')).forEach((k) => localStorage.removeItem(k))"
    )
    elsewhere = desk.open(path)
    elsewhere.get_by_text("Your unsaved text of").wait_for()
    assert body_of(elsewhere).input_value() == "다른 기기에서 이어 쓸 글"
    with elsewhere.expect_response("**/working-copy") as written:
        body_of(elsewhere).fill("다른 창의 글")
    assert written.value.status == 200
    body_of(page).fill("이 창의 글")
    press(page, "Take that text")
    assert body_of(page).input_value() == "다른 창의 글"
    press(page, "Bring my text back")
    assert body_of(page).input_value() == "이 창의 글"
    elsewhere.close()
    lose_the_session(desk, page)


def lose_the_session(desk: Desk, page: Any) -> None:
    body_of(page).fill("끊긴 동안 쓴 글")
    desk.context.set_offline(True)
    press(page, "Save")
    said(page, "cannot be reached")
    desk.context.set_offline(False)
    desk.context.clear_cookies()
    press(page, "Save")
    said(page, "Your session has ended.")
    assert body_of(page).input_value() == "끊긴 동안 쓴 글"
    press(page, "Sign in again")
    page.get_by_label("Username").fill("editor")
    page.get_by_label("Password").fill("editor")
    page.get_by_role("button", name="Authorize").click()
    heading(page, "Second factor")
    page.get_by_label("recovery code").fill(desk.codes.pop())
    press(page, "Continue")
    heading(page, "Edit post")
    assert body_of(page).input_value() == "끊긴 동안 쓴 글"
    press(page, "Save")
    said(page, "Saved.")
    page.reload()
    heading(page, "Edit post")
    assert body_of(page).input_value() == "끊긴 동안 쓴 글"
    assert page.get_by_text("Your unsaved text of").count() == 0
    page.close()


def entries(page: Any) -> list[str]:
    found: list[str] = page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    return found


def test_everybody_sees_what_they_may_do(desks: Callable[[str], Desk]) -> None:
    published = desks("viewer").open("/posts?state=published")
    heading(published, "Posts")
    assert entries(published) == ["Posts"]
    assert published.get_by_role("link", name="New post").count() == 0
    assert set(published.locator("td[data-label=Author]").all_inner_texts()) <= {"–", "Import"}
    first = published.locator("tbody a").first
    title = first.inner_text()
    first.click()
    heading(published, title)
    published.frame_locator("iframe[title='Preview']").locator("p").first.wait_for()
    assert published.get_by_role("button", name="Publish").count() == 0
    published.close()

    editor = desks("editor").open("/")
    heading(editor, "Start")
    assert entries(editor) == [
        "Posts",
        "Calendar",
        "Media library",
        "Categories",
        "Audit trail",
    ]
    editor.goto(editor.url + "inquiries")
    said(editor, "This needs the role admin.")
    editor.close()

    admin = desks("admin").open("/members")
    heading(admin, "Members")
    header = admin.locator("header").bounding_box()
    assert header["height"] < 80, "it takes one line"
    assert entries(admin)[4:7] == ["Inquiries", "Members", "Redirects"]
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
    """Return a small photo, since AVIF of a large one takes long, and a file that is sent in parts."""
    photo = io.BytesIO()
    Image.effect_noise((320, 240), 60).convert("RGB").save(photo, "JPEG", quality=90)
    yield {"name": "창립 40주년.jpg", "mimeType": "image/jpeg", "buffer": photo.getvalue()}
    document = io.BytesIO()
    writer = PdfWriter()
    writer.add_blank_page(595, 842)
    writer.add_attachment("bytes.bin", bytes(range(256)) * 50_000)
    writer.write(document)
    yield {"name": "사업보고서 부록.pdf", "mimeType": "application/pdf", "buffer": document.getvalue()}


ALT = "공장 [정문]의 *전경* & 하늘"
PASTE = """(bytes) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(bytes)], "전경.png", { type: "image/png" }));
    const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
    document.querySelector(".writing textarea").dispatchEvent(event);
}"""


def paste_picture(page: Any) -> None:
    """Paste a picture at the beginning of the text, say what it shows, and see it in the preview."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "skyblue").save(picture, "PNG")
    body_of(page).press("Control+Home")
    page.evaluate(PASTE, list(picture.getvalue()))
    dialog = page.get_by_role("dialog", name="Pictures in the text")
    dialog.get_by_label("What does the picture show?").fill(ALT)
    assert barriers(page) == []
    dialog.get_by_role("button", name="Insert").click()
    shown = preview(page).get_by_role("img", name=ALT, exact=True)
    shown.wait_for()
    shown.evaluate("(image) => image.decode()")
    assert re.fullmatch(r"!\[공장 [^\n]+\]\(upload:[0-9a-f-]{36}\)\n\n본문", body_of(page).input_value())


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
    paste_picture(page)
    for file in documents():
        page.locator("input[type=file][aria-label='Attach files']").set_input_files(file)
        page.get_by_role("button", name=f"Remove {file['name']}").wait_for()
    page.get_by_label("Thumbnail").check()
    press(page, "Save")
    said(page, "Saved.")
    press(page, "Publish")
    said(page, "Published.")
    shares = page.evaluate("shares")
    assert max(shares) == 1
    assert len(set(shares)) > 2
    elsewhere = [m for m, url in sent if m != "GET" and "/familycorp-local-uploads" in url]
    assert sorted(elsewhere) == ["POST", "POST", "PUT", "PUT"]
    api = running["FAMILYCORP_API_URL"].replace("localhost", "127.0.0.1")
    post_id = page.url.rsplit("/", 1)[1]
    post = httpx.get(f"{api}/v1/posts/{post_id}").json()
    assert post["thumbnail"]["name"] == "창립 40주년.jpg"
    assert [picture["alt"] for picture in post["pictures"]] == [ALT]
    for found, file in zip(post["attachments"], documents(), strict=True):
        url = f"{api}/v1/posts/{post_id}/attachments/{found['id']}"
        got = httpx.get(url, follow_redirects=True)
        assert f"filename*=UTF-8''{quote(file['name'])}" in got.headers["Content-Disposition"]
        assert got.headers["Content-Type"] == file["mimeType"]
    page.close()


def drawn(name: str, color: str) -> dict[str, Any]:
    """Return a picture of one colour that a browser can send."""
    data = io.BytesIO()
    Image.new("RGB", (200, 100), color).save(data, "PNG")
    return {"name": f"{name} {RUN}.png", "mimeType": "image/png", "buffer": data.getvalue()}


def send(page: Any, label: str, *files: dict[str, Any]) -> None:
    page.locator(f"input[type=file][aria-label='{label}']").set_input_files(list(files))


def test_files_of_the_library_are_found_described_used_and_replaced(
    desks: Callable[[str], Desk], running: Any
) -> None:
    theirs = desks("admin").open("/library")
    send(theirs, "Add files", drawn("관리자의 그림", "navy"))
    theirs.get_by_role("link", name=f"관리자의 그림 {RUN}.png").wait_for()
    theirs.close()
    page = desks("editor").open("/library")
    heading(page, "Media library")
    send(page, "Add files", drawn("전경", "skyblue"), drawn("여분", "pink"))
    page.get_by_role("link", name=f"여분 {RUN}.png").wait_for()
    page.get_by_role("link", name=f"관리자의 그림 {RUN}.png").click()
    page.get_by_text("Shared: every editor may use it.").wait_for()
    assert page.locator("main button, main input").count() == 0, "it is somebody else's"

    page.get_by_role("link", name="All files").click()
    page.get_by_label("Search in names").fill(f"전경 {RUN}")
    press(page, "Search")
    page.get_by_role("row").nth(2).wait_for(state="detached")
    page.get_by_role("link", name=f"전경 {RUN}.png").click()
    heading(page, f"전경 {RUN}.png")
    library = page.url
    describe(page)
    insert_and_publish(page, desks("editor"))
    post = page.url.rpartition("/")[2]

    page.goto(library)
    page.get_by_role("link", name=f"도시 전경 {RUN}").wait_for()
    press(page, "Delete")
    confirm(page, "Delete")
    said(page, f"Remove it first from these posts: 도시 전경 {RUN}.")
    send(page, "Replace the picture", drawn("야경", "black"))
    heading(page, f"야경 {RUN}.png")
    said(page, "All posts show the new picture.")
    api = running["FAMILYCORP_API_URL"].replace("localhost", "127.0.0.1")
    public = httpx.get(f"{api}/v1/posts/{post}").json()
    assert [file["name"] for file in public["attachments"]] == [f"야경 {RUN}.png"]
    assert public["picture"]["focus"] == {"x": 25, "y": 80}
    assert [shown["alt"] for shown in public["pictures"]] == [f"강 건너 {RUN}"]
    press(page, "Bring the earlier picture back")
    heading(page, f"전경 {RUN}.png")
    delete_what_is_unused(page, desks("editor"))


def describe(page: Any) -> None:
    """Point at what crops keep, by a click and by a key, and say in Korean what the picture shows."""
    left, top = page.get_by_label("From the left"), page.get_by_label("From the top")
    box = page.locator(".focal img").bounding_box()
    page.locator(".focal img").click(position={"x": box["width"] / 4, "y": box["height"] * 0.79})
    assert (left.input_value(), top.input_value()) == ("25", "79")
    top.press("ArrowUp")
    left.fill("101")
    page.get_by_label("Alternative text (Korean)").fill(f"강 건너 {RUN}")
    press(page, "Save")
    left.and_(page.locator("[aria-invalid]")).wait_for()
    left.fill("25")
    press(page, "Save")
    said(page, "Saved.")
    page.reload()
    assert (left.input_value(), top.input_value()) == ("25", "80")
    assert page.locator(".crop").evaluate("(image) => image.style.objectPosition") == "25% 80%"


def insert_and_publish(page: Any, desk: Desk) -> None:
    """Put a picture of the library into the text of a post, make it the thumbnail too, and publish the post."""
    page.goto(f"{desk.url}/console/posts/new")
    write(page, f"도시 전경 {RUN}", "본문")
    for opener in ("Insert a picture from the library", "Attach from the library"):
        press(page, opener)
        dialog = page.get_by_role("dialog", name="Media library")
        dialog.get_by_label("Search in names").fill(f"강 건너 {RUN}")
        dialog.get_by_role("button", name="Search").click()
        dialog.get_by_role("listitem").nth(1).wait_for(state="detached")
        assert barriers(page) == []
        dialog.get_by_role("button", name=f"전경 {RUN}.png").click()
        if opener.startswith("Insert"):
            page.get_by_text(f"the library's text serves: 강 건너 {RUN}").wait_for()
            page.get_by_role("dialog").get_by_role("button", name="Insert").click()
    page.get_by_label("Thumbnail").check()
    preview(page).get_by_role("img", name=f"강 건너 {RUN}").wait_for()
    press(page, "Save")
    heading(page, "Edit post")
    press(page, "Publish")
    said(page, "Published.")


def delete_what_is_unused(page: Any, desk: Desk) -> None:
    page.goto(f"{desk.url}/console/library?q={RUN}&type=image")
    page.get_by_role("link", name=f"전경 {RUN}.png").wait_for()
    page.get_by_label("Uses").select_option("true")
    page.get_by_role("link", name=f"전경 {RUN}.png").wait_for(state="detached")
    page.get_by_role("link", name=f"여분 {RUN}.png").click()
    page.get_by_text("No post uses it.", exact=True).wait_for()
    press(page, "Delete")
    confirm(page, "Delete")
    said(page, "Deleted.")
    press(page, "Restore")
    said(page, "Restored.")
    heading(page, f"여분 {RUN}.png")
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


SHOTS = Path(__file__).parents[3] / "build" / "console"
"""Where pictures of the pages are kept, for people."""

CONSOLE = SHOTS.parents[1] / "be-app" / "app" / "console"

PAGES = (
    "/",
    "/posts",
    "/posts/new",
    "/calendar",
    "/library",
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
    desk, found = desks("admin"), []
    page = desk.open("/")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(
        {"width": 375, "height": 740} if scheme == "light" else {"width": 1280, "height": 900}
    )
    if scheme == "light":
        page.evaluate("localStorage.setItem('familycorp:console:language', 'ko')")
    members = page.evaluate("fetch('/v1/members').then((r) => r.json()).then(({ items }) => items[0].id)")
    posts = page.evaluate("fetch('/v1/editor/posts').then((r) => r.json()).then(({ items }) => items[0].id)")
    file = page.evaluate(
        "fetch('/v1/uploads?type=image').then((r) => r.json()).then(({ items }) => items[0].id)"
    )
    for path in (
        *PAGES,
        f"/library/{file}",
        f"/members/{members}",
        f"/posts/{posts}",
        f"/posts/{posts}/history",
    ):
        page.goto(f"{desk.url}/console{path}")
        page.locator("main h1").wait_for()
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{scheme}{re.sub('[0-9a-f-]{36}|/', '-', path)}.png")
        found += [(path, *barrier) for barrier in barriers(page)]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.locator("html").get_attribute("lang") == ("ko" if scheme == "light" else "en")
    page.evaluate("localStorage.removeItem('familycorp:console:language')")
    page.close()
    assert found == []


SLOW = {"offline": False, "latency": 250, "downloadThroughput": 200_000, "uploadThroughput": 100_000}
"""A slow connection of a phone: a quarter of a second to and fro, and 200 KB in a second."""


def traffic(page: Any, load: Callable[[], Any]) -> tuple[int, int]:
    """Load a page; return how many round trips it waits for, one after another, and how many bytes come.

    Pictures, and what comes after the page is shown, such as the preview of a text, aren't waited for. Those of the
    page before may still come meanwhile.
    """
    begun, finished = list[Any](), list[Any]()

    def begins(request: Any) -> None:
        begun.append(request)

    def ends(request: Any) -> None:
        if request in begun and request.resource_type != "image":
            finished.append(request)

    page.on("request", begins)
    page.on("requestfinished", ends)
    load()
    page.locator("main:not([aria-busy]) h1").wait_for()
    page.remove_listener("request", begins)
    page.remove_listener("requestfinished", ends)
    sizes = [request.sizes() for request in finished]
    spans = sorted(
        (timing["startTime"], timing["startTime"] + timing["responseEnd"])
        for timing in (request.timing for request in finished)
    )
    trips, earliest = 0, 0.0
    for start, end in spans:
        if start >= earliest:
            trips, earliest = trips + 1, end
        earliest = min(earliest, end)
    return trips, sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes)


def test_pages_need_one_round_trip_and_few_bytes(desks: Callable[[str], Desk]) -> None:
    page = desks("admin").open("/")
    heading(page, "Start")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    session.send("Network.emulateNetworkConditions", SLOW)
    measured = {"/console/ (first)": traffic(page, page.reload)}
    assert measured["/console/ (first)"][1] <= 300_000
    paths = page.locator("header a[href]").evaluate_all("(all) => all.map((a) => a.getAttribute('href'))")
    assert len(paths) == 10
    for path in paths:
        measured[path] = traffic(page, page.locator(f"header a[href='{path}']").click)
    for path in ("/console/posts", "/console/library", "/console/members"):
        page.locator(f"header a[href='{path}']").click()
        first = page.locator("main:not([aria-busy]) tbody a").first
        first.wait_for()
        measured[f"{path}/:id"] = traffic(page, first.click)
    print(measured)
    later = {path: found for path, found in measured.items() if "first" not in path}
    assert {path: found for path, found in later.items() if found[0] > 1 or found[1] > 50_000} == {}
    page.close()


PICTURES = SHOTS / "docs"
"""Where the pictures are put that README and the editors' page show; `make console-pictures` copies them there."""

WRITTEN = {
    "ko": (
        "겨울 신제품 세 가지를 소개합니다",
        (
            "올겨울 **세 가지** 제품을 선보입니다.\n\n## 무엇이 달라졌나요\n\n- 소음을 절반으로 줄였습니다\n"
            "- 전기를 덜 씁니다\n\n> 전시장은 서울 본사 1층에 있습니다."
        ),
        "눈 덮인 산 앞의 새 전시장",
    ),
    "en": (
        "Three new products for this winter",
        (
            "This winter we bring **three** new products.\n\n## What is new\n\n- They are half as loud\n"
            "- They need less power\n\n> See them at our head office in Seoul, ground floor."
        ),
        "The new showroom before a snowy mountain",
    ),
}


def landscape() -> bytes:
    """Draw a picture for a post."""
    made = Image.linear_gradient("L").resize((960, 420))
    picture = ImageOps.colorize(made, "#4a7fb5", "#f3d9b1")
    draw = ImageDraw.Draw(picture)
    draw.polygon([(0, 420), (230, 140), (420, 330), (640, 90), (960, 420)], fill="#3c5a4c")
    draw.polygon([(640, 90), (590, 145), (640, 165), (700, 150)], fill="white")
    draw.rectangle((120, 330, 420, 420), fill="#7a3b2e")
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def shoot(page: Any, name: str) -> None:
    """Take a picture of few colours, which stays small."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        shot.convert("RGB").quantize(96).save(PICTURES / f"{name}.png", optimize=True)


def shoot_library(page: Any, language: str) -> None:
    page.locator("main img").first.wait_for()
    for picture in page.locator("main img").all():
        picture.evaluate("(image) => image.decode()")
    shoot(page, f"console-library.{language}")


OTHER_SAVE = """async ([id, was, now]) => {
    const path = `/v1/editor/posts/${id}`;
    const read = await fetch(path);
    const { title, category, body } = await read.json();
    const headers = { "Content-Type": "application/json", "X-CSRF-Protection": "1" };
    headers["If-Match"] = read.headers.get("ETag");
    const changed = JSON.stringify({ title, category, body: body.replace(was, now) });
    return (await fetch(path, { method: "PUT", headers, body: changed })).status;
}"""


@pytest.mark.holds
@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_pictures_of_the_documents(desks: Callable[[str], Desk], language: str) -> None:
    fonts = shutil.which("fc-list")
    if not fonts or not subprocess.run([fonts, ":lang=ko"], capture_output=True, check=True).stdout:
        pytest.skip("No font has Hangul (Debian: apt-get install fonts-nanum).")
    korean = dict(re.findall(r'^  "(.*)": "(.*)",$', (CONSOLE / "ko.js").read_text(), re.MULTILINE))

    def t(text: str) -> str:
        return korean[text] if language == "ko" else text

    title, body, alt = WRITTEN[language]
    page = desks("editor").open("/")
    page.evaluate(f"localStorage.setItem('familycorp:console:language', '{language}')")
    page.goto(f"{desks('editor').url}/console/posts/new")
    page.get_by_role("textbox", name=t("Title"), exact=True).fill(title)
    page.get_by_label(t("Category"), exact=True).select_option("news")
    page.get_by_label(t("Language"), exact=True).select_option(language)
    page.get_by_label(t("Address (slug)")).fill(f"winter-{language}-{RUN}")
    text = page.get_by_label(t("Text (Markdown)"), exact=True)
    text.fill(body)
    text.press("Control+Home")
    page.evaluate(PASTE, list(landscape()))
    page.get_by_label(t("What does the picture show?")).fill(alt)
    page.get_by_role("button", name=t("Insert"), exact=True).click()
    press(page, t("Save"))
    heading(page, t("Edit post"))
    shown = page.frame_locator(f"iframe[title='{t('Preview')}']").get_by_role("img", name=alt)
    shown.wait_for()
    shown.evaluate("(image) => image.decode()")
    said(page, t("Saved."))
    page.locator(".note button").first.click()
    shoot(page, f"console-editor.{language}")

    press(page, t("Schedule"))
    later = datetime.now(UTC) + timedelta(days=40)
    page.get_by_label(t("Publish at (Korean time, KST)")).fill(f"{later:%Y-%m}-15T09:00")
    page.get_by_label(t("Take back at (Korean time, KST)")).fill(f"{later:%Y-%m}-26T18:00")
    page.get_by_role("dialog").get_by_role("button", name=t("Schedule"), exact=True).click()
    page.get_by_role("dialog").wait_for(state="detached")
    path = page.url
    page.goto(f"{desks('editor').url}/console/calendar?month={later:%Y-%m}")
    page.get_by_role("link", name=title).first.wait_for()
    shoot(page, f"console-calendar.{language}")

    page.goto(f"{desks('editor').url}/console/library")
    shoot_library(page, language)

    page.goto(path)
    heading(page, t("Edit post"))
    was, now, mine = {"ko": ("세 가지", "네 가지", "다음 달에"), "en": ("three", "four", "Next month")}[
        language
    ]
    page.evaluate(OTHER_SAVE, [path.rpartition("/")[2], was, now])
    text.fill(
        text.input_value().replace("1층", "2층").replace("ground floor", "first floor") + f"\n\n{mine} …"
    )
    press(page, t("Save"))
    page.get_by_label(t("Merged text")).wait_for()
    shoot(page, f"console-differences.{language}")
    page.evaluate("localStorage.removeItem('familycorp:console:language')")
    page.close()
