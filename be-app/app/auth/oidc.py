"""The OpenID provider, known by discovery: authorization code flow with PKCE.

The rules are those of OpenID Connect Core, RFC 7636 (PKCE), RFC 9207 (issuer in answers) and RFC 9700. What asks the
provider blocks and runs in a worker thread. No redirect is followed and every response is bounded.
"""

import base64
import hashlib
import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, urlencode

import jwt
import urllib3
from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError

from app.auth import store
from app.auth.errors import KeyUnavailable, ProviderUnavailable
from app.auth.provider_keys import ALGORITHMS, KEPT_S, KeyNotFound, Keys, KeySet
from app.auth.sessions import MAX_AGE_S, Identity
from app.core.aws import clients
from app.core.http.schema import CONTROLS
from app.core.messages import marked
from app.core.process import process
from app.core.settings import ROLES, settings

_MOST_BYTES = 512 * 1024
_LEEWAY_S = 30
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_LOGOUT_TOKEN_AGE_S = 600
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")

# Seconds between two readings of the keys for tokens that none of them fits. An ID token comes from the provider
# itself; a logout token may come from anybody, and tokens of strangers must not each cause a request to the provider.
_KEYS_FOR_LOGIN_S = 1
_KEYS_FOR_LOGOUT_S = 30

logger = logging.getLogger(__name__)


@process.closes(urllib3.PoolManager.clear)
def _http() -> urllib3.PoolManager:
    return urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=5), retries=False)


class LoginFailed(Exception):
    """The provider's answer proves nobody's identity; the message says why, for the log alone."""


