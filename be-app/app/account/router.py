"""Routes of logging in. They need neither the database nor Valkey, and only they can sign tokens."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import parse_qs

from fastapi import Depends, Path, Query, Request, Response
from starlette.requests import ClientDisconnect

from app.auth import cookies, credentials, csrf
from app.auth.authentication import caller, count_stranger
from app.auth.errors import (
    CrossSiteRefused,
    FactorExists,
    KeyUnavailable,
    LastFactor,
    LoginNotUnderWay,
    LogoutRefused,
    ProviderUnavailable,
    RefreshRefused,
    SecondFactorRejected,
    SessionMismatch,
    StepUpRequired,
)
from app.auth.schemas import (
    FactorAdded,
    FactorCard,
    FactorCards,
    LoggedOut,
    LoginQuery,
    Me,
    PasskeyAddition,
    PasskeyOptions,
    Proof,
    RecoveryCodes,
    SecondFactorState,
    SessionCards,
    TotpConfirmation,
    TotpSecret,
)
from app.auth.subject import Subject
from app.authz.guard import authorise
from app.authz.routing import Actor, GuardedAuthRoute, GuardedRouter, PublicAuthRoute, PublicRouter
from app.core.http import client_address
from app.core.http.problems import (
    NotFound,
    PreconditionFailed,
    StoreUnavailable,
    TooManyRequests,
    Unauthenticated,
    ValidationFailed,
    responses,
)
from app.core.lazy import lazy_import
from app.core.rate_limits import fixed_window

if TYPE_CHECKING:
    from app.auth import access, factors, login, oidc, sessions
    from app.auth.login import Pending
else:
    access = lazy_import("app.auth.access")
    factors = lazy_import("app.auth.factors")
    login = lazy_import("app.auth.login")
    oidc = lazy_import("app.auth.oidc")
    sessions = lazy_import("app.auth.sessions")

# What a route may answer, by what it needs.
UNAVAILABLE = (StoreUnavailable, KeyUnavailable)
LIMITED = (*UNAVAILABLE, TooManyRequests)
SECOND_FACTOR = (*LIMITED, CrossSiteRefused, Unauthenticated, RefreshRefused)
ENROLMENT = (*SECOND_FACTOR, FactorExists, StepUpRequired)

public = PublicRouter("/v1/auth", "login", PublicAuthRoute)
staff = GuardedRouter("/v1/auth", "account", GuardedAuthRoute)


# -- to the provider and back -----------------------------------------------------------------------------------


def _goes_to(url: str) -> Response:
    return Response(status_code=303, headers={"Location": url})


def _device(request: Request) -> str:
    agent = request.headers.get("user-agent", "")
    return "".join(c for c in agent if c.isascii() and c.isprintable())


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
    status_code=303,
    response_class=Response,
    responses=responses(*LIMITED, LoginNotUnderWay, ProviderUnavailable),
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
                identity, returned.at, second_factor_at=proven_at, device=_device(request)
            )
            await _end_replaced(request)
            cookies.put_session(response, made)
    access.forget()
    cookies.put(response, cookies.LOGIN, "", 0)
    return response


# -- the second factor -------------------------------------------------------------------------------------------


class _Holder(NamedTuple):
    """The person who proves or enrols a second factor: of a login that waits for it, or of a session."""

    member: str
    name: str
    ceremony: str
    """Where the challenges given to this browser are kept."""
    pending: "Pending | None" = None
    subject: Subject | None = None


async def _holder(request: Request) -> _Holder:
    """Return the person whose login waits, else the caller of this session; raise `Unauthenticated` for nobody."""
    csrf.check(request)
    secret = cookies.read(request, cookies.PENDING)
    if secret is not None:
        await count_stranger(request)  # Any made-up cookie costs a read.
    waiting = await login.pending(secret)
    if waiting is not None:
        identity = waiting.identity
        return _Holder(identity.member, identity.email or identity.name, waiting.key[0], pending=waiting)
    subject = await caller(request)
    identity = subject.session.identity
    name = identity.email or identity.name
    return _Holder(subject.id, name, f"session#{subject.session.session}", subject=subject)


class _Prover(NamedTuple):
    """Who proves or adds a factor, and what a proof completes: their login, or a step-up of their session."""

    holder: _Holder
    request: Request
    renewal: str
    """The refresh token of the session that is stepped up; empty for a login."""

    async def complete(self, response: Response) -> None:
        """Complete the login, or note in the session that the second factor was proven just now; set the cookies."""
        if self.holder.pending is not None:
            made = await login.complete(self.holder.pending, _device(self.request))
            await _end_replaced(self.request)
        else:
            made = await sessions.refresh(
                self.renewal,
                arrived_at=client_address.arrived_at(self.request.scope),
                second_factor_at=int(datetime.now(UTC).timestamp()),
            )
        access.forget()
        cookies.put_session(response, made)


async def _end_replaced(request: Request) -> None:
    """End the session that the browser had before a login; cookies of several end none, and hinder no login."""
    with suppress(SessionMismatch):
        replaced = credentials.of(request)
        await sessions.end_by_tokens(replaced.refresh, replaced.access)


async def _prover(request: Request) -> _Prover:
    """Return who proves or adds a factor, before the proof is looked at: it counts once, and mustn't be lost."""
    holder = await _holder(request)
    renewal = "" if holder.pending else credentials.of(request).renewal
    return _Prover(holder, request, renewal)


