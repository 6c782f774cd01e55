"""The OpenID provider, known by discovery: authorization code flow with PKCE.

The rules are those of OpenID Connect Core, RFC 7636 (PKCE), RFC 9207 (issuer in answers) and RFC 9700. What asks the
provider blocks and runs in a worker thread. No redirect is followed and every answer is bounded.
"""

import base64
import hashlib
import hmac
import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, urlencode

import jwt
import orjson
import urllib3
from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError

from app.auth.errors import KeyUnavailable, ProviderUnavailable
from app.auth.sessions import Identity
from app.core import aws
from app.core.settings import ROLES, settings

ALGORITHMS = ("RS256", "ES256", "PS256")
"""What an ID token may be signed with: asymmetric algorithms alone, whatever its header says (RFC 8725 §3.1)."""

_KEPT_S = 3600
_MOST_BYTES = 512 * 1024
_LEEWAY_S = 30
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

logger = logging.getLogger(__name__)

_http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=5), retries=False)


class LoginFailed(Exception):
    """The provider's answer proves nobody's identity; the message says why, for the log alone."""


class Provider(NamedTuple):
    """What the provider's discovery document says that we need."""

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


_provider: tuple[float, Provider] | None = None
_keys: tuple[float, dict[str, jwt.PyJWK]] | None = None


def issuer() -> str:
    """Return the issuer that the settings name; raise `ProviderUnavailable` without one."""
    chosen = settings().oidc_issuer
    if chosen is None:
        raise ProviderUnavailable("No login provider is configured (FAMILYCORP_OIDC_ISSUER).")
    return chosen


def redirect_uri() -> str:
    """Return where the provider sends people back to."""
    return f"{settings().api_url}/v1/auth/callback"


def _ask(method: str, url: str, **options: Any) -> Any:
    """Return the JSON object of an answer; raise `ProviderUnavailable`, or `LoginFailed` where it refuses."""
    try:
        answer = _http.request(method, url, redirect=False, preload_content=False, **options)
        try:
            body = answer.read(_MOST_BYTES + 1, decode_content=True)
        finally:
            answer.release_conn()
    except urllib3.exceptions.HTTPError as error:
        raise ProviderUnavailable from error
    if answer.status >= 500 or len(body) > _MOST_BYTES:
        raise ProviderUnavailable
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if answer.status != 200 or not isinstance(found, dict):
        code = found.get("error") if isinstance(found, dict) else None
        raise LoginFailed(
            f"provider answered {answer.status} {code if isinstance(code, str) else ''}".strip()
        )
    return found


def provider() -> Provider:
    """Return the provider's discovery document, read anew every hour (OpenID Connect Discovery §4)."""
    global _provider  # noqa: PLW0603 - the process's copy is one value
    if _provider is None or _provider[0] < time.monotonic():
        try:
            found = _ask("GET", f"{issuer().rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != issuer():
                raise LoginFailed("the discovery document names another issuer")
            made = Provider(
                authorization_endpoint=found["authorization_endpoint"],
                token_endpoint=found["token_endpoint"],
                jwks_uri=found["jwks_uri"],
                userinfo_endpoint=found.get("userinfo_endpoint"),
                end_session_endpoint=found.get("end_session_endpoint"),
                # Basic is what a provider takes that says nothing (Discovery §3).
                takes_basic="client_secret_basic"
                in found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]),
                names_issuer=found.get("authorization_response_iss_parameter_supported") is True,
            )
        except (LoginFailed, KeyError) as error:
            logger.warning("login_provider_misconfigured", extra={"reason": str(error)})
            raise ProviderUnavailable from error
        _provider = (time.monotonic() + _KEPT_S, made)
    return _provider[1]


def authorization_url(*, state: str, nonce: str, verifier: str, anew: bool) -> str:
    """Return where the browser goes to log in; with `anew` the provider asks even whom it knows."""
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
        return str(aws.call_here("secretsmanager", "get_secret_value", SecretId=name)["SecretString"])
    except (BotoCoreError, ClientError) as error:
        raise KeyUnavailable from error


def exchange(code: str, *, verifier: str, nonce: str) -> Verified:
    """Exchange a code for an ID token and return whom it vouches for; raise `LoginFailed` otherwise."""
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
    claims = _id_token(answer.get("id_token"), nonce=nonce, access_token=access)
    claims |= _userinfo(known, claims, access)
    return Verified(_identity(claims), _second_factor_at(claims))


def _id_token(token: Any, *, nonce: str, access_token: Any) -> dict[str, Any]:
    """Verify an ID token (OpenID Connect Core §3.1.3.7) and return its claims."""
    claims = _verified(token, require=["exp", "iat", "sub"])
    if claims.get("nonce") != nonce:
        raise LoginFailed("the ID token is of another login (nonce)")
    if "at_hash" in claims:
        made = hashlib.sha256(str(access_token).encode()).digest()[:16]
        expected = base64.urlsafe_b64encode(made).decode().rstrip("=")
        if not hmac.compare_digest(expected.encode(), str(claims["at_hash"]).encode()):
            raise LoginFailed("the ID token is of another access token (at_hash)")
    return claims


