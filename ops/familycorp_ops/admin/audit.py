"""`familycorp audit`: who changed what."""

from gettext import gettext as _
from typing import Annotated, Any

import typer

from familycorp_ops import environment
from familycorp_ops.admin import operator
from familycorp_ops.admin.operator import Env, State
from familycorp_ops.output import AsJson, document, show


def audit(  # noqa: PLR0917 - these are options of a command line.
    target: Annotated[
        str | None,
        typer.Option(help="Only what happened to this, as member:ID or post:ID.", metavar="KIND:ID"),
    ] = None,
    limit: Annotated[int, typer.Option(help="How many entries.", min=1, max=100)] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="Where to go on: nextCursor of the entries before.")
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Show the audit trail, newest first: when, who, what, of what."""
    with operator.reported():
        page = operator.ask("audit.list", env, state, target=target, limit=limit, cursor=cursor)
    lines = [_line(entry) for entry in page["items"]]
    if page["nextCursor"]:
        lines.append(_("There are more: --cursor {cursor}").format(cursor=page["nextCursor"]))
    show(page, "\n".join(lines) or _("Nothing has happened yet."), as_json=as_json)


def _line(entry: dict[str, Any]) -> str:
    detail = document(entry["detail"]) if entry["detail"] else ""
    actor = entry["actor"] + (f" ({_('former member')})" if entry["formerMember"] else "")
    return f"{entry['at'][:19]}Z  {actor}  {entry['action']}  {entry['target']}  {detail}".rstrip()
