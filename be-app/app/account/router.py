"""Routes of the caller's own account: who they are, their second factors and their sessions."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Response

from app.account.dependencies import OWN_SESSIONS, SESSIONS_CHANGE
from app.account.problems import UNAVAILABLE
from app.auth import cookies
from app.auth.errors import LastFactor, StepUpRequired
from app.auth.schemas import Factors, FactorSummary, Me, Permissions, RecoveryCodesOut, Sessions
from app.authz import guard
from app.authz.routing import Actor, GuardedAuthRoute, GuardedRouter
from app.core.http.problems import NotFound, PreconditionFailed, responses
from app.core.lazy import lazy_import

if TYPE_CHECKING:
    from app.auth import sessions
    from app.auth.factors import enrolment, recovery, stored
else:
    enrolment = lazy_import("app.auth.factors.enrolment")
    recovery = lazy_import("app.auth.factors.recovery")
    stored = lazy_import("app.auth.factors.stored")
    sessions = lazy_import("app.auth.sessions")

staff = GuardedRouter("/v1/auth", "account", GuardedAuthRoute)
me = GuardedRouter("/v1/me", "account")


@staff.get("/factors", action="factor:list", responses=responses(*UNAVAILABLE))
async def list_factors(actor: Actor) -> Factors:
    """List the caller's second factors."""
    held = await stored.load(actor.id)
    cards = [
        FactorSummary(id=p["id"], kind="passkey", name=p["name"], created_at=p["createdAt"])
        for p in held.passkeys
    ]
    if held.totp:
        cards.insert(0, FactorSummary(id="totp", kind="totp", name="", created_at=held.totp_at))
    return Factors(items=cards, recovery_codes_left=len(held.recovery))


@staff.delete(
    "/factors/{factor_id}",
    action="factor:remove",
    status_code=204,
    responses=responses(*UNAVAILABLE, NotFound, LastFactor, StepUpRequired, PreconditionFailed),
)
async def remove_factor(actor: Actor, factor_id: Annotated[str, Path(max_length=60)]) -> None:
    """Remove one of the caller's second factors, but not the last. Needs a recent second factor."""
    await enrolment.remove(actor.id, factor_id)


@staff.post(
    "/recovery-codes",
    action="factor:renew-recovery",
    responses=responses(*UNAVAILABLE, NotFound, StepUpRequired, PreconditionFailed),
)
async def renew_recovery_codes(actor: Actor) -> RecoveryCodesOut:
    """Replace the caller's recovery codes. Needs a recent second factor."""
    return RecoveryCodesOut(recovery_codes=await recovery.renew(actor.id))


@staff.get("/me", action="self:read")
async def read_me(actor: Actor) -> Me:
    """Return who is logged in, and as what."""
    state = actor.session
    return Me(
        id=actor.id,
        name=state.identity.name,
        email=state.identity.email,
        role=actor.role,
        second_factor_at=datetime.fromtimestamp(state.second_factor_at, UTC),
        session_ends_at=datetime.fromtimestamp(state.ends_at, UTC),
    )


@me.get("/permissions", action="self:read")
async def read_permissions(actor: Actor) -> Permissions:
    """List the actions that the caller may do without regard to an object, so that others need no button.

    What a caller may do to an object is `allowed` of the object.
    """
    (actions,) = guard.allowed(actor, [None])
    return Permissions(role=actor.role, allowed=actions)


@staff.get("/sessions", action="session:list-own", responses=responses(*UNAVAILABLE))
async def list_sessions(actor: Actor) -> Sessions:
    """List the caller's sessions, the one used last first."""
    (actions,) = guard.allowed(actor, [{"type": "session", "owner": actor.id}])
    return Sessions.of(await sessions.listed(actor.id), actor.session.session, actions)


@staff.delete(
    "/sessions",
    action="session:end-own",
    dependencies=[OWN_SESSIONS, SESSIONS_CHANGE],
    status_code=204,
    responses=responses(*UNAVAILABLE),
)
async def end_sessions(actor: Actor) -> Response:
    """Log the caller out everywhere, here too."""
    await sessions.end_all(actor.id)
    response = Response(status_code=204)
    cookies.remove_session(response)
    return response


@staff.delete(
    "/sessions/{session_id}",
    action="session:end-own",
    dependencies=[OWN_SESSIONS, SESSIONS_CHANGE],
    status_code=204,
    responses=responses(*UNAVAILABLE, NotFound),
)
async def end_session(actor: Actor, session_id: Annotated[str, Path(max_length=36)]) -> None:
    """End one of the caller's sessions."""
    if not await sessions.end(actor.id, session_id):
        raise NotFound
