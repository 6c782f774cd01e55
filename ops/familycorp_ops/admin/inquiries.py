"""`familycorp inquiries`: what visitors wrote, taken out as a file."""

import json
import os
import sys
from collections.abc import Iterator
from enum import StrEnum
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any

import typer

from familycorp_ops import environment
from familycorp_ops.admin import operator
from familycorp_ops.admin.operator import Env, Operator, State
from familycorp_ops.output import AsJson, document, show

app = typer.Typer(help="Take out what visitors wrote.", no_args_is_help=True)


class Form(StrEnum):
    """What an export is written as."""

    json = "json"
    csv = "csv"


@app.callback()
def inquiries() -> None:
    """Have its commands named, though there is but one."""


@app.command("export")
def export(
    file: Annotated[
        Path, typer.Argument(help="The file; it must not exist yet.", metavar="FILE", dir_okay=False)
    ],
    *,
    email: Annotated[
        str | None, typer.Option(help="E-mail address of the person whose inquiries are exported.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="Format of FILE.")] = Form.json,
    env: Env = None,
    as_json: AsJson = False,
    state: State = environment.STATE,
) -> None:
    """Write inquiries to FILE, newest first, a JSON document a line or as CSV; the audit trail names the operator."""
    with operator.reported():
        try:
            # People's data: for nobody else on this machine.
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            sys.exit(_("{file} can't be written: {reason}.").format(file=file, reason=error.strerror))
        count = 0
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as lines:
            if form is Form.csv:
                lines.write("\ufeff")  # By which spreadsheets know UTF-8.
            for inquiry in _there(env, email) if env else _here(state, email):
                lines.write(
                    _row(inquiry, heading=not count) if form is Form.csv else f"{document(inquiry)}\n"
                )
                count += 1
    said = _("{count} inquiries are in {file}: they are people's data, so delete it when it has served.")
    show({"inquiries": count, "file": str(file)}, said.format(count=count, file=file), as_json=as_json)


def _row(inquiry: dict[str, Any], *, heading: bool) -> str:
    from app.inquiries.exporting import as_csv  # noqa: PLC0415 - `--help` needn't wait for it.
    from app.inquiries.schemas import InquiryOut  # noqa: PLC0415

    return as_csv([InquiryOut.model_validate(inquiry)], heading=heading)


def _there(env: str, email: str | None) -> Iterator[dict[str, Any]]:
    it, cursor = Operator(env), None
    while True:
        page = it.read("inquiries.export", cursor=cursor, email=email)
        yield from json.loads(it.take(page["object"]))
        cursor = page["nextCursor"]
        if cursor is None:
            return


def _here(state: Path, email: str | None) -> list[dict[str, Any]]:
    environment.choose(state, writes=True)
    from app.inquiries import service  # noqa: PLC0415 - it needs the settings.

    found: list[dict[str, Any]] = []

    async def work() -> None:
        cursor = None
        while True:
            page = await service.exported(cursor, email)
            found.extend(inquiry.model_dump(mode="json", by_alias=True) for inquiry in page.items)
            cursor = page.next_cursor
            if cursor is None:
                return

    environment.run(work())
    return found
