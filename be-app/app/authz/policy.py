"""The policy's decisions: what the bundle says, and a denial wherever it says nothing.

A bundle is three files: `policy.wasm`, `data.json` and `manifest.json`, which holds their digests and the policy's
revision. `OPA_BUNDLE_PATH` names its directory; in Lambda it is `/opt/opa/bundle`.
"""

import atexit
import hashlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from app.core.clock import new_id
from app.core.lazy import lazy_import
from app.core.observability import metrics

if TYPE_CHECKING:
    from app.authz import wasm
else:
    wasm = lazy_import("app.authz.wasm")

DECISION, ALLOWED = "authz/decision", "authz/allowed"
BUNDLE_PATH = "OPA_BUNDLE_PATH"
IN_LAMBDA = Path("/opt/opa/bundle")
BUILT = Path(__file__).parents[2] / "opa" / "build" / "opa" / "bundle"

logger = logging.getLogger("app.authz")
_loading = threading.Lock()


class Decision(NamedTuple):
    """A decision of the policy: whether it allows the action, its reasons if not, and its obligations."""

    allow: bool
    reasons: tuple[str, ...]
    obligations: Mapping[str, Any]
    roles: tuple[str, ...] = ()
    """Roles that permit what the caller's role doesn't, the least first."""


class _Bundle(NamedTuple):
    policy: "wasm.Policy"
    revision: str


def _denied(reason: str) -> Decision:
    return Decision(allow=False, reasons=(reason,), obligations={})


@cache
def _load(named: str | None) -> _Bundle:
    """Load the bundle that a directory holds, or the one that is deployed or built here."""
    directory = Path(named) if named else IN_LAMBDA if IN_LAMBDA.is_dir() else BUILT
    manifest = orjson.loads((directory / "manifest.json").read_bytes())
    content = {name: (directory / name).read_bytes() for name in ("policy.wasm", "data.json")}
    for name, read in content.items():
        if hashlib.sha256(read).hexdigest() != manifest["files"][name]:
            raise wasm.PolicyError(f"{name} is not what the manifest says")
    # What was read is what was verified, and what is used.
    policy = wasm.Policy(
        content["policy.wasm"], content["data.json"], (DECISION, ALLOWED), directory / wasm.PRECOMPILED
    )
    atexit.register(_load.cache_clear)  # wasmtime can't free objects while the interpreter shuts down.
    return _Bundle(policy, manifest["revision"])


def _bundle() -> _Bundle:
    with _loading:  # Two first decisions at once would load it twice.
        return _load(os.environ.get(BUNDLE_PATH))


def revision() -> str:
    """Return the revision of the policy that decides; empty when none can be loaded."""
    try:
        return _bundle().revision
    except Exception:
        logger.exception("policy_load_failed")
        return ""


def decide(
    subject: Mapping[str, Any], action: str, resource: Mapping[str, Any] | None, *, now: int
) -> Decision:
    """Evaluate the policy; log the decision and return it. It never raises: every failure is a denial.

    Args:
        subject: `{"authenticated": False}`, or with `id`, `role` and `mfaAt` (epoch seconds).
        action: the action's name, as `post:publish`.
        resource: the action's object, with its `type`; None where it isn't known yet.
        now: epoch seconds.
    """
    version = ""
    try:
        policy, version = _bundle()
        asked = {"subject": subject, "action": action, "resource": resource, "context": {"now": now}}
        metrics.add("policy_evaluations")
        decision = _understood(policy.evaluate(orjson.dumps(asked)))
    except Exception:  # Fail closed (ASVS 16.5.3).
        logger.exception("policy_evaluation_failed")
        decision = _denied("policy_error")
    _log(subject, action, resource, decision, version)
    return decision


def _understood(value: Any) -> Decision:
    """Return a decision that is one in every part; anything else is a denial."""
    if value is wasm.UNDEFINED:
        return _denied("undefined")
    allow, reasons, obligations = value["allow"], value["reasons"], value["obligations"]
    if not isinstance(reasons, list) or not all(isinstance(reason, str) for reason in reasons):
        raise ValueError("reasons are malformed")
    if allow is not (not reasons) or not isinstance(obligations, dict):
        raise ValueError("allow or obligations are malformed")
    return Decision(allow, tuple(reasons), obligations, tuple(value.get("roles", ())))


_BATCH = 8
"""Resources of one evaluation, which has bounded fuel and memory; a growing policy needs more for each."""


def allowed(
    subject: Mapping[str, Any], resources: Sequence[Mapping[str, Any] | None], *, now: int
) -> list[list[str]]:
    """Return the actions that the policy would allow on each resource, or without one where it is None.

    An action that only lacks a recent second factor is among them. Never raises: a failure allows nothing.

    Args:
        subject: as in `decide`.
        resources: as in `decide`, each with what any of its actions needs.
        now: epoch seconds.
    """
    names = [orjson.dumps(resource) for resource in resources]
    different = dict(zip(names, resources, strict=True))
    found: dict[bytes, list[str]] = {}
    try:
        policy, _ = _bundle()
        for start in range(0, len(different), _BATCH):
            batch = list(different)[start : start + _BATCH]
            asked = {
                "subject": subject,
                "resources": [different[name] for name in batch],
                "context": {"now": now},
            }
            with metrics.timed("policy"):
                found.update(zip(batch, policy.evaluate(orjson.dumps(asked), ALLOWED), strict=True))
            metrics.add("policy_evaluations")
    except Exception:  # As in `decide`: not to know is to deny.
        logger.exception("policy_evaluation_failed")
    return [found.get(name, []) for name in names]


def _log(
    subject: Mapping[str, Any],
    action: str,
    resource: Mapping[str, Any] | None,
    decision: Decision,
    version: str,
) -> None:
    """Log subject, action and resource by IDs alone, without personal data (ASVS 16.3.2)."""
    logger.info(
        "policy_decided",
        extra={
            "decision_id": str(new_id()),
            "policy_revision": version,
            "subject": _of(subject, "id") or "anonymous",
            "action": action,
            "resource_type": _of(resource, "type"),
            "resource_id": _of(resource, "id"),
            "allow": decision.allow,
            "reasons": decision.reasons,
        },
    )


def _of(part: Any, name: str) -> Any:
    """Return one property of a part of the input, which may be anything at all when it was denied."""
    return part.get(name) if isinstance(part, dict) else None
