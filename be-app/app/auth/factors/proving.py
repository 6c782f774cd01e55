"""Proving the second factor: by TOTP, a passkey or a recovery code."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.auth.errors import SecondFactorRejected
from app.auth.factors import attempts, recovery
from app.auth.factors.stored import load, save
from app.core.http.problems import PreconditionFailed
from app.core.lazy import lazy_import
from app.core.observability import metrics

if TYPE_CHECKING:
    from app.auth.factors import passkeys, totp
else:
    # A proof needs the libraries of one method.
    passkeys = lazy_import("app.auth.factors.passkeys")
    totp = lazy_import("app.auth.factors.totp")

logger = logging.getLogger(__name__)


async def prove(
    member: str, ceremony: str, method: str, code: str, credential: Mapping[str, Any] | None
) -> None:
    """Check a proof; raise `SecondFactorRejected`, or `TooManyRequests` while the member is locked.

    `ceremony` names the holder (a session or a pending login) whose passkey challenge this answers.
    """
    await attempts.count(member)
    factors = await load(member)
    try:
        if method == "totp":
            factors = await totp.used(member, factors, code)
        elif method == "recovery":
            factors = recovery.used(factors, code)
        else:
            factors = await passkeys.used(member, factors, ceremony, credential or {})
        await save(member, factors)
    except (SecondFactorRejected, PreconditionFailed):
        metrics.add("second_factor_failed")
        logger.warning("second_factor_failed", extra={"member": member, "method": method})
        raise SecondFactorRejected from None
    await attempts.forget(member)
    if method == "recovery":
        logger.warning("recovery_code_used", extra={"member": member, "left": len(factors.recovery)})
