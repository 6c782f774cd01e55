"""Requests and responses about logging in."""

import json
import re
import string
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field

from app.core.http.schema import Allowed, Input, Instant, Line, Model, Timestamp, Uri, refused
from app.core.messages import marked

Method = Literal["totp", "passkey", "recovery"]
# Codes are shown in groups and typed as the keyboard is set: what separates groups is left out, and full-width digits
# and letters (U+FF10 and on) count as ASCII's. Other digits of Unicode stay what they are, and wrong.
_AS_TYPED = dict.fromkeys(map(ord, " \t\r\n\u00a0\u2009\u202f\u3000-\u2010\u2011\u2013\uff0d")) | {
    0xFEE0 + ord(c): c for c in string.digits + string.ascii_letters
}


def _plain(code: str) -> str:
    return code.translate(_AS_TYPED)


def _six_digits(code: str) -> str:
    if not _TOTP.fullmatch(code):
        raise refused("totp_code", marked("Enter the six digits of the code."))
    return code


_TOTP = re.compile(r"[0-9]{6}")
TypedCode = Annotated[str, Field(max_length=40), AfterValidator(_plain)]
TotpCode = Annotated[TypedCode, AfterValidator(_six_digits)]
# A credential has a few hundred bytes; ids and attestations of some authenticators have a few thousand. The library
# decodes CBOR in quadratic time: 200 KB in one text would hold the event loop for seconds.
LONGEST_CREDENTIAL = 16 * 1024


def _short(credential: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(credential)) > LONGEST_CREDENTIAL:
        raise refused(
            "too_long", marked("The credential may have at most {most} characters."), most=LONGEST_CREDENTIAL
        )
    return credential


Credential = Annotated[
    dict[str, Any],
    AfterValidator(_short),
    Field(
        description="`PublicKeyCredential.toJSON()` of the browser.",
        examples=[{"id": "AQID", "rawId": "AQID", "type": "public-key", "response": {}}],
    ),
]


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


class LoginQuery(Input):
    """Parameters of a login."""

    return_to: Annotated[str | None, Field(max_length=2000)] = Field(
        None, description="URL of one of the company's origins to come back to, with `login=…` added."
    )
    anew: bool = Field(False, description="Have the provider authenticate the person again.")


class SecondFactorState(Model):
    """Whether the second factor is still wanted, and how it can be proven."""

    state: Literal["pending", "active"]
    enrolled: bool = Field(description="False: a first factor has to be added to complete the login.")
    methods: list[Method]


class Proof(Input):
    """A proof of the second factor."""

    method: Method = Field(examples=["totp"])
    code: TypedCode = Field(
        "", description="TOTP or recovery code, with or without spaces and hyphens.", examples=["492039"]
    )
    credential: Credential | None = None


class TotpSecret(Model):
    """A new TOTP secret; it becomes a factor when a code of it is confirmed."""

    secret: str = Field(
        description="Base32, to be typed where no camera is.", examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"]
    )
    otpauth_uri: Uri = Field(
        examples=["otpauth://totp/FamilyCorp:haneul?secret=JBSWY3DPEHPK3PXP&issuer=FamilyCorp"]
    )
    qr_svg: str = Field(
        description="The URI as a QR code.", examples=['<svg xmlns="http://www.w3.org/2000/svg"></svg>']
    )


class TotpConfirmation(Input):
    """A code of the new secret."""

    code: TotpCode = Field(description="Six digits, with or without spaces.", examples=["492039"])


class PasskeyOptions(Model):
    """Options with which a browser creates or proves a passkey."""

    public_key: dict[str, Any] = Field(
        description="`PublicKeyCredentialCreationOptionsJSON`, or `…RequestOptionsJSON`, of WebAuthn.",
        examples=[{"challenge": "AQID", "rpId": "familycorp.example"}],
    )


class PasskeyAddition(Input):
    """A passkey that the browser created."""

    name: Annotated[str, Field(min_length=1, max_length=60), Line] = Field(examples=["업무용 노트북"])
    credential: Credential


_CODES = ["k7qd-3xmp-92ht", "w4zn-8rcb-51vy"]


class FactorAdded(Model):
    """A factor was added."""

    recovery_codes: list[str] | None = Field(
        description="With the first factor: recovery codes, each valid once and shown only now.",
        examples=[_CODES],
    )


class RecoveryCodesOut(Model):
    """New recovery codes, shown this once; the old ones are void."""

    recovery_codes: list[str] = Field(examples=[_CODES])


class FactorSummary(Model):
    """A second factor."""

    id: str = Field(examples=["totp"])
    kind: Literal["totp", "passkey"]
    name: str = Field(examples=["업무용 노트북"])
    created_at: Timestamp


class Factors(Model):
    """The caller's second factors."""

    items: list[FactorSummary]
    recovery_codes_left: int


class Me(Model):
    """The caller."""

    id: str = Field(examples=["0192f0c1-2b3c-7d4e-8f50-617283940a1b"])
    name: str = Field(examples=["김하늘"])
    email: str = Field(examples=["haneul@familycorp.example"])
    role: str | None = Field(description="The caller's role; null without one.", examples=["editor"])
    second_factor_at: Instant
    session_ends_at: Instant


class Permissions(Model):
    """Actions that the policy allows the caller without regard to an object."""

    role: str | None = Field(description="The caller's role; null without one.", examples=["editor"])
    allowed: list[str] = Field(
        description="Actions that the policy allows without regard to an object; those that need a recent second "
        "factor are among them.",
        examples=[["category:create", "post:create"]],
    )


class SessionSummary(Model):
    """A session: one browser that is logged in."""

    id: str = Field(examples=["0192f0c1-2b3c-7d4e-8f50-617283940a1d"])
    device: str = Field(
        description="What the browser says of itself.", examples=["Mozilla/5.0 (X11; Linux x86_64)"]
    )
    created_at: Instant
    last_used_at: Instant = Field(description="Time of the last use, exact to 15 minutes.")
    current: bool
    allowed: Allowed = Field(examples=[["session:end-own"]])


class Sessions(Model):
    """A member's sessions."""

    items: list[SessionSummary]

    @classmethod
    def of(cls, items: list[dict[str, Any]], current: str, allowed: list[str]) -> Self:
        """Make the response of stored sessions; `current` is the caller's, `allowed` what they may do to each."""
        return cls(
            items=[
                SessionSummary(
                    id=item["session"],
                    device=item["device"],
                    created_at=_instant(item["createdAt"]),
                    last_used_at=_instant(item["lastUsedAt"]),
                    current=item["session"] == current,
                    allowed=allowed,
                )
                for item in items
            ]
        )


class LoggedOut(Model):
    """The session is over."""

    end_session_url: Uri | None = Field(
        description="Where to send the browser to log out at the provider too; null where it has no such place.",
        examples=["https://login.familycorp.example/logout"],
    )
