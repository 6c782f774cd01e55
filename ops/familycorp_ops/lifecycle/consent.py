"""A person's yes."""

import sys
from gettext import gettext as _

import typer

from familycorp_ops.lifecycle.problem import LifecycleError


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person, unless they said yes beforehand; raise `LifecycleError` where there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise LifecycleError(
            _("{question} There is no terminal to answer on: pass --yes.").format(question=question)
        )
    if not typer.confirm(question, err=True):
        raise LifecycleError(_("Nothing was changed."))
