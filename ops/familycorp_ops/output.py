"""Shared by every command's output: `--json`, one document in place of sentences, and errors."""

import json
import sys
from collections.abc import Sequence
from gettext import gettext as _
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.text import Text
from typer.core import TyperGroup
from typer.exceptions import TyperException

from familycorp_ops import messages

JSON = "--json"
AsJson = Annotated[bool, typer.Option(JSON, help="Print one JSON document instead of sentences.")]


ENVIRONMENTS = ("dev", "stage", "prod")


def known(env: str | None) -> str | None:
    """Return the name of an environment in AWS, if any; raise `UnusableError` for another one."""
    if env not in {None, *ENVIRONMENTS}:
        raise UnusableError(_("{env} is none of dev, stage and prod.").format(env=env))
    return env


def Deployed(*, help: str) -> Any:  # noqa: A002, N802 - it is used as Typer's own declarations are.
    """Declare an argument that names an environment in AWS."""
    return typer.Argument(
        help=help,
        metavar="ENV",
        callback=known,
        autocompletion=lambda incomplete: [e for e in ENVIRONMENTS if e.startswith(incomplete)],
    )


def _rstrip_end(text: Text, size: int) -> None:
    """Remove the whitespace at the end of a text that is beyond a width in cells.

    rich 15.0 counts characters here, and cells where it then cuts the line, so that a line of Korean with a space
    beyond the width loses its last syllable.
    """
    beyond = min(cell_len(text.plain) - size, len(text.plain) - len(text.plain.rstrip()))
    if beyond > 0:
        text.right_crop(beyond)


Text.rstrip_end = _rstrip_end  # type: ignore[method-assign, assignment]


class UnusableError(typer.BadParameter):
    """An argument can't be used; the message says why."""

    def format_message(self) -> str:
        """Return it without the parser's own English words before it."""
        return self.message


class Root(TyperGroup):
    """The root command: chooses the language before anything is shown, and prints errors as JSON with `--json`.

    JSON is English in every locale.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the language first: also `--help`, which ends the program at once, is shown in it."""
        chosen, *__ = self.make_parser(ctx).parse_args(list(args))
        messages.choose(messages.Language.en if _is_json(args) else chosen.get("lang"))
        messages.translate(self, ctx)
        return super().parse_args(ctx, args)

    def main(self, args: Sequence[str] | None = None, *positional: Any, **named: Any) -> Any:
        """Run a command line; with `--json`, what ends it is one document on standard error."""
        if not _is_json(sys.argv[1:] if args is None else args):
            return super().main(args, *positional, **named)
        try:
            status = super().main(args, *positional, **{**named, "standalone_mode": False})
        except SystemExit as ended:
            if not isinstance(ended.code, str):
                raise
            problem, status = ended.code, 1
        except TyperException as error:
            problem, status = error.format_message(), error.exit_code
        else:
            sys.exit(status if isinstance(status, int) else 0)
        sys.stderr.write(f"{document({'error': problem})}\n")
        sys.exit(status)


class AwsGroup(TyperGroup):
    """Sub-commands that call AWS; ends with one sentence where AWS can't be reached, or refuses."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - `--help` needs no AWS.

            if isinstance(error, BotoCoreError | ClientError):
                sys.exit(aws_problem(error))
            raise


def aws_problem(error: Exception) -> str:
    """Return what an error of botocore says to an operator: AWS can't be reached, or it rejects an operation."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - `--help` needs no AWS.

    if not isinstance(error, ClientError):
        return _("Cannot reach AWS: {error}").format(error=error)
    problem = error.response["Error"]
    return _("AWS rejected {operation} with {code}: {message}").format(
        operation=error.operation_name, code=problem["Code"], message=problem.get("Message", "")
    )


def _is_json(arguments: Sequence[str]) -> bool:
    cut = list(arguments).index("--") if "--" in arguments else len(arguments)
    return JSON in arguments[:cut]


def document(value: Any) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def show(value: Any, text: str, *, as_json: bool) -> None:
    """Print a result for programs, or in words for people."""
    sys.stdout.write(f"{document(value) if as_json else text}\n")
