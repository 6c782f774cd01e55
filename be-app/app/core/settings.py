"""One typed, immutable settings object, read from the environment (12-factor: names `FAMILYCORP_*`)."""

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from app.core import grammar

PREFIX = "FAMILYCORP_"

Names = Annotated[
    tuple[str, ...],
    BeforeValidator(
        lambda v: [n for s in v.split(",") if (n := s.strip(" \t\n"))] if isinstance(v, str) else v
    ),
]


_ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")
_LIMIT = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+=([1-9][0-9]{0,2}|[1-4][0-9]{3}|5000)")

# A domain of the public DNS: no address in any of its spellings (127.1, 0x7f.1, 2130706433, [::1]), because its last
# label begins with a letter (RFC 3696 §2), and no name of this machine or of a private network.
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PRIVATE = "localhost|localdomain|local|internal|intranet|lan|home|corp|test|invalid"
_DOMAIN = rf"(?:{_LABEL}\.)+(?!(?:{_PRIVATE})\b)[a-z]{_LABEL}"
PUBLIC_DOMAIN = re.compile(_DOMAIN)
PUBLIC_ORIGIN = re.compile(rf"https://{_DOMAIN}(:[0-9]{{1,5}})?")
PUBLIC_URL = re.compile(rf"https://{_DOMAIN}(:[0-9]{{1,5}})?(/[!-~]*)?")
_HOST = r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?"
_THIS_MACHINE = r"http://(?:localhost|127\.0\.0\.1)(?::[0-9]{1,5})?"
_DATABASE_OF_IAM = re.compile(rf"mysql\+aiomysql://[\w.%-]+@{_HOST}/[\w-]+", re.ASCII)
_CACHE_OF_IAM = re.compile(rf"rediss://(?:[\w.%-]+@)?{_HOST}(?:/[0-9]*)?", re.ASCII)

Role = Literal["admin", "editor", "viewer"]
ROLES: tuple[Role, ...] = ("admin", "editor", "viewer")
"""Roles of members; of several from a member's groups, the first counts."""


class SettingsError(Exception):
    """The environment doesn't describe a configuration that may run; the message names variable and rule."""


