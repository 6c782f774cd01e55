"""A login on its way: to the provider and back, then to the second factor. Each stage can be passed once.

The state of a login is in the sessions table under the hash of a secret that only this browser has, in a
cookie of its own. A login that waits for its second factor is no session: no route but those of the second factor
knows its cookie.
"""

import logging
import secrets
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson
from anyio import to_thread

from app.auth import oidc, sessions, store
from app.auth.cookies import Tokens
from app.auth.errors import LoginExpired, LogoutTokenRejected
from app.auth.sessions import Identity
from app.core.http.problems import ValidationFailed
from app.core.messages import marked
from app.core.observability import metrics
from app.core.settings import settings

STAGE_AGE_S = 600
"""Seconds that each stage of a login may take."""

_LOGOUT_TOKENS_KEPT_S = 24 * 3600

logger = logging.getLogger(__name__)


class Begun(NamedTuple):
    """Where the browser goes, and the secret that its cookie keeps."""

    url: str
    secret: str


class Returned(NamedTuple):
    """Where the browser goes after the provider, with an outcome; and who it is, unless the login failed."""

    url: str
    verified: oidc.Verified | None
    at: int
    """When they came back, in epoch milliseconds."""


class Pending(NamedTuple):
    """A login that waits for its second factor."""

    key: store.Key
    identity: Identity
    at: int
    """When its browser came back from the provider, in epoch milliseconds."""


def _login_key(secret: str) -> store.Key:
    return f"login#{store.digest(secret)}", "login"


def _pending_key(secret: str) -> store.Key:
    return f"pending#{store.digest(secret)}", "login"


def check_return_to(url: str | None) -> str:
    """Return where a login leads back to: a URL of an allowed origin, the site without one (RFC 9700 §4.11)."""
    if url is None:
        return f"{settings().site_url}/"
    # An origin is compared as text, with what may follow it: a browser reads a backslash as a slash and drops tabs
    # and line breaks, and parsers disagree about the rest.
    plain = url.isascii() and url.isprintable() and "\\" not in url and " " not in url
    if not (plain and settings().staff_origins.match(url)):
        raise ValidationFailed.on(
            "query.returnTo", "origin_not_allowed", marked("Use a URL of one of the company's sites.")
        )
    return url


async def begin(return_to: str | None, *, anew: bool) -> Begun:
    """Begin a login; raises `ValidationFailed` for a foreign `return_to`, `ProviderUnavailable`."""
    target = check_return_to(return_to)
    secret, state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
    url = await to_thread.run_sync(
        partial(oidc.authorization_url, state=state, nonce=nonce, verifier=verifier, anew=anew)
    )
    await store.put(
        _login_key(secret),
        {
            "state": store.digest(state),
            "nonce": nonce,
            "verifier": verifier,
            "returnTo": target,
            "expiresAt": store.seconds() + STAGE_AGE_S,
        },
    )
    return Begun(url, secret)


async def finish(secret: str | None, answer: dict[str, str]) -> Returned:
    """Take the provider's answer (the query of the callback); raises `LoginExpired` for one of no login."""
    if secret is None or "state" not in answer:
        raise LoginExpired
    begun = await store.take(_login_key(secret), state=store.digest(answer["state"]))
    if begun is None:
        raise LoginExpired
    at = store.milliseconds()  # What the provider says is no older than that.
    try:
        verified = await to_thread.run_sync(partial(_verified, answer, begun))
        if await _is_disabled(verified.identity.member):
            raise oidc.LoginFailed("the member is disabled")
        await sessions.note_groups(verified.identity, at)
    except oidc.LoginFailed as failure:
        metrics.add("login_failed")
        logger.warning("login_failed", extra={"reason": str(failure)})
        return Returned(_with(begun["returnTo"], "failed"), None, at)
    outcome = "second-factor" if verified.second_factor_at is None else "done"
    return Returned(_with(begun["returnTo"], outcome), verified, at)


def _verified(answer: dict[str, str], begun: dict[str, Any]) -> oidc.Verified:
    named = answer.get("iss")
    # RFC 9207: the response's issuer must be the requested provider, else it may have another provider's code.
    if (named is None and oidc.provider().names_issuer) or (named is not None and named != oidc.issuer()):
        raise oidc.LoginFailed("another issuer answered (iss)")
    if "code" not in answer:
        error = answer.get("error", "")
        raise oidc.LoginFailed(
            f"the provider refused: {error if error.isascii() and error.isidentifier() else 'no code'}"
        )
    return oidc.exchange(answer["code"], verifier=begun["verifier"], nonce=begun["nonce"])


async def _is_disabled(member: str) -> bool:
    profile = await store.get(sessions.profile_key(member))
    return bool(profile and profile.get("disabled"))


def _with(url: str, outcome: str) -> str:
    parts = urlsplit(url)
    query = [
        *(p for p in parse_qsl(parts.query, keep_blank_values=True) if p[0] != "login"),
        ("login", outcome),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


async def await_second_factor(identity: Identity, at: int) -> str:
    """Keep a login that came back at `at` until its second factor comes; return the secret of its cookie."""
    secret = secrets.token_urlsafe(32)
    values: dict[str, str | int] = {
        "identity": orjson.dumps(tuple(identity)).decode(),
        "returnedAt": at,
        "expiresAt": store.seconds() + STAGE_AGE_S,
    }
    await store.put(_pending_key(secret), values)
    return secret


async def pending(secret: str | None) -> Pending | None:
    """Return the login that a cookie stands for, if it still waits."""
    if secret is None:
        return None
    key = _pending_key(secret)
    found = await store.get(key)
    return (
        Pending(key, Identity(*orjson.loads(found["identity"])), found.get("returnedAt", 0))
        if found
        else None
    )


async def complete(waiting: Pending, device: str) -> Tokens:
    """Make a session of a login whose second factor was proven just now; `LoginExpired` if it was before."""
    if await store.take(waiting.key) is None:
        raise LoginExpired
    return await enter(waiting.identity, waiting.at, second_factor_at=store.seconds(), device=device)


async def enter(identity: Identity, at: int, *, second_factor_at: int, device: str) -> Tokens:
    """Begin the session of a login that came back from the provider at `at`, in epoch milliseconds.

    Raises `LoginExpired` if it was ended since then: its member disabled or logged out, here or at the provider.
    """
    made = await sessions.create(identity, second_factor_at=second_factor_at, device=device)
    # Checked after it is stored: from then on, ending a person's sessions ends this one too.
    if await sessions.ended_since(identity, at):
        await sessions.end(identity.member, made.session)
        raise LoginExpired
    return made


async def log_out_at_provider(token: str) -> None:
    """End what a logout token of the provider names; raises `LogoutTokenRejected` for one that proves nothing."""
    try:
        subject, session, jti = await to_thread.run_sync(oidc.logout_token, token)
        key = (f"logout#{store.digest(jti)}", "token")
        if await store.get(key) is not None:
            raise oidc.LoginFailed("used before (jti)")
    except oidc.LoginFailed as failure:
        logger.warning("backchannel_logout_refused", extra={"reason": str(failure)})
        raise LogoutTokenRejected from None
    # Used up afterwards: a token whose sessions couldn't be ended must count when the provider sends it again.
    await sessions.end_at_provider(oidc.issuer(), subject, session)
    await store.put(key, {"version": 1, "expiresAt": store.seconds() + _LOGOUT_TOKENS_KEPT_S})
