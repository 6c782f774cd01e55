"""`familycorp members`: the staff, and the first admin of an environment."""

import sys
from enum import StrEnum
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from familycorp_ops import environment
from familycorp_ops.admin.first_admin import first_admin
from familycorp_ops.output import AsJson, show

if TYPE_CHECKING:
    from collections.abc import Coroutine

app = typer.Typer(help="See who the staff are, and make the first admin.", no_args_is_help=True)
app.command("first-admin")(first_admin)

State = Annotated[
    Path,
    typer.Option(help="Directory of what `familycorp up` runs; FAMILYCORP_* variables win.", metavar="DIR"),
]


class RoleName(StrEnum):
    """What a member may be made; `none` leaves it to their groups at the provider."""

    admin = "admin"
    editor = "editor"
    viewer = "viewer"
    none = "none"


@app.command("grant-role")
def grant_role(
    who: Annotated[
        str,
        typer.Argument(
            metavar="E-MAIL|ID", help="The member's verified e-mail address at the provider, or id."
        ),
    ],
    role: Annotated[RoleName, typer.Argument(help="What they shall be.")],
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Make somebody who has logged in once an admin, editor or viewer; it counts from their next request on."""

    async def work() -> None:
        from app.members import service  # noqa: PLC0415

        member = await service.grant_role(who, None if role is RoleName.none else role.value)
        said = _("{name} ({email}) is {role} now.").format(
            name=member.name, email=member.email, role=member.role or member.group_role or _("without a role")
        )
        show(member.model_dump(mode="json", by_alias=True), said, as_json=as_json)

    _run(work(), state)


@app.command("list")
def list_command(as_json: AsJson = False, state: State = environment.STATE) -> None:
    """List everybody who has logged in."""

    async def work() -> None:
        from app.members import service  # noqa: PLC0415

        members = await service.everybody()
        disabled = _("disabled") + " "
        lines = [
            f"{m.email or '-':40} {m.role or m.group_role or '-':8} {disabled if m.disabled else ''}{m.name}"
            for m in members
        ]
        shown = [member.model_dump(mode="json", by_alias=True) for member in members]
        show(shown, "\n".join(lines) or _("Nobody has logged in yet."), as_json=as_json)

    _run(work(), state)


def _run(work: "Coroutine[Any, Any, None]", state: Path) -> None:
    try:
        environment.choose(state, writes=True)
    except environment.CommandError as error:
        work.close()
        sys.exit(str(error))
    from app.members.errors import MemberAmbiguous, MemberNotFound  # noqa: PLC0415

    try:
        environment.run(work)
    except environment.CommandError as error:
        sys.exit(str(error))
    except MemberNotFound:
        sys.exit(
            _(
                "Nobody with this e-mail is known yet: they log in once, open any staff page, then "
                "run this again."
            )
        )
    except MemberAmbiguous as several:
        sys.exit(
            _(
                "Several members have this e-mail, or one that looks like it, so no role was changed:\n{detail}\n"
                "Run this again with the id of one of them."
            ).format(detail=several.detail)
        )
