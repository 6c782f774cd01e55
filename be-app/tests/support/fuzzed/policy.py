"""Whatever the policy is asked, it answers; an input that is malformed, or that no role permits, is denied.

What is well-formed and permitted is written down here a second time, from the description of the input in
docs/reference/opa.md and from `data.json`.
"""

import json
from contextlib import suppress
from typing import Any

import orjson

from app.authz import policy, wasm

WITHIN_S = 0.5
_DATA = json.loads((policy.BUILT / "data.json").read_bytes())
_ACTIONS = sorted({action for actions in _DATA["roles"].values() for action in actions})
WORDS = (
    *(f'"{action}"'.encode() for action in _ACTIONS),
    *(
        b'"anonymous"',
        b'"viewer"',
        b'"editor"',
        b'"admin"',
        b'"system"',
        b'"member"',
        b"null",
        b"true",
        b"false",
        b"1e999",
    ),
    *(
        b'"authenticated"',
        b'"newRole"',
        b'"owner"',
        b'"draft"',
        b'"published"',
        b'"mfaAt"',
        b'"type"',
        b'"now"',
        b"\\u0000",
    ),
)
NOW = 1_800_000_000


def seeds() -> list[bytes]:
    somebody = {"authenticated": True, "id": "a", "role": "editor", "mfaAt": NOW}
    asked: list[tuple[Any, str, Any]] = [
        ({"authenticated": False}, "post:view", None),
        (somebody, "post:create", None),
        (somebody | {"role": "admin"}, "member:set-role", {"type": "member", "id": "b", "newRole": "viewer"}),
        (somebody, "post:update", {"type": "post", "owner": "a", "draft": True}),
        (somebody | {"role": None}, "session:end-own", {"type": "session", "owner": "a"}),
        (somebody, "upload:delete", {"type": "upload", "owner": "b"}),
    ]
    return [_input(*each) for each in asked]


def _input(subject: Any, action: Any, resource: Any, now: Any = NOW) -> bytes:
    return orjson.dumps({"subject": subject, "action": action, "resource": resource, "context": {"now": now}})


def check(data: bytes) -> None:
    loaded, _ = policy._bundle()
    with suppress(wasm.PolicyError):
        loaded.evaluate(data)
    try:
        asked = orjson.loads(data)
    except ValueError:
        return
    if not isinstance(asked, dict):
        return
    subject, action, resource = (asked.get(name) for name in ("subject", "action", "resource"))
    context = asked.get("context")
    now = context.get("now") if isinstance(context, dict) else None
    decision = policy.decide(subject, action, resource, now=now)  # type: ignore[arg-type]
    assert decision.allow is (not decision.reasons)
    if decision.allow:
        assert _is_permitted(subject, action, resource, now)
    # What it was asked before, however strange, leaves nothing behind.
    assert policy.decide({"authenticated": False}, "post:view", None, now=NOW).allow
    assert not policy.decide({"authenticated": False}, "post:create", None, now=NOW).allow


def _is_permitted(subject: Any, action: Any, resource: Any, now: Any) -> bool:
    assert _is_number(now)
    assert isinstance(subject, dict)
    if subject.get("authenticated") is True:
        assert isinstance(subject["id"], str)
        assert subject["id"]
        assert _is_number(subject["mfaAt"])
        assert subject["role"] in {"viewer", "editor", "admin", "system", None}
        role = subject["role"] or "member"
    else:
        assert subject == {"authenticated": False}
        role = "anonymous"
    if resource is not None:
        assert resource["type"] == _DATA["objects"].get(action, "post")
    if action in _DATA["objects"]:
        assert resource is not None
    if action in _DATA["stepUp"]:
        assert subject["mfaAt"] >= now - _DATA["stepUpMaxAge"]
    if (
        role in {"viewer", "editor", "member"}
        and isinstance(resource, dict)
        and resource.get("draft") is True
    ):
        assert resource["owner"] == subject["id"]
    return any(action in _DATA["roles"][inherited] for inherited in _DATA["inherits"][role])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