async def _enroller(prover: Annotated[_Prover, Depends(_prover)]) -> _Prover:
    """Return the prover if they may add a factor: the first in a login that waits for one, or after a step-up."""
    holder = prover.holder
    if holder.subject is not None:
        authorise(holder.subject, "factor:add", None)  # One's own: there is no other object.
    elif (await factors.load(holder.member)).enrolled:
        raise FactorExists
    return prover


Prover = Annotated[_Prover, Depends(_prover)]
Enroller = Annotated[_Prover, Depends(_enroller)]


@public.get(
    "/second-factor",
    action="auth:second-factor",
    responses=responses(*LIMITED, Unauthenticated, RefreshRefused),
)
async def read_second_factor(holder: Annotated[_Holder, Depends(_holder)]) -> SecondFactorState:
    """Tell whether this browser's login still wants a second factor, and which it may be."""
    held = await factors.load(holder.member)
    return SecondFactorState(
        state="pending" if holder.pending else "active",
        enrolled=held.enrolled,
        methods=held.methods,
    )


@public.post(
    "/second-factor",
    action="auth:second-factor",
    limit=fixed_window.SECOND_FACTOR,
    csrf_checked=True,
    responses=responses(*SECOND_FACTOR, SecondFactorRejected, LoginNotUnderWay),
)
async def prove_second_factor(prover: Prover, response: Response, body: Proof) -> SecondFactorState:
    """Prove the second factor: it completes a login, and renews the proof of a session (step-up)."""
    holder = prover.holder
    await factors.prove(holder.member, holder.ceremony, body.method, body.code, body.credential)
    await prover.complete(response)
    held = await factors.load(holder.member)
    return SecondFactorState(state="active", enrolled=True, methods=held.methods)


@public.post(
    "/second-factor/passkey-options",
    action="auth:second-factor",
    limit=fixed_window.SECOND_FACTOR,
    csrf_checked=True,
    responses=responses(*SECOND_FACTOR, NotFound),
)
async def ask_for_passkey(prover: Prover) -> PasskeyOptions:
    """Get a challenge for one of the member's passkeys."""
    holder = prover.holder
    return PasskeyOptions(public_key=await factors.ask_passkey(holder.member, holder.ceremony))


@public.post(
    "/enrolment/totp",
    action="auth:enrol-first-factor",
    limit=fixed_window.SECOND_FACTOR,
    csrf_checked=True,
    responses=responses(*ENROLMENT),
)
async def begin_totp(enroller: Enroller) -> TotpSecret:
    """Get a new TOTP secret for an authenticator. The first needs a login that waits for it; more need a step-up."""
    holder = enroller.holder
    secret = await factors.begin_totp(holder.member, holder.ceremony)
    return TotpSecret(**factors.provisioning(secret, holder.name))


@public.post(
    "/enrolment/totp/confirm",
    action="auth:enrol-first-factor",
    limit=fixed_window.SECOND_FACTOR,
    csrf_checked=True,
    responses=responses(*ENROLMENT, SecondFactorRejected, PreconditionFailed),
)
async def confirm_totp(enroller: Enroller, response: Response, body: TotpConfirmation) -> FactorAdded:
    """Prove that the authenticator has the new secret, which makes it a factor; the first completes the login."""
    holder = enroller.holder
    first = holder.pending is not None
    codes = await factors.confirm_totp(holder.member, holder.ceremony, body.code, first=first)
    await enroller.complete(response)
    return FactorAdded(recovery_codes=codes)


@public.post(
    "/enrolment/passkey-options",
    action="auth:enrol-first-factor",
    limit=fixed_window.SECOND_FACTOR,
    csrf_checked=True,
    responses=responses(*ENROLMENT),
)
async def begin_passkey(enroller: Enroller) -> PasskeyOptions:
    """Get what the browser needs to create a passkey."""
    holder = enroller.holder
    return PasskeyOptions(public_key=await factors.begin_passkey(holder.member, holder.ceremony, holder.name))


