"""The built policy is the sources' own, and the engine in process says what OPA itself says."""

import json
import math
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from app.authz import policy
from familycorp_ops.admin import policy as command
from familycorp_ops.servers.process import NotInstalledError
from familycorp_ops.testing.servers import missing

SOURCES = command.home()
FILES = ("policy.wasm", "data.json", "manifest.json")
MANIFEST = json.loads((policy.BUILT / "manifest.json").read_text())
NOW = 1_795_424_400


@pytest.fixture
def opa() -> str:
    """OPA's own command, of any version."""
    program = shutil.which("opa")
    if program is None:
        missing("opa", NotInstalledError("opa is not on PATH"))
    return program


# -- the bundle ------------------------------------------------------------------------


@pytest.mark.security(33)
def test_the_bundle_is_in_step_with_its_sources() -> None:
    assert MANIFEST["sources"] == command.source_digest(SOURCES), "`make policy` rebuilds it."
    assert MANIFEST["revision"] == MANIFEST["sources"][:12]
    assert json.loads((policy.BUILT / "data.json").read_text()) == json.loads(
        (SOURCES / "data" / "data.json").read_text()
    )


def test_the_digest_of_the_sources_changes_with_each_of_them(tmp_path: Path) -> None:
    copied = tmp_path / "opa"
    shutil.copytree(SOURCES, copied)
    digests = [command.source_digest(copied)]
    for source in command.sources(copied):
        source.write_bytes(source.read_bytes() + b"\n")
        digests.append(command.source_digest(copied))
    (copied / "policies" / "more_test.rego").write_text("package more\n")
    assert command.source_digest(copied) == digests[-1]  # A test is no part of the policy.
    (copied / "policies" / "more.rego").write_text("package more\n")
    digests.append(command.source_digest(copied))
    assert len(set(digests)) == len(digests)


@pytest.mark.security(33)
def test_building_again_gives_the_same_bytes(opa: str, tmp_path: Path) -> None:
    version = subprocess.check_output([opa, "version"], text=True)
    if f"Version: {MANIFEST['opa']}\n" not in version:
        pytest.skip(f"the bundle was built by OPA {MANIFEST['opa']}; another may compile otherwise")
    built = tmp_path / "bundle"
    built.mkdir()
    for stale in ("policy.cwasm", "policy.json"):
        (built / stale).write_text("precompiled from another module")
    command.build(built)
    assert {path.name for path in built.iterdir()} == set(FILES)
    for name in FILES:
        assert (built / name).read_bytes() == (policy.BUILT / name).read_bytes(), name


