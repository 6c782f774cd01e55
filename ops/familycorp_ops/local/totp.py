"""`familycorp code`: the code that an authenticator app would show, for developers without a phone."""

import base64
import binascii
import sys
import time
from gettext import gettext as _

from familycorp_ops import output

STEP_S = 30


def code(secret: str, at: float) -> str:
    """Return the TOTP code (RFC 6238) of a base32 secret at an instant; `ValueError` for an invalid secret."""
    from cryptography.hazmat.primitives.hashes import SHA1  # noqa: PLC0415
    from cryptography.hazmat.primitives.twofactor.totp import TOTP  # noqa: PLC0415

    text = secret.replace(" ", "").replace("-", "").rstrip("=").upper()
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise ValueError(_("That isn't a base32 secret: letters and the digits 2 to 7.")) from None
    # Authenticators know no other hash than SHA-1, whose weakness isn't one of an HMAC. Test secrets may be short.
    return TOTP(key, 6, SHA1(), STEP_S, enforce_key_length=False).generate(int(at)).decode()  # noqa: S303


def show(secret: str, *, as_json: bool) -> None:
    """Print the present code, and on a terminal how long it lasts."""
    try:
        now = code(secret, time.time())
    except ValueError as error:
        sys.exit(str(error))
    left = STEP_S - int(time.time()) % STEP_S
    output.show({"code": now, "seconds": left}, now, as_json=as_json)
    if sys.stdout.isatty() and not as_json:
        sys.stderr.write(_("for another {seconds} s").format(seconds=left) + "\n")
