"""Recovery codes: each proves the second factor once."""

import base64
import secrets

from app.auth import store
from app.auth.errors import SecondFactorRejected
from app.auth.factors.stored import Factors, load, save
from app.core.http.problems import NotFound

_CODES = 10


def used(factors: Factors, code: str) -> Factors:
    """Return the factors without a code that was presented; raise `SecondFactorRejected` for a wrong one."""
    presented = store.digest(code.lower() if code.isascii() else code)
    if not factors.enrolled or presented not in factors.recovery:
        raise SecondFactorRejected
    return factors._replace(recovery=tuple(kept for kept in factors.recovery if kept != presented))


def with_new_codes(factors: Factors) -> tuple[list[str], Factors]:
    """Return new codes as they are shown, and the factors with their hashes."""
    made = [base64.b32encode(secrets.token_bytes(15)).decode().lower() for _ in range(_CODES)]
    hashes = tuple(store.digest(code) for code in made)
    return ["-".join(code[i : i + 4] for i in range(0, 24, 4)) for code in made], factors._replace(
        recovery=hashes
    )


async def renew(member: str) -> list[str]:
    """Replace the recovery codes, and return the new ones, which nobody can read again."""
    factors = await load(member)
    if not factors.enrolled:
        raise NotFound
    codes, after = with_new_codes(factors)
    await save(member, after)
    return codes