def _verified(token: Any, *, require: list[str]) -> dict[str, Any]:
    """Verify signature, issuer, audience and times of a token of the provider's."""
    if not isinstance(token, str):
        raise LoginFailed("there is no token")
    client = settings().oidc_client_id
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise LoginFailed("the token's algorithm is not allowed")
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(header),
            algorithms=list(ALGORITHMS),
            audience=client,
            issuer=issuer(),
            leeway=_LEEWAY_S,
            options={"require": ["iss", "aud", *require]},
        )
    except (jwt.PyJWTError, RecursionError) as error:
        raise LoginFailed(f"the token is invalid: {error}") from None
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    # Several audiences need a party that they were made for, and that must be us (§3.1.3.7, 3 to 5).
    if claims.get("azp", client if len(audiences) == 1 else None) != client:
        raise LoginFailed("the token was made for another party (azp)")
    return claims


def _key(header: Mapping[str, Any]) -> jwt.PyJWK:
    """Return the provider's key that the token names; one not yet known makes us look again, once a second."""
    global _keys  # noqa: PLW0603 - the process's copy is one value
    kid = header.get("kid", "")
    at = time.monotonic()
    if _keys is None or at - _keys[0] > (_KEPT_S if kid in _keys[1] else 1):
        found = _ask("GET", provider().jwks_uri).get("keys")
        made = {}
        for jwk in found if isinstance(found, list) else []:
            # A set may hold keys that we can't read or that aren't for signatures; they are none of ours.
            if isinstance(jwk, dict) and jwk.get("use", "sig") == "sig" and jwk.get("kty") in {"RSA", "EC"}:
                made[str(jwk.get("kid", ""))] = jwt.PyJWK(jwk, algorithm=jwk.get("alg") or header["alg"])
        _keys = (at, made)
    try:
        key = _keys[1][kid]
    except (KeyError, TypeError):
        raise LoginFailed("the token is signed with an unknown key") from None
    if key.algorithm_name != header["alg"]:
        raise LoginFailed("the token's algorithm is not its key's")
    return key


def _userinfo(known: Provider, claims: Mapping[str, Any], access_token: Any) -> dict[str, Any]:
    """Ask for what the ID token leaves out: providers may keep people's claims for this endpoint (Core §5.4)."""
    wanted = {"email", "name", settings().oidc_groups_claim} - claims.keys()
    if not wanted or known.userinfo_endpoint is None or not isinstance(access_token, str):
        return {}
    found = _ask("GET", known.userinfo_endpoint, headers={"Authorization": f"Bearer {access_token}"})
    if found.get("sub") != claims["sub"]:
        raise LoginFailed("userinfo is about somebody else")
    return {name: found[name] for name in (*wanted, "email_verified") if name in found}


def _identity(claims: Mapping[str, Any]) -> Identity:
    chosen = settings()
    subject, email, name = claims["sub"], claims.get("email"), claims.get("name")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise LoginFailed("sub is not 1 to 255 characters")
    if not isinstance(email, str) or len(email) > 254 or claims.get("email_verified") is False:
        email = ""
    groups = claims.get(chosen.oidc_groups_claim)
    given = (
        [chosen.roles_by_group.get(g) for g in groups if isinstance(g, str)]
        if isinstance(groups, list)
        else []
    )
    return Identity(
        issuer=issuer(),
        subject=subject,
        email=email,
        name=name[:200] if isinstance(name, str) else "",
        role=next((role for role in ROLES if role in given), ""),
        provider_session=str(claims.get("sid", ""))[:255],
    )


def _second_factor_at(claims: Mapping[str, Any]) -> int | None:
    chosen = settings()
    methods = claims.get(chosen.oidc_amr_claim)
    proven = claims.get("acr") in chosen.oidc_trusted_acr or (
        isinstance(methods, list) and any(m in chosen.oidc_trusted_amr for m in methods)
    )
    if not proven:
        return None
    at = claims.get("auth_time", claims["iat"])
    return int(at) if isinstance(at, int | float) else None


def logout_token(token: str) -> tuple[str | None, str | None, str]:
    """Verify a logout token (Back-Channel Logout §2.6); return subject, provider's session, and its own id."""
    claims = _verified(token, require=["iat", "exp", "jti", "events"])
    subject, session = claims.get("sub"), claims.get("sid")
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT_EVENT), dict):
        raise LoginFailed("not a logout token (events)")
    if "nonce" in claims or not (isinstance(subject, str) or isinstance(session, str)):
        raise LoginFailed("not a logout token (nonce, sub, sid)")
    return subject, session, str(claims["jti"])