class Provider(NamedTuple):
    """The used members of the provider's discovery document."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    takes_basic: bool
    names_issuer: bool


class Verified(NamedTuple):
    """Somebody who logged in at the provider, and when they proved a second factor there (None: not that we know)."""

    identity: Identity
    second_factor_at: int | None


@process.keeps
def _documents() -> dict[str, tuple[float, Provider]]:
    """Return the discovery document by its issuer, and until when it counts (monotonic)."""
    return {}


def issuer() -> str:
    """Return the issuer that the settings name; raise `ProviderUnavailable` without one."""
    chosen = settings().oidc_issuer
    if chosen is None:
        raise ProviderUnavailable(marked("No login provider is configured (FAMILYCORP_OIDC_ISSUER)."))
    return chosen


def redirect_uri() -> str:
    """Return where the provider sends people back to."""
    return f"{settings().api_url}/v1/auth/callback"


def _ask(method: str, url: str, **options: Any) -> Any:
    """Return the JSON object of a response; raise `ProviderUnavailable`, or `LoginFailed` where it refuses."""
    try:
        answer = _http().request(method, url, redirect=False, preload_content=False, **options)
        try:
            body = answer.read(_MOST_BYTES + 1, decode_content=True)
        finally:
            answer.release_conn()
    except urllib3.exceptions.HTTPError as error:
        raise ProviderUnavailable from error
    if answer.status >= 500 or len(body) > _MOST_BYTES:
        raise ProviderUnavailable
    try:
        # Not orjson, which refuses the whole document for half a surrogate pair in an unused member.
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if answer.status != 200 or not isinstance(found, dict):
        code = found.get("error") if isinstance(found, dict) else None
        raise LoginFailed(
            f"provider answered {answer.status} {code if isinstance(code, str) else ''}".strip()
        )
    return found


def provider() -> Provider:
    """Return the provider's discovery document, fetched again every hour (OpenID Connect Discovery §4)."""
    named, kept = issuer(), _documents()
    if named not in kept or kept[named][0] < time.monotonic():
        try:
            found = _ask("GET", f"{named.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != named:
                raise LoginFailed("the discovery document names another issuer")
            made = _described(found)
        except LoginFailed as error:
            logger.warning("login_provider_misconfigured", extra={"reason": str(error)})
            raise ProviderUnavailable from error
        kept[named] = (time.monotonic() + KEPT_S, made)
    return kept[named][1]


def _described(found: Mapping[str, Any]) -> Provider:
    """Return the members of a discovery document that are used; an optional one is ignored if it is malformed."""

    def endpoint(name: str) -> str | None:
        # Where the issuer is reached over TLS, so is all that it names.
        scheme = ("https://",) if issuer().startswith("https:") else ("https://", "http://")
        url = found.get(name)
        plain = isinstance(url, str) and url.startswith(scheme) and url.isascii() and url.isprintable()
        return url if plain else None

    def needed(name: str) -> str:
        url = endpoint(name)
        if url is None:
            raise LoginFailed(f"the discovery document has no usable {name}")
        return url

    methods = found.get("token_endpoint_auth_methods_supported")
    return Provider(
        authorization_endpoint=needed("authorization_endpoint"),
        token_endpoint=needed("token_endpoint"),
        jwks_uri=needed("jwks_uri"),
        userinfo_endpoint=endpoint("userinfo_endpoint"),
        end_session_endpoint=endpoint("end_session_endpoint"),
        # Basic is what a provider takes that says nothing (Discovery §3).
        takes_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        names_issuer=_is_true(found.get("authorization_response_iss_parameter_supported")),
    )


def _is_true(value: Any) -> bool:
    """Return whether a provider says yes: as JSON, or as text like Cognito. Anything else is a no."""
    return value is True or value == "true"


def _published_keys() -> list[Any]:
    try:
        found = _ask("GET", provider().jwks_uri).get("keys")
        if not isinstance(found, list):
            raise LoginFailed("the key set has no keys")
    except LoginFailed as error:
        logger.warning("login_provider_misconfigured", extra={"reason": str(error)})
        raise ProviderUnavailable from error
    return found


@process.keeps
def _key_set() -> KeySet:
    return KeySet(_published_keys)


def authorization_url(*, state: str, nonce: str, verifier: str, anew: bool) -> str:
    """Return the URL at which the browser logs in; with `anew` the provider authenticates people again."""
    chosen = settings()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    parameters = {
        "response_type": "code",
        "client_id": chosen.oidc_client_id,
        "redirect_uri": redirect_uri(),
        "scope": " ".join(chosen.oidc_scopes),
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    if chosen.oidc_acr_values:
        parameters["acr_values"] = " ".join(chosen.oidc_acr_values)
    if chosen.oidc_trusted_acr or chosen.oidc_trusted_amr:
        # It obliges the provider to send `auth_time` (OpenID Connect Core §3.1.2.1, §2).
        parameters["max_age"] = str(MAX_AGE_S)
    if anew:
        parameters |= {"prompt": "login", "max_age": "0"}
    endpoint = provider().authorization_endpoint
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters, quote_via=quote)}"


async def log_out_url() -> str | None:
    """Return where a browser logs out at the provider too (RP-Initiated Logout); None where it offers none.

    The ID token isn't given as a hint: it would stand in a URL. `logout_uri` is Cognito's name of the parameter.
    """
    try:
        endpoint = (await to_thread.run_sync(provider)).end_session_endpoint
    except ProviderUnavailable:
        return None
    if endpoint is None:
        return None
    parameters = {"client_id": settings().oidc_client_id}
    if back := settings().oidc_post_logout_uri:
        parameters |= {"post_logout_redirect_uri": back, "logout_uri": back}
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters, quote_via=quote)}"


def _client_secret() -> str | None:
    name = settings().oidc_client_secret_id
    if name is None:
        return None
    try:
        return str(clients.call_here("secretsmanager", "get_secret_value", SecretId=name)["SecretString"])
    except (BotoCoreError, ClientError) as error:
        raise KeyUnavailable from error


