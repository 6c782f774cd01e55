"""The policy in process: with any fault of the bundle, the module or the input, access is denied."""

import gc
import hashlib
import json
import logging
import os
import shutil
import uuid
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import wasmtime

from app.authz import policy, wasm
from support.contract import logged, problem, unique
from support.stack import EDITOR, Stack, draft
from support.staff import Person

NOW = 1_795_424_400
ANYBODY = {"authenticated": False}
ADMIN = {"authenticated": True, "id": "me", "role": "admin", "mfaAt": NOW}
ALLOWED = policy.Decision(allow=True, reasons=(), obligations={})

# A module that keeps to OPA's ABI without being a policy. What it does depends on the action's first letter; on any
# other it allows. Having done one of these things, it is spoilt: it denies with `spoilt` from then on, unless it is
# thrown away.
SCRIPTED = """
(module
  (import "env" "memory" (memory 2))
  (import "env" "opa_abort" (func $abort (param i32)))
  (import "env" "opa_builtin1" (func $builtin (param i32 i32 i32) (result i32)))
  (global $spoilt (mut i32) (i32.const 0))
  (data (i32.const 1024) "BUILTINS\\00")
  (data (i32.const 1280) "{\\"authz/decision\\":0,\\"authz/allowed\\":1}\\00")
  (data (i32.const 1536) "it was all too much\\00")
  (data (i32.const 2048) "GOOD\\00")
  (data (i32.const 2304) "SPOILT\\00")
  (data (i32.const 2560) "BOUNDED\\00")
  (data (i32.const 3072) "[]\\00")
  (data (i32.const 3328) "ANSWER\\00")
  (func (export "builtins") (result i32) (i32.const 1024))
  (func (export "entrypoints") (result i32) (i32.const 1280))
  (func (export "opa_json_dump") (param i32) (result i32) (local.get 0))
  (func (export "opa_json_parse") (param i32 i32) (result i32) (local.get 0))
  (func (export "opa_malloc") (param i32) (result i32) (i32.const 8192))
  (func (export "opa_heap_ptr_get") (result i32) (i32.const 65536))
  (func $more (drop (memory.grow (i32.const 1))))
  (func $deeper (call $deeper) (call $more))
  (func (export "opa_eval") (param i32 i32 i32) (param $input i32) (param i32 i32 i32) (result i32)
    (local $letter i32)
    (local.set $letter (i32.load8_u offset=OFFSET (local.get $input)))
    (if (global.get $spoilt) (then (return (i32.const 2304))))
    (global.set $spoilt (i32.const 1))
    (if (i32.eq (local.get $letter) (i32.const 116)) (then (unreachable)))                          ;; t
    (if (i32.eq (local.get $letter) (i32.const 108)) (then (loop $on (br $on))))                    ;; l
    (if (i32.eq (local.get $letter) (i32.const 97)) (then (call $abort (i32.const 1536))))          ;; a
    (if (i32.eq (local.get $letter) (i32.const 98))                                                 ;; b
      (then (return (call $builtin (i32.const 0) (i32.const 0) (i32.const 0)))))
    (if (i32.eq (local.get $letter) (i32.const 114)) (then (call $deeper)))                         ;; r
    (if (i32.eq (local.get $letter) (i32.const 109))                                                ;; m
      (then (loop $on (br_if $on (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (if (i32.eq (memory.size) (i32.const 64)) (then (return (i32.const 2560))))))
    (if (i32.eq (local.get $letter) (i32.const 111)) (then (return (i32.const 0x7ffffff0))))        ;; o
    (if (i32.eq (local.get $letter) (i32.const 110)) (then (return (i32.const -1))))                ;; n
    (if (i32.eq (local.get $letter) (i32.const 101))                                                ;; e
      (then (memory.fill (i32.const 4096) (i32.const 32) (i32.sub (i32.mul (memory.size) (i32.const 65536))
        (i32.const 4096))) (return (i32.const 4096))))
    (global.set $spoilt (i32.const 0))
    (if (i32.eq (local.get $letter) (i32.const 117)) (then (return (i32.const 3072))))              ;; u
    (if (i32.eq (local.get $letter) (i32.const 115)) (then (return (i32.const 3328))))              ;; s
    (i32.const 2048)))
"""
FAILURES = {
    "traps": "wasm trap",
    "loops forever": "fuel",
    "aborts": "opa_abort it was all too much",
    "builtin of the host": "opa_builtin1",
    "recurses": "wasm trap",
    "out of memory's bounds": "no end",
    "negative address": "the evaluation failed",
    "endless answer": "no end",
}


