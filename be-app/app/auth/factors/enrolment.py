"""Adding and removing factors."""

import logging

from app.auth.errors import FactorExists, LastFactor
from app.auth.factors.recovery import with_new_codes
from app.auth.factors.stored import Factors, load, save
from app.core.http.problems import NotFound

logger = logging.getLogger(__name__)


async def add(member: str, before: Factors, after: Factors, *, first: bool) -> list[str] | None:
    """Save a new factor, with recovery codes if it is the first; `FactorExists` if it should be and isn't."""
    if first and before.enrolled:
        raise FactorExists
    codes = None
    if not before.enrolled:
        codes, after = with_new_codes(after)
    await save(member, after)
    logger.info("factor_added", extra={"member": member, "methods": after.methods})
    return codes


async def remove(member: str, factor: str) -> None:
    """Remove a factor by its id (`totp`, or a passkey's); raises `LastFactor` for the only one, `NotFound`."""
    factors = await load(member)
    kept = tuple(p for p in factors.passkeys if p["id"] != factor)
    after = factors._replace(passkeys=kept, totp="" if factor == "totp" else factors.totp)
    if after == factors:
        raise NotFound
    if not after.enrolled:
        raise LastFactor
    await save(member, after)
    logger.info("factor_removed", extra={"member": member, "methods": after.methods})
