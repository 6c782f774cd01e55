"""Routes about the service itself."""

from typing import TYPE_CHECKING

from fastapi import Response

from app.authz.routing import PublicRouter
from app.core.lazy import lazy_import
from app.core.settings import settings
from app.system.schemas import Health, Readiness

if TYPE_CHECKING:
    from app.system import service
else:
    service = lazy_import("app.system.service")

public = PublicRouter("", "system")


@public.get("/health", action="system:health", cost=0, strict=False)
async def health() -> Health:
    """Respond while the process is up. Touches no store."""
    return Health(version=settings().version, environment=settings().env)


@public.get(
    "/ready",
    action="system:ready",
    cost=5,
    strict=False,
    responses={503: {"model": Readiness, "description": "A store doesn't answer"}},
)
async def ready(response: Response) -> Readiness:
    """Ask every store for a sign of life. This wakes a sleeping database: for people, not load balancers.

    A response serves every caller for five seconds.
    """
    found = await service.readiness()
    response.status_code = 200 if found.status == "ok" else 503
    return found