def release() -> str:
    """Return the installed version, that of be-app/pyproject.toml; deployments name their commit instead."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - a deployed process never needs it.

    try:
        return version("familycorp-backend")
    except PackageNotFoundError:  # Archives and image hold the application without its package's metadata.
        return "unknown"


class Settings(BaseModel):
    """Every choice that differs between environments. A value is set by `FAMILYCORP_<NAME>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: Literal["local", "test", "dev", "stage", "prod"] = Field(
        "local", description="Name of the environment; names of AWS resources contain it."
    )
    version: str = Field(default_factory=release, description="Release that `/health` reports.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Minimum log level.")
    log_sample_rate: float = Field(
        0,
        ge=0,
        le=1,
        description="Share of requests and events that are logged at `DEBUG`, whatever the minimum log level is.",
    )

    database_url: str = Field(
        "sqlite+aiosqlite:///.local/familycorp.db",
        description="SQLAlchemy URL: `sqlite+aiosqlite:///FILE` or `mysql+aiomysql://USER@HOST/DB`.",
        repr=False,
    )
    database_ca: str | None = Field(
        None,
        description="PEM file of the certificate authorities of the database's server, outside local and test; unset "
        "means Amazon's.",
    )
    database_pool_size: int = Field(
        1,
        ge=1,
        le=50,
        description="Size of the connection pool; 1 fits Lambda, which serves one request per process.",
    )
    database_deadline_s: int = Field(
        20,
        ge=1,
        le=30,
        description="Time limit of a unit of work in seconds; Aurora needs about 15 to resume.",
    )
    cache_url: str | None = Field(
        None,
        description="`redis://` or `rediss://` URL of Valkey; unset means that nothing is cached.",
        repr=False,
    )
    cache_ttl_s: int = Field(
        60, ge=1, le=3600, description="Lifetime of a cached public response in seconds."
    )
    cache_stale_s: int = Field(
        86_400,
        ge=0,
        le=604_800,
        description="Seconds after `cache_ttl_s` for which a stale response may be served while a store fails "
        "(stale-if-error); 0 means never.",
    )

    aws_region: str = Field("ap-northeast-2", description="AWS region of every resource.")
    aws_endpoint_url: str | None = Field(None, description="Endpoint of an AWS emulator; unset means AWS.")
    s3_endpoint_url: str | None = Field(
        None,
        description="Endpoint of an S3 server beside the emulator, such as SeaweedFS; unset means the emulator.",
    )

    uploads_bucket_name: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="S3 bucket of uploads; unset means `familycorp-<env>-uploads`. S3 bucket names are global.",
    )
    media_bucket_name: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="S3 bucket of public posts' pictures; unset means `familycorp-<env>-media`.",
    )
    media_url: str | None = Field(
        None,
        pattern=r"^https?://[^/]+$",
        description="Origin of the CDN that serves the bucket of pictures; unset means `api_url`, which redirects to "
        "the bucket.",
    )
    exchange_bucket_name: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="S3 bucket of imports and exports, where it isn't `familycorp-<env>-exchange`.",
    )
    upload_quota_mb: int = Field(
        5_000, ge=1, description="Upload quota of a member in megabytes, pending uploads included."
    )
    upload_limits_mb: Names = Field(
        (),
        description="Maximum file size by type in megabytes, for example `application/pdf=50`; unset means 10 for "
        "images, 200 for other types.",
    )
    upload_max_pixels: int = Field(
        25_000_000,
        ge=1,
        description="Maximum number of pixels of an image, summed over the frames of an animation.",
    )
    malware_scanner: Literal["none", "guardduty", "clamd"] = Field(
        "none", description="Malware scanner that checks uploads before they can be downloaded."
    )
    clamd_address: str = Field("127.0.0.1:3310", description="Host and port of clamd, if it is the scanner.")

    rate_visitors: int = Field(
        600,
        ge=20,
        le=1_000_000,
        description="Rate limit of a client address in units a minute: an uncached read costs one unit, a search or "
        "a write five.",
    )
    rate_staff: int = Field(
        1200, ge=20, le=1_000_000, description="Rate limit of a member in units a minute."
    )

    max_concurrency: int = Field(
        64,
        ge=1,
        description="Maximum number of concurrent requests of a process, which answers further ones with 503. Cache "
        "hits don't count.",
    )

    inquiry_retention_days: int = Field(
        1095,
        ge=1,
        le=3650,
        description="Days after which an inquiry is destroyed, counted from when it was done, or from its last "
        "change if it never was. A category may have a shorter period.",
    )

    staff_url: str | None = Field(
        None,
        pattern=r"^https?://[^/]+$",
        description="Origin whose console notices link to, at `/console/inquiries/<id>` and `/console/posts/<id>`: "
        "the API's own. Unset means that notices name the id alone.",
    )
    site_url: str = Field(
        "https://www.familycorp.example",
        pattern=r"^https?://[^/]+$",
        description="Origin of the public site; feeds and the sitemap link to it.",
    )
    preview_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#]+/[^?#]*$",
        description="URL of the front end's page that shows previews, without query; unset means `/preview` of "
        "`site_url`. A preview's token follows as the fragment.",
    )
    default_language: Literal["ko", "en"] | None = Field(
        None,
        description="Language of error messages where `Accept-Language` names neither `ko` nor `en`; unset means "
        "`ko` if the host of `site_url` ends in `.kr`, else `en`.",
    )
    cors_origins: Names = Field(
        (), description="Origins that may call the API (CORS), separated by commas; never `*`."
    )
    api_url: str = Field(
        "http://localhost:8000",
        pattern=r"^https?://[^/]+$",
        description="Public origin of this API; the login provider redirects browsers to it.",
    )

    oidc_issuer: str | None = Field(
        None,
        pattern=r"^https?://[^?#]+$",
        description="Issuer of the OpenID provider, exactly as its discovery document names it; unset means that "
        "nobody can log in.",
    )
    oidc_client_id: str = Field("familycorp", description="OIDC client ID of this application.")
    oidc_client_secret_id: str | None = Field(
        None,
        description="Name of the secret in Secrets Manager that holds the OIDC client secret; unset means a public "
        "client, which only PKCE secures.",
    )
    oidc_scopes: Names = Field(
        ("openid", "email", "profile"), description="Scopes requested from the provider."
    )
    oidc_acr_values: Names = Field(
        (), description="`acr_values` requested from the provider, in order of preference."
    )
    oidc_trusted_acr: Names = Field(
        (),
        description="Values of the `acr` claim that prove a second factor; unset: the API requires its own.",
    )
    oidc_trusted_amr: Names = Field((), description="Values of the `amr` claim that prove a second factor.")
    oidc_amr_claim: str = Field("amr", description="Name of the claim that lists authentication methods.")
    oidc_groups_claim: str = Field(
        "groups", description="Name of the claim that lists groups; Cognito's is `cognito:groups`."
    )
    oidc_post_logout_uri: str | None = Field(
        None, description="URL to which the provider redirects a browser after logout."
    )
    role_groups: Names = Field(
        (),
        description="Role of each group of the provider, as `group=role`; a role that an admin gives a member wins.",
    )
    session_idle_days: int = Field(
        7,
        ge=1,
        le=30,
        description="Days without a refresh after which a session expires; every session expires after 30 days.",
    )
    refresh_grace_s: int = Field(
        10,
        ge=0,
        le=60,
        description="Seconds for which a refresh may be repeated, after its response was lost.",
    )
    webauthn_rp_id: str = Field(
        "localhost", description="WebAuthn relying party ID: the domain that the staff's pages share."
    )

    @property
    def in_aws(self) -> bool:
        """Whether this is one of the environments in AWS: everything over TLS, logins by IAM."""
        return self.env in {"dev", "stage", "prod"}

    @property
    def language(self) -> Literal["ko", "en"]:
        """Language of error messages for clients without `Accept-Language`."""
        korean = (urlsplit(self.site_url).hostname or "").endswith(".kr")
        return self.default_language or ("ko" if korean else "en")

    @property
    def preview_page(self) -> str:
        """URL of the front end's page that shows previews."""
        return self.preview_url or f"{self.site_url}/preview"

    @property
    def posts_table(self) -> str:
        """DynamoDB table of read models and view counters."""
        return f"familycorp-{self.env}-posts"

    @property
    def events_table(self) -> str:
        """DynamoDB table of domain events and of the markers that say when something is due."""
        return f"familycorp-{self.env}-events"

    @property
    def sessions_table(self) -> str:
        """DynamoDB table of logins under way, sessions, second factors and public keys."""
        return f"familycorp-{self.env}-sessions"

    @property
    def cache_name(self) -> str:
        """ElastiCache cache, as IAM knows it."""
        return f"familycorp-{self.env}-cache"

    @property
    def signing_key_secret(self) -> str:
        """Secret in Secrets Manager that holds the private key of access tokens, as a JWK."""
        return f"familycorp-{self.env}-signing-key"

    @property
    def factors_key(self) -> str:
        """KMS key that encrypts TOTP secrets."""
        return f"alias/familycorp-{self.env}-factors"

    @property
    def development_origins(self) -> str | None:
        """Expression for further origins that may do what `cors_origins` may: in `local`, those of this machine.

        There, a page that any other program of the machine serves may act for who is logged in.
        """
        return _THIS_MACHINE if self.env == "local" else None

    @property
    def staff_origins(self) -> re.Pattern[str]:
        """Expression for the beginning of a URL whose origin's pages may act for a member.

        A login may lead back to such a URL.
        """
        named = map(re.escape, {*self.cors_origins, self.site_url, self.api_url})
        return re.compile(rf"(?:{'|'.join(filter(None, [*named, self.development_origins]))})(?=[/?#]|\Z)")

    @property
    def roles_by_group(self) -> Mapping[str, str]:
        """Role that each group of the provider gives."""
        return dict(pair.rsplit("=", 1) for pair in self.role_groups)

    @property
    def uploads_bucket(self) -> str:
        """S3 bucket that browsers upload to."""
        return self.uploads_bucket_name or f"familycorp-{self.env}-uploads"

    @property
    def media_bucket(self) -> str:
        """S3 bucket of public posts' pictures."""
        return self.media_bucket_name or f"familycorp-{self.env}-media"

    @property
    def media_origin(self) -> str:
        """Origin of public pictures' addresses."""
        return self.media_url or self.api_url

    @property
    def exchange_bucket(self) -> str:
        """S3 bucket through which operators' imports and exports go."""
        return self.exchange_bucket_name or f"familycorp-{self.env}-exchange"

    @property
    def uploads_queue(self) -> str:
        """SQS queue of the bucket's events on one's own machine; in AWS they start a function."""
        return f"familycorp-{self.env}-uploads"

    @property
    def upload_limits(self) -> Mapping[str, int]:
        """Largest file in megabytes by media type, where it differs from the usual."""
        return {kind: int(mb) for kind, _, mb in (pair.partition("=") for pair in self.upload_limits_mb)}

    @property
    def docs_enabled(self) -> bool:
        """Whether the API describes itself: everywhere but in Prod (ASVS 13.4.5)."""
        return self.env != "prod"

    @model_validator(mode="after")
    def _refuse_local_parts_in_aws(self) -> Self:
        if self.in_aws:
            self._refuse_other_logins()
            self._refuse_local_addresses()
        if not all(pair.rpartition("=")[0] and pair.rpartition("=")[2] in ROLES for pair in self.role_groups):
            raise ValueError(
                f"{PREFIX}ROLE_GROUPS must list pairs as `group=role`; roles are {', '.join(ROLES)}"
            )
        if not all(_LIMIT.fullmatch(pair) for pair in self.upload_limits_mb):
            raise ValueError(f"{PREFIX}UPLOAD_LIMITS_MB must list pairs as `application/pdf=50`, up to 5000")
        if "openid" not in self.oidc_scopes:
            raise ValueError(f"{PREFIX}OIDC_SCOPES must contain openid")
        if not all(_ORIGIN.fullmatch(origin) for origin in self.cors_origins):
            raise ValueError(
                f"{PREFIX}CORS_ORIGINS must list exact origins as browsers send them: scheme, host in lower "
                "case, and port where it is not the usual one; `*` is refused"
            )
        return self

    def _refuse_other_logins(self) -> None:
        """Refuse passwords, and options: one of them names a password, others turn verification off."""
        if not self.database_url.startswith("mysql+aiomysql://"):
            raise ValueError(f"{PREFIX}DATABASE_URL must be a mysql+aiomysql:// URL outside local and test")
        if not _DATABASE_OF_IAM.fullmatch(self.database_url):
            raise ValueError(
                f"{PREFIX}DATABASE_URL must be mysql+aiomysql://USER@HOST/DB outside local and test, without a "
                "password and without options: IAM lets the function in"
            )
        if self.cache_url and not self.cache_url.startswith("rediss://"):
            raise ValueError(f"{PREFIX}CACHE_URL must be a rediss:// (TLS) URL outside local and test")
        if self.cache_url and not _CACHE_OF_IAM.fullmatch(self.cache_url):
            raise ValueError(
                f"{PREFIX}CACHE_URL must be rediss://USER@HOST:PORT outside local and test, without a password and "
                "without options: IAM lets the function in"
            )

    def _refuse_local_addresses(self) -> None:
        for name in ("aws_endpoint_url", "s3_endpoint_url"):
            if getattr(self, name):
                raise ValueError(f"{PREFIX}{name.upper()} names an emulator; unset it outside local and test")
        rules = {
            "api_url": PUBLIC_ORIGIN,
            "site_url": PUBLIC_ORIGIN,
            "staff_url": PUBLIC_ORIGIN,
            "preview_url": PUBLIC_URL,
            "media_url": PUBLIC_ORIGIN,
            "oidc_issuer": PUBLIC_URL,
            "oidc_post_logout_uri": PUBLIC_URL,
        }
        for name, rule in rules.items():
            value = getattr(self, name)
            if value and not rule.fullmatch(value):
                raise ValueError(
                    f"{PREFIX}{name.upper()} must be a public https:// URL outside local and test"
                )
        if not all(PUBLIC_ORIGIN.fullmatch(origin) for origin in self.cors_origins):
            raise ValueError(
                f"{PREFIX}CORS_ORIGINS must list exact origins, each a public https:// one outside local and test"
            )
        if not PUBLIC_DOMAIN.fullmatch(self.webauthn_rp_id):
            raise ValueError(f"{PREFIX}WEBAUTHN_RP_ID must name the company's domain outside local and test")

    @classmethod
    def from_environment(cls) -> Self:
        """Read `FAMILYCORP_*`; raise `SettingsError` naming each variable that breaks a rule.

        `FAMILYCORP_SETTINGS` may hold several as one JSON object, which is how they come from Parameter Store; a
        variable of its own outweighs it. Unknown names are refused too: a misspelt setting must not be silently
        without effect.
        """
        own = {k.removeprefix(PREFIX): v for k, v in os.environ.items() if k.startswith(PREFIX)}
        try:
            values = {
                grammar.lower(k): v for k, v in {**json.loads(own.pop("SETTINGS", "{}")), **own}.items()
            }
        except (ValueError, TypeError, AttributeError):
            raise SettingsError(f"{PREFIX}SETTINGS must be a JSON object of names and values") from None
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            # Values stay out of the message: a database URL may hold a password.
            rules = (
                f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}"
                if e["loc"]
                else e["msg"].removeprefix("Value error, ")
                for e in error.errors(include_input=False, include_url=False)
            )
            raise SettingsError("; ".join(rules)) from None


@cache
def settings() -> Settings:
    """Return the process's settings, read once on first use."""
    return Settings.from_environment()
