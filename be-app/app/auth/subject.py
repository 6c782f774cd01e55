"""The caller of a request, as the rest of the application knows them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.auth.sessions import State


@dataclass(frozen=True)
class Subject:
    """Somebody who proved who they are, or the application itself."""

    id: str
    role: str | None = None
    second_factor_at: int = 0
    """When they last proved their second factor, in epoch seconds."""
    state: "State | None" = None
    """Their session; None for the application itself."""

    @property
    def session(self) -> "State":
        """The session; only the subject of a request has one."""
        assert self.state is not None  # noqa: S101 - routes get their subject from a session
        return self.state

    def as_input(self) -> dict[str, Any]:
        """Return the subject as the policy's input."""
        return {
            "authenticated": True,
            "id": self.id,
            "role": self.role,
            "mfaAt": self.second_factor_at,
        }


SYSTEM = Subject("system", role="system")
"""The application itself, where it acts without a request (a scheduled post)."""
