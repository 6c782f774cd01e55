"""The interactive documentation, in a browser that reaches loopback alone."""

from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from support.stack import Stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_it_works_offline_under_a_strict_policy(chromium: "Browser", stack: Stack) -> None:
    url, messages, asked = stack.processes[0].url, list[str](), set[str]()
    with chromium.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: asked.add(request.url))
        answer = page.goto(f"{url}/docs")
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        page.locator("#operations-posts-list_posts").wait_for()
        assert page.get_by_role("link", name="Sign in").get_attribute("href") == (
            f"{url}/v1/auth/login?returnTo={quote(f'{url}/docs', safe='')}"
        )
        page.get_by_placeholder("Search").fill("published rss")
        page.locator("#operations-feeds-atom_feed").wait_for(state="detached")
        page.get_by_placeholder("Search").fill("newest rss")
        page.locator("#operations-feeds-rss_feed").click()
        page.get_by_role("button", name="Try it out").click()
        with page.expect_response(lambda response: "/v1/feed" in response.url) as answered:
            page.get_by_role("button", name="Execute").click()
        assert answered.value.status == 200
        page.get_by_placeholder("Search").fill("read one published")
        page.locator("#operations-posts-read_post").click()
        page.get_by_text("2026년 3분기 실적 안내").first.wait_for()
        page.get_by_text("urn:familycorp:problem:not_found").first.wait_for()
        assert answered.value.request.headers["x-csrf-protection"] == "1"
    assert messages == []
    assert {httpx.URL(address).host for address in asked if address.startswith("http")} == {"127.0.0.1"}
