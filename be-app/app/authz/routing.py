"""Routers whose routes name the policy action that decides about them: `@router.post("/x", action="x:create")`.

A guarded route identifies its caller and evaluates the policy before it reads anything of the request. A public
route is open to everybody; it counts a request against its client's limits instead.
"""

import hashlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from app.auth import authentication, csrf
from app.auth.authentication import CHANGE, READ
from app.auth.errors import CsrfRejected, Forbidden, SessionExpired
from app.auth.subject import Subject
from app.authz import guard
from app.authz.grant import Grant
from app.core.http.problems import (
    HeadersTooLarge,
    Problem,
    StoreUnavailable,
    TooManyRequests,
    Unauthenticated,
    UriTooLong,
    ValidationFailed,
    merged,
    responses,
)
from app.core.http.routing import BoundedRoute
from app.core.lazy import lazy_import
from app.core.observability import metrics
from app.core.rate_limits import fixed_window

if TYPE_CHECKING:
    from app.core.rate_limits import gcra
else:
    gcra = lazy_import("app.core.rate_limits.gcra")

SCHEME = "session"
"""Name of the security scheme of guarded routes in the OpenAPI document."""

_COMMON = responses(ValidationFailed, TooManyRequests, UriTooLong, HeadersTooLarge, Problem)
"""Responses of every route besides its own."""

_RESPONSES = responses(
    Unauthenticated, SessionExpired, Forbidden, CsrfRejected, TooManyRequests, StoreUnavailable
)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class PolicyRoute(BoundedRoute):
    """A route that names one policy action."""

    in_vpc: ClassVar[bool] = True
    """Whether the route's function reaches database and cache."""

    def __init__(self, *args: Any, action: str, **options: Any) -> None:
        self.action = action
        super().__init__(*args, **options)


class PublicRoute(PolicyRoute):
    """A route that anybody may use.

    The policy isn't evaluated at run time: a test checks that the built bundle allows the action to everybody.
    """

    def __init__(
        self,
        *args: Any,
        cost: int,
        limit: fixed_window.Limit | None,
        csrf_checked: bool,
        strict: bool,
        **options: Any,
    ) -> None:
        self.cost, self.limit, self.csrf_checked, self.strict = cost, limit, csrf_checked, strict
        super().__init__(*args, **options)

    def get_route_handler(self) -> Handler:
        """Return the handler; it counts a request before it reads anything of it."""
        handle = super().get_route_handler()

        async def counted(request: Request) -> Response:
            await self._count(request)
            return await handle(request)

        return counted

    async def _count(self, request: Request) -> None:
        if self.csrf_checked:
            csrf.check(request)
        if self.in_vpc and self.cost:
            await gcra.of_visitor(request.scope, self.cost)
        if self.limit is not None:
            await fixed_window.consume(self.limit, request)


class PublicAuthRoute(PublicRoute):
    """A public route of the auth function. Valkey is out of its reach: only limits in DynamoDB apply."""

    in_vpc = False


class GuardedRoute(PolicyRoute):
    """A route that identifies its caller and evaluates the policy before it reads anything of the request.

    FastAPI reads the body before it solves dependencies: without this route, errors in the body would be reported to
    callers who may not call it.
    """

    def __init__(self, *args: Any, responses: dict[int | str, Any] | None = None, **options: Any) -> None:
        options["openapi_extra"] = {"security": [{SCHEME: []}]}
        super().__init__(*args, responses=merged(_RESPONSES, responses or {}), **options)

    def get_route_handler(self) -> Handler:
        """Return the handler; the policy decides before it, and again within it where the object matters."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            subject = await self._identified(request)
            with guard.decision(subject, self.action) as granted:
                request.state.subject, request.state.grant = subject, granted
                return await handle(request)

        return guarded

    async def _identified(self, request: Request) -> Subject:
        """Return the caller, counted against their rate and provisioned as a member."""
        subject = await self._authenticated(request)
        if self.in_vpc:
            await gcra.of_member(request.scope, subject.id, READ if request.method == "GET" else CHANGE)
            if subject.state is not None and not subject.state.provisioned:
                subject = await request.app.state.provision(subject.state)
        metrics.note("subject", hashlib.blake2b(subject.id.encode(), digest_size=8).hexdigest())
        return subject

    async def _authenticated(self, request: Request) -> Subject:
        try:
            with metrics.timed("auth"):
                return await authentication.caller(request)
        except Problem:
            if self.in_vpc:
                await authentication.count_stranger(request)
            raise


class GuardedAuthRoute(GuardedRoute):
    """A guarded route of the auth function: it can't provision members or count requests in Valkey."""

    in_vpc = False


