"""The staff page in a real browser."""

import sys

import pytest

from familycorp_ops import staff
from familycorp_ops.servers.process import Process, free_port, http_ok


@pytest.fixture
def page_url(tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "familycorp_ops.staff", str(port), "http://localhost:9"]
    with Process("staff", command, log=tmp_path / "log", ready=lambda: http_ok(port, "/")):
        yield f"http://localhost:{port}/"


def test_the_page_keeps_its_own_policy_and_says_what_goes_wrong(chromium, page_url):
    complaints = []
    with chromium.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        answer = page.goto(page_url)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        page.get_by_role("status").filter(has_text="Failed to fetch").wait_for()
        # Nobody listens where the API should be; there is no other complaint.
        assert [text for text in complaints if "ERR_UNSAFE_PORT" not in text] == []


def test_files_beside_the_page_are_not_served():
    assert {"/", "/index.html", "/staff.css", "/staff.js"} == set(staff.pages("http://localhost:9"))
