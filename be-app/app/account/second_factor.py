"""Routes that prove a second factor, or enrol one: of a login that waits for it, or of a session."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

from fastapi import Depends, Request, Response

from app.account.dependencies import SESSIONS_CHANGE, device, end_replaced_session
from app.account.problems import LIMITED
from app.auth import cookies, credentials, csrf
from app.auth.authentication import caller, count_stranger
from app.auth.errors import (
    CsrfRejected,
    FactorExists,
    LoginExpired,
    SecondFactorRejected,
    SessionExpired,
    StepUpRequired,
)
from app.auth.schemas import (
    FactorAdded,
    PasskeyAddition,
    PasskeyOptions,
    Proof,
    SecondFactorState,
    TotpConfirmation,
    TotpSecret,
)
from app.auth.subject import Subject
from app.authz.guard import authorise
from app.authz.routing import PublicAuthRoute, PublicRouter
from app.core.http import client_address
from app.core.http.problems import NotFound, PreconditionFailed, Unauthenticated, responses
from app.core.lazy import lazy_import
from app.core.rate_limits import fixed_window

if TYPE_CHECKING:
    from app.auth import login, sessions
    from app.auth.factors import passkeys, proving, stored, totp
    from app.auth.login import Pending
else:
    passkeys = lazy_import("app.auth.factors.passkeys")
    proving = lazy_import("app.auth.factors.proving")
    stored = lazy_import("app.auth.factors.stored")
    totp = lazy_import("app.auth.factors.totp")
    login = lazy_import("app.auth.login")
    sessions = lazy_import("app.auth.sessions")

SECOND_FACTOR = (*LIMITED, CsrfRejected, Unauthenticated, SessionExpired)
ENROLMENT = (*SECOND_FACTOR, FactorExists, StepUpRequired)

public = PublicRouter("/v1/auth", "login", PublicAuthRoute)


class _Holder(NamedTuple):
    """The person who proves or enrols a second factor: of a login that waits for it, or of a session."""

    request: Request
    member: str
    name: str
    ceremony: str
    """Where the challenges given to this browser are kept."""
    pending: "Pending | None" = None
    subject: Subject | None = None
    renewal: str = ""
    """The refresh token of the session that a proof steps up; empty for a login."""

    async def complete(self, response: Response) -> None:
        """Complete the login, or note in the session that the second factor was proven just now; set the cookies."""
        if self.pending is not None:
            made = await login.complete(self.pending, device(self.request))
            await end_replaced_session(self.request)
        else:
            made = await sessions.refresh(
                self.renewal,
                arrived_at=client_address.arrived_at(self.request.scope),
                second_factor_at=int(datetime.now(UTC).timestamp()),
            )
        cookies.put_session(response, made)


async def _holder(request: Request) -> _Holder:
    """Return the person whose login waits, else the caller of this session; raise `Unauthenticated` for nobody."""
    csrf.check(request)
    secret = cookies.read(request, cookies.PENDING)
    if secret is not None:
        await count_stranger(request)  # Any made-up cookie costs a read.
    waiting = await login.pending(secret)
    if waiting is not None:
        identity = waiting.identity
        return _Holder(
            request, identity.member, identity.email or identity.name, waiting.key[0], pending=waiting
        )
    subject = await caller(request)
    identity = subject.session.identity
    ceremony = f"session#{subject.session.session}"
    return _Holder(request, subject.id, identity.email or identity.name, ceremony, subject=subject)


async def _prover(holder: Annotated[_Holder, Depends(_holder)]) -> _Holder:
    """Return the member who proves or adds a factor. It runs before the proof is checked, which counts only once."""
    if holder.pending is not None:
        return holder
    return holder._replace(renewal=credentials.of(holder.request).renewal)


async def _enroller(prover: Annotated[_Holder, Depends(_prover)]) -> _Holder:
    """Return the prover if they may add a factor: the first in a login that waits for one, or after a step-up."""
    if prover.subject is not None:
        authorise(prover.subject, "factor:add", None)  # One's own: there is no other object.
    elif (await stored.load(prover.member)).enrolled:
        raise FactorExists
    return prover


Prover = Annotated[_Holder, Depends(_prover)]
Enroller = Annotated[_Holder, Depends(_enroller)]


@public.get(
    "/second-factor",
    action="auth:second-factor",
    responses=responses(*LIMITED, Unauthenticated, SessionExpired),
)
async def read_second_factor(holder: Annotated[_Holder, Depends(_holder)]) -> SecondFactorState:
    """Return whether this browser's login still wants a second factor, and which it may be."""
    held = await stored.load(holder.member)
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
    dependencies=[SESSIONS_CHANGE],
    responses=responses(*SECOND_FACTOR, SecondFactorRejected, LoginExpired),
)
async def prove_second_factor(prover: Prover, response: Response, body: Proof) -> SecondFactorState:
    """Prove the second factor: it completes a login, and renews the proof of a session (step-up)."""
    await proving.prove(prover.member, prover.ceremony, body.method, body.code, body.credential)
    await prover.complete(response)
    held = await stored.load(prover.member)
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
    return PasskeyOptions(public_key=await passkeys.ask(prover.member, prover.ceremony))


@public.post(
    "/enrolment/totp",
    action="auth:enrol-first-factor",
    limit=fixed_window.SECOND_FACTOR,
    csrf_checked=True,
    responses=responses(*ENROLMENT),
)
async def begin_totp(enroller: Enroller) -> TotpSecret:
    """Get a new TOTP secret for an authenticator. The first needs a login that waits for it; more need a step-up."""
    secret = await totp.begin(enroller.member, enroller.ceremony)
    return TotpSecret(**totp.provisioning(secret, enroller.name))


@public.post(
    "/enrolment/totp/confirm",
    action="auth:enrol-first-factor",
    limit=fixed_window.SECOND_FACTOR,
    csrf_checked=True,
    dependencies=[SESSIONS_CHANGE],
    responses=responses(*ENROLMENT, SecondFactorRejected, PreconditionFailed),
)
async def confirm_totp(enroller: Enroller, response: Response, body: TotpConfirmation) -> FactorAdded:
    """Prove that the authenticator has the new secret, which makes it a factor; the first completes the login."""
    first = enroller.pending is not None
    codes = await totp.confirm(enroller.member, enroller.ceremony, body.code, first=first)
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
    options = await passkeys.begin(enroller.member, enroller.ceremony, enroller.name)
    return PasskeyOptions(public_key=options)


@public.post(
    "/enrolment/passkey",
    action="auth:enrol-first-factor",
    limit=fixed_window.SECOND_FACTOR,
    csrf_checked=True,
    dependencies=[SESSIONS_CHANGE],
    responses=responses(*ENROLMENT, SecondFactorRejected, PreconditionFailed),
)
async def add_passkey(enroller: Enroller, response: Response, body: PasskeyAddition) -> FactorAdded:
    """Add the created passkey; the first factor completes the login."""
    first = enroller.pending is not None
    codes = await passkeys.create(enroller.member, enroller.ceremony, body.name, body.credential, first=first)
    await enroller.complete(response)
    return FactorAdded(recovery_codes=codes)
