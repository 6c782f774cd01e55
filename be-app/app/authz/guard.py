"""Ties a route to the policy action that decides whether a caller may use it, and asks the policy.

A guarded route asks twice where a role alone doesn't decide: first whether the caller may do such a thing at all,
before anything is read; then, by `authorise`, with the object at hand, inside the transaction that uses it.
"""

import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request, Response

from app.auth import csrf
from app.auth.authentication import CHANGE, READ, count_stranger, current_subject
from app.auth.errors import CrossSiteRefused, Forbidden, RefreshRefused, StepUpRequired
from app.auth.subject import Subject
from app.authz.grant import Grant
from app.core.clock import now
from app.core.http.problems import (
    NotFound,
    Problem,
    StoreUnavailable,
    TooManyRequests,
    Unauthenticated,
    merged,
    responses,
)
from app.core.http.routing import StrictRoute
from app.core.lazy import lazy_import
from app.core.observability import metrics
from app.core.rate_limits import fixed_window

if TYPE_CHECKING:
    from app.authz import policy
    from app.core.rate_limits import gcra
else:
    policy = lazy_import("app.authz.policy")
    gcra = lazy_import("app.core.rate_limits.gcra")

_RESOURCE, _STEP_UP, _NOT_OWNER = "resource_required", "step_up_required", "not_owner"
SCHEME = "session"
"""What the OpenAPI document calls the way in which a caller of a guarded route is known."""

_RESPONSES = responses(
    Unauthenticated, RefreshRefused, Forbidden, CrossSiteRefused, TooManyRequests, StoreUnavailable
)

# The action that was only allowed on condition that it is asked again with its object.
_owed: ContextVar[set[str] | None] = ContextVar("owed_decisions", default=None)


class UndecidedAction(Exception):
    """A handler ended without asking the policy about the object it worked on. It is a bug; nobody gets an answer."""


class GuardedRoute(StrictRoute):
    """A route that asks who is calling before it looks at anything else.

    FastAPI reads the body before it solves dependencies: a stranger would be told what is wrong with it.
    """

    in_vpc = True
    """Whether its function reaches database and cache."""

    def __init__(self, *args: Any, responses: dict[int | str, Any] | None = None, **options: Any) -> None:
        options["openapi_extra"] = {"security": [{SCHEME: []}]}
        super().__init__(*args, responses=merged(_RESPONSES, responses or {}), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, preceded by the questions and followed by a check that none was left out."""
        handle = super().get_route_handler()
        action = _action_of(self.dependant)

        async def guarded(request: Request) -> Response:
            identify = request.app.dependency_overrides.get(current_subject, current_subject)
            cost = READ if request.method == "GET" else CHANGE
            try:
                with metrics.timed("auth"):
                    subject: Subject = await identify(request)
            except Problem:
                if self.in_vpc:
                    await count_stranger(request)
                raise
            if self.in_vpc:
                await gcra.of_member(request.scope, subject.id, cost)
                if subject.state is not None and not subject.state.provisioned:
                    subject = await request.app.state.provision(subject.state)
            metrics.note("subject", hashlib.blake2b(subject.id.encode(), digest_size=8).hexdigest())
            request.state.grant = _first_answer(subject, action)
            owed = {action} if request.state.grant is None else set[str]()
            request.state.subject = subject
            token = _owed.set(owed)
            try:
                response = await handle(request)
            finally:
                _owed.reset(token)
            if owed:
                raise UndecidedAction(action)
            return response

        return guarded


class GuardedAuthRoute(GuardedRoute):
    """A guarded route of the function without database and cache: it can't provision members or count requests."""

    in_vpc = False


def _action_of(dependant: Any) -> str:
    """Return the action that a route's `require` or `grant` names; a route has exactly one."""
    actions = [d.call.action for d in dependant.dependencies if hasattr(d.call, "action")]
    if len(actions) != 1:
        raise TypeError(f"a guarded route names one action, not {actions}")
    return str(actions[0])


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
    raise _refusal(decision.reasons)


def _refusal(reasons: tuple[str, ...]) -> Forbidden:
    only_step_up = _STEP_UP in reasons and set(reasons) <= {_STEP_UP, _RESOURCE}
    return StepUpRequired() if only_step_up else Forbidden(f"Reasons: {', '.join(reasons)}.")


def authorise(subject: Subject, action: str, resource: Mapping[str, Any] | None) -> None:
    """Ask the policy whether `subject` may do `action` to an object.

    Raises `NotFound` where the object is somebody else's alone, so that nobody learns that it exists; `Forbidden` or
    `StepUpRequired` otherwise.
    """
    decision = _decide(subject, action, resource)
    if not decision.allow or decision.obligations:
        raise NotFound if _NOT_OWNER in decision.reasons else _refusal(decision.reasons)
    if (owed := _owed.get()) is not None:
        owed.discard(action)


def permitted(subject: Subject, action: str, resource: Mapping[str, Any]) -> bool:
    """Return what the policy says of an object that a request names beside its own, by an id in its body."""
    decision = _decide(subject, action, resource)
    return bool(decision.allow and not decision.obligations)


def guarded_router(prefix: str, tag: str, route_class: type[GuardedRoute] = GuardedRoute) -> APIRouter:
    """Return a router of guarded routes; each of them still names its action by `require` or `grant`."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=route_class)


def require(action: str) -> Any:
    """Return a dependency that gives the caller of a route whose action is `action`.

    The route itself has asked the policy. Where the object decides, the handler still owes `authorise`; where the
    policy demands something in return, this refuses: use `grant`. On a route that is not a `GuardedRoute` it
    always raises: nobody asked who is calling.
    """

    async def allowed(request: Request) -> Subject:
        granted: Grant | None = request.state.grant
        if granted is not None and granted.obligations:
            raise Forbidden
        subject: Subject = request.state.subject
        return subject

    return _named(allowed, action)


def grant(action: str) -> Any:
    """Return a dependency like `require`'s that gives a `Grant`, for a handler that meets its obligations."""

    async def allowed(request: Request) -> Grant:
        granted: Grant = request.state.grant
        return granted

    return _named(allowed, action)


def unguarded(
    action: str, *, cost: int = READ, limit: fixed_window.Limit | None = None, csrf_checked: bool = False
) -> Any:
    """Return a dependency that names the action of a route which anybody may use.

    The policy isn't asked when it is used: that it allows it to everybody is tested with the built bundle. The
    route (`BoundedRoute`) counts a request before it reads anything of it.

    Args:
        action: what is done.
        cost: what a request costs its client's address; 0 for what has a limit of its own, or needs none.
        limit: the limit of its own.
        csrf_checked: whether a page of another site is refused first, so that it can't use up its visitor's limit.
    """

    async def count(request: Request) -> None:
        if csrf_checked:
            csrf.check(request)
        if cost:
            await gcra.of_visitor(request.scope, cost)
        if limit is not None:
            await fixed_window.spend(limit, request)

    async def anybody() -> None:
        pass

    anybody.public, anybody.count = True, count  # type: ignore[attr-defined]
    return _named(anybody, action)


def _named(guard: Callable[..., Awaitable[Any]], action: str) -> Any:
    guard.action = action  # type: ignore[attr-defined]
    return Depends(guard)
