"""The whole login, with providers that nobody here wrote."""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from familycorp_ops.local.login import log_out
from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.oidc_provider import OidcProvider
from familycorp_ops.servers.people import Person as Account
from familycorp_ops.servers.valkey import Valkey
from support.contract import ok, problem
from support.stack import Provider, Stack
from support.staff import Person, at_browser

MakePerson = Callable[..., Person]
TRUSTED = "urn:familycorp:two-factors"


def made(
    request: pytest.FixtureRequest,
    factory: pytest.TempPathFactory,
    provider: Provider,
    **settings: Any,
) -> Stack:
    ministack: MiniStack = request.getfixturevalue("ministack")
    valkey: Valkey = request.getfixturevalue("valkey")
    directory = factory.mktemp("login")
    stack = Stack(directory, ministack, valkey, provider=provider, **settings)
    stack.prepare().start()
    return stack


def account(provider: Any, **changes: Any) -> str:
    """Give somebody new an account; return their name."""
    name = f"p{uuid.uuid4().hex[:10]}"
    someone = Account(name, name, f"이름 {name}", f"{name}@familycorp.example", ("editors",))
    provider.admit(replace(someone, **changes))
    return name


@pytest.fixture(scope="module", params=["oidc_provider", "nanoidp"])
def each(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The application with each provider in turn."""
    with made(request, tmp_path_factory, request.getfixturevalue(request.param)) as stack:
        yield stack


@pytest.fixture(scope="module")
def certified(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, oidc_provider: OidcProvider
) -> Iterator[Stack]:
    """The application that trusts the certified provider to prove a second factor."""
    settings = {
        "OIDC_TRUSTED_ACR": TRUSTED,
        "OIDC_TRUSTED_AMR": "otp",
        "OIDC_POST_LOGOUT_URI": "https://www.familycorp.example/bye",
    }
    with made(request, tmp_path_factory, oidc_provider, **settings) as stack:
        oidc_provider.allow(stack.api_url, post_logout_uri=settings["OIDC_POST_LOGOUT_URI"])
        yield stack


@pytest.mark.security(21)
@pytest.mark.security(26)
def test_somebody_enrols_an_authenticator_and_is_logged_in(each: Stack) -> None:
    with at_browser(each, account(each.provider)) as editor:
        editor.log_in()
        me = ok(editor.me())
        assert me["email"] == f"{editor.username}@familycorp.example"
        assert (me["role"], me["name"]) == ("editor", f"이름 {editor.username}")
        ok(editor.client.get("/v1/editor/posts"))
        assert editor.refresh().status_code == 204
        ok(editor.me())
        ended = ok(editor.post("/v1/auth/logout"))
        assert each.provider is not None
        assert ended["endSessionUrl"].startswith(each.provider.url)
        assert "id_token" not in ended["endSessionUrl"]
        problem(editor.me(), 401, "unauthenticated")


def test_a_wrong_password_gets_nobody_anywhere(each: Stack) -> None:
    from familycorp_ops.local.login import LoginError

    with at_browser(each, account(each.provider), "wrong") as editor, pytest.raises(LoginError):
        editor.first_factor()


@pytest.mark.security(26)
def test_a_second_factor_of_the_provider_counts_where_it_is_trusted(
    certified: Stack, oidc_provider: OidcProvider
) -> None:
    for strong in ({"acr": TRUSTED, "amr": ("pwd",)}, {"amr": ("pwd", "otp")}):
        with at_browser(certified, account(oidc_provider, **strong)) as editor:
            assert editor.first_factor() == "done"
            ok(editor.client.get("/v1/editor/posts"))
    with at_browser(certified, account(oidc_provider, acr="urn:familycorp:one-factor")) as editor:
        assert editor.first_factor() == "second-factor"


@pytest.mark.security(29)
def test_logging_in_again_is_a_step_up_where_the_provider_proves_the_second_factor(
    certified: Stack, oidc_provider: OidcProvider
) -> None:
    with at_browser(certified, account(oidc_provider, acr=TRUSTED)) as editor:
        assert editor.first_factor() == "done"
        before = ok(editor.me())["secondFactorAt"]
        time.sleep(1.1)
        # The provider knows this browser; asked to, it demands the password all the same.
        assert editor.first_factor(anew="true") == "done"
        assert ok(editor.me())["secondFactorAt"] > before


def test_logging_out_at_the_provider_ends_the_session_here(
    certified: Stack, oidc_provider: OidcProvider
) -> None:
    with (
        at_browser(certified, account(oidc_provider, acr=TRUSTED)) as editor,
        at_browser(certified, account(oidc_provider, acr=TRUSTED)) as other,
    ):
        assert editor.first_factor() == other.first_factor() == "done"
        ended = ok(other.post("/v1/auth/logout"))["endSessionUrl"]
        bye = log_out(editor.client, ended, until="https://www.familycorp.example")
        assert str(bye.next_request and bye.next_request.url).startswith("https://www.familycorp.example/bye")
        deadline = time.monotonic() + 120
        while editor.me().status_code != 401:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        problem(editor.refresh(), 401, "session_expired")
    assert "backchannel_logout_refused" not in certified.logs()


@pytest.mark.security(19)
def test_the_provider_changes_its_keys_and_nobody_notices(
    certified: Stack, oidc_provider: OidcProvider
) -> None:
    with at_browser(certified, account(oidc_provider, acr=TRUSTED)) as editor:
        assert editor.first_factor() == "done"
        oidc_provider.rotate(publish_old=False)
        time.sleep(1.1)
        assert editor.first_factor() == "done"
        ok(editor.me())


def test_es256_and_a_secret_in_the_body_are_understood(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, oidc_provider: OidcProvider
) -> None:
    with (
        OidcProvider(method="client_secret_post", algorithm="ES256", claims_in_id_token=False) as provider,
        made(request, tmp_path_factory, provider, OIDC_TRUSTED_ACR=TRUSTED) as stack,
        at_browser(stack, account(provider, acr=TRUSTED)) as editor,
    ):
        assert editor.first_factor() == "done"
        assert ok(editor.me())["email"] == f"{editor.username}@familycorp.example"


def test_without_the_provider_nobody_can_log_in_and_nobody_is_logged_out(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, oidc_provider: OidcProvider
) -> None:
    with (
        OidcProvider() as provider,
        made(request, tmp_path_factory, provider, OIDC_TRUSTED_ACR=TRUSTED) as stack,
        at_browser(stack, account(provider, acr=TRUSTED)) as editor,
    ):
        provider.suspend()
        answer = editor.client.get("/v1/auth/login", timeout=120)
        problem(answer, 503, "login_provider_unavailable")
        assert answer.headers["retry-after"]
        provider.resume()
        assert editor.first_factor() == "done"
        provider.kill()
        ok(editor.me())
        assert editor.refresh().status_code == 204
        ok(editor.post("/v1/auth/logout"))
