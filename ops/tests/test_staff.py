"""The staff page in a real browser: by itself, and with all that `make up` starts."""

import io
import re
import sys
import time
from urllib.parse import quote

import httpx
import pytest
from PIL import Image
from pypdf import PdfWriter

from familycorp_ops.local import staff
from familycorp_ops.local.totp import code
from familycorp_ops.servers.process import Process, free_port, http_ok
from familycorp_ops.testing.browser import plug_in_authenticator


@pytest.fixture
def open_page(chromium, running):
    """Open the staff page in a browser that nobody has used yet."""
    contexts, complaints = [], []

    def open_new():
        contexts.append(chromium.new_context())
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(running["FAMILYCORP_CORS_ORIGINS"])
        return page

    yield open_new
    for context in contexts:
        context.close()
    # Chromium reports every 401 and 403, which is how the API says no, and what it would like of a login page.
    assert [text for text in complaints if not re.search(r"status of 40[13]|autocomplete", text)] == []


def sign_in(page, person):
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill(person)
    page.get_by_label("Password").fill(person)
    page.get_by_role("button", name="Authorize").click()


def heading(page, text):
    page.get_by_role("heading", name=text).wait_for()


def check_cookies(page, api):
    """Check that the browser keeps a login's cookies as they are meant, from scripts and from other sites."""
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
    assert page.evaluate(f"fetch('{api}/v1/auth/me', {{credentials: 'include'}}).then(a => a.status)") == 200


@pytest.mark.security(1)
@pytest.mark.security(2)
@pytest.mark.security(6)
def attach_files(page):
    """Send a photo, and a file in parts, from this origin to the bucket's; download both under their names."""
    page.evaluate(
        """() => {
            window.shares = [];
            new MutationObserver(() => shares.push(document.getElementById('progress').value))
                .observe(document.getElementById('progress'), { attributes: true });
        }"""
    )
    photo = io.BytesIO()
    Image.effect_noise((1600, 1200), 60).convert("RGB").save(photo, "JPEG", quality=90)
    document = io.BytesIO()
    writer = PdfWriter()
    writer.add_blank_page(595, 842)
    writer.add_attachment("bytes.bin", bytes(range(256)) * 50_000)
    writer.write(document)
    for name, kind, content in (
        ("창립 40주년.jpg", "image/jpeg", photo.getvalue()),
        ("사업보고서 부록.pdf", "application/pdf", document.getvalue()),
    ):
        requested: list[tuple[str, str]] = []
        page.on("request", lambda request, to=requested: to.append((request.method, request.url)))
        page.get_by_label("File").set_input_files({"name": name, "mimeType": kind, "buffer": content})
        page.get_by_role("button", name="Upload").click()
        said = page.get_by_role("status").filter(has_text="/attachments/").inner_text()
        url = re.findall(r"http\S+", said)[0].replace("localhost", "127.0.0.1")
        got = httpx.get(url, follow_redirects=True)
        assert f"filename*=UTF-8''{quote(name)}" in got.headers["Content-Disposition"]
        assert got.headers["Content-Type"] == kind
        shares = page.evaluate("shares.splice(0)")
        assert shares[-1] == 1
        assert shares == sorted(shares)
        page.evaluate("document.getElementById('progress').value = 0; shares.splice(0)")
        elsewhere = [method for method, at in requested if "/familycorp-local-uploads" in at]
        assert elsewhere == (["POST"] if kind == "image/jpeg" else ["PUT", "PUT"])
    assert got.content == document.getvalue()


