"""Evaluates the policy for a caller's action.

Where the caller's role alone doesn't decide, the policy is evaluated twice: by `decision` without an object, before
anything is read, and by `authorise` with the object, in the transaction that uses it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from app.auth.errors import Forbidden, StepUpRequired
from app.auth.subject import Subject
from app.authz.grant import Grant
from app.core.clock import now
from app.core.http.problems import NotFound
from app.core.lazy import lazy_import
from app.core.messages import marked
from app.core.observability import metrics

if TYPE_CHECKING:
    from app.authz import policy
else:
    policy = lazy_import("app.authz.policy")

_RESOURCE, _STEP_UP, _NOT_OWNER = "resource_required", "step_up_required", "not_owner"
_NOT_PERMITTED = "not_permitted"

_ROLES = {
    "member": marked("This needs a member account."),
    "viewer": marked("This needs the role viewer."),
    "editor": marked("This needs the role editor."),
    "admin": marked("This needs the role admin."),
}
"""Detail of a denial where this is the least role that permits the action."""

_UNDECIDED = marked("Permission could not be checked, so access is denied. Try again later.")
_DETAILS = {
    "not_shared": marked(
        "The author of this post lets you read it only, or read and edit it. Ask the author."
    ),
    "own_account": marked("You cannot change your own account. Ask another admin."),
    "malformed_input": _UNDECIDED,
    "undefined": _UNDECIDED,
    "unknown_action": _UNDECIDED,
    "policy_error": _UNDECIDED,
}
"""Detail of a denial for a reason that no other role would change."""

# The action that the policy allowed on condition that `authorise` evaluates it again with the object.
_pending: ContextVar[set[str] | None] = ContextVar("pending_decisions", default=None)


class UndecidedAction(Exception):
    """A handler ended without evaluating the policy for its object. This is a bug, answered with 500."""


@contextmanager
def decision(subject: Subject, action: str) -> Iterator[Grant | None]:
    """Ask without an object: give the grant, or None where the object decides.

    Raises `Forbidden` or `StepUpRequired`; and `UndecidedAction` at the end, where the object decides and `authorise`
    wasn't called about it.
    """
    granted = _first_answer(subject, action)
    pending = {action} if granted is None else set[str]()
    token = _pending.set(pending)
    try:
        yield granted
    finally:
        _pending.reset(token)
    if pending:
        raise UndecidedAction(action)


def _decide(subject: Subject, action: str, resource: Mapping[str, Any] | None) -> Any:
    with metrics.timed("policy"):
        decision = policy.decide(subject.as_input(), action, resource, now=int(now().timestamp()))
    metrics.note("decision", f"{action} {'allow' if decision.allow else 'deny'}")
    return decision


def _first_answer(subject: Subject, action: str) -> Grant | None:
    """Ask without an object: return the grant, None if the object decides; raise `Forbidden` otherwise."""
    decision = _decide(subject, action, None)
    if decision.allow:
        return Grant(subject, decision.obligations)
    if tuple(decision.reasons) == (_RESOURCE,):
        return None
    raise _refusal(decision)


def _refusal(decision: "policy.Decision") -> Forbidden:
    """Return the problem of a denial; its detail says what would be needed."""
    if _STEP_UP in decision.reasons and set(decision.reasons) <= {_STEP_UP, _RESOURCE}:
        return StepUpRequired(reasons=decision.reasons)
    details = [_DETAILS[reason] for reason in decision.reasons if reason in _DETAILS]
    if _NOT_PERMITTED in decision.reasons and decision.roles:
        details = [_ROLES[decision.roles[0]]]
    return Forbidden(*details[:1], reasons=decision.reasons)


def authorise(subject: Subject, action: str, resource: Mapping[str, Any] | None) -> None:
    """Ask the policy whether `subject` may do `action` to an object.

    Raises `NotFound` where the object is somebody else's alone, so that nobody learns that it exists; `Forbidden` or
    `StepUpRequired` otherwise.
    """
    decision = _decide(subject, action, resource)
    if not decision.allow or decision.obligations:
        raise NotFound if _NOT_OWNER in decision.reasons else _refusal(decision)
    if (pending := _pending.get()) is not None:
        pending.discard(action)


def allowed(subject: Subject, resources: Sequence[Mapping[str, Any] | None]) -> list[list[str]]:
    """Return the actions that the policy would allow on each resource, or without one where it is None.

    An action that only lacks a recent second factor is among them. Equal resources are evaluated once.
    """
    return policy.allowed(subject.as_input(), resources, now=int(now().timestamp()))


def permitted(subject: Subject, action: str, resource: Mapping[str, Any]) -> bool:
    """Return what the policy says of an object that a request names beside its own, by an id in its body."""
    decision = _decide(subject, action, resource)
    return bool(decision.allow and not decision.obligations)