def scripted(answer: str = "[]", builtins: str = "{}") -> bytes:
    """Return the scripted module, with what it answers an action that begins with `s`."""
    asked = {"subject": ANYBODY, "action": "?", "resource": None, "context": {"now": NOW}}
    told = {
        "GOOD": '[{"result":{"allow":true,"reasons":[],"obligations":{}}}]',
        "SPOILT": '[{"result":{"allow":false,"reasons":["spoilt"],"obligations":{}}}]',
        "BOUNDED": '[{"result":{"allow":false,"reasons":["bounded"],"obligations":{}}}]',
        "ANSWER": answer,
        "BUILTINS": builtins,
    }
    text = SCRIPTED.replace("OFFSET", str(orjson.dumps(asked).index(b"?")))
    for name, value in told.items():
        text = text.replace(name, value.replace('"', '\\"'))
    return bytes(wasmtime.wat2wasm(text))


def bundle_of(directory: Path, module: bytes, data: bytes = b"{}") -> Path:
    """Write a bundle whose digests are right."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {"policy.wasm": module, "data.json": data}
    for name, content in files.items():
        (directory / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (directory / "manifest.json").write_text(json.dumps({"revision": "scripted", "files": digests}))
    return directory


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Let a bundle decide, as if the process had just started."""

    def at(directory: Path) -> None:
        policy._load.cache_clear()
        monkeypatch.setenv(policy.BUNDLE_PATH, str(directory))

    yield at
    policy._load.cache_clear()


@pytest.fixture
def copied(tmp_path: Path, use: Callable[[Path], None]) -> Path:
    """A copy of the real bundle that decides."""
    directory = tmp_path / "bundle"
    shutil.copytree(policy.BUILT, directory, ignore=shutil.ignore_patterns("*.cwasm*", "policy.json"))
    use(directory)
    return directory


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the modules that were compiled; the few lines that call the policy always are."""
    sizes: list[int] = []
    compile_ = wasmtime.Module

    class Counting(compile_):  # type: ignore[misc, valid-type]
        def __init__(self, engine: wasmtime.Engine, source: Any) -> None:
            sizes.append(len(source))
            super().__init__(engine, source)

    monkeypatch.setattr(wasmtime, "Module", Counting)
    return sizes


def ask(action: str = "post:view", resource: Any = None, subject: Any = ANYBODY) -> policy.Decision:
    return policy.decide(subject, action, resource, now=NOW)


def denied(reason: str) -> policy.Decision:
    return policy.Decision(allow=False, reasons=(reason,), obligations={})


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.message for r in caplog.records if r.name.startswith("app.authz") and r.levelno > logging.INFO]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


# -- the bundle -------------------------------------------------------------------


def _drop_directory(bundle: Path) -> None:
    shutil.rmtree(bundle)


def _permit_more(bundle: Path) -> None:
    data = json.loads((bundle / "data.json").read_text())
    data["roles"]["anonymous"]["post:publish"] = True
    (bundle / "data.json").write_text(json.dumps(data))


def _other_digest(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["policy.wasm"] = "0" * 64
    (bundle / "manifest.json").write_text(json.dumps(manifest))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no bundle": _drop_directory,
    "no policy.wasm": lambda b: (b / "policy.wasm").unlink(),
    "no data.json": lambda b: (b / "data.json").unlink(),
    "no manifest.json": lambda b: (b / "manifest.json").unlink(),
    "policy.wasm tampered with": lambda b: flip(b / "policy.wasm", 100_000),
    "policy.wasm cut short": lambda b: (b / "policy.wasm").write_bytes(b"\0asm\1\0\0\0"),
    "data.json tampered with": _permit_more,
    "manifest.json names another digest": _other_digest,
    "manifest.json is empty": lambda b: (b / "manifest.json").write_bytes(b""),
    "manifest.json is something else": lambda b: (b / "manifest.json").write_text('["policy.wasm"]'),
    "manifest.json names no files": lambda b: (b / "manifest.json").write_text('{"revision": "x", "files": {}}'),
    "no WebAssembly at all": lambda b: bundle_of(b, b"allow := true"),
    "WebAssembly of something else": lambda b: bundle_of(b, bytes(wasmtime.wat2wasm("(module)"))),
    "data that is no JSON": lambda b: bundle_of(b, (b / "policy.wasm").read_bytes(), b"{roles"),
}  # fmt: skip


@pytest.mark.security(30)
@pytest.mark.security(33)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_bundle_that_is_not_what_was_built_denies_everything(
    damage: Callable[[Path], object], copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(copied)
    for action in ("post:view", "post:publish", "no:such"):
        for subject in (ANYBODY, ADMIN):
            assert ask(action, subject=subject) == denied("policy_error")
    assert set(messages(caplog)) == {"policy_evaluation_failed"}
    assert all(r.exc_info for r in caplog.records if r.message == "policy_evaluation_failed")
    assert policy.revision() == ""


def test_once_the_bundle_is_whole_again_it_decides(copied: Path) -> None:
    kept = (copied / "data.json").read_bytes()
    _permit_more(copied)
    assert ask() == denied("policy_error")
    (copied / "data.json").write_bytes(kept)
    assert ask() == ALLOWED
    assert policy.revision() == json.loads((copied / "manifest.json").read_text())["revision"]


def test_what_changes_on_disk_later_changes_nothing(copied: Path) -> None:
    assert ask() == ALLOWED
    _drop_directory(copied)
    assert ask() == ALLOWED


def test_what_was_verified_is_what_is_used(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who swaps the file between digest and use gains nothing: it is read once."""
    evil = scripted()
    read = Path.read_bytes

    def swapping(path: Path) -> bytes:
        content = read(path)
        if path.name == "policy.wasm":
            path.write_bytes(evil)
        return content

    monkeypatch.setattr(Path, "read_bytes", swapping)
    assert ask("post:publish") == denied("not_authenticated")
    assert (copied / "policy.wasm").stat().st_size == len(evil)


