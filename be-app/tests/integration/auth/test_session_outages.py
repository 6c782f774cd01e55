"""Sessions while stores are away: nobody is let in on suspicion, and nobody is logged out for it."""

import json
import time
from collections.abc import Iterator

import pytest

from familycorp_ops.servers.ministack import MiniStack
from familycorp_ops.servers.nanoidp import NanoIDP
from familycorp_ops.servers.valkey import Valkey
from support.contract import ok, problem
from support.stack import Stack
from support.staff import ACCESS, REFRESH, Person, at_browser

KEPT_S = 1.1
"""After this a process no longer answers from what it remembers of a session."""


@pytest.fixture
def stack(nanoidp: NanoIDP, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack on servers of its own."""
    with Valkey() as valkey, MiniStack() as ministack:
        directory = tmp_path_factory.mktemp("outages")
        with Stack(directory, ministack, valkey, provider=nanoidp) as made:
            made.prepare().start()
            yield made


@pytest.fixture
def editor(stack: Stack) -> Iterator[Person]:
    with at_browser(stack, "editor") as person:
        person.log_in()
        ok(person.client.get("/v1/editor/posts"))
        yield person


@pytest.mark.security(16)
@pytest.mark.parametrize("loss", ["kill", "suspend"])
def test_without_valkey_sessions_live_and_end_as_ever(stack: Stack, editor: Person, loss: str) -> None:
    getattr(stack.valkey, loss)()
    time.sleep(KEPT_S)
    ok(editor.me())
    ok(editor.client.get("/v1/editor/posts"))
    assert editor.refresh().status_code == 204
    access = editor.cookie(ACCESS) or ""
    ok(editor.post("/v1/auth/logout"))
    editor.plant(ACCESS, access)
    assert editor.me().status_code == 401
    stack.valkey.kill()


@pytest.mark.security(16)
@pytest.mark.security(30)
def test_without_dynamodb_nothing_is_allowed_on_suspicion(stack: Stack, editor: Person) -> None:
    access = editor.cookie(ACCESS) or ""
    stack.ministack.suspend()
    time.sleep(KEPT_S)
    for answer in (
        editor.me(),
        editor.client.get("/v1/editor/posts"),
        editor.refresh(),
        editor.client.get("/v1/auth/login"),
    ):
        problem(answer, 503, "store_unavailable")
        assert answer.headers["retry-after"]
    stack.ministack.resume()
    # Nobody was logged out for it.
    ok(editor.me())
    assert editor.refresh().status_code == 204
    ok(editor.post("/v1/auth/logout"))
    editor.plant(ACCESS, access)
    assert editor.me().status_code == 401


def test_without_a_signing_key_who_is_logged_in_goes_on(stack: Stack, editor: Person) -> None:
    """A process that never had a usable key can't log anybody in, and says so; verifying needs no secret."""
    secrets, name = stack.aws("secretsmanager"), stack.settings.signing_key_secret
    key = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
    public_half = json.dumps({name: value for name, value in key.items() if name != "d"})
    nameless = json.dumps({name: value for name, value in key.items() if name != "kid"})
    second = stack.start()
    with stack.client(second) as client:
        ok(client.get("/v1/auth/me", headers={"Cookie": f"{ACCESS}={editor.cookie(ACCESS)}"}))
        cookies = "; ".join(f"{c.name}={c.value}" for c in editor.client.cookies.jar)

        def refused() -> None:
            answer = client.post("/v1/auth/refresh", headers={"Cookie": cookies, "X-CSRF-Protection": "1"})
            problem(answer, 503, "login_unavailable")

        for malformed in ("{", "[]", "{}", '"key"', public_half, nameless, json.dumps(key | {"crv": "P-0"})):
            secrets.put_secret_value(SecretId=name, SecretString=malformed)
            refused()
        secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        refused()
    member, session, _ = (editor.cookie(REFRESH) or "").split(".")
    held = stack.held(f"member#{member}", f"session#{session}")
    assert held is not None
    assert held["rotatedAt"] == 0  # Nothing was rotated for an answer that couldn't be given.
    assert editor.refresh().status_code == 204  # The process that has the key goes on with it.
