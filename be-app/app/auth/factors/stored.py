"""A member's second factors as they are stored: one item with a version."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import orjson

from app.auth import store
from app.auth.sessions import owner
from app.core.aws import dynamodb
from app.core.http.problems import PreconditionFailed


class Factors(NamedTuple):
    """A member's second factors, as they are stored."""

    version: int = 0
    totp: str = ""
    """TOTP secret, encrypted, in base64; empty for none."""
    totp_at: str = ""
    totp_step: int = 0
    """The last time step whose code was accepted: it and all before are used up."""
    passkeys: tuple[dict[str, Any], ...] = ()
    recovery: tuple[str, ...] = ()

    @property
    def enrolled(self) -> bool:
        """Whether there is a factor that proves anything; recovery codes alone are none."""
        return bool(self.totp or self.passkeys)

    @property
    def methods(self) -> list[str]:
        """Methods by which the second factor can be proven."""
        held = {"totp": self.totp, "passkey": self.passkeys, "recovery": self.enrolled and self.recovery}
        return [method for method, there in held.items() if there]

    @classmethod
    def of(cls, item: Mapping[str, Any] | None) -> Self:
        """Read the stored form."""
        if item is None:
            return cls()
        return cls(
            item["version"],
            item["totp"],
            item["totpAt"],
            item["totpStep"],
            tuple(orjson.loads(item["passkeys"])),
            tuple(orjson.loads(item["recovery"])),
        )


def _key(member: str) -> store.Key:
    return owner(member), "factors"


async def load(member: str) -> Factors:
    """Return a member's factors."""
    return Factors.of(await store.get(_key(member)))


async def save(member: str, factors: Factors) -> None:
    """Write factors over the version they were read from; raise `PreconditionFailed` if another was faster."""
    values: dict[str, str | int] = {
        "version": factors.version + 1,
        "totp": factors.totp,
        "totpAt": factors.totp_at,
        "totpStep": factors.totp_step,
        "passkeys": orjson.dumps(factors.passkeys).decode(),
        "recovery": orjson.dumps(factors.recovery).decode(),
    }
    try:
        await store.put(_key(member), values, if_version=factors.version)
    except dynamodb.ConditionFailed:
        raise PreconditionFailed from None
