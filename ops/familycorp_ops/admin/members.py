"""`familycorp members`: the staff, and the first admin of an environment."""

import sys
from enum import StrEnum
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any

import typer

from familycorp_ops import environment
from familycorp_ops.admin import operator
from familycorp_ops.admin.first_admin import first_admin
from familycorp_ops.admin.operator import Env, State
from familycorp_ops.output import AsJson, show

app = typer.Typer(help="List the staff, change their roles, and make the first admin.", no_args_is_help=True)
app.command("first-admin")(first_admin)

Who = Annotated[
    str,
    typer.Argument(metavar="E-MAIL|ID", help="The member's verified e-mail address at the provider, or id."),
]


class RoleName(StrEnum):
    """Roles to grant; `none` leaves the role to the member's groups at the provider."""

    admin = "admin"
    editor = "editor"
    viewer = "viewer"
    none = "none"


@app.command("grant-role")
def grant_role(
    who: Who,
    role: Annotated[RoleName, typer.Argument(help="Role to grant.")],
    env: Env = None,
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Grant a role to a member who has logged in once, and end their sessions."""
    chosen = None if role is RoleName.none else role.value
    member = _changed("members.grant-role", env, state, who=who, role=chosen)
    said = _("{name} ({email}) is {role} now, and has to log in again.").format(
        name=member["name"],
        email=member["email"],
        role=member["role"] or member["groupRole"] or _("without a role"),
    )
    show(member, said, as_json=as_json)


@app.command("disable")
def disable(who: Who, env: Env = None, as_json: AsJson = False, state: State = environment.STATE) -> None:
    """Lock a member out, and end their sessions; an admin can let them in again."""
    member = _changed("members.disable", env, state, who=who)
    said = _("{name} ({email}) is disabled, and logged out everywhere.")
    show(member, said.format(name=member["name"], email=member["email"]), as_json=as_json)


@app.command("end-sessions")
def end_sessions(
    who: Who, env: Env = None, as_json: AsJson = False, state: State = environment.STATE
) -> None:
    """Log a member out everywhere."""
    member = _changed("members.end-sessions", env, state, who=who)
    said = _("{name} ({email}) is logged out everywhere.")
    show(member, said.format(name=member["name"], email=member["email"]), as_json=as_json)


@app.command("erase")
def erase(
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Accept that nothing brings the data back.")] = False,
    env: Env = None,
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Erase name and e-mail address of a member who left, and end their sessions; the audit trail keeps the id."""
    if not yes:
        sys.exit(
            _("Name and e-mail address are erased for good, and the member gets no role again: add --yes.")
        )
    member = _changed("members.erase", env, state, who=who)
    show(
        member,
        _("{id} is a former member without name and e-mail address.").format(id=member["id"]),
        as_json=as_json,
    )


@app.command("list")
def list_command(env: Env = None, as_json: AsJson = False, state: State = environment.STATE) -> None:
    """List all members who have logged in."""
    with operator.reported():
        members = operator.ask("members.list", env, state)
    lines = [_line(member) for member in members]
    show(members, "\n".join(lines) or _("Nobody has logged in yet."), as_json=as_json)


def _changed(command: str, env: str | None, state: Path, **arguments: Any) -> Any:
    """Return the member that a command has changed."""
    with operator.reported():
        try:
            return operator.order(command, env, state, **arguments)
        except operator.RefusedError as refused:
            if refused.code == "member_not_found":
                sys.exit(
                    _(
                        "Nobody with this e-mail is known yet: they sign in to the console once, then "
                        "run this again."
                    )
                )
            if refused.code == "member_ambiguous":
                sys.exit(
                    _(
                        "Several members have this e-mail, or one that looks like it, so nothing was changed:\n"
                        "{detail}\nRun this again with the id of one of them."
                    ).format(detail=refused.detail)
                )
            raise


def _line(member: dict[str, Any]) -> str:
    role, disabled = member["role"] or member["groupRole"] or "-", _("disabled") + " "
    name = _("former member") if member["former"] else member["name"]
    return f"{member['email'] or '-':40} {role:8} {disabled if member['disabled'] else ''}{name}"
