"""Our own second factors: TOTP (RFC 6238), passkeys (WebAuthn level 3) and recovery codes.

All of a member's factors are one item with a version: every change is a conditional write, so a code or an
assertion counts once however many requests bring it. Attempts are counted before they are checked, per member and
across sessions. TOTP secrets are encrypted by KMS for this member alone; recovery codes have 120 random bits and are
kept as hashes (ASVS 6.5.2 asks for a password hash below 112 bits).
"""

CEREMONY_AGE_S = 300
"""Seconds between a challenge or a new secret and its proof."""
