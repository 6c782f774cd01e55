"""`familycorp render`: writes the documents that are computed from code, policy and templates, or finds stale ones.

Each name below is a module with `rendered()`, which returns the text of every file that it writes. It raises
`NotInstalledError` where this machine lacks what the files are computed with.
"""

import sys
from collections.abc import Mapping
from gettext import gettext as _
from importlib import import_module
from pathlib import Path
from typing import Annotated, Final

import typer

from familycorp_ops import messages
from familycorp_ops.output import AsJson, UnusableError, show
from familycorp_ops.servers.process import NotInstalledError

RENDERERS: Final = {
    "api": "familycorp_ops.docs.contract",
    "architecture": "familycorp_ops.docs.architecture",
    "cors": "familycorp_ops.docs.cors",
    "costs": "familycorp_ops.cost.documents",
    "logs": "familycorp_ops.docs.queries",
    "opa": "familycorp_ops.docs.roles",
    "pipeline": "familycorp_ops.docs.pipeline",
    "scale": "familycorp_ops.docs.scale",
    "settings": "familycorp_ops.docs.settings",
    "templates": "familycorp_ops.deploy.zip_template",
}
"""The module that renders each document of `docs/`, both templates and what Terraform reads."""


def _known(names: list[str] | None) -> list[str]:
    for name in names or ():
        if name not in RENDERERS:
            raise UnusableError(
                _("{name} is no rendered document: {known} are.").format(
                    name=name, known=", ".join(RENDERERS)
                )
            )
    return list(names or ())


def _files(name: str) -> Mapping[Path, str]:
    with messages.in_english():
        files: Mapping[Path, str] = import_module(RENDERERS[name]).rendered()
    return files


def render(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Documents, as api or costs; without one, all that can be rendered on this machine.",
            metavar="[NAME]...",
            callback=_known,
            autocompletion=lambda incomplete: [n for n in RENDERERS if n.startswith(incomplete)],
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where a file is out of date.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the documents that are computed from code, policy and templates."""
    changed: list[Path] = []
    skipped: dict[str, str] = {}
    for name in names or RENDERERS:
        try:
            files = _files(name)
        except NotInstalledError as error:
            skipped[name] = str(error).splitlines()[0]
            continue
        for file, text in files.items():
            if not file.exists() or file.read_text("utf-8") != text:
                changed.append(file)
                if not check:
                    file.write_text(text, "utf-8")
    sentence = _("{file} is out of date: `make docs` writes it.") if check else _("Wrote {file}.")
    lines = [sentence.format(file=file.name) for file in changed] or [_("Everything is up to date.")]
    lines += [_("{name} was skipped: {reason}").format(name=n, reason=r) for n, r in skipped.items()]
    found = {"changed": [file.name for file in changed], "skipped": skipped}
    show(found, "\n".join(lines), as_json=as_json)
    sys.exit(1 if (check and changed) or (names and skipped) else 0)
