"""One typed, immutable settings object, read from the environment (12-factor: names `FAMILYCORP_*`)."""

import os
import re
from functools import cache
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

PREFIX = "FAMILYCORP_"

Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda v: [s.strip() for s in v.split(",") if s.strip()] if isinstance(v, str) else v),
]


_ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


class SettingsError(Exception):
    """The environment doesn't describe a configuration that may run; the message names variable and rule."""


class Settings(BaseModel):
    """Every choice that differs between environments. A value is set by `FAMILYCORP_<NAME>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: Literal["local", "test", "dev", "stage", "prod"] = Field(
        "local", description="Which environment this is; names of AWS resources follow from it."
    )
    version: str = Field("0.1.0", description="What `/health` reports: the release that is running.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level logged.")

    database_url: str = Field(
        "sqlite+aiosqlite:///.local/familycorp.db",
        description="SQLAlchemy URL: `sqlite+aiosqlite:///FILE` or `mysql+aiomysql://USER@HOST/DB`.",
        repr=False,
    )
    database_pool_size: int = Field(
        1, ge=1, le=50, description="Connections kept; 1 fits Lambda, which serves one request per process."
    )
    database_deadline_s: int = Field(
        20,
        ge=1,
        le=30,
        description="Seconds that a unit of work may take; Aurora needs about 15 to wake up.",
    )
    cache_url: str | None = Field(
        None,
        description="`redis://` or `rediss://` URL of Valkey; without one, nothing is cached.",
        repr=False,
    )
    cache_ttl_s: int = Field(
        60, ge=1, le=3600, description="Seconds that a cached public answer may live: the bound on staleness."
    )

    aws_region: str = Field("ap-northeast-2", description="Region of every AWS resource.")
    aws_endpoint_url: str | None = Field(None, description="An emulator's address; unset means AWS itself.")

    site_url: str = Field(
        "https://www.familycorp.example",
        pattern=r"^https?://[^/]+$",
        description="Origin of the public site; feeds and the sitemap link there.",
    )
    cors_origins: Names = Field(
        (), description="Exact origins whose pages may call the API, separated by commas; never `*`."
    )

    @property
    def posts_table(self) -> str:
        """DynamoDB table of published snapshots and view counters."""
        return f"familycorp-{self.env}-posts"

    @property
    def events_table(self) -> str:
        """DynamoDB table of domain events and of the markers that say when something is due."""
        return f"familycorp-{self.env}-events"

    @property
    def uploads_bucket(self) -> str:
        """S3 bucket that browsers upload to."""
        return f"familycorp-{self.env}-uploads"

    @property
    def docs_enabled(self) -> bool:
        """Whether the interactive API documentation is served: everywhere but in Prod (ASVS 13.4.5)."""
        return self.env != "prod"

    @model_validator(mode="after")
    def _refuse_local_parts_in_aws(self) -> Self:
        if self.env in {"dev", "stage", "prod"}:
            if not self.database_url.startswith("mysql+aiomysql://"):
                raise ValueError(
                    f"{PREFIX}DATABASE_URL must be a mysql+aiomysql:// URL outside local and test"
                )
            if self.cache_url and not self.cache_url.startswith("rediss://"):
                raise ValueError(f"{PREFIX}CACHE_URL must be a rediss:// (TLS) URL outside local and test")
        if not all(_ORIGIN.fullmatch(origin) for origin in self.cors_origins):
            raise ValueError(
                f"{PREFIX}CORS_ORIGINS must list exact origins as browsers send them: scheme, host in lower "
                "case, and port where it is not the usual one; `*` is refused"
            )
        return self

    @classmethod
    def from_environment(cls) -> Self:
        """Read `FAMILYCORP_*`; raise `SettingsError` naming each variable that breaks a rule.

        Unknown names are refused too: a misspelt setting must not be silently without effect.
        """
        values = {k.removeprefix(PREFIX).lower(): v for k, v in os.environ.items() if k.startswith(PREFIX)}
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