def exchange(code: str, *, verifier: str, nonce: str) -> Verified:
    """Exchange a code for an ID token and return its verified identity; raise `LoginFailed` otherwise."""
    chosen, known = settings(), provider()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(),
        "code_verifier": verifier,
    }
    headers = {}
    secret = _client_secret()
    if secret is not None and known.takes_basic:
        pair = f"{quote_plus(chosen.oidc_client_id)}:{quote_plus(secret)}"  # RFC 6749 §2.3.1
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form["client_id"] = chosen.oidc_client_id
        if secret is not None:
            form["client_secret"] = secret
    answer = _ask("POST", known.token_endpoint, fields=form, encode_multipart=False, headers=headers)
    access = answer.get("access_token")
    if not (isinstance(access, str) and access.isascii() and access.isprintable()):
        access = None  # OAuth's tokens are visible ASCII (RFC 6749, appendix A.12); nothing else goes into a header.
    claims = _id_token(answer.get("id_token"), nonce=nonce, access_token=access)
    return Verified(_identity(claims, _userinfo(known, claims, access)), _second_factor_at(claims))


def _id_token(token: Any, *, nonce: str, access_token: str | None) -> dict[str, Any]:
    """Verify an ID token (OpenID Connect Core §3.1.3.7) and return its claims."""
    claims = _verified(token, require=["exp", "iat", "sub"], keys_every_s=_KEYS_FOR_LOGIN_S)
    if claims.get("nonce") != nonce:
        raise LoginFailed("the ID token is of another login (nonce)")
    if "at_hash" in claims:
        made = hashlib.sha256((access_token or "").encode()).digest()[:16]
        if claims["at_hash"] != base64.urlsafe_b64encode(made).decode().rstrip("="):
            raise LoginFailed("the ID token is of another access token (at_hash)")
    return claims


def _verified(token: Any, *, require: list[str], keys_every_s: float) -> dict[str, Any]:
    """Verify signature, issuer, audience and times of a token of the provider's; return its claims.

    When no key fits, the keys are read again, for callers with the same `keys_every_s` once in so many seconds.
    """
    if not isinstance(token, str) or not token.isascii():
        raise LoginFailed("there is no token")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError) as error:
        raise LoginFailed(f"the token is invalid: {error}") from None
    if not isinstance(header.get("alg"), str) or header["alg"] not in ALGORITHMS:
        raise LoginFailed("the token's algorithm is not allowed")
    keys = _key_set().get(keys_every_s)
    if keys is None:
        raise ProviderUnavailable
    try:
        claims = _decoded(token, header, keys, require)
    except KeyNotFound as failure:
        newer = _key_set().get(keys_every_s, instead_of=keys)
        if newer is None:
            raise LoginFailed(str(failure)) from None
        try:
            claims = _decoded(token, header, newer, require)
        except KeyNotFound as again:
            raise LoginFailed(str(again)) from None
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    # Several audiences need a party that they were made for, and that must be us (§3.1.3.7, 3 to 5).
    client = settings().oidc_client_id
    if claims.get("azp", client if len(audiences) == 1 else None) != client:
        raise LoginFailed("the token was made for another party (azp)")
    return claims


def _decoded(token: str, header: Mapping[str, Any], keys: Keys, require: list[str]) -> dict[str, Any]:
    """Return the claims of a token that one of the keys verifies; raise `KeyNotFound`, `LoginFailed`."""
    for key in keys.fitting(header):
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=[header["alg"]],
                audience=settings().oidc_client_id,
                issuer=issuer(),
                leeway=_LEEWAY_S,
                options={"require": ["iss", "aud", *require]},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError as error:
            raise LoginFailed(f"the token is invalid: {error}") from None
        return claims
    raise KeyNotFound("the token is invalid: Signature verification failed")


def _userinfo(known: Provider, claims: Mapping[str, Any], access_token: str | None) -> dict[str, Any]:
    """Ask for what the ID token leaves out: providers may keep people's claims for this endpoint (Core §5.4)."""
    if (
        {"email", "name", settings().oidc_groups_claim} <= claims.keys()
        or known.userinfo_endpoint is None
        or access_token is None
    ):
        return {}
    bearer = {"Authorization": f"Bearer {access_token}"}
    found: dict[str, Any] = _ask("GET", known.userinfo_endpoint, headers=bearer)
    if found.get("sub") != claims["sub"]:
        raise LoginFailed("userinfo is about somebody else")
    return found