def _operation_id(route: APIRoute) -> str:
    return route.name


class PolicyRouter(APIRouter):
    """A router that declares no route without an action: a route's class demands one.

    Args:
        prefix: the path that all its routes begin with.
        tag: their heading in the OpenAPI document.
        route_class: the class of its routes.
    """

    def __init__(self, prefix: str, tag: str, route_class: type[PolicyRoute]) -> None:
        super().__init__(
            prefix=prefix,
            tags=[tag],
            route_class=route_class,
            responses=_COMMON,
            generate_unique_id_function=_operation_id,
        )

    def get(self, path: str, *, action: str, **options: Any) -> Callable[[Endpoint], Endpoint]:  # type: ignore[override]
        """Declare a GET route."""
        return self.declare("GET", path, action=action, **options)

    def post(self, path: str, *, action: str, **options: Any) -> Callable[[Endpoint], Endpoint]:  # type: ignore[override]
        """Declare a POST route."""
        return self.declare("POST", path, action=action, **options)

    def put(self, path: str, *, action: str, **options: Any) -> Callable[[Endpoint], Endpoint]:  # type: ignore[override]
        """Declare a PUT route."""
        return self.declare("PUT", path, action=action, **options)

    def delete(self, path: str, *, action: str, **options: Any) -> Callable[[Endpoint], Endpoint]:  # type: ignore[override]
        """Declare a DELETE route."""
        return self.declare("DELETE", path, action=action, **options)

    def declare(
        self, method: str, path: str, *, action: str, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route of `action`; `options` are FastAPI's."""
        return self._declared(method, path, {"action": action}, options)

    def _declared(
        self, method: str, path: str, policy: dict[str, Any], options: dict[str, Any]
    ) -> Callable[[Endpoint], Endpoint]:
        # FastAPI calls the class with its own options alone.
        route_class = cast("type[APIRoute]", partial(self.route_class, **policy))

        def decorated(endpoint: Endpoint) -> Endpoint:
            self.add_api_route(path, endpoint, methods=[method], route_class_override=route_class, **options)
            return endpoint

        return decorated


class PublicRouter(PolicyRouter):
    """A router of public routes; those of the auth function are `PublicAuthRoute`s."""

    def __init__(self, prefix: str, tag: str, route_class: type[PublicRoute] = PublicRoute) -> None:
        super().__init__(prefix, tag, route_class)

    def declare(
        self,
        method: str,
        path: str,
        *,
        action: str,
        cost: int = READ,
        limit: fixed_window.Limit | None = None,
        csrf_checked: bool = False,
        strict: bool = True,
        **options: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route that anybody may use.

        Args:
            method: the HTTP method.
            path: what follows the router's prefix.
            action: the action that the policy allows to everybody.
            cost: units of its client's rate that a request consumes; 0 for what needs no limit.
            limit: the route's own limit, in DynamoDB.
            csrf_checked: whether another site's page is refused before a request counts against the visitor.
            strict: whether unknown and repeated query parameters are refused.
            **options: FastAPI's.
        """
        policy = {
            "action": action,
            "cost": cost,
            "limit": limit,
            "csrf_checked": csrf_checked,
            "strict": strict,
        }
        return self._declared(method, path, policy, options)


class GuardedRouter(PolicyRouter):
    """A router of guarded routes, whose handlers take the `Actor`, or a `Granted` where the policy sets terms."""

    def __init__(self, prefix: str, tag: str, route_class: type[GuardedRoute] = GuardedRoute) -> None:
        super().__init__(prefix, tag, route_class)


async def _actor(request: Request) -> Subject:
    """Return the caller of a guarded route; refuse them where the policy sets terms, which need a `Granted`.

    On any other route this raises: nobody identified the caller.
    """
    granted: Grant | None = request.state.grant
    if granted is not None and granted.obligations:
        raise Forbidden
    subject: Subject = request.state.subject
    return subject


async def _granted(request: Request) -> Grant:
    """Return what the policy granted the caller of a guarded route, with its obligations."""
    granted: Grant = request.state.grant
    return granted


Actor = Annotated[Subject, Depends(_actor)]
"""The caller. Where the object decides, the handler or its service must still call `guard.authorise`."""

Granted = Annotated[Grant, Depends(_granted)]
"""The caller with the policy's obligations, which the handler or its service meets."""
