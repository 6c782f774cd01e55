"""Answers about the state of the service."""

from typing import Literal

from pydantic import ConfigDict, Field

from app.core.http.schema import Model


class Health(Model):
    """The process is up."""

    status: Literal["ok"] = "ok"
    version: str = Field(examples=["1.0.0"])
    environment: str = Field(examples=["prod"])


class Dependency(Model):
    """Whether a store answers, and how fast."""

    status: Literal["ok", "down", "off"]
    latency_ms: float | None


class Readiness(Model):
    """Whether the stores answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ok",
                    "dependencies": {
                        "database": {"status": "ok", "latencyMs": 1.7},
                        "dynamodb": {"status": "ok", "latencyMs": 3.1},
                        "cache": {"status": "ok", "latencyMs": 0.4},
                    },
                }
            ]
        }
    )

    status: Literal["ok", "degraded"]
    dependencies: dict[str, Dependency]