@public.post(
    "/enrolment/passkey",
    action="auth:enrol-first-factor",
    limit=fixed_window.SECOND_FACTOR,
    csrf_checked=True,
    responses=responses(*ENROLMENT, SecondFactorRejected, PreconditionFailed),
)
async def add_passkey(enroller: Enroller, response: Response, body: PasskeyAddition) -> FactorAdded:
    """Add the created passkey; the first factor completes the login."""
    holder = enroller.holder
    first = holder.pending is not None
    codes = await factors.add_passkey(holder.member, holder.ceremony, body.name, body.credential, first=first)
    await enroller.complete(response)
    return FactorAdded(recovery_codes=codes)


@staff.get("/factors", action="factor:list", responses=responses(*UNAVAILABLE))
async def list_factors(actor: Actor) -> FactorCards:
    """List the caller's second factors."""
    held = await factors.load(actor.id)
    cards = [
        FactorCard(id=p["id"], kind="passkey", name=p["name"], created_at=p["createdAt"])
        for p in held.passkeys
    ]
    if held.totp:
        cards.insert(0, FactorCard(id="totp", kind="totp", name="", created_at=held.totp_at))
    return FactorCards(items=cards, recovery_codes_left=len(held.recovery))


@staff.delete(
    "/factors/{factor_id}",
    action="factor:remove",
    status_code=204,
    responses=responses(*UNAVAILABLE, NotFound, LastFactor, StepUpRequired, PreconditionFailed),
)
async def remove_factor(actor: Actor, factor_id: Annotated[str, Path(max_length=60)]) -> None:
    """Remove one of the caller's second factors, but not the last. Needs a recent second factor."""
    await factors.remove(actor.id, factor_id)


@staff.post(
    "/recovery-codes",
    action="factor:renew-recovery",
    responses=responses(*UNAVAILABLE, NotFound, StepUpRequired, PreconditionFailed),
)
async def renew_recovery_codes(
    actor: Actor,
) -> RecoveryCodes:
    """Replace the caller's recovery codes. Needs a recent second factor."""
    return RecoveryCodes(recovery_codes=await factors.renew_recovery_codes(actor.id))


# -- the session --------------------------------------------------------------------------------------------------


@public.post(
    "/refresh",
    action="auth:refresh",
    limit=fixed_window.REFRESH,
    csrf_checked=True,
    status_code=204,
    responses=responses(*LIMITED, CrossSiteRefused, RefreshRefused),
)
async def refresh_session(request: Request) -> Response:
    """Exchange the refresh token for new cookies. Front ends do so after a 401, and repeat what they asked."""
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
    response_model=LoggedOut,
    responses=responses(*LIMITED, CrossSiteRefused, RefreshRefused),
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
    access.forget()
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
    responses=responses(*LIMITED, LogoutRefused, ProviderUnavailable),
    openapi_extra=_LOGOUT_TOKEN,
)
async def log_out_by_provider(request: Request) -> dict[str, Any]:
    """Take the provider's word that a session or a person is logged out (OpenID Connect Back-Channel Logout)."""
    # FastAPI's forms need a parser of multipart bodies, which this never is.
    try:
        body = await request.body()
        if len(body) > _LONGEST_LOGOUT_FORM:
            raise LogoutRefused
        form = parse_qs(body.decode("latin-1"), max_num_fields=10)
    except (ClientDisconnect, ValueError):
        raise LogoutRefused from None
    await login.log_out_at_provider(form.get("logout_token", [""])[0])
    access.forget()
    return {}


@staff.get("/me", action="self:read")
async def read_me(actor: Actor) -> Me:
    """Tell who is logged in, and as what."""
    state = actor.session
    return Me(
        id=actor.id,
        name=state.identity.name,
        email=state.identity.email,
        role=actor.role,
        second_factor_at=datetime.fromtimestamp(state.second_factor_at, UTC),
        session_ends_at=datetime.fromtimestamp(state.ends_at, UTC),
    )


@staff.get("/sessions", action="session:list-own", responses=responses(*UNAVAILABLE))
async def list_sessions(actor: Actor) -> SessionCards:
    """List the caller's sessions, the one used last first."""
    return SessionCards.of(await sessions.listed(actor.id), actor.session.session)


@staff.delete("/sessions", action="session:end-own", status_code=204, responses=responses(*UNAVAILABLE))
async def end_sessions(actor: Actor) -> Response:
    """Log the caller out everywhere, here too."""
    authorise(actor, "session:end-own", {"type": "session", "owner": actor.id})
    await sessions.end_all(actor.id)
    access.forget()
    response = Response(status_code=204)
    cookies.remove_session(response)
    return response


@staff.delete(
    "/sessions/{session_id}",
    action="session:end-own",
    status_code=204,
    responses=responses(*UNAVAILABLE, NotFound),
)
async def end_session(actor: Actor, session_id: Annotated[str, Path(max_length=36)]) -> None:
    """End one of the caller's sessions."""
    authorise(actor, "session:end-own", {"type": "session", "owner": actor.id})
    if not await sessions.end(actor.id, session_id):
        raise NotFound
    access.forget()
