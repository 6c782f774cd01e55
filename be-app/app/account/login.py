"""Routes of logging in and out, from redirect to callback, and of refreshing a session."""

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qs

from fastapi import Query, Request, Response
from starlette.requests import ClientDisconnect

from app.account.dependencies import SESSIONS_CHANGE, device, end_replaced_session
from app.account.problems import LIMITED
from app.auth import cookies, credentials
from app.auth.errors import (
    CsrfRejected,
    LoginExpired,
    LogoutTokenRejected,
    ProviderUnavailable,
    SessionExpired,
    SessionMismatch,
)
from app.auth.schemas import LoggedOut, LoginQuery
from app.authz.routing import PublicAuthRoute, PublicRouter
from app.core.http import client_address
from app.core.http.problems import ValidationFailed, responses
from app.core.lazy import lazy_import
from app.core.rate_limits import fixed_window

if TYPE_CHECKING:
    from app.auth import login, oidc, sessions
else:
    login = lazy_import("app.auth.login")
    oidc = lazy_import("app.auth.oidc")
    sessions = lazy_import("app.auth.sessions")

public = PublicRouter("/v1/auth", "login", PublicAuthRoute)


def _goes_to(url: str) -> Response:
    return Response(status_code=303, headers={"Location": url})


@public.get(
    "/login",
    action="auth:login",
    limit=fixed_window.LOGIN,
    status_code=303,
    response_class=Response,
    responses=responses(*LIMITED, ValidationFailed, ProviderUnavailable),
)
async def begin_login(query: Annotated[LoginQuery, Query()]) -> Response:
    """Send the browser to the login provider. It comes back to `returnTo` with `login` added.

    `done`: logged in. `second-factor`: prove or enrol a second factor now. `failed`: nobody is logged in.
    """
    begun = await login.begin(query.return_to, anew=query.anew)
    response = _goes_to(begun.url)
    cookies.put(response, cookies.LOGIN, begun.secret, login.STAGE_AGE_S)
    return response


@public.get(
    "/callback",
    action="auth:callback",
    limit=fixed_window.LOGIN,
    strict=False,
    dependencies=[SESSIONS_CHANGE],
    status_code=303,
    response_class=Response,
    responses=responses(*LIMITED, LoginExpired, ProviderUnavailable),
)
async def finish_login(
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str | None, Query(max_length=4000)] = None,
    iss: Annotated[str | None, Query(max_length=2000)] = None,
    error: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Take the provider's answer; browsers come here from its pages."""
    answer = {"state": state, "code": code, "iss": iss, "error": error}
    returned = await login.finish(
        cookies.read(request, cookies.LOGIN),
        {name: value for name, value in answer.items() if value is not None},
    )
    response = _goes_to(returned.url)
    if returned.verified is not None:
        identity, proven_at = returned.verified
        if proven_at is None:
            secret = await login.await_second_factor(identity, returned.at)
            cookies.put(response, cookies.PENDING, secret, login.STAGE_AGE_S)
        else:
            made = await login.enter(
                identity, returned.at, second_factor_at=proven_at, device=device(request)
            )
            await end_replaced_session(request)
            cookies.put_session(response, made)
    cookies.put(response, cookies.LOGIN, "", 0)
    return response


@public.post(
    "/refresh",
    action="auth:refresh",
    limit=fixed_window.REFRESH,
    csrf_checked=True,
    status_code=204,
    responses=responses(*LIMITED, CsrfRejected, SessionExpired),
)
async def refresh_session(request: Request) -> Response:
    """Exchange the refresh token for new cookies. Front ends do so after a 401, and repeat the request."""
    made = await sessions.refresh(
        credentials.of(request).renewal, arrived_at=client_address.arrived_at(request.scope)
    )
    response = Response(status_code=204)
    cookies.put_session(response, made)
    return response


@public.post(
    "/logout",
    action="auth:logout",
    limit=fixed_window.REFRESH,
    csrf_checked=True,
    dependencies=[SESSIONS_CHANGE],
    response_model=LoggedOut,
    responses=responses(*LIMITED, CsrfRejected, SessionExpired),
)
async def log_out(request: Request, response: Response) -> LoggedOut | Response:
    """End this browser's session. Without one it answers alike; cookies of several are removed, and end none."""
    try:
        held = credentials.of(request)
    except SessionMismatch as mismatch:
        refused = mismatch.response()
        cookies.remove_session(refused)
        return refused
    await sessions.end_by_tokens(held.refresh, held.access)
    cookies.remove_session(response)
    return LoggedOut(end_session_url=await oidc.log_out_url())


_LONGEST_LOGOUT_FORM = 32 * 1024
_LOGOUT_TOKEN = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {"logout_token": {"type": "string"}},
                    "required": ["logout_token"],
                }
            }
        },
    }
}


@public.post(
    "/backchannel-logout",
    action="auth:backchannel-logout",
    limit=fixed_window.BACKCHANNEL,
    strict=False,
    dependencies=[SESSIONS_CHANGE],
    responses=responses(*LIMITED, LogoutTokenRejected, ProviderUnavailable),
    openapi_extra=_LOGOUT_TOKEN,
)
async def log_out_by_provider(request: Request) -> dict[str, Any]:
    """Take the provider's word that a session or a person is logged out (OpenID Connect Back-Channel Logout)."""
    # FastAPI's forms need a parser of multipart bodies, which this never is.
    try:
        body = await request.body()
        if len(body) > _LONGEST_LOGOUT_FORM:
            raise LogoutTokenRejected
        form = parse_qs(body.decode("latin-1"), max_num_fields=10)
    except (ClientDisconnect, ValueError):
        raise LogoutTokenRejected from None
    await login.log_out_at_provider(form.get("logout_token", [""])[0])
    return {}