def test_an_editor_signs_in_publishes_and_ends_what_is_elsewhere(open_page, running):
    page = open_page()
    sign_in(page, "editor")
    heading(page, "Add a second factor")
    assert page.evaluate("document.getElementById('qr').decode().then(() => true)"), "the QR code is an image"
    made = code(page.locator("#secret").inner_text(), time.time())
    page.get_by_label("Code of the app").fill(f"{made[:3]} {made[3:]}")  # As authenticators show it.
    page.locator("#confirm button").click()
    heading(page, "Recovery codes")
    recovery = page.locator("#codes li").all_inner_texts()
    assert len(set(recovery)) == len(recovery) >= 8
    page.get_by_role("button", name="I have kept them").click()
    heading(page, "My account")
    assert "editor@familycorp.example" in page.locator("#me").inner_text()
    assert page.url.endswith("/"), "what the login left in the address is gone"
    check_cookies(page, running["FAMILYCORP_API_URL"])

    page.get_by_role("button", name="publish").click()
    said = page.get_by_role("status").filter(has_text="Published").inner_text()
    url = re.findall(r"http\S+", said)[0].replace("localhost", "127.0.0.1")
    assert httpx.get(url).json()["category"] == "news"

    attach_files(page)

    plug_in_authenticator(page)
    with page.expect_response("**/v1/auth/enrolment/passkey") as added:
        page.get_by_role("button", name="Add a passkey").click()
    assert added.value.status == 200

    # The same person elsewhere, who has only a recovery code there.
    other = open_page()
    sign_in(other, "editor")
    heading(other, "Second factor")
    other.get_by_label("recovery code").fill("wrong-code")
    other.get_by_role("button", name="Continue").click()
    other.get_by_role("status").filter(has_text="not accepted").wait_for()
    other.get_by_label("recovery code").fill(recovery[0])
    other.get_by_role("button", name="Continue").click()
    heading(other, "My account")
    assert other.locator("#sessions li").count() == 2
    other.get_by_role("button", name="End").click()
    other.locator("#sessions li").nth(1).wait_for(state="detached")

    # Ended from there, this browser has nothing left, and comes back by its passkey.
    page.reload()
    heading(page, "Sign in")
    sign_in(page, "editor")
    heading(page, "Second factor")
    page.get_by_role("button", name="Use a passkey").click()
    heading(page, "My account")
    page.get_by_role("button", name="Log out everywhere").click()
    heading(page, "Sign in")
    other.reload()
    heading(other, "Sign in")


def test_who_logs_out_is_logged_out_at_the_provider_too(open_page):
    page = open_page()
    plug_in_authenticator(page)
    sign_in(page, "viewer")
    heading(page, "Add a second factor")
    page.get_by_role("button", name="Use a passkey instead").click()
    heading(page, "Recovery codes")
    page.get_by_role("button", name="I have kept them").click()
    heading(page, "My account")
    page.get_by_role("button", name="publish").click()
    page.get_by_role("status").filter(has_text="This needs the role editor.").wait_for()
    with page.expect_request(re.compile("/logout")) as asked:
        page.locator("#log-out").click()
    assert asked.value
    heading(page, "Sign in")


def test_what_an_access_token_or_a_second_factor_interrupts_goes_on(open_page):
    page = open_page()
    plug_in_authenticator(page)
    sign_in(page, "admin")
    page.get_by_role("button", name="Use a passkey instead").click()
    page.get_by_role("button", name="I have kept them").click()
    heading(page, "My account")
    asked = []
    page.on("request", lambda request: asked.append((request.method, request.url)))
    page.context.clear_cookies(name="__Host-access")
    page.get_by_role("button", name="publish").click()
    page.get_by_role("status").filter(has_text="Published").wait_for()
    assert len([url for method, url in asked if (method, url.endswith("/refresh")) == ("POST", True)]) == 1

    # Whoever is asked for the second factor in between gets what they wanted after it.
    def demand(route):
        allowed = {
            "Access-Control-Allow-Origin": page.url.rstrip("/"),
            "Access-Control-Allow-Credentials": "true",
        }
        route.fulfill(status=403, headers=allowed, json={"code": "step_up_required", "title": "Prove it"})

    page.route("**/v1/editor/posts", demand, times=1)
    page.get_by_role("button", name="publish").click()
    heading(page, "Second factor")
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_role("status").filter(has_text="Published").wait_for(state="attached")


def test_without_the_api_the_page_says_so_and_keeps_its_policy(chromium, tmp_path):
    port, complaints = free_port(), []
    nothing = f"http://localhost:{free_port()}"
    command = [sys.executable, "-m", "familycorp_ops.local.staff", str(port), nothing, nothing]
    server = Process("staff", command, log=tmp_path / "log", ready=lambda: http_ok(port, "/"))
    with server, chromium.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        answer = page.goto(f"http://localhost:{port}/")
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        page.get_by_role("status").filter(has_text="Failed to fetch").wait_for()
    assert [text for text in complaints if "ERR_CONNECTION_REFUSED" not in text] == []


def test_files_beside_the_page_are_not_served():
    assert set(staff.pages("http://localhost:9")) == {
        "/",
        "/index.html",
        "/staff.css",
        "/staff.js",
        "/upload.js",
    }
