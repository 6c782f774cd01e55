"""Pytest fixtures: a real browser, the system's Chromium, led by Playwright, and what `make up` starts for its pages.

The browser lives for a module, not for the session, because Playwright leaves an event loop running in the thread: as
long as it is open, nothing there may call `asyncio.run`. A module that uses it leaves that to others.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from familycorp_ops import environment
from familycorp_ops.servers.process import NotInstalledError, Process, free_port
from familycorp_ops.testing.servers import missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, CDPSession, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

ARGUMENTS = (
    # Loopback alone: other names that a page or the browser itself requests don't resolve.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--lang=en",
    # Chromium's sandbox refuses to run as root, as in CI.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
)


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """Chromium without a window; each test opens a context of its own: `chromium.new_context()`.

    It waits for two minutes where Playwright would for half of one, because machines that test are busy.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        missing("chromium", NotInstalledError("Chromium isn't installed (Debian: apt-get install chromium)."))
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        opened = browser.new_context

        def new_context(**options: Any) -> "BrowserContext":
            context = opened(**options)
            context.set_default_timeout(120_000)
            return context

        browser.new_context = new_context  # type: ignore[method-assign]
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """What `make up` runs: the settings of it."""
    state, port = tmp_path_factory.mktemp("up") / "state", free_port()
    command = [sys.executable, "-m", "familycorp_ops", "up", "--state", str(state), "--port", str(port)]
    log = state.with_suffix(".log")
    with Process("up", command, log=log, ready=lambda: "Sign in" in log.read_text(), ready_within_s=300):
        yield environment.running_settings(state)


def plug_in_authenticator(page: "Page") -> "CDPSession":
    """Give a page an authenticator that makes and proves passkeys without asking anybody (WebAuthn's CDP domain)."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session
