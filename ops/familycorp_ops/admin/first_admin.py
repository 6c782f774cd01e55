"""`familycorp members first-admin`: a user of Cognito who is an admin from their first login on."""

import re
import sys
from collections.abc import Iterator, Mapping
from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from familycorp_ops.deploy.smoke import REGION
from familycorp_ops.environment import CommandError
from familycorp_ops.output import AsJson, aws_problem, known, show

if TYPE_CHECKING:
    from familycorp_ops.deploy.environment import Environment

_POOL: Final = re.compile(r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com/([\w-]+)", re.ASCII)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class AnotherProviderError(CommandError):
    """Users are made at another provider than Cognito; the message says what to run after the first login."""


def first_admin(
    env: Annotated[str, typer.Option(help="Environment: dev, stage or prod.", callback=known)],
    email: Annotated[str, typer.Option(help="E-mail address to which Cognito sends the invitation.")],
    resend: Annotated[
        bool, typer.Option("--resend", help="Send the invitation again, if it wasn't accepted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a user of Cognito and put them into the group that gives the role admin; it may be repeated."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - `--help` needn't wait for it.

    from familycorp_ops.deploy.environment import Environment  # noqa: PLC0415

    try:
        made = make(Environment(env, REGION), email, resend=resend)
    except CommandError as error:
        sys.exit(str(error))
    except (BotoCoreError, ClientError) as error:
        sys.exit(aws_problem(error))
    show(made, "\n".join(lines(made)), as_json=as_json)


def lines(made: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person reads of the admin that was made."""
    said = _("{email} is in the group {group} and is an admin from the next login on, at {url}.")
    yield said.format(**made)
    if made["invited"]:
        yield _("Cognito sends them a temporary password, which is valid for 3 days.")
    elif made["pending"]:
        yield _("They haven't accepted their invitation yet: --resend sends it again.")


def make(it: "Environment", email: str, *, resend: bool) -> dict[str, Any]:
    """Make the user, or find them, and put them into the group of admins; return the created objects.

    Raises `CommandError` where that can't be, and `AnotherProviderError` where users aren't Cognito's.
    """
    if not _EMAIL.fullmatch(email):
        raise CommandError(_("{email} is no e-mail address.").format(email=email))
    settings = {
        name: it.parameters.get(f"settings/{name}", "") for name in ("OIDC_ISSUER", "ROLE_GROUPS", "API_URL")
    }
    if not settings["OIDC_ISSUER"]:
        raise CommandError(
            _("There are no parameters below /familycorp/{name}/settings/: was Terraform applied?").format(
                name=it.env
            )
        )
    pool = _POOL.fullmatch(settings["OIDC_ISSUER"])
    if pool is None:
        raise AnotherProviderError(
            _(
                "{issuer} is no user pool of Cognito's, so the user is made there. "
                "After their first login run `familycorp members grant-role {email} admin --env {env}`."
            ).format(issuer=settings["OIDC_ISSUER"], email=email, env=it.env)
        )
    pairs = (pair.rpartition("=") for pair in settings["ROLE_GROUPS"].split(","))
    group = next((group for group, _is, role in pairs if role == "admin"), None)
    if group is None:
        raise CommandError(_("No group gives the role admin: name one in role_groups, and apply."))
    cognito = it.client("cognito-idp")
    user, invited = _user(cognito, pool[1], email, resend=resend)
    cognito.admin_add_user_to_group(UserPoolId=pool[1], Username=user["Username"], GroupName=group)
    pending = user["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    made = {"environment": it.env, "account": it.caller["Account"], "email": email, "group": group}
    return made | {"url": settings["API_URL"], "invited": invited, "pending": pending}


def _user(cognito: Any, pool: str, email: str, *, resend: bool) -> tuple[dict[str, Any], bool]:
    """Return the user whose verified address this is, made if there is none, and whether an invitation was sent."""
    try:
        user = cognito.admin_get_user(UserPoolId=pool, Username=email)
    except cognito.exceptions.UserNotFoundException:
        attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
        made = cognito.admin_create_user(
            UserPoolId=pool, Username=email, UserAttributes=attributes, DesiredDeliveryMediums=["EMAIL"]
        )
        return made["User"], True
    known = {attribute["Name"]: attribute["Value"] for attribute in user["UserAttributes"]}
    # Users can change their own address: one that Cognito hasn't verified may be anybody's.
    if known.get("email", "").casefold() != email.casefold() or known.get("email_verified") != "true":
        raise CommandError(
            _("{email} isn't a verified address of the user {user}, who gets no role.").format(
                email=email, user=user["Username"]
            )
        )
    if not user["Enabled"]:
        raise CommandError(
            _("{email} is disabled in the user pool: enable them there, then run this again.").format(
                email=email
            )
        )
    if resend and user["UserStatus"] == "FORCE_CHANGE_PASSWORD":
        cognito.admin_create_user(
            UserPoolId=pool, Username=email, MessageAction="RESEND", DesiredDeliveryMediums=["EMAIL"]
        )
        return user, True
    return user, False