def test_the_policys_own_tests_pass(opa: str, capsys: pytest.CaptureFixture[str]) -> None:
    command.run_tests()
    assert "tests pass" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rule", "builtin"),
    [
        ('sprintf("%s", [input.action]) == "x"', "sprintf"),
        ("time.now_ns() > input.context.now", "time.now_ns"),
        ('http.send({"method": "get", "url": "http://127.0.0.1"}).status_code == 200', "http.send"),
        ('regex.match("^post:", input.action)', "regex.match"),
    ],
)
def test_a_built_in_that_is_not_listed_fails_the_build(
    rule: str, builtin: str, opa: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "opa"
    shutil.copytree(SOURCES, copied)
    rego = copied / "policies" / "authz.rego"
    rego.write_text(f'{rego.read_text()}\nreasons contains "other" if {rule}\n')
    monkeypatch.setattr(command, "home", lambda: copied)
    with pytest.raises(SystemExit, match=f"undefined function {builtin}"):
        command.build(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


# -- the engine --------------------------------------------------------------------------

DATA = json.loads((policy.BUILT / "data.json").read_text())
ACTIONS = sorted({action for permitted in DATA["roles"].values() for action in permitted})
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    300,
    NOW,
    NOW - 301,
    0.5,
    1e-7,
    1e15,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    2**53 + 1,
    2**63,
    -(2**63) - 1,
    10**40,
    "",
    "me",
    "other",
    "admin",
    "system",
    "anonymous",
    "member",
    "post",
    "published",
    "가나다",
    "\u0000",
    '\u2028\u2029\\"/',
    "😀",
    "x" * 500,
    [],
    ["admin"],
    [[]],
    {},
    {"admin": True},
    {"type": "post"},
)


def _nested(depth: int) -> Any:
    made: Any = "x"
    for level in range(depth):
        made = [made] if level % 2 else {"x": made}
    return made


def _object(rng: random.Random, action: str) -> Any:
    kind = DATA["objects"].get(action)
    if action == "post:view":
        return {"type": "post", "published": rng.random() < 0.5}
    if kind is None or rng.random() < 0.1:
        return None
    made: dict[str, Any] = {"type": kind, "id": rng.choice(["me", "other", "x"])}
    if kind != "member":
        made["owner"] = rng.choice(["me", "me", "other"])
    if kind == "post":
        made["draft"] = rng.random() < 0.5
    if action == "member:set-role":
        made["newRole"] = rng.choice(["admin", "editor", "viewer", None])
    return made


def _valid(rng: random.Random) -> dict[str, Any]:
    role = rng.choice(["anonymous", None, "viewer", "editor", "admin", "admin", "system"])
    action = rng.choice(ACTIONS)
    subject: dict[str, Any] = {"authenticated": False}
    if role != "anonymous":
        at = NOW - rng.choice([-6, -5, 0, 1, 299, 300, 301, 100_000])
        subject = {"authenticated": True, "id": "me", "role": role, "mfaAt": at}
    return {"subject": subject, "action": action, "resource": _object(rng, action), "context": {"now": NOW}}


def _spoil(rng: random.Random, document: dict[str, Any]) -> Any:
    """Return an input with one thing changed, somewhere."""
    places = [document] + [part for part in document.values() if isinstance(part, dict) and part]
    place = rng.choice(places)
    name = rng.choice(sorted(place))
    match rng.randrange(6):
        case 0:
            del place[name]
        case 1:
            place[rng.choice(["owner", "draft", "published", "role", "id", "newRole", "x", "가"])] = (
                rng.choice(ODD)
            )
        case 2:
            place[name] = [place[name]]
        case 3:
            place[name] = _nested(rng.randrange(1, 60))
        case 4 if place is document and rng.random() < 0.2:
            return rng.choice([*ODD, [document], {"input": document}])
        case _:
            place[name] = rng.choice(ODD)
    return document


def generated(number: int) -> Iterator[Any]:
    """Yield inputs, the same ones each time: as they should be, nearly so, and not at all."""
    rng = random.Random(4_711)
    for _ in range(number):
        document: Any = _valid(rng)
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
            if isinstance(document, dict) and document:
                document = _spoil(rng, document)
        yield deepcopy(document)


def of_opa(opa: str, inputs: Sequence[str], directory: Path) -> list[Any]:
    """Return what OPA decides of each input; all are given to one process."""
    asked = directory / "inputs.json"
    asked.write_text(f'{{"inputs": [{",".join(inputs)}]}}')
    sources = [f"--data={path}" for path in (*command.sources(SOURCES), asked)]
    # An undefined decision would make the list shorter.
    query = "[decision | some asked in data.inputs; decision := data.authz.decision with input as asked]"
    ran = subprocess.run(
        [opa, "eval", *sources, query], capture_output=True, text=True, check=True, timeout=120
    )
    decisions: list[Any] = json.loads(ran.stdout)["result"][0]["expressions"][0]["value"]
    return decisions


@pytest.mark.security(30)
def test_ten_thousand_inputs_are_decided_as_opa_decides_them(opa: str, tmp_path: Path) -> None:
    inputs = list(generated(13_000))
    by_opa = of_opa(opa, [json.dumps(document) for document in inputs], tmp_path)
    engine = policy._bundle().policy
    seen: Counter[str] = Counter()
    for document, expected in zip(inputs, by_opa, strict=True):
        told = engine.evaluate(json.dumps(document).encode())
        assert told == expected, document
        seen.update(told["reasons"] or ["allowed"])
    assert set(seen) == {
        "allowed",
        "malformed_input",
        "unknown_action",
        "not_authenticated",
        "not_permitted",
        "resource_required",
        "not_owner",
        "own_account",
        "not_published",
        "step_up_required",
    }
    assert seen["allowed"] > 1_500
    assert seen["malformed_input"] > 2_500
    assert min(seen.values()) > 20


def test_numbers_as_no_python_writes_them_are_decided_as_opa_decides_them(opa: str, tmp_path: Path) -> None:
    template = (
        '{"subject":{"authenticated":true,"id":"me","role":"admin","mfaAt":%s},"action":"member:disable",'
        '"resource":{"type":"member","id":"other"},"context":{"now":%s}}'
    )
    # None is finer than a double beside the others: OPA rounds their difference, the module doesn't, and denies.
    numbers = [
        "0", "-0", "0.0", "1E3", "1e+3", "1.795424400e9", "1795424400.0", "1795424399.9999999999999999999",
        "1795424100", "1795424099.999999", "1e400", "-1e400", "1e-400", "9" * 400, "0." + "3" * 400,
    ]  # fmt: skip
    documents = [template % (at, now) for at in numbers for now in (*numbers, "1795424400")]
    by_opa = of_opa(opa, documents, tmp_path)
    engine = policy._bundle().policy
    for document, expected in zip(documents, by_opa, strict=True):
        assert engine.evaluate(document.encode()) == expected, document


# -- malformed questions --------------------------------------------------------------------

GOOD = {
    "subject": {"authenticated": True, "id": "me", "role": "admin", "mfaAt": NOW},
    "action": "post:publish",
    "resource": {"type": "post", "id": "p", "owner": "other", "draft": True},
    "now": NOW,
}
WRONG: tuple[Any, ...] = (
    None,
    True,
    0,
    1.5,
    "x",
    "",
    [],
    ["x"],
    {},
    {"x": 1},
    math.nan,
    math.inf,
    10**400,
    _nested(3),
    _nested(5_000),
)


def decided(question: dict[str, Any]) -> policy.Decision:
    asked = question | {}
    return policy.decide(asked["subject"], asked["action"], asked["resource"], now=asked["now"])


@pytest.mark.security(30)
def test_one_thing_wrong_is_enough_to_deny() -> None:
    assert decided(GOOD).allow
    for part, name, fine in (
        ("subject", None, ()),
        ("subject", "authenticated", (True,)),
        ("subject", "id", ("x",)),
        ("subject", "role", ()),
        ("subject", "mfaAt", (0, 1.5)),
        ("action", None, ()),
        ("resource", None, ()),
        ("resource", "type", ()),
        ("resource", "owner", ("x", "")),
        ("resource", "draft", (True,)),
        ("now", None, (0, 1.5)),
    ):
        for value in WRONG:
            if any(type(value) is type(one) and value == one for one in fine):
                continue
            question = deepcopy(GOOD)
            if name is None:
                question[part] = value
            else:
                question[part][name] = value  # type: ignore[index]
            assert not decided(question).allow, (part, name, value)
        if name is not None:
            question = deepcopy(GOOD)
            del question[part][name]  # type: ignore[attr-defined]
            assert not decided(question).allow, (part, name)
    assert decided(GOOD).allow
