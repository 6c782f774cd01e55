"""Answers about the state of the service."""

from typing import Literal

from app.core.schema import Model


class Health(Model):
    """The process is up."""

    status: Literal["ok"] = "ok"
    version: str
    environment: str


class Dependency(Model):
    """Whether a store answers, and how fast."""

    status: Literal["ok", "down", "off"]
    latency_ms: float | None


class Readiness(Model):
    """Whether the stores answer."""

    status: Literal["ok", "degraded"]
    dependencies: dict[str, Dependency]