def _identity(claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> Identity:
    """Return the identity of an ID token. Its claims outweigh userinfo, which isn't signed."""
    chosen = settings()
    subject = claims["sub"]
    # Refused, not repaired: two subjects must never become one.
    if not 0 < len(subject) <= 255 or not subject.isprintable() or subject != subject.strip():
        raise LoginFailed("sub is not 1 to 255 characters, all printable")
    said = {**userinfo, **claims}
    groups, name = said.get(chosen.oidc_groups_claim), said.get("name")
    given = (
        [chosen.roles_by_group.get(g) for g in groups if isinstance(g, str)]
        if isinstance(groups, list)
        else []
    )
    return Identity(
        issuer=issuer(),
        subject=subject,
        email=_verified_email(claims, userinfo),
        name=_line(name)[:200] if isinstance(name, str) else "",
        role=next((role for role in ROLES if role in given), ""),
        provider_session=_provider_session(claims) or "",
    )


def _verified_email(claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> str:
    """Return the address that the provider says it verified; empty for none.

    `email` and `email_verified` are about each other, so one source's word counts for its own address alone.
    """
    if "email" in claims:
        email = claims["email"]
        of_userinfo = userinfo.get("email_verified") if userinfo.get("email") == email else None
        verified = _is_true(claims.get("email_verified", of_userinfo))
    else:
        email = userinfo.get("email")
        verified = _is_true(userinfo.get("email_verified")) and _is_true(claims.get("email_verified", True))
    plain = isinstance(email, str) and email.isprintable() and _EMAIL.fullmatch(email)
    # Octets are counted (RFC 5321 §4.5.3.1.3): a longer one has no room in an authenticator's QR code.
    return email if verified and plain and len(email.encode()) <= 254 else ""


def _line(text: str) -> str:
    """Return somebody's name as one line that every store and terminal takes."""
    encodable = text.encode("utf-8", "ignore").decode()  # Half a surrogate pair is left where a name was cut.
    return " ".join(CONTROLS.sub("", encodable).split())


def _provider_session(claims: Mapping[str, Any]) -> str | None:
    """Return what the provider calls its session (`sid`), a digest where that is too long to keep; None for none."""
    found = claims.get("sid")
    if not isinstance(found, str) or not found.isprintable():
        return None
    return found if len(found) <= 255 else store.digest(found)


def _second_factor_at(claims: Mapping[str, Any]) -> int | None:
    """Return when the provider proved a second factor, where it is trusted to; None unless it says when.

    A token's `iat` says when the token was made: the proof may be as old as the provider's session.
    """
    chosen = settings()
    methods = claims.get(chosen.oidc_amr_claim)
    proven = claims.get("acr") in chosen.oidc_trusted_acr or (
        isinstance(methods, list) and any(m in chosen.oidc_trusted_amr for m in methods)
    )
    at, now = claims.get("auth_time"), store.seconds()
    if not proven or isinstance(at, bool) or not isinstance(at, int | float):
        return None
    return int(at) if now - MAX_AGE_S <= at <= now + _LEEWAY_S else None


def logout_token(token: str) -> tuple[str | None, str | None, str]:
    """Verify a logout token (Back-Channel Logout §2.6); return subject, provider's session, and its own id."""
    claims = _verified(token, require=["iat", "exp", "jti", "events"], keys_every_s=_KEYS_FOR_LOGOUT_S)
    subject, session, events = claims.get("sub"), _provider_session(claims), claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT_EVENT), dict):
        raise LoginFailed("not a logout token (events)")
    if "nonce" in claims or not (subject or session):
        raise LoginFailed("not a logout token (nonce, sub, sid)")
    jti, issued_at = claims["jti"], claims["iat"]
    if not (jti and jti.isprintable() and (subject or "").isprintable()):
        raise LoginFailed("not a logout token (jti, sub)")
    # An older one might be forgotten, and count twice.
    if not isinstance(issued_at, int | float) or issued_at < store.seconds() - _LOGOUT_TOKEN_AGE_S:
        raise LoginFailed("the logout token is too old (iat)")
    return subject or None, session, jti