@pytest.mark.security(33)
def test_an_application_without_its_bundle_serves_nobody_who_must_be_asked_for(
    new_stack: Callable[[str], Stack], tmp_path: Path
) -> None:
    stack = new_stack("sqlite")
    stack.start(OPA_BUNDLE_PATH=str(tmp_path / "nowhere"))
    with stack.client() as client:
        assert client.get("/v1/posts").status_code == 200
        answer = client.get("/v1/editor/posts", headers=EDITOR)
        assert problem(answer, 403, "forbidden")["reasons"] == ["policy_error"]
        levels = {line["message"]: line["level"] for line in logged(stack, answer.headers["X-Request-ID"])}
        assert levels["policy_evaluation_failed"] == "ERROR"


# -- the module ------------------------------------------------------------------------


@pytest.mark.security(33)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_module_that_fails_denies_and_the_next_evaluation_works(
    failure: str, tmp_path: Path, use: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    use(bundle_of(tmp_path, scripted()))
    for _ in range(2):
        assert ask("fine") == ALLOWED
        assert ask(failure) == denied("policy_error")
        assert FAILURES[failure] in caplog.text
        assert ask("fine") == ALLOWED
    assert messages(caplog) == ["policy_evaluation_failed"] * 2


def test_memory_is_bounded(tmp_path: Path, use: Callable[[Path], None]) -> None:
    use(bundle_of(tmp_path, scripted()))
    assert ask("memory") == denied("bounded")


def test_a_rule_without_a_value_denies(tmp_path: Path, use: Callable[[Path], None]) -> None:
    use(bundle_of(tmp_path, scripted()))
    assert ask("undefined") == denied("undefined")
    assert ask("fine") == ALLOWED


@pytest.mark.security(30)
@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[",
        "{}",
        "true",
        "null",
        "[true]",
        "[{}]",
        '[{"result":true}]',
        '[{"result":null}]',
        '[{"result":"allow"}]',
        '[{"result":{}}]',
        '[{"result":{"allow":true}}]',
        '[{"result":{"allow":true,"reasons":[]}}]',
        '[{"result":{"allow":1,"reasons":[],"obligations":{}}}]',
        '[{"result":{"allow":"true","reasons":[],"obligations":{}}}]',
        '[{"result":{"allow":null,"reasons":["x"],"obligations":{}}}]',
        '[{"result":{"allow":true,"reasons":["x"],"obligations":{}}}]',
        '[{"result":{"allow":false,"reasons":[],"obligations":{}}}]',
        '[{"result":{"allow":true,"reasons":"","obligations":{}}}]',
        '[{"result":{"allow":true,"reasons":{},"obligations":{}}}]',
        '[{"result":{"allow":false,"reasons":[1],"obligations":{}}}]',
        '[{"result":{"allow":true,"reasons":[],"obligations":null}}]',
        '[{"result":{"allow":true,"reasons":[],"obligations":[]}}]',
    ],
)
def test_an_answer_that_is_no_decision_denies(
    answer: str, tmp_path: Path, use: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    use(bundle_of(tmp_path, scripted(answer)))
    assert ask("said") == denied("policy_error")
    assert messages(caplog) == ["policy_evaluation_failed"]
    assert ask("fine") == ALLOWED


def test_a_policy_that_needs_the_host_is_not_loaded(
    tmp_path: Path, use: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    use(bundle_of(tmp_path, scripted(builtins='{"http.send":0}')))
    assert ask("fine") == denied("policy_error")
    assert "http.send" in caplog.text


def test_there_must_be_such_an_entrypoint() -> None:
    with pytest.raises(wasm.PolicyError, match="no entrypoint authz/other"):
        wasm.Policy(scripted(), b"{}", ["authz/other"])


# -- the question --------------------------------------------------------------------------


def test_an_input_may_be_large_but_not_endless(caplog: pytest.LogCaptureFixture) -> None:
    def post(length: int) -> dict[str, Any]:
        return {"type": "post", "owner": "me", "draft": True, "x": "가" * (length // 3)}

    assert ask("post:publish", post(wasm.MAX_INPUT - 500), ADMIN) == ALLOWED
    assert ask("post:publish", post(wasm.MAX_INPUT + 500), ADMIN) == denied("policy_error")
    assert str(wasm.MAX_INPUT) in caplog.text
    assert ask("post:publish", post(500), ADMIN) == ALLOWED


def test_an_input_of_many_parts_is_decided_or_runs_out_of_fuel() -> None:
    parts: tuple[Any, ...] = ([], {}, 0, "", [[]], {"a": {"b": None}}, 1e-7, "\n\u2028😀")
    for part in parts:
        many = [part] * 15_000
        while len(orjson.dumps(many)) > wasm.MAX_INPUT - 500:
            many = many[: len(many) * 9 // 10]
        resource = {"type": "post", "owner": "me", "draft": True, "x": many}
        assert ask("post:publish", resource, ADMIN) in (ALLOWED, denied("policy_error"))
        assert ask() == ALLOWED


@pytest.mark.parametrize("opened", [b"[", b'{"a":', b'[{"a":'])
def test_a_deeply_nested_input_is_decided_or_refused(opened: bytes) -> None:
    engine = policy._bundle().policy
    closing = {b"[": b"]", b"{": b"}"}
    closed = b"".join(closing[c.to_bytes()] for c in reversed(opened) if c in b"[{")
    for depth in (100, 1_000, 5_000, (wasm.MAX_INPUT - 1) // len(opened + closed)):
        document = opened * depth + b"1" + closed * depth
        try:
            reasons = engine.evaluate(document)["reasons"]
        except wasm.PolicyError as error:  # The module's stack is exhausted.
            reasons = [str(error.__cause__)]
        assert reasons == ["malformed_input"] or "wasm trap" in reasons[0]
        assert ask() == ALLOWED


@pytest.mark.security(30)
def test_an_input_that_cannot_be_evaluated_is_denied() -> None:
    deep: Any = "x"
    for _ in range(2_000):
        deep = [deep]
    circular: list[Any] = []
    circular.append(circular)
    unaskable = [deep, circular, object(), {1: 2}, "half \ud800 a pair", 2**70, {"a"}, b"x", Path("x")]
    for odd in unaskable:
        for subject, action, resource in (
            (odd, "post:view", None),
            ({"authenticated": True, "id": odd, "role": "admin", "mfaAt": NOW}, "post:list", None),
            ({"authenticated": True, "id": "me", "role": odd, "mfaAt": NOW}, "post:list", None),
            (ADMIN, odd, None),
            (ADMIN, "post:publish", odd),
            (ADMIN, "post:publish", {"type": "post", "owner": odd, "draft": False}),
        ):
            assert ask(action, resource, subject).reasons in {("policy_error",), ("malformed_input",)}
    assert ask() == ALLOWED


# -- threads -------------------------------------------------------------------------------


def _agreed(cases: list[tuple[tuple[Any, ...], policy.Decision]], rounds: int) -> None:
    def many(offset: int) -> int:
        wrong = 0
        for i in range(rounds):
            question, expected = cases[(offset + i) % len(cases)]
            wrong += ask(*question) != expected
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(many, range(8))) == [0] * 8


def test_eight_threads_agree(use: Callable[[Path], None], compiled: list[int]) -> None:
    own = {"type": "post", "owner": "me", "draft": True}
    viewer = ADMIN | {"role": "viewer"}
    questions = [
        ("post:view", None, ANYBODY),
        ("post:publish", None, ANYBODY),
        ("post:publish", own, ADMIN),
        ("post:publish", own, viewer),
        ("post:read-any", own, viewer),
        ("post:read-any", own | {"owner": "other"}, viewer),
        ("post:list", None, viewer),
        ("member:disable", {"type": "member", "id": "me"}, ADMIN),
        ("x" * wasm.MAX_INPUT, None, ADMIN),
    ]
    expected = [ask(*question) for question in questions]
    assert len({(d.allow, d.reasons, str(d.obligations)) for d in expected}) == 7
    use(policy.BUILT)  # The first decisions, which load the bundle, are among them.
    compiled.clear()
    _agreed(list(zip(questions, expected, strict=True)), 1_000)
    assert len(compiled) == 2  # They loaded one policy, and shared one instance of it.


def test_threads_share_a_module_that_fails_now_and_then(tmp_path: Path, use: Callable[[Path], None]) -> None:
    use(bundle_of(tmp_path, scripted()))
    cases = [((action,), ALLOWED) for action in ("fine", "good", "well")]
    _agreed([*cases, (("traps",), denied("policy_error")), (("undefined",), denied("undefined"))], 100)


# -- the precompiled form ---------------------------------------------------------------------


def test_a_precompiled_policy_is_used_and_decides_alike(copied: Path, compiled: list[int]) -> None:
    asked = [("post:view", None, ANYBODY), ("post:publish", None, ANYBODY), ("member:list", None, ADMIN)]
    expected = [ask(*question) for question in asked]
    assert max(compiled) > 100_000
    wasm.precompile(copied / "policy.wasm")
    policy._load.cache_clear()
    compiled.clear()
    assert [ask(*question) for question in asked] == expected
    assert max(compiled) < 1_000


def _relabel(**changes: Any) -> Callable[[Path], None]:
    def relabel(made: Path) -> None:
        label = made.with_suffix(".json")
        label.write_text(json.dumps(json.loads(label.read_text()) | changes))

    return relabel


def _of_another_policy(made: Path) -> None:
    other = made.parent / "other"
    bundle_of(other, scripted())
    for part in (wasm.precompile(other / "policy.wasm"), other / "policy.json"):
        shutil.copy(part, made.parent)


def _of_another_configuration(made: Path) -> None:
    """What wasmtime itself refuses: the label is right, the code was compiled otherwise."""
    module = (made.parent / "policy.wasm").read_bytes()
    native = bytes(wasmtime.Module(wasmtime.Engine(), module).serialize())
    made.write_bytes(native)
    _relabel(sha256=hashlib.sha256(native).hexdigest())(made)


UNFIT: dict[str, Callable[[Path], object]] = {
    "altered": lambda made: flip(made, 50_000),
    "cut short": lambda made: made.write_bytes(made.read_bytes()[:-1]),
    "empty": lambda made: made.write_bytes(b""),
    "without a label": lambda made: made.with_suffix(".json").unlink(),
    "a label that is no JSON": lambda made: made.with_suffix(".json").write_text("{"),
    "a label that is something else": lambda made: made.with_suffix(".json").write_text("[]"),
    "for another machine": _relabel(target="riscv64-unknown-linux-gnu"),
    "by another wasmtime": _relabel(wasmtime="1.0"),
    "of another policy": _of_another_policy,
    "of another configuration": _of_another_configuration,
}


@pytest.mark.security(33)
@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
def test_a_precompiled_form_that_does_not_fit_is_left_alone(
    unfit: Callable[[Path], object], copied: Path, compiled: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    unfit(wasm.precompile(copied / "policy.wasm"))
    compiled.clear()
    assert ask() == ALLOWED
    assert ask("post:publish") == denied("not_authenticated")
    assert messages(caplog) == ["policy_precompiled_rejected"]
    assert max(compiled) > 100_000


def test_a_precompiled_form_opens_no_way_around_the_digest(copied: Path) -> None:
    wasm.precompile(copied / "policy.wasm")
    _permit_more(copied)
    assert ask() == denied("policy_error")


def test_precompiling_asks_nothing_of_this_very_processor(copied: Path) -> None:
    machine = os.uname().machine
    assert wasm.target().startswith({"arm64": "aarch64"}.get(machine, machine))
    for_any = wasmtime.Config()
    for_any.consume_fuel = True
    for_any.target = wasm.target()  # Left out, the code and its header ask for what this processor has.
    module = wasmtime.Module(wasmtime.Engine(for_any), (copied / "policy.wasm").read_bytes())
    assert wasm.precompile(copied / "policy.wasm").read_bytes() == bytes(module.serialize())


# -- the decision log ---------------------------------------------------------------------------

DECISION = {
    "decision_id",
    "policy_revision",
    "subject",
    "action",
    "resource_type",
    "resource_id",
    "allow",
    "reasons",
}
COMMON = {"timestamp", "level", "message", "location", "service", "correlation_id"}


def decisions(stack: Stack, answer: httpx.Response) -> list[dict[str, Any]]:
    lines = logged(stack, answer.headers["X-Request-ID"])
    return [line for line in lines if line["message"] == "policy_decided"]


@pytest.mark.security(34)
def test_every_decision_of_a_request_is_logged(client: httpx.Client, stack: Stack) -> None:
    post = draft(client).json()
    headers = EDITOR | {"X-Request-ID": unique("asked-")}
    answer = client.get(f"/v1/editor/posts/{post['id']}", headers=headers)
    assert answer.status_code == 200
    asked, granted = decisions(stack, answer)
    for line in (asked, granted):
        assert set(line) == DECISION | COMMON
        assert line["level"] == "INFO"
        assert line["correlation_id"] == headers["X-Request-ID"]
        assert uuid.UUID(line["decision_id"]).version == 7
        assert line["policy_revision"] == policy.revision() != ""
        assert (line["subject"], line["action"]) == ("editor-1", "post:read-any")
    assert asked["decision_id"] != granted["decision_id"]
    assert (asked["resource_type"], asked["resource_id"]) == (None, None)
    assert (asked["allow"], asked["reasons"]) == (False, ["resource_required"])
    assert (granted["resource_type"], granted["resource_id"]) == ("post", post["id"])
    assert (granted["allow"], granted["reasons"]) == (True, [])


@pytest.mark.security(34)
def test_a_refusal_is_logged_with_its_reasons(client: httpx.Client, stack: Stack) -> None:
    answer = client.get("/v1/editor/inquiries", headers=EDITOR | {"X-Test-Role": "editor"})
    problem(answer, 403, "forbidden")
    (line,) = decisions(stack, answer)
    assert (line["allow"], line["reasons"]) == (False, ["not_permitted"])
    assert line["action"] == "inquiry:list"


@pytest.mark.security(34)
def test_the_log_of_decisions_names_nobody(somebody: Callable[..., Person], staff_stack: Stack) -> None:
    editor = somebody("editors")
    editor.log_in()
    me = editor.me().json()
    assert editor.username in me["name"]
    answers = [
        editor.client.get("/v1/editor/posts"),
        editor.client.get("/v1/members"),
        editor.client.get("/v1/editor/inquiries"),
        editor.delete(f"/v1/auth/sessions/{uuid.uuid4()}"),
    ]
    lines = [line for answer in answers for line in decisions(staff_stack, answer)]
    assert len(lines) >= len(answers)
    for line in lines:
        assert set(line) == DECISION | COMMON
        assert line["subject"] == me["id"]
        # The provider's name for this person is in their name and e-mail, and must be in no line.
        assert editor.username not in json.dumps(line, ensure_ascii=False)


def test_an_instance_that_failed_leaves_memory() -> None:
    """Found by `make fuzz`: text that isn't UTF-8 makes the policy abort, and each abort kept 134 KB."""
    loaded, _ = policy._bundle()
    alive = weakref.WeakSet[Any]()
    for _ in range(20):
        if loaded._instance:
            alive.add(loaded._instance)
        with pytest.raises(wasm.PolicyError, match="illegal utf-8"):
            loaded.evaluate(b'{"a":"\xff"}')
        loaded.evaluate(b"{}")
    gc.collect()
    assert len(alive) <= 1
