"""The whole login, with providers that nobody here wrote."""

from collections.abc import Iterator

import pytest

from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.valkey import Valkey
from stack import Provider, Stack
from staff import at_browser


@pytest.fixture(scope="module", params=["oidc_provider", "nanoidp"])
def stack(
    request: pytest.FixtureRequest,
    ministack: MiniStack,
    valkey: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    provider: Provider = request.getfixturevalue(request.param)
    directory = tmp_path_factory.mktemp("login")
    with Stack(directory, ministack, valkey, valkey_database=14, provider=provider) as made:
        made.prepare().start()
        yield made


def test_somebody_enrols_an_authenticator_and_is_logged_in(stack: Stack) -> None:
    with at_browser(stack, "editor") as editor:
        editor.log_in()
        me = editor.me()
        assert me.status_code == 200, me.text
        assert me.json()["email"] == "editor@familycorp.example"
        assert me.json()["role"] == "editor"
        assert editor.client.get("/v1/editor/posts").status_code == 200
        assert editor.refresh().status_code == 204
        assert editor.me().status_code == 200
        assert editor.post("/v1/auth/logout").status_code == 200
        assert editor.me().status_code == 401
